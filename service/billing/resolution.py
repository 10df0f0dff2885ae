"""Which row prices a meter for a request (CONTRACT 3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Generic, Protocol, TypeVar

from service.billing.errors import (
    AmbiguousPriceError,
    NoMatchingPriceError,
    SelectorError,
    UnknownTierError,
)
from service.billing.selectors import Selector
from service.billing.windows import in_window

FALLBACKS: Mapping[str, str] = {
    "cache_write_1h": "cache_write",
    "cache_write_5m": "cache_write",
    "cache_write": "input",
    "cache_read": "input",
    "output_reasoning": "output",
}
"""Meter that prices a quantity whose own meter has no row; always shown on the line."""

STANDARD_TIERS = frozenset({"standard", "default"})
"""Names under which providers report that no special tier was asked for."""


class SelectedRow(Protocol):
    """A row with a selector; everything else is the caller's."""

    @property
    def selector(self) -> Selector:
        """Axes the row is bound to."""
        ...


R = TypeVar("R", bound=SelectedRow)


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What the axes of a selector are compared with."""

    at: datetime
    """Start of the request, with offset."""
    service_tier: str | None = None
    region: str | None = None
    cache_lifetime: str | None = None
    variant: str | None = None
    measures: Mapping[str, Decimal | int] = field(default_factory=dict)
    """Context measures of the request, for example ``{"input": 200_000}``."""


@dataclass(frozen=True, slots=True)
class PricedSlice(Generic[R]):
    """A part of a quantity and the row that prices it."""

    row: R
    quantity: Decimal | int


@dataclass(frozen=True, slots=True)
class Resolution(Generic[R]):
    """How one meter's quantity is priced."""

    meter: str
    priced_as: tuple[str, ...]
    """The meter and the fallbacks tried, ending in the one that had a price."""
    slices: tuple[PricedSlice[R], ...]

    @property
    def fell_back(self) -> bool:
        """Whether another meter's row prices the quantity."""
        return len(self.priced_as) > 1


def matches(selector: Selector, facts: RequestFacts) -> bool:
    """Return whether a selector matches a request; an ``excess`` band is left to the slicing.

    Raises
    ------
    NoMatchingPriceError
        If the row depends on a measure that the request does not state.
    """
    return (
        (selector.service_tier is None or selector.service_tier == facts.service_tier)
        and (selector.region is None or selector.region == facts.region)
        and (selector.cache_lifetime is None or selector.cache_lifetime == facts.cache_lifetime)
        and (selector.variant is None or selector.variant == facts.variant)
        and (selector.time_zone is None or in_window(selector, facts.at))
        and (selector.context_mode != "whole_request" or _in_band(selector, facts))
    )


def most_specific(rows: Sequence[R]) -> R | None:
    """Return the row that binds a superset of the axes of every other; None of no rows.

    Raises
    ------
    AmbiguousPriceError
        If no single row does.
    """
    if len(rows) <= 1:
        return rows[0] if rows else None
    axes = [row.selector.axes for row in rows]
    winners = [row for row, bound in zip(rows, axes, strict=True) if all(bound >= other for other in axes)]
    if len(winners) == 1:
        return winners[0]
    raise AmbiguousPriceError(
        f"{len(rows)} price rows match the request and none binds the axes of all others.",
        accepted={"axes": [sorted(bound) for bound in axes]},
    )


def resolve_meter(
    rows: Sequence[R], meter: str, facts: RequestFacts, quantity: Decimal | int
) -> tuple[PricedSlice[R], ...]:
    """Price one quantity with the rows of one meter; several slices only under ``excess`` bands.

    Returns
    -------
    tuple of PricedSlice
        Empty where no row matches; the quantities sum to the quantity asked.

    Raises
    ------
    AmbiguousPriceError
        If several rows match and none is the most specific.
    NoMatchingPriceError
        If ``excess`` bands leave a part of the quantity without a price.
    SelectorError
        If an ``excess`` band measures anything but the meter's own quantity.
    """
    candidates = [row for row in rows if matches(row.selector, facts)]
    bands = [row for row in candidates if row.selector.context_mode == "excess"]
    if not bands:
        winner = most_specific(candidates)
        return () if winner is None else (PricedSlice(winner, quantity),)
    for row in bands:
        if row.selector.context_measure != meter:
            raise SelectorError(
                f"An excess band of {meter} measures {row.selector.context_measure}; only the meter's own "
                "quantity can be cut."
            )
    return tuple(
        PricedSlice(_price_of_part(candidates, meter, low, high), high - low)
        for low, high in _parts(bands, quantity)
    )


def resolve(
    rows_by_meter: Mapping[str, Sequence[R]], meter: str, facts: RequestFacts, quantity: Decimal | int
) -> Resolution[R]:
    """Price one quantity, falling back to a broader meter where the meter has no matching row.

    Raises
    ------
    NoMatchingPriceError
        If neither the meter nor any of its fallbacks has a matching row.
    """
    tried: list[str] = []
    name: str | None = meter
    while name is not None:
        tried.append(name)
        slices = resolve_meter(rows_by_meter.get(name, ()), name, facts, quantity)
        if slices:
            return Resolution(meter, tuple(tried), slices)
        name = FALLBACKS.get(name)
    raise NoMatchingPriceError(
        f"No price row matches {' or '.join(tried)} for this request.",
        accepted={"meters": sorted(rows_by_meter)},
    )


def check_service_tier(rows: Sequence[SelectedRow], service_tier: str | None) -> None:
    """Refuse a service tier that no row of the listing names.

    Raises
    ------
    UnknownTierError
        If the tier is neither standard nor bound by a row.
    """
    if service_tier is None or service_tier in STANDARD_TIERS:
        return
    known = {row.selector.service_tier for row in rows if row.selector.service_tier is not None}
    if service_tier not in known:
        raise UnknownTierError(
            f"The listing has no service tier {service_tier!r}.",
            accepted={"service_tiers": sorted(known | STANDARD_TIERS)},
        )


def _in_band(selector: Selector, facts: RequestFacts) -> bool:
    measure = selector.context_measure or ""
    value = facts.measures.get(measure)
    if value is None:
        raise NoMatchingPriceError(
            f"The price depends on {measure}, which the request does not state.",
            accepted={"measure": measure},
        )
    low, high = selector.context_from, selector.context_to
    return (low is None or value >= low) and (high is None or value < high)


def _parts(bands: Sequence[R], quantity: Decimal | int) -> list[tuple[Decimal | int, Decimal | int]]:
    """Cut [0, quantity) at the edges of the bands; a zero quantity is one empty part."""
    inner = {
        edge
        for row in bands
        for edge in (row.selector.context_from, row.selector.context_to)
        if edge is not None and 0 < edge < quantity
    }
    edges: list[Decimal | int] = [0, *sorted(inner), quantity]
    return list(pairwise(edges))


def _price_of_part(rows: Sequence[R], meter: str, low: Decimal | int, high: Decimal | int) -> R:
    def holds(selector: Selector) -> bool:
        if selector.context_mode != "excess":
            return True
        upper = selector.context_to
        return (selector.context_from or 0) <= low and (upper is None or high <= upper)

    winner = most_specific([row for row in rows if holds(row.selector)])
    if winner is None:
        raise NoMatchingPriceError(f"No price row covers the part of {meter} from {low} to {high}.")
    return winner
