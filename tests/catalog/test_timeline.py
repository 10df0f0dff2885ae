"""Timelines of one key against a day-by-day model, and the rules of sightings."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.application.ports import ValidFromBasis
from service.catalog.timeline import Interval, TimelineChange, change, overlay, withdraw

DAYS = 12
START = datetime(2025, 1, 1, tzinfo=UTC)


def moment(index: int) -> datetime:
    return START + timedelta(days=index)


def interval(
    start: int, end: int | None, amount: int, basis: ValidFromBasis = "stated", row_id: int | None = None
) -> Interval:
    until = None if end is None else moment(end)
    return Interval(moment(start), until, Decimal(amount), "gpu_hour", None, basis, "", row_id)


def apply(live: list[Interval], step: TimelineChange) -> list[Interval]:
    """Do what the repository does, and number new rows."""
    kept = [part for part in live if part not in step.retired]
    number = max((part.row_id or 0 for part in live), default=0)
    new = [replace(part, row_id=number + index + 1) for index, part in enumerate(step.inserted)]
    return sorted([*kept, *new], key=lambda part: part.valid_from)


def by_day(parts: list[Interval]) -> list[Decimal | None]:
    """Return the amount of each day; fail where two intervals hold."""
    found: list[Decimal | None] = []
    for index in range(DAYS + 2):
        holding = [part.amount for part in parts if part.holds_at(moment(index))]
        assert len(holding) <= 1
        found.append(holding[0] if holding else None)
    return found


@st.composite
def timelines(draw: st.DrawFn) -> list[Interval]:
    edges = sorted(draw(st.sets(st.integers(0, DAYS), min_size=1, max_size=6)))
    parts = []
    for number, (start, end) in enumerate(zip(edges, [*edges[1:], None], strict=True)):
        if draw(st.booleans()):
            basis = draw(st.sampled_from(["stated", "observed"]))
            parts.append(interval(start, end, draw(st.integers(1, 3)), basis, number + 1))
    return parts


@st.composite
def stated(draw: st.DrawFn) -> Interval:
    start = draw(st.integers(0, DAYS - 1))
    end = draw(st.one_of(st.none(), st.integers(start + 1, DAYS)))
    return interval(start, end, draw(st.integers(1, 3)))


@given(timelines(), stated())
def test_a_statement_holds_in_its_interval_and_nothing_else_moves(
    live: list[Interval], new: Interval
) -> None:
    before = by_day(live)
    after = by_day(apply(live, overlay(live, [new], complete=False)))
    for index, (old, now) in enumerate(zip(before, after, strict=True)):
        assert now == (new.amount if new.holds_at(moment(index)) else old)


@given(timelines(), st.integers(0, DAYS))
def test_a_withdrawal_ends_everything_from_its_day(live: list[Interval], day: int) -> None:
    before, after = by_day(live), by_day(apply(live, withdraw(live, moment(day))))
    assert after == [old if index < day else None for index, old in enumerate(before)]


@given(timelines(), st.integers(0, DAYS - 1), st.integers(1, 3))
def test_a_change_holds_up_to_the_next_known_interval(live: list[Interval], day: int, amount: int) -> None:
    before = by_day(live)
    after = by_day(apply(live, change(live, interval(day, None, amount))))
    following = [part.valid_from for part in live if part.valid_from > moment(day)]
    for index, (old, now) in enumerate(zip(before, after, strict=True)):
        changed = index >= day and all(moment(index) < start for start in following)
        assert now == (Decimal(amount) if changed else old)


@given(timelines(), st.lists(stated(), max_size=3))
def test_the_same_statements_twice_change_nothing(live: list[Interval], new: list[Interval]) -> None:
    first: list[Interval] = []
    for part in new:
        if all(part.end <= other.valid_from or other.end <= part.valid_from for other in first):
            first.append(part)
    for complete in (False, True):
        after = apply(live, overlay(live, first, complete=complete))
        assert not overlay(after, first, complete=complete)


@given(timelines(), timelines())
def test_a_complete_source_that_states_everything_is_taken_at_its_word(
    live: list[Interval], new: list[Interval]
) -> None:
    said = [replace(part, basis="stated", row_id=None) for part in new]
    known = [replace(part, basis="stated") for part in live]
    after = by_day(apply(known, overlay(known, said, complete=True)))
    if said:
        assert after == by_day(said)


@given(timelines(), st.integers(0, DAYS - 1), st.integers(1, 3))
def test_a_sighting_never_reaches_past_what_is_known(live: list[Interval], day: int, amount: int) -> None:
    seen = interval(day, None, amount, "observed")
    after = by_day(apply(live, overlay(live, [seen], complete=False)))
    assert after[day] == Decimal(amount)
    before = by_day(live)
    ends = [part.end for part in live if part.holds_at(moment(day))] or [
        part.valid_from for part in live if part.valid_from > moment(day)
    ]
    limit = min(ends, default=None)
    for index in range(DAYS + 2):
        if index < day or (limit is not None and moment(index) >= limit):
            assert after[index] == before[index]


@pytest.mark.parametrize(
    ("live", "seen", "expected"),
    [
        # The same price seen again: nothing.
        ([interval(0, None, 1, "observed", 1)], interval(5, None, 1, "observed"), ([], [])),
        # Another price: the old one ends on the day it was seen gone.
        (
            [interval(0, None, 1, "observed", 1)],
            interval(5, None, 2, "observed"),
            ([1], [interval(0, 5, 1, "observed"), interval(5, None, 2, "observed")]),
        ),
        # An older release read later: it speaks only up to what is known.
        (
            [interval(5, None, 2, "observed", 1)],
            interval(0, None, 1, "observed"),
            ([], [interval(0, 5, 1, "observed")]),
        ),
        # A sighting does not end a stated future change.
        (
            [interval(0, 8, 1, "stated", 1), interval(8, None, 3, "stated", 2)],
            interval(5, None, 1, "observed"),
            ([], []),
        ),
    ],
)
def test_sightings(live: list[Interval], seen: Interval, expected: tuple[list[int], list[Interval]]) -> None:
    step = overlay(live, [seen], complete=False)
    assert ([part.row_id for part in step.retired], list(step.inserted)) == expected


def test_a_complete_source_keeps_sightings_and_drops_what_it_stated() -> None:
    live = [interval(0, 3, 1, "observed", 1), interval(3, 6, 2, "stated", 2)]
    step = overlay(live, [interval(6, None, 3)], complete=True)
    assert [part.row_id for part in step.retired] == [2]
    assert list(step.inserted) == [interval(6, None, 3)]


def test_a_complete_source_that_ends_a_price_ends_it() -> None:
    live = [interval(0, None, 1, "observed", 1)]
    step = overlay(live, [interval(0, 4, 1, "observed")], complete=True)
    assert list(step.inserted) == [interval(0, 4, 1, "observed")]
    assert [part.row_id for part in step.retired] == [1]
