"""The schema of both databases, attacked with raw SQL."""

import threading
from collections.abc import Mapping

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from service.catalog.database import (
    DatabaseUrlError,
    allot_revision,
    current_revision,
    is_migrated,
    migrate,
    open_engine,
    writing,
)
from service.catalog.tables import GUARDED, metadata

GPU_PRICE: Mapping[str, object] = {
    "source": "price-page",
    "provider": "acme",
    "accelerator": "h100-sxm",
    "region": "any",
    "commitment": "on_demand",
    "gpus_per_instance": 8,
    "currency": "USD",
    "amount": "2.5",
    "per": "gpu_hour",
    "note": "",
    "valid_from": "2025-01-01T00:00:00.000000Z",
    "valid_to": None,
    "valid_from_basis": "stated",
    "revision_from": 1,
    "revision_to": None,
    "recorded_at": "2025-01-02T00:00:00.000000Z",
}
LISTING: Mapping[str, object] = {
    "provider": "acme",
    "provider_model_id": "m-1",
    "model": "m",
    "relation": "same",
    "method": "read",
    "checked_on": "2025-01-01",
    "source": "price-page",
    "note": "",
    "revision_from": 1,
    "revision_to": None,
    "recorded_at": "2025-01-02T00:00:00.000000Z",
}


@pytest.fixture
def engine(catalog_engine: Engine) -> Engine:
    """A migrated catalog with three revisions."""
    for _ in range(3):
        with writing(catalog_engine) as connection:
            allot_revision(connection, reason="test", actor="test")
    return catalog_engine


def insert(engine: Engine, table: str, row: Mapping[str, object], **other: object) -> None:
    values = {**row, **other}
    columns, places = ", ".join(values), ", ".join(f":{name}" for name in values)
    with writing(engine) as connection:
        connection.execute(text(f"INSERT INTO {table} ({columns}) VALUES ({places})"), values)  # noqa: S608


def execute(engine: Engine, statement: str) -> int:
    with writing(engine) as connection:
        return connection.execute(text(statement)).rowcount


def test_migrations_leave_no_difference_to_the_tables(catalog_engine: Engine) -> None:
    with catalog_engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    assert is_migrated(catalog_engine)


def test_migrating_twice_and_from_two_sides_at_once_is_harmless(empty_engine: Engine) -> None:
    assert not is_migrated(empty_engine)
    versions: list[str] = []
    threads = [threading.Thread(target=lambda: versions.append(migrate(empty_engine))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(versions) == 3
    assert len(set(versions)) == 1


@pytest.mark.parametrize(
    ("other", "accepted"),
    [
        pytest.param({}, False, id="the same row again"),
        pytest.param({"valid_from": "2026-01-01T00:00:00.000000Z"}, False, id="inside the open interval"),
        pytest.param(
            {"valid_from": "2024-01-01T00:00:00.000000Z", "valid_to": "2025-01-01T00:00:00.000001Z"},
            False,
            id="one microsecond into it",
        ),
        pytest.param(
            {"valid_from": "2024-01-01T00:00:00.000000Z", "valid_to": "2025-01-01T00:00:00.000000Z"},
            True,
            id="ends where it begins: half-open",
        ),
        pytest.param({"revision_from": 2}, False, id="believed later, beside it"),
        pytest.param({"revision_from": 2, "revision_to": 3}, False, id="believed for a while, beside it"),
        *(
            pytest.param({name: value}, True, id=f"another {name}")
            for name, value in {
                "source": "x",
                "provider": "x",
                "accelerator": "x",
                "region": "x",
                "commitment": "x",
                "gpus_per_instance": 1,
                "currency": "EUR",
            }.items()
        ),
    ],
)
def test_rows_of_one_key_do_not_overlap(engine: Engine, other: Mapping[str, object], accepted: bool) -> None:
    insert(engine, "gpu_price", GPU_PRICE)
    if accepted:
        insert(engine, "gpu_price", GPU_PRICE, **other)
    else:
        with pytest.raises(DBAPIError, match=r"overlap"):
            insert(engine, "gpu_price", GPU_PRICE, **other)


def test_a_closed_row_makes_room_from_its_last_revision_on(engine: Engine) -> None:
    insert(engine, "gpu_price", GPU_PRICE, revision_to=2)
    insert(engine, "gpu_price", GPU_PRICE, revision_from=2)
    with pytest.raises(DBAPIError, match=r"overlap"):
        insert(engine, "gpu_price", GPU_PRICE, revision_from=1, revision_to=3)


def test_two_believed_listings_of_one_id_are_refused(engine: Engine) -> None:
    insert(engine, "listing", LISTING)
    with pytest.raises(DBAPIError, match=r"overlap"):
        insert(engine, "listing", LISTING, model="other", revision_from=2)


@pytest.mark.parametrize(
    "column",
    ["source", "provider", "accelerator", "region", "commitment", "gpus_per_instance", "currency", "amount"],
)
def test_no_key_column_is_nullable(engine: Engine, column: str) -> None:
    with pytest.raises(DBAPIError):
        insert(engine, "gpu_price", GPU_PRICE, **{column: None})


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"valid_to": "2025-01-01T00:00:00.000000Z"}, id="empty valid time"),
        pytest.param({"revision_from": 2, "revision_to": 2}, id="empty knowledge"),
        pytest.param({"revision_from": 9}, id="a revision that was never allotted"),
        pytest.param({"valid_from_basis": "guessed"}, id="an unknown basis"),
        pytest.param({"currency": "US"}, id="no currency"),
        pytest.param({"gpus_per_instance": 0}, id="no accelerators"),
    ],
)
def test_nonsense_is_refused(engine: Engine, other: Mapping[str, object]) -> None:
    with pytest.raises(DBAPIError):
        insert(engine, "gpu_price", GPU_PRICE, **other)


