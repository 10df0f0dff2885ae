"""Meters and units of the registry for the price keys of ``genai-prices``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from service.engine.units import GIGA, KILO, MEGA, SECONDS_PER_HOUR

_SECONDS_PER_MINUTE: Final = 60.0

_UNITS: Final[Mapping[tuple[str, float], str]] = {
    ("tokens", MEGA): "million_tokens",
    ("characters", MEGA): "million_characters",
    ("messages", KILO): "thousand_messages",
    ("durations", SECONDS_PER_HOUR): "hour",
    ("durations", _SECONDS_PER_MINUTE): "minute",
    ("pixels", GIGA): "billion_pixels",
    ("document_pages", KILO): "thousand_pages",
    ("rerank", KILO): "thousand_searches",
    ("tool_calls", KILO): "thousand_calls",
    ("requests", KILO): "thousand_requests",
}
"""Unit of the registry by the package's family and size."""


@dataclass(frozen=True, slots=True)
class Unit:
    """How one price key of the package is named here."""

    meter: str
    per: str


def units_by_price_key(raw: Mapping[str, Mapping[str, object]]) -> dict[str, Unit]:
    """Return meter and unit by price key; one that the registry lacks is left out and so rejected."""
    units: dict[str, Unit] = {}
    for usage_key, entry in raw.items():
        dimensions, per = entry["dimensions"], entry["per"]
        if not isinstance(dimensions, Mapping) or not isinstance(per, int):
            continue
        unit = _UNITS.get((str(dimensions["family"]), per))
        if unit is not None:
            units[str(entry["price_key"])] = Unit(usage_key.removesuffix("_tokens"), unit)
    return units
