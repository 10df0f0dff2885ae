"""Context bands of ``genai-prices`` tiers: whole-request, of total input tokens, above each start."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import pairwise

from service.catalog.importers._genai_timeline import Rate, Span


def band_axis(low: int | None, high: int | None) -> dict[str, object]:
    """Return the selector's axis for [low, high) input tokens; nothing for the whole range."""
    if low is None and high is None:
        return {}
    return {
        "context_measure": "input",
        "context_from": low,
        "context_to": high,
        "context_mode": "whole_request",
    }


def band_starts(spans: Iterable[Span]) -> dict[str, frozenset[int]]:
    """Return, by price key, the first token counts of all bands that any price of the model has."""
    edges: dict[str, frozenset[int]] = {}
    for span in spans:
        for key, value in span.prices.items():
            edges[key] = edges.get(key, frozenset()) | tier_starts(value)
    return edges


def tier_starts(value: Rate) -> frozenset[int]:
    """Return the first token count of every band above the base."""
    if isinstance(value, Decimal):
        return frozenset()
    return frozenset(tier.start + 1 for tier in value.tiers)


def rates_by_band(value: Rate, starts: frozenset[int]) -> Iterator[tuple[int | None, int | None, Decimal]]:
    """Yield [low, high) and its rate for the bands that begin at ``starts``."""
    edges: list[int | None] = [None, *sorted(starts), None]
    for low, high in pairwise(edges):
        yield low, high, _rate_at(value, low or 0)


def _rate_at(value: Rate, tokens: int) -> Decimal:
    if isinstance(value, Decimal):
        return value
    rate = value.base
    for tier in value.tiers:
        if tokens > tier.start:
            rate = tier.price
    return rate
