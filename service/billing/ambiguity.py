"""Pairwise check at import: no request may match two rows of which neither is the more specific.

Two rows that can match the same request are admissible if one binds a proper superset of the other's
axes, or if a third row binds the axes of both and covers all they share (a batch price and a
long-context price are fine once there is a batch long-context price).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Generic, Protocol, TypeVar

from service.billing.selectors import Selector
from service.billing.windows import window_covers, windows_may_overlap


class DatedRow(Protocol):
    """A row of one key group: source, provider, listing, meter and currency are equal in all."""

    @property
    def selector(self) -> Selector:
        """Axes the row is bound to."""
        ...

    @property
    def valid_from(self) -> datetime:
        """First instant."""
        ...

    @property
    def valid_to(self) -> datetime | None:
        """First instant after the last; None is open."""
        ...


R = TypeVar("R", bound=DatedRow)


@dataclass(frozen=True, slots=True)
class Ambiguity(Generic[R]):
    """Two rows that the same request could match with nothing to choose between them."""

    first: R
    second: R

    @property
    def reason(self) -> str:
        """One sentence for the import report."""
        axes = [", ".join(sorted(row.selector.axes)) or "nothing" for row in (self.first, self.second)]
        return f"A request can match both a row bound to {axes[0]} and one bound to {axes[1]}."


def find_ambiguities(rows: Sequence[R]) -> list[Ambiguity[R]]:
    """Return every pair that could match one request without a winner, in the order given."""
    return [
        Ambiguity(first, second)
        for first, second in combinations(rows, 2)
        if _compete(first, second) and not any(_settles(row, first, second) for row in rows)
    ]


def _compete(first: DatedRow, second: DatedRow) -> bool:
    one, other = first.selector.axes, second.selector.axes
    if one > other or other > one:
        return False
    return _times_overlap(first, second) and selectors_may_overlap(first.selector, second.selector)


def selectors_may_overlap(one: Selector, other: Selector) -> bool:
    """Return whether some request may match both; cautious where that cannot be decided."""
    for left, right in zip(_names(one), _names(other), strict=True):
        if left is not None and right is not None and left != right:
            return False
    return windows_may_overlap(one, other) and _bands_may_overlap(one, other)


def _settles(row: DatedRow, first: DatedRow, second: DatedRow) -> bool:
    if row is first or row is second:
        return False
    one, other, third = first.selector, second.selector, row.selector
    if not (third.axes > one.axes and third.axes > other.axes):
        return False
    names = zip(_names(third), _names(one), _names(other), strict=True)
    if any(name is not None and name not in (left, right) for name, left, right in names):
        return False
    return (
        _lasts_through(row, first, second)
        and window_covers(third, one, other)
        and _band_covers(row, first, second)
    )


def _names(selector: Selector) -> tuple[str | None, ...]:
    return (selector.service_tier, selector.region, selector.cache_lifetime, selector.variant)


def _times_overlap(first: DatedRow, second: DatedRow) -> bool:
    start = max(first.valid_from, second.valid_from)
    return all(row.valid_to is None or start < row.valid_to for row in (first, second))


def _lasts_through(row: DatedRow, first: DatedRow, second: DatedRow) -> bool:
    start = max(first.valid_from, second.valid_from)
    ends = [end for end in (first.valid_to, second.valid_to) if end is not None]
    if row.valid_from > start:
        return False
    return row.valid_to is None or (bool(ends) and min(ends) <= row.valid_to)


def _bands_may_overlap(one: Selector, other: Selector) -> bool:
    if one.context_measure is None or one.context_measure != other.context_measure:
        return True
    if one.context_mode != other.context_mode:
        whole, excess = (one, other) if one.context_mode == "whole_request" else (other, one)
        # A whole-request band far above an excess band still has tokens inside the latter.
        return whole.context_to is None or (excess.context_from or 0) < whole.context_to
    return max(one.context_from or 0, other.context_from or 0) < min(_upper(one), _upper(other))


def _band_covers(row: DatedRow, first: DatedRow, second: DatedRow) -> bool:
    third = row.selector
    if third.context_measure is None:
        return True
    same = [
        band
        for band in (first.selector, second.selector)
        if (band.context_measure, band.context_mode) == (third.context_measure, third.context_mode)
    ]
    if not same:
        return False
    low = max(band.context_from or 0 for band in same)
    high = min(_upper(band) for band in same)
    return (third.context_from or 0) <= low and high <= _upper(third)


def _upper(selector: Selector) -> float:
    return float("inf") if selector.context_to is None else selector.context_to
