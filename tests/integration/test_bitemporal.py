"""What was valid when, as known when: change, correction, withdrawal on both databases."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from service.application.errors import ConflictError, UnknownIdError
from service.catalog.content import load_content
from service.catalog.database import RevisionStamp, allot_revision, reading, writing
from service.catalog.drafts import GpuPriceDraft
from service.catalog.importing import run_import
from service.catalog.repository import change_price, correct_price, withdraw_price
from service.catalog.snapshot import Snapshot
from tests.builders.drafts import batch, day, foundation, gpu_price


@pytest.fixture
def engine(catalog_engine: Engine) -> Engine:
    """A catalog where the price is 4 from 2025-01-01 on, known since revision 2."""
    run_import(catalog_engine, foundation(), actor="test")
    run_import(catalog_engine, batch(gpu_price("4")), actor="test")
    return catalog_engine


def snapshot(engine: Engine) -> Snapshot:
    with reading(engine) as connection:
        return Snapshot.of(load_content(connection))


def price(engine: Engine, as_of: str, known_at: int | None) -> Decimal | None:
    """Return the one price that held at a time as known at a revision; fail where there are two."""
    rows = snapshot(engine).gpu_prices("h100-sxm", day(as_of), known_at)
    assert len(rows) <= 1
    return rows[0].price.amount if rows else None


def row_id(engine: Engine) -> int:
    (row,) = snapshot(engine).gpu_prices("h100-sxm", None, None)
    return row.stamp.row_id


def change(engine: Engine, draft: GpuPriceDraft) -> RevisionStamp:
    with writing(engine) as connection:
        stamp = allot_revision(connection, reason="change", actor="test")
        change_price(connection, stamp, draft)
        return stamp


def correct(engine: Engine, number: int, draft: GpuPriceDraft) -> None:
    with writing(engine) as connection:
        stamp = allot_revision(connection, reason="correction", actor="test")
        correct_price(connection, stamp, "gpu_price", number, draft)


def withdraw(engine: Engine, number: int, moment: str) -> None:
    with writing(engine) as connection:
        stamp = allot_revision(connection, reason="withdrawal", actor="test")
        withdraw_price(connection, stamp, "gpu_price", number, day(moment))


@pytest.mark.parametrize(
    ("as_of", "known_at", "expected"),
    [
        ("2025-03-01", 2, "4"),
        ("2025-03-01", 3, "4"),
        ("2025-09-01", 2, "4"),
        ("2025-09-01", 3, "3"),
        ("2025-06-30", 3, "4"),
        ("2025-07-01", 3, "3"),
        ("2025-07-01", None, "3"),
        ("2024-12-31", 3, None),
        ("2025-03-01", 1, None),
    ],
)
def test_a_change_holds_from_its_day_and_is_known_from_its_revision(
    engine: Engine, as_of: str, known_at: int | None, expected: str | None
) -> None:
    change(engine, gpu_price("3", "2025-07-01"))
    assert price(engine, as_of, known_at) == (None if expected is None else Decimal(expected))


@pytest.mark.parametrize(
    ("as_of", "known_at", "expected"),
    [
        ("2025-03-01", 2, "4"),
        ("2025-03-01", 3, "3.5"),
        ("2025-09-01", 2, "4"),
        ("2025-09-01", 3, "3.5"),
        ("2024-12-15", 2, None),
        ("2024-12-15", 3, "3.5"),
    ],
)
def test_a_correction_holds_for_all_time_and_is_known_from_its_revision(
    engine: Engine, as_of: str, known_at: int, expected: str | None
) -> None:
    correct(engine, row_id(engine), gpu_price("3.5", "2024-12-01"))
    assert price(engine, as_of, known_at) == (None if expected is None else Decimal(expected))


@pytest.mark.parametrize(
    ("as_of", "known_at", "expected"),
    [
        ("2025-03-01", 2, "4"),
        ("2025-03-01", 3, "4"),
        ("2025-09-01", 2, "4"),
        ("2025-09-01", 3, None),
        ("2025-07-01", 3, None),
    ],
)
def test_a_withdrawal_ends_the_price_and_is_known_from_its_revision(
    engine: Engine, as_of: str, known_at: int, expected: str | None
) -> None:
    withdraw(engine, row_id(engine), "2025-07-01")
    assert price(engine, as_of, known_at) == (None if expected is None else Decimal(expected))


def test_a_change_reaches_to_the_next_known_change_only(engine: Engine) -> None:
    change(engine, gpu_price("3", "2025-09-01"))
    change(engine, gpu_price("3.5", "2025-07-01"))
    amounts = {month: price(engine, f"2025-{month}-15", None) for month in ("06", "08", "10")}
    assert amounts == {"06": Decimal(4), "08": Decimal("3.5"), "10": Decimal(3)}


def test_a_future_price_waits_for_its_day(engine: Engine) -> None:
    change(engine, gpu_price("2", "2099-01-01"))
    assert price(engine, "2098-12-31", None) == Decimal(4)
    assert price(engine, "2099-01-01", None) == Decimal(2)


def test_a_withdrawal_before_the_beginning_leaves_nothing(engine: Engine) -> None:
    withdraw(engine, row_id(engine), "2024-01-01")
    assert price(engine, "2025-03-01", None) is None
    assert price(engine, "2025-03-01", 2) == Decimal(4)


def test_a_superseded_row_is_neither_corrected_nor_withdrawn(engine: Engine) -> None:
    old = row_id(engine)
    change(engine, gpu_price("3", "2025-07-01"))
    with pytest.raises(ConflictError, match="no longer believed"):
        correct(engine, old, gpu_price("5"))
    with pytest.raises(ConflictError, match="no longer believed"):
        withdraw(engine, old, "2025-03-01")
    with pytest.raises(UnknownIdError):
        withdraw(engine, 999, "2025-03-01")


def test_a_correction_into_another_row_is_a_conflict(engine: Engine) -> None:
    change(engine, gpu_price("3", "2025-07-01"))
    first = snapshot(engine).gpu_prices("h100-sxm", day("2025-03-01"), None)[0].stamp.row_id
    with pytest.raises(ConflictError, match="overlaps row"):
        correct(engine, first, gpu_price("4.5", "2025-01-01"))


def test_an_ended_row_is_not_withdrawn_again(engine: Engine) -> None:
    withdraw(engine, row_id(engine), "2025-07-01")
    with pytest.raises(ConflictError, match="ended by"):
        withdraw(engine, row_id(engine), "2025-08-01")


def test_a_time_names_the_last_revision_recorded_by_then(engine: Engine) -> None:
    stamp = change(engine, gpu_price("3", "2025-07-01"))
    now = snapshot(engine)
    assert now.revision_at(stamp.recorded_at) == 3
    assert now.revision_at(stamp.recorded_at - timedelta(microseconds=1)) <= 3
    assert now.revision_at(day("2000-01-01")) == 0


def test_decimals_come_back_as_they_went_in(engine: Engine) -> None:
    for index, amount in enumerate(("0", "10", "0.100", "123456789012.123456789012345678", "0.30")):
        draft = gpu_price(amount, region=f"r{index}")
        change(engine, draft)
        (row,) = [row for row in snapshot(engine).gpu_prices(None, None, None) if row.region == f"r{index}"]
        assert row.price.amount == Decimal(amount)
        assert not str(row.price.amount).rstrip("0").endswith(".")
