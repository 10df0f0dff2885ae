"""What a meter measures, read off its name: which meters are a part of which, and which stand in for which.

Providers report wholes with their parts: cached tokens are a part of the input, reasoning a part of the
output. A meter is a set of properties, and a part has all properties of its whole and more
(``cache_audio_read`` is a part of ``cache_read``, of ``input_audio`` and of ``input``).
"""

import re
from functools import lru_cache

from service.billing.resolution import FALLBACKS

Property = tuple[str, str]

_TOKENS = re.compile(
    r"(?P<direction>input|output)(?:_(?P<modality>text|audio|image|video))?"
    r"(?:_(?P<use>tool|reasoning|citation))?",
    re.ASCII,
)
_CACHE = re.compile(
    r"cache(?:_(?P<modality>text|audio|image|video))?_(?P<use>read|write)(?:_(?P<lifetime>5m|1h))?", re.ASCII
)
_OTHERS: dict[str, frozenset[Property]] = {
    "audio_seconds": frozenset({("unit", "second")}),
    "input_audio_seconds": frozenset({("unit", "second"), ("direction", "input")}),
    "output_audio_seconds": frozenset({("unit", "second"), ("direction", "output")}),
    "input_document_pages": frozenset({("unit", "page")}),
    "input_annotated_document_pages": frozenset({("unit", "page"), ("use", "annotated")}),
}
_MODALITY = re.compile(r"_(?:text|audio|image|video)(?=_|$)", re.ASCII)
_LIFETIME = re.compile(r"_(5m|1h)$", re.ASCII)


@lru_cache(maxsize=1024)
def properties_of(meter: str) -> frozenset[Property]:
    """Return what a meter measures; a meter of no known shape is a whole of its own."""
    if meter in _OTHERS:
        return _OTHERS[meter]
    match = _TOKENS.fullmatch(meter)
    if match is not None:
        found = {("unit", "token"), *_named(match)}
        return frozenset(found)
    match = _CACHE.fullmatch(meter)
    if match is not None:
        named = dict(_named(match))
        named["use"] = f"cache_{named['use']}"
        return frozenset({("unit", "token"), ("direction", "input"), *named.items()})
    return frozenset({("meter", meter)})


def is_part_of(part: str, whole: str) -> bool:
    """Return whether every unit of one meter is counted in another as well."""
    return properties_of(whole) < properties_of(part)


def joint_properties(one: str, other: str) -> frozenset[Property] | None:
    """Return what units counted by both of two meters are; None where no unit can be.

    ``input_audio`` and ``cache_read`` share the cached audio; ``input`` and ``output`` share nothing.
    """
    joint = properties_of(one) | properties_of(other)
    return joint if len({name for name, _ in joint}) == len(joint) and _same_unit(one, other) else None


@lru_cache(maxsize=1024)
def fallback_of(meter: str) -> str | None:
    """Return the meter whose price stands in where a meter has none; None at the end of the chain.

    CONTRACT 3 names the chains of cache and reasoning; a modality's own price gives way to the price of
    the same tokens of any modality, which is how providers count what they do not price apart.
    """
    if meter in FALLBACKS:
        return FALLBACKS[meter]
    general = _MODALITY.sub("", meter, count=1)
    return general if general != meter and properties_of(meter) > properties_of(general) else None


def cache_lifetime_of(meter: str) -> str | None:
    """Return the lifetime that a cache write's meter names: ``5m``, ``1h`` or None."""
    match = _LIFETIME.search(meter)
    return match[1] if match else None


def _named(match: re.Match[str]) -> set[Property]:
    return {(name, value) for name, value in match.groupdict().items() if value is not None}


def _same_unit(one: str, other: str) -> bool:
    units = [{value for name, value in properties_of(meter) if name == "unit"} for meter in (one, other)]
    return bool(units[0]) and units[0] == units[1]
