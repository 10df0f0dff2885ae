"""PostgreSQL is restarted under load: requests are answered or told to come back, and then all is well."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from tests.builders.drafts import SOURCE
from tests.builders.live import bearer, fill, make_key, running
from tests.builders.proxy import Proxy

pytestmark = pytest.mark.postgresql
THREADS = 6


@pytest.fixture
def url(postgresql_catalog_url: str) -> str:
    fill(postgresql_catalog_url)
    return postgresql_catalog_url


@pytest.fixture
def proxy(url: str) -> Iterator[Proxy]:
    target = make_url(url)
    proxy = Proxy(target.host or "127.0.0.1", target.port or 5432)
    yield proxy
    proxy.down()


@pytest.fixture
def live(url: str, proxy: Proxy) -> Iterator[TestClient]:
    """The service, which reaches its database through the proxy."""
    key = make_key(url, "admin")
    through = make_url(url).set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
    with running(through, poll_interval_seconds=0.2) as client:
        client.headers.update(bearer(key))
        yield client


class Load:
    """Readers, writers and pricing in threads; counts statuses by kind of request."""

    def __init__(self, live: TestClient) -> None:
        self._live = live
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.written: set[tuple[int, int]] = set()

    def _requests(self, thread: int, number: int) -> dict[str, Callable[[], Any]]:
        return {
            "read": lambda: self._live.get("/v1/list-prices"),
            "imports": lambda: self._live.get("/v1/imports"),
            "keys": lambda: self._live.get("/v1/keys"),
            "write": lambda: self._live.post("/v1/fx-rates", json=_rate(thread, number)),
        }

    def run(self, thread: int) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            for kind, request in self._requests(thread, number).items():
                status = request().status_code
                with self._lock:
                    self.statuses[kind, status] += 1
                    if kind == "write" and status == 201:
                        self.written.add((thread, number))

    @contextmanager
    def around(self) -> Iterator[None]:
        threads = [threading.Thread(target=self.run, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(timeout=60)

    def seen(self) -> set[int]:
        return {status for _, status in self.statuses}


def _rate(thread: int, number: int) -> dict[str, Any]:
    day = f"{2000 + thread}-{1 + number // 28 % 12:02d}-{1 + number % 28:02d}"
    return {
        "source": SOURCE,
        "rates": [{"base": "EUR", "quote": "USD", "day": day, "rate": f"1.{number:06d}1"}],
    }


def _until(live: TestClient, wanted: str) -> None:
    deadline = time.monotonic() + 15
    while live.get("/readyz").json()["status"] != wanted:
        assert time.monotonic() < deadline, f"the service did not become {wanted}"
        time.sleep(0.05)


def _all_work(live: TestClient) -> None:
    assert live.post("/v1/fx-rates", json=_rate(99, 1)).status_code == 201
    for path in ("/v1/list-prices", "/v1/imports", "/v1/keys", "/v1/audit-events"):
        assert live.get(path).status_code == 200


def test_a_restart_under_load_is_survived_without_one_of_the_service(
    live: TestClient, proxy: Proxy, url: str
) -> None:
    load = Load(live)
    with load.around():
        time.sleep(1)
        proxy.down()
        _until(live, "degraded")
        # Reading goes on from memory.
        assert live.get("/v1/list-prices", headers={}).status_code == 200
        time.sleep(1)
        proxy.up()
        _until(live, "ready")
        time.sleep(1)
    assert load.seen() <= {200, 201, 503}
    assert {status for kind, status in load.statuses if kind == "read"} == {200}
    assert load.statuses["write", 503] > 0
    _all_work(live)
    _nothing_lost(load, url)


def test_connections_ended_by_the_server_under_load_are_replaced(live: TestClient, url: str) -> None:
    load = Load(live)
    admin = create_engine(make_url(url), isolation_level="AUTOCOMMIT")
    with load.around(), admin.connect() as connection:
        for _ in range(5):
            time.sleep(0.4)
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
    admin.dispose()
    assert load.seen() <= {200, 201, 503}
    _until(live, "ready")
    _all_work(live)
    _nothing_lost(load, url)


def _nothing_lost(load: Load, url: str) -> None:
    """What was answered 201 is in the database; each under a revision of its own."""
    engine = create_engine(url)
    with engine.connect() as connection:
        kept = {
            (row.on_day.year - 2000, row.rate)
            for row in connection.execute(text("SELECT on_day, rate FROM fx_rate"))
        }
        revisions = (
            connection.execute(text("SELECT revision FROM revision ORDER BY revision")).scalars().all()
        )
    engine.dispose()
    told = {(thread, float(f"1.{number:06d}1")) for thread, number in load.written}
    assert told <= {(thread, float(rate)) for thread, rate in kept}
    assert list(revisions) == list(range(1, len(revisions) + 1))
