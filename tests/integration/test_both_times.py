"""``as_of`` and ``known_at`` of a random history against a table that is filled cell by cell."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine

from service.application.errors import ConflictError
from service.catalog.content import load_content
from service.catalog.database import RevisionStamp, allot_revision, current_revision, reading, writing
from service.catalog.drafts import GpuPriceDraft
from service.catalog.importing import run_import
from service.catalog.price_rows import draft_key
from service.catalog.repository import change_price, correct_price, live_timeline, withdraw_price
from service.catalog.snapshot import Snapshot
from tests.builders.drafts import day, foundation, gpu_price

DAYS = 8
Beliefs = list[Decimal | None]
Write = Callable[[Connection, RevisionStamp], None]

_numbers = count()
_operations = st.lists(
    st.tuples(
        st.sampled_from(["change", "correct", "withdraw"]),
        st.integers(0, DAYS - 1),
        st.integers(1, DAYS),
        st.integers(1, 9),
    ),
    min_size=1,
    max_size=8,
)


def date(index: int) -> str:
    return f"2025-01-{index + 1:02d}"


@pytest.fixture
def engine(catalog_engine: Engine) -> Engine:
    run_import(catalog_engine, foundation(), actor="test")
    return catalog_engine


def attempt(engine: Engine, write: Write) -> bool:
    """Write under a revision of its own; return whether it was accepted."""
    try:
        with writing(engine) as connection:
            write(connection, allot_revision(connection, reason="test", actor="test"))
    except ConflictError:
        return False
    return True


def step(
    engine: Engine, region: str, beliefs: Beliefs, operation: tuple[str, int, int, int]
) -> Beliefs | None:
    """Carry out one operation in the database; return what it should leave believed, None if refused."""
    name, start, length, amount = operation
    end = min(start + length, DAYS)
    draft: GpuPriceDraft = gpu_price(
        str(amount), date(start), date(end) if end < DAYS else None, region=region
    )
    end = end if draft.valid_to is not None else DAYS
    cells = range(start, end)
    with reading(engine) as connection:
        live = sorted(live_timeline(connection, draft_key(draft)), key=lambda part: part.valid_from)
    if name == "change":
        later = [part.valid_from.day - 1 for part in live if part.valid_from > draft.valid_from]
        if draft.valid_to is None and later:
            cells = range(start, min(later))
        assert attempt(engine, lambda connection, stamp: change_price(connection, stamp, draft))
        return [Decimal(amount) if index in cells else old for index, old in enumerate(beliefs)]
    if not live:
        return None
    target = live[start % len(live)]
    number = target.row_id or 0
    mine = [index for index in range(DAYS) if target.holds_at(day(date(index)))]
    if name == "correct":
        free = [None if index in mine else old for index, old in enumerate(beliefs)]
        right = replace(draft, region=region)
        accepted = attempt(
            engine, lambda connection, stamp: correct_price(connection, stamp, "gpu_price", number, right)
        )
        assert accepted == all(free[index] is None for index in cells)
        return [Decimal(amount) if i in cells else old for i, old in enumerate(free)] if accepted else None
    accepted = attempt(
        engine,
        lambda connection, stamp: withdraw_price(connection, stamp, "gpu_price", number, draft.valid_from),
    )
    assert accepted == (target.end > draft.valid_from)
    if not accepted:
        return None
    return [None if index in mine and index >= start else old for index, old in enumerate(beliefs)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=_operations)
def test_every_cell_of_both_times_is_as_written(
    engine: Engine, operations: list[tuple[str, int, int, int]]
) -> None:
    region = f"r{next(_numbers)}"
    with reading(engine) as connection:
        first = current_revision(connection)
    history: list[Beliefs] = [[None] * DAYS]
    for operation in operations:
        left = step(engine, region, history[-1], operation)
        if left is not None:
            history.append(left)
    with reading(engine) as connection:
        snapshot = Snapshot.of(load_content(connection))
    assert snapshot.info.revision == first + len(history) - 1
    for age, beliefs in enumerate(history):
        for index, expected in enumerate(beliefs):
            rows = [
                row
                for row in snapshot.gpu_prices("h100-sxm", day(date(index)), first + age)
                if row.region == region
            ]
            assert [row.price.amount for row in rows] == ([] if expected is None else [expected])
