"""The sources that can be imported, by name."""

from collections.abc import Mapping
from typing import Final

from service.catalog.importers import gpuhunt, litellm, openrouter, own_files, skypilot
from service.catalog.importers.reading import Adapter

ADAPTERS: Final[Mapping[str, Adapter]] = {
    adapter.name: adapter
    for adapter in (
        litellm.ADAPTER,
        openrouter.ADAPTER,
        skypilot.ADAPTER,
        gpuhunt.ADAPTER,
        own_files.YAML_ADAPTER,
        own_files.CSV_ADAPTER,
    )
}
"""All but ``genai-prices``, which is an installed package and not a file."""
