"""Where the essay is written from and to."""

from pathlib import Path
from typing import Final

TEMPLATE: Final = Path(__file__).parent / "template.md"
PAGE: Final = Path(__file__).parents[1] / "docs" / "why-output-costs-more.md"
PLOTS: Final = PAGE.with_suffix("")
