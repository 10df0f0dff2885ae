"""The sources that can be imported, by name."""

from collections.abc import Mapping
from typing import Final

from service.catalog.importers import genai_prices, gpuhunt, litellm, openrouter, own_files, skypilot
from service.catalog.importers.reading import Adapter

ADAPTERS: Final[Mapping[str, Adapter]] = {
    adapter.name: adapter
    for adapter in (
        genai_prices.ADAPTER,
        litellm.ADAPTER,
        openrouter.ADAPTER,
        skypilot.ADAPTER,
        gpuhunt.ADAPTER,
        own_files.YAML_ADAPTER,
        own_files.CSV_ADAPTER,
    )
}