def test_times_in_another_form_are_refused_by_sqlite(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    migrate(engine)
    execute(engine, "INSERT INTO revision VALUES (1, '2025-01-01T00:00:00.000000Z', '', '', NULL)")
    with pytest.raises(DBAPIError, match="are written"):
        insert(engine, "gpu_price", GPU_PRICE, valid_from="2025-01-01 00:00:00")
    engine.dispose()


@pytest.mark.parametrize(
    "change",
    [
        "amount = '3'",
        "valid_to = '2026-01-01T00:00:00.000000Z'",
        "note = 'x'",
        "id = 99",
        "revision_from = 2",
        "revision_to = 2, amount = '3'",
        "revision_to = NULL",
    ],
)
def test_nothing_but_the_end_of_belief_changes(engine: Engine, change: str) -> None:
    insert(engine, "gpu_price", GPU_PRICE)
    with pytest.raises(DBAPIError, match="only ever closed"):
        execute(engine, f"UPDATE gpu_price SET {change}")  # noqa: S608


def test_belief_ends_once(engine: Engine) -> None:
    insert(engine, "gpu_price", GPU_PRICE)
    assert execute(engine, "UPDATE gpu_price SET revision_to = 2") == 1
    for again in ("3", "NULL", "2"):
        with pytest.raises(DBAPIError, match="only ever closed"):
            execute(engine, f"UPDATE gpu_price SET revision_to = {again}")  # noqa: S608


def test_no_row_of_history_is_deleted(engine: Engine) -> None:
    insert(engine, "gpu_price", GPU_PRICE, id=1)
    for statement in ("DELETE FROM gpu_price", "DELETE FROM revision", "UPDATE revision SET reason = 'x'"):
        with pytest.raises(DBAPIError, match="never changed or deleted"):
            execute(engine, statement)
    if engine.dialect.name == "sqlite":
        columns = ", ".join(GPU_PRICE)
        with pytest.raises(DBAPIError, match=r"never changed or deleted|overlap"):
            execute(
                engine,
                f"INSERT OR REPLACE INTO gpu_price (id, {columns}) "  # noqa: S608
                f"SELECT id, {columns} FROM gpu_price",
            )
    else:
        for table in GUARDED:
            with pytest.raises(DBAPIError, match="never changed or deleted"):
                execute(engine, f"TRUNCATE {table} CASCADE")


def test_concurrent_writers_get_revisions_in_the_order_of_their_commits(catalog_engine: Engine) -> None:
    committed: list[int] = []
    lock = threading.Lock()

    def write() -> None:
        for _ in range(5):
            with writing(catalog_engine) as connection:
                stamp = allot_revision(connection, reason="race", actor="test")
                # Recorded before the commit, but under the lock that is held to the commit.
                with lock:
                    committed.append(stamp.revision)

    threads = [threading.Thread(target=write) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert committed == list(range(1, 31))
    with catalog_engine.connect() as connection:
        times = list(connection.execute(text("SELECT recorded_at FROM revision ORDER BY revision")).scalars())
        assert times == sorted(times)
        assert current_revision(connection) == 30


def test_a_failed_write_leaves_no_revision_behind(catalog_engine: Engine) -> None:
    def fail() -> None:
        with writing(catalog_engine) as connection:
            allot_revision(connection, reason="fails", actor="test")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    with catalog_engine.connect() as connection:
        assert current_revision(connection) == 0


def test_sqlite_is_opened_durable_and_shared(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    with engine.connect() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    engine.dispose()
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


@pytest.mark.parametrize(
    "url", ["nonsense", "mysql://localhost/x", "sqlite://", "sqlite:///:memory:", "http://x/y"]
)
def test_an_unusable_url_is_refused(url: str) -> None:
    with pytest.raises(DatabaseUrlError):
        open_engine(url)
