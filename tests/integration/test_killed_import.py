"""An import killed at any point of its transaction is there whole or not at all, and the service is ready.

The import runs in a process of its own, forked from one that has everything loaded. SQLAlchemy's events say
where it is; the code under test knows nothing of it.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.application.write_ports.imports import ImportSubmission
from service.catalog.database import open_engine
from service.catalog.import_store import DatabaseImports
from service.catalog.importing import run_import
from tests.builders.drafts import batch, foundation, gpu_price
from tests.builders.live import running

ROOT = Path(__file__).parents[2]
ROWS = 50
PROGRAM = """
import json, os, sys
from tests.integration.killed import perform

for line in sys.stdin:
    task = json.loads(line)
    child = os.fork()
    if child == 0:
        perform(**task)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def nursery() -> Iterator[subprocess.Popen[str]]:
    """A process that forks a child for each task it is told."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process
    assert process.stdin is not None
    process.stdin.close()
    process.wait(timeout=10)
    assert process.stdout is not None
    process.stdout.close()


def carry_out(nursery: subprocess.Popen[str], **task: Any) -> int:
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    nursery.stdin.write(json.dumps(task) + "\n")
    nursery.stdin.flush()
    return int(nursery.stdout.readline())


def prices(amount: str) -> Any:
    return batch(*(gpu_price(amount, region=f"r{index}") for index in range(ROWS)), digest=amount)


@pytest.fixture
def url(catalog_url: str) -> str:
    """A catalog at revision 2 with fifty prices of 4, and import 3: the same prices at 5, in preview."""
    engine = open_engine(catalog_url)
    run_import(engine, foundation(), actor="test")
    run_import(engine, prices("4"), actor="test")
    imports = DatabaseImports(engine)
    with imports.transaction(None) as transaction:
        transaction.begin(ImportSubmission("own-csv", content="handed over as read"))
    imports.finish(3, prices("5"))
    engine.dispose()
    return catalog_url


FAILPOINTS = (
    ("begin", ""),
    ("before", "INSERT INTO revision"),
    ("after", "INSERT INTO revision"),
    ("before", "UPDATE gpu_price"),
    ("after", "UPDATE gpu_price"),
    ("before", "INSERT INTO gpu_price"),
    ("after", "INSERT INTO gpu_price"),
    ("after", "UPDATE import_record"),
    ("after", "DELETE FROM import_work"),
    ("after", "INSERT INTO audit_event"),
    ("after", "INSERT INTO idempotency"),
    ("commit", ""),
    ("committed", ""),
)
"""Where the process is killed: as the transaction begins, around its statements, around its commit."""


def seen(url: str) -> tuple[str, int, set[str], str]:
    """Return what a service started anew shows: readiness, revision, amounts, state of the import."""
    with running(url) as client:
        ready = client.get("/readyz")
        listed = client.get("/v1/gpu-prices", params={"limit": 1000}).json()["data"]
        assert (ready.status_code, len(listed)) == (200, ROWS)
        state = client.get("/v1/imports/3").json()["state"]
        body = ready.json()
        return body["status"], body["catalog_revision"], {row["amount"] for row in listed}, state


@pytest.mark.parametrize(("moment", "statement"), FAILPOINTS, ids=[" ".join(p).strip() for p in FAILPOINTS])
def test_an_import_killed_while_it_is_applied_is_there_whole_or_not_at_all(
    nursery: subprocess.Popen[str], url: str, moment: str, statement: str
) -> None:
    assert carry_out(nursery, url=url, moment=moment, statement=statement) == -9
    if moment == "committed":
        assert seen(url) == ("ready", 3, {"5"}, "applied")
        return
    assert seen(url) == ("ready", 2, {"4"}, "preview")
    assert carry_out(nursery, url=url, moment="never", statement="") == 0
    assert seen(url) == ("ready", 3, {"5"}, "applied")


def test_an_import_of_the_command_line_killed_anywhere_is_there_whole_or_not_at_all(
    nursery: subprocess.Popen[str], url: str
) -> None:
    for moment, statement in FAILPOINTS:
        if statement in ("DELETE FROM import_work", "INSERT INTO idempotency") or moment == "committed":
            continue
        killed = carry_out(nursery, url=url, moment=moment, statement=statement, over_http=False)
        assert killed == -9, (moment, statement)
    assert seen(url)[:3] == ("ready", 2, {"4"})
    assert carry_out(nursery, url=url, moment="committed", statement="", over_http=False) == -9
    assert seen(url)[:3] == ("ready", 3, {"5"})
