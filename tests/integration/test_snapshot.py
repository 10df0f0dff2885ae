"""Snapshots over both databases: digest, incremental reload, polling, loss and return of the database."""

import asyncio
import time
from dataclasses import dataclass

import pytest
from sqlalchemy import Engine, text

from service.application.errors import UnavailableError
from service.catalog.content import load_content
from service.catalog.database import migrate, open_engine, reading
from service.catalog.importing import run_import
from service.catalog.snapshot import Snapshot
from service.catalog.snapshot_holder import SnapshotHolder
from tests.builders.drafts import (
    SOURCE,
    accelerator,
    batch,
    foundation,
    gpu_price,
    list_price,
    registries,
)


@dataclass
class Settings:
    poll_interval_seconds: float = 0.02
    max_staleness_seconds: float = 3600.0


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def engine(catalog_engine: Engine) -> Engine:
    """A catalog with registries at revision 1 and two prices at revision 2."""
    run_import(catalog_engine, foundation(), actor="test")
    run_import(catalog_engine, batch(gpu_price("4"), list_price("1.50")), actor="test")
    return catalog_engine


def load(engine: Engine) -> Snapshot:
    with reading(engine) as connection:
        return Snapshot.of(load_content(connection))


def lose(holder: SnapshotHolder) -> Engine:
    """Point a holder at a database that does not answer; return the one it had."""
    kept = holder._engine
    holder._engine = open_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
    return kept


