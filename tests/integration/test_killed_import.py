"""A process killed in the middle of an import leaves all of it or nothing behind."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine

from service.catalog.content import load_content
from service.catalog.database import open_engine, reading
from service.catalog.importing import run_import
from service.catalog.snapshot import Snapshot
from tests.builders.drafts import batch, foundation, gpu_price

ROOT = Path(__file__).parents[2]
PROGRAM = """
import os, signal, sys
from sqlalchemy import event
from service.catalog.database import open_engine
from service.catalog.importing import run_import
from tests.builders.drafts import batch, gpu_price

url, last = sys.argv[1], int(sys.argv[2])
engine = open_engine(url)
writes = 0

@event.listens_for(engine, "after_cursor_execute")
def _count(connection, cursor, statement, parameters, context, executemany):
    global writes
    if statement.split(None, 1)[0] in {"INSERT", "UPDATE", "LOCK", "SET"}:
        writes += 1
        if writes == last:
            os.kill(os.getpid(), signal.SIGKILL)

run_import(engine, batch(*(gpu_price("5", region=f"r{i}") for i in range(50)), digest="2"), actor="t")
"""
FIRST = batch(*(gpu_price("4", region=f"r{index}") for index in range(50)), digest="1")


@pytest.mark.parametrize("last", [1, 2, 3, 4, 5])
def test_a_kill_inside_the_transaction_leaves_nothing(
    catalog_engine: Engine, catalog_url: str, last: int
) -> None:
    run_import(catalog_engine, foundation(), actor="test")
    run_import(catalog_engine, FIRST, actor="test")
    catalog_engine.dispose()
    if catalog_engine.dialect.name == "postgresql":
        last += 2  # SET and LOCK come before the first row is written.
    killed = subprocess.run(
        [sys.executable, "-c", PROGRAM, catalog_url, str(last)], cwd=ROOT, check=False, timeout=60
    )
    assert killed.returncode == -9
    engine = open_engine(catalog_url)
    with reading(engine) as connection:
        snapshot = Snapshot.of(load_content(connection))
    assert snapshot.info.revision == 2
    assert {row.price.amount for row in snapshot.gpu_prices(None, None, None)} == {4}
    again = run_import(
        engine, batch(*(gpu_price("5", region=f"r{index}") for index in range(50)), digest="2"), actor="t"
    )
    assert (again.state, again.revision) == ("applied", 3)
    engine.dispose()
