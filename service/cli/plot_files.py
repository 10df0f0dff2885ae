"""Files that plots are drawn into, and the extra that draws them."""

import importlib.util
from pathlib import Path

from service.application.errors import InvalidRequestError

FORMATS = (".png", ".svg")


def check_plot(path: Path | None) -> None:
    """Refuse a plot that could not be written, before anything is computed.

    Raises
    ------
    InvalidRequestError
        Neither .png nor .svg, no such folder, or the extra ``plots`` is not installed.
    """
    if path is None:
        return
    if path.suffix.lower() not in FORMATS:
        raise InvalidRequestError(
            f"--plot is {path}; a name that ends in .png or .svg is expected.",
            field="plot",
            accepted={"endings": list(FORMATS)},
        )
    if not path.parent.is_dir():
        raise InvalidRequestError(f"--plot is {path}; there is no folder {path.parent}.", field="plot")
    if any(importlib.util.find_spec(name) is None for name in ("altair", "vl_convert")):
        raise InvalidRequestError(
            "--plot needs the extra `plots`, which is not installed. Get it with: "
            "pip install 'pertoken[plots]' (from a clone: pip install -c requirements.lock '.[plots]').",
            field="plot",
            code="extra-missing",
        )