def wait_for(condition: object, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "the condition never came true"
        time.sleep(0.005)


@pytest.mark.postgresql
def test_the_digest_is_equal_wherever_the_content_is(
    sqlite_catalog_url: str, postgresql_catalog_url: str
) -> None:
    """One by one here and at once there, with a detour: other rows, revisions and times, same content."""
    one, other = open_engine(sqlite_catalog_url), open_engine(postgresql_catalog_url)
    run_import(one, foundation(), actor="a")
    run_import(one, batch(gpu_price("4"), list_price("1.50")), actor="a")
    run_import(other, batch(*registries(), name="first", digest="x"), actor="b")
    run_import(other, batch(accelerator(), gpu_price("7"), digest="y"), actor="b")
    run_import(other, batch(list_price("1.5"), gpu_price("4.0"), digest="z"), actor="b")
    assert load(one).info.digest == load(other).info.digest
    assert load(one).info.revision != load(other).info.revision
    run_import(one, batch(gpu_price("5"), digest="w"), actor="a")
    assert load(one).info.digest != load(other).info.digest
    one.dispose()
    other.dispose()


def test_an_empty_catalog_loads(catalog_engine: Engine) -> None:
    snapshot = load(catalog_engine)
    assert snapshot.info.revision == 0
    assert snapshot.models() == ()
    with pytest.raises(UnavailableError, match="no default calibration"):
        snapshot.calibration(None, "hopper", "nvidia", "vllm")


def test_a_reload_reads_the_same_as_a_first_load(engine: Engine) -> None:
    before = load(engine)
    run_import(engine, batch(gpu_price("5", "2025-03-01"), accelerator("x-1", ()), digest="2"), actor="t")
    run_import(engine, batch(list_price("2"), accelerator("x-1", ("x1",)), digest="3"), actor="t")
    with reading(engine) as connection:
        again = load_content(connection, before.content)
        first = load_content(connection)
    assert again == first
    assert Snapshot.of(again, before).info.digest == load(engine).info.digest


def test_a_parsed_row_is_taken_over_and_a_changed_unit_is_not_missed(engine: Engine) -> None:
    before = load(engine)
    run_import(engine, batch(gpu_price("5"), digest="2"), actor="t")
    with reading(engine) as connection:
        after = Snapshot.of(load_content(connection, before.content), before)
    assert after.accelerator("h100-sxm") is before.accelerator("h100-sxm")


def test_the_poll_swaps_the_snapshot_and_a_request_keeps_its_own(engine: Engine) -> None:
    holder = SnapshotHolder(engine, Settings())
    holder.start()
    try:
        mine = holder.current()
        run_import(engine, batch(gpu_price("5"), digest="2"), actor="t")
        wait_for(lambda: holder.current().info.revision == 3)
        assert mine.info.revision == 2
        assert holder.health().state == "ready"
    finally:
        holder.stop()


def test_a_caller_reads_its_own_write(engine: Engine) -> None:
    holder = SnapshotHolder(engine, Settings())
    holder.refresh()
    run_import(engine, batch(gpu_price("5"), digest="2"), actor="t")
    assert holder.current().info.revision == 2
    assert asyncio.run(holder.at_least(3)).info.revision == 3
    assert asyncio.run(holder.at_least(99)).info.revision == 3


def test_without_a_first_load_nothing_answers(engine: Engine) -> None:
    holder = SnapshotHolder(engine, Settings())
    with pytest.raises(UnavailableError, match="No catalog is loaded"):
        holder.current()
    assert holder.health().state == "unavailable"
    assert holder.age_seconds() is None


def test_a_lost_database_degrades_then_ends_and_its_return_heals(engine: Engine) -> None:
    clock = Clock()
    holder = SnapshotHolder(engine, Settings(poll_interval_seconds=1, max_staleness_seconds=60), clock)
    assert holder.refresh()
    assert (holder.health().state, holder.age_seconds()) == ("ready", 0)
    kept = lose(holder)
    clock.now += 30
    assert not holder.refresh()
    assert holder.health().state == "degraded"
    assert holder.age_seconds() == 30
    assert holder.current().accelerator("h100_sxm").id == "h100-sxm"
    clock.now += 31
    assert holder.health().state == "unavailable"
    with pytest.raises(UnavailableError, match="PERTOKEN_MAX_STALENESS_SECONDS"):
        holder.current()
    holder._engine.dispose()
    holder._engine = kept
    assert holder.refresh()
    assert (holder.health().state, holder.age_seconds()) == ("ready", 0)


def test_a_look_that_hangs_counts_as_lost(engine: Engine) -> None:
    clock = Clock()
    holder = SnapshotHolder(engine, Settings(poll_interval_seconds=1), clock)
    holder.refresh()
    clock.now += 7
    assert not holder.database_reachable()
    assert holder.health().state == "degraded"


def test_another_database_behind_the_same_address_is_read_anew(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A backup was restored: the revision went back."""
    holder = SnapshotHolder(engine, Settings())
    holder.refresh()
    restored = open_engine(f"sqlite:///{tmp_path_factory.mktemp('restored') / 'catalog.db'}")
    migrate(restored)
    run_import(restored, foundation(), actor="t")
    holder._engine = restored
    assert holder.refresh()
    assert holder.current().info.revision == 1
    assert holder.current().gpu_prices(None, None, None) == []
    restored.dispose()


def test_a_database_without_tables_is_no_catalog(empty_engine: Engine) -> None:
    holder = SnapshotHolder(empty_engine, Settings())
    assert not holder.refresh()
    with pytest.raises(UnavailableError):
        holder.current()


@pytest.fixture
def seeded(catalog_engine: Engine) -> Snapshot:
    """A snapshot with the builders' rows."""
    run_import(catalog_engine, foundation(), actor="t")
    run_import(catalog_engine, batch(gpu_price("4"), complete=(SOURCE,)), actor="t")
    return load(catalog_engine)


def test_figures_are_in_si_units_and_keep_their_provenance(seeded: Snapshot) -> None:
    record = seeded.accelerator("H100_SXM")
    assert record.spec.memory_bytes == 80e9
    assert record.spec.memory_bandwidth_bytes_per_second == 3.35e12
    assert record.spec.peak_flop_per_second == {"bf16": 989.5e12}
    assert record.spec.max_power_watts == 700
    assert (record.source, record.source_kind) == (SOURCE, "datasheet")


@pytest.mark.postgresql
def test_connections_that_the_server_cut_are_replaced(postgresql_catalog_url: str) -> None:
    """The server was restarted: pooled connections are dead, and nobody restarts the service."""
    engine = open_engine(postgresql_catalog_url)
    run_import(engine, foundation(), actor="t")
    holder = SnapshotHolder(engine, Settings())
    assert holder.refresh()
    other = open_engine(postgresql_catalog_url)
    with other.begin() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    other.dispose()
    assert holder.refresh()
    assert holder.health().state == "ready"
    engine.dispose()


def test_parts_that_did_not_change_stay_the_same_objects(engine: Engine) -> None:
    """What was made of models and accelerators is kept while prices move, and the other way round."""
    first = load(engine)
    run_import(engine, batch(gpu_price("5"), digest="moved"), actor="test")
    with reading(engine) as connection:
        second = Snapshot.of(load_content(connection, first.content), first)
    assert second.state_of("references") is first.state_of("references")
    assert second.state_of("gpu_prices") is not first.state_of("gpu_prices")
    run_import(engine, batch(list_price("1.75"), digest="list"), actor="test")
    with reading(engine) as connection:
        third = Snapshot.of(load_content(connection, second.content), second)
    assert third.state_of("gpu_prices") is second.state_of("gpu_prices")
    run_import(engine, batch(accelerator("x200"), digest="new"), actor="test")
    with reading(engine) as connection:
        fourth = Snapshot.of(load_content(connection, third.content), third)
    assert fourth.state_of("references") is not third.state_of("references")
    assert fourth.accelerator("x200").id == "x200"
