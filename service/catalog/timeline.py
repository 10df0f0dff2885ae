"""Valid time of one price key: what new statements make of the intervals believed so far. Pure.

A key's timeline is a set of half-open intervals that do not overlap. Statements of the kinds
``stated`` and ``assumed`` hold exactly for their interval. An ``observed`` one says only that the
price was seen on a day: seen again unchanged it changes nothing, and it speaks no further than the
next interval already known.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from service.application.ports import ValidFromBasis

FOREVER: Final = datetime.max.replace(tzinfo=UTC)
"""Stands for an open end in comparisons; never stored."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A price in [valid_from, valid_to); ``row_id`` where it is a stored row as it stands."""

    valid_from: datetime
    valid_to: datetime | None
    amount: Decimal
    per: str
    source_value: str | None
    basis: ValidFromBasis
    note: str
    row_id: int | None = None

    @property
    def end(self) -> datetime:
        """End, comparable."""
        return self.valid_to or FOREVER

    @property
    def stated(self) -> tuple[object, ...]:
        """All but the number of the row."""
        value = (self.amount, self.per, self.source_value)
        return (self.valid_from, self.valid_to, *value, self.basis, self.note)

    def holds_at(self, moment: datetime) -> bool:
        """Return whether the interval contains a time."""
        return self.valid_from <= moment < self.end

    def same_price(self, other: "Interval") -> bool:
        """Return whether both state the same amount per the same unit."""
        return self.amount == other.amount and self.per == other.per


@dataclass(frozen=True, slots=True)
class TimelineChange:
    """How stored rows become a timeline: close these rows, add those intervals."""

    retired: tuple[Interval, ...]
    inserted: tuple[Interval, ...]

    def __bool__(self) -> bool:
        return bool(self.retired or self.inserted)


def overlay(live: Sequence[Interval], stated: Sequence[Interval], *, complete: bool) -> TimelineChange:
    """Return the change that new statements make.

    Parameters
    ----------
    live
        Stored rows of the key, not overlapping.
    stated
        What the source says now, not overlapping, any order.
    complete
        True where the source states everything it knows of this key: intervals it stated before and no
        longer states are dropped (sightings stay), and so is all that follows its last, closed one.
    """
    result = sorted(live, key=lambda interval: interval.valid_from)
    placed: list[Interval] = []
    for statement in sorted(stated, key=lambda interval: interval.valid_from):
        fitted = _fit_observation(statement, result) if statement.basis == "observed" else statement
        result = [*_cut(result, fitted.valid_from, fitted.end), fitted]
        placed.append(fitted)
    if complete and placed:
        kept = [part for part in result if part in placed or part.basis == "observed"]
        last = max(placed, key=lambda interval: interval.end)
        result = list(_cut(kept, last.end, FOREVER)) if last.valid_to is not None else kept
    return _difference(live, result)


def withdraw(live: Sequence[Interval], moment: datetime) -> TimelineChange:
    """Return the change that ends a key at a time: nothing holds from then on."""
    return _difference(live, list(_cut(live, moment, FOREVER)))


def change(live: Sequence[Interval], new: Interval) -> TimelineChange:
    """Return the change of a price from ``new.valid_from``, up to the next interval already known."""
    return _difference(
        live,
        [
            *_cut(live, new.valid_from, _next_start(new, live) if new.valid_to is None else new.end),
            replace(new, valid_to=_bounded(new, live)),
        ],
    )


def _bounded(new: Interval, live: Sequence[Interval]) -> datetime | None:
    if new.valid_to is not None:
        return new.valid_to
    following = _next_start(new, live)
    return None if following == FOREVER else following


def _next_start(new: Interval, live: Sequence[Interval]) -> datetime:
    return min((part.valid_from for part in live if part.valid_from > new.valid_from), default=FOREVER)


def _fit_observation(seen: Interval, known: Sequence[Interval]) -> Interval:
    """Join a sighting to the interval in force, and end it where the next one begins."""
    in_force = next((part for part in known if part.holds_at(seen.valid_from)), None)
    if in_force is None:
        return replace(seen, valid_to=_bounded(seen, known))
    fitted = replace(seen, valid_to=in_force.valid_to) if seen.valid_to is None else seen
    if not in_force.same_price(seen) or in_force.valid_from == seen.valid_from:
        return fitted
    return replace(
        fitted,
        valid_from=in_force.valid_from,
        basis=in_force.basis,
        note=in_force.note,
        source_value=in_force.source_value,
    )


def _cut(parts: Iterable[Interval], start: datetime, end: datetime) -> Iterable[Interval]:
    """Yield what is left of intervals outside [start, end)."""
    for part in parts:
        if part.end <= start or end <= part.valid_from:
            yield part
            continue
        if part.valid_from < start:
            yield replace(part, valid_to=start, row_id=None)
        if end < part.end:
            yield replace(part, valid_from=end, row_id=None)


def _difference(live: Sequence[Interval], result: Sequence[Interval]) -> TimelineChange:
    """Keep the stored rows that the result repeats, whatever path led to them."""
    wanted = {part.stated: part for part in result}
    stored = {part.stated for part in live}
    fresh = [replace(part, row_id=None) for stated, part in wanted.items() if stated not in stored]
    return TimelineChange(
        retired=tuple(part for part in live if part.stated not in wanted),
        inserted=tuple(sorted(fresh, key=lambda part: part.valid_from)),
    )
