"""Two worker processes on one database: each sees a new revision and a revoked key within two seconds."""

import http.client
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service import bootstrap
from service.catalog.database import open_engine
from service.catalog.importing import run_import
from service.settings import Settings
from tests.builders.drafts import batch, gpu_price
from tests.builders.live import bearer, fill, make_key
from tests.builders.server import serving

LIMIT_SECONDS = 2.0
CLIENTS = 40


def _inode(server: int, client: int) -> str | None:
    """Return the inode of the server's end of a connection on this machine (Linux)."""
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        ports = [int(end.split(":")[1], 16) for end in fields[1:3]]
        if ports == [server, client]:
            return fields[9]
    return None


def _process_of(inode: str) -> str | None:
    """Return the process that holds a socket."""
    for place in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(place.readlink()) == f"socket:[{inode}]":
                return place.parts[2]
        except OSError:
            continue  # the process or the descriptor is gone
    return None


class Worker:
    """A connection that stays open, so that one worker answers all its requests."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self.get("/healthz")
        inode = _inode(port, self.connection.sock.getsockname()[1])
        self.process = None if inode is None else _process_of(inode)

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, dict[str, object]]:
        self.connection.request("GET", path, headers=headers or {})
        response = self.connection.getresponse()
        return response.status, json.loads(response.read())


@pytest.fixture
def url(catalog_url: str) -> str:
    fill(catalog_url)
    return catalog_url


@pytest.fixture
def key(url: str) -> str:
    return make_key(url, "read")


@pytest.fixture
def workers(url: str, key: str) -> Iterator[list[Worker]]:
    """Return one connection to each of two workers."""
    if not Path("/proc/net/tcp").exists():
        pytest.skip("tells workers apart by /proc of Linux")
    environment = {**os.environ, "PERTOKEN_DATABASE_URL": url}
    with serving("service.bootstrap:create_service", environment, workers=2) as port:
        found: dict[str, Worker] = {}
        deadline = time.monotonic() + 30
        while len(found) < 2 and time.monotonic() < deadline:
            # The kernel gives a connection to either; held open all at once, both get some.
            clients = [Worker(port) for _ in range(CLIENTS)]
            for client in clients:
                if client.process is not None and client.process not in found:
                    found[client.process] = client
                else:
                    client.connection.close()
        assert len(found) == 2, "two workers answer"
        yield list(found.values())
        for client in found.values():
            client.connection.close()


def _seconds_until(workers: list[Worker], path: str, headers: dict[str, str], pattern: str) -> list[float]:
    """Return after how long the answer of each worker first was as wanted."""
    began = time.monotonic()
    after: dict[int, float] = {}
    while len(after) < len(workers) and time.monotonic() - began < 10:
        for number, worker in enumerate(workers):
            status, body = worker.get(path, headers)
            if number not in after and re.search(pattern, f"{status} {json.dumps(body)}"):
                after[number] = time.monotonic() - began
        time.sleep(0.02)
    assert len(after) == len(workers), "every worker came to it"
    return list(after.values())


def test_both_workers_see_a_new_revision_and_a_revoked_key_within_two_seconds(
    workers: list[Worker], url: str, key: str
) -> None:
    assert {worker.get("/readyz")[1]["catalog_revision"] for worker in workers} == {2}
    engine = open_engine(url)
    run_import(engine, batch(gpu_price("5"), digest="2"), actor="test")
    engine.dispose()
    took = _seconds_until(workers, "/v1/gpu-prices", {}, r'"amount": "5".*"catalog_revision": 3')
    assert max(took) < LIMIT_SECONDS
    assert {worker.get("/v1/models", bearer(key))[0] for worker in workers} == {200}
    with bootstrap.open_keys(Settings(database_url=url)) as keys:
        keys.revoke(key.split("_")[1], "cli")
    took = _seconds_until(workers, "/v1/models", bearer(key), "^401")
    assert max(took) < LIMIT_SECONDS
