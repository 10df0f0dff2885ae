"""How long an estimate takes while an import of 2 000 rows commits on the same server (one worker).

Each round posts 2 000 own prices, all changed since the round before, and applies them. Meanwhile one client
asks for estimates over a connection of its own. Three windows: quiet, reading and comparing the file (in a
process of its own), and applying it: from the request that commits it to the first answer from the new
catalog, snapshot swapped. Target: the p99 of the last is at most 3 times that of the first.

Run it from the repository: ``python -m benchmarks.import_interference [--rounds 10]``.
"""

import argparse
import http.client
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.http_estimates import distinct_bodies, prepare, serving
from benchmarks.table import HEADER, Row
from service import bootstrap
from service.settings import Settings

QUIET, READING, COMMITTING = "quiet", "reading and comparing an import", "committing an import"
ROWS = 2_000
QUIET_SECONDS = 10.0
PAUSE_SECONDS = 0.005
COLUMNS = "provider,provider_model_id,meter,amount,currency,per,valid_from,valid_from_basis\n"


@dataclass
class Asker:
    """Asks for estimates until it is stopped; remembers when each began and what it took."""

    port: int
    waits: list[tuple[float, float]] = field(default_factory=list)
    revision: int = 0
    """Of the newest answer."""
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Ask, one request after the other, over one connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Content-Type": "application/json"}
        number = 0
        bodies = distinct_bodies()
        while not self.stopped.wait(PAUSE_SECONDS):
            started = time.perf_counter()
            connection.request("POST", "/v1/estimates", bodies[number % len(bodies)], headers)
            answer = connection.getresponse().read()
            self.waits.append((started, time.perf_counter() - started))
            self.revision = json.loads(answer)["provenance"]["catalog_revision"]
            number += 1
        connection.close()

    def between(self, start: float, end: float) -> list[float]:
        """Return the waits of requests that were under way in a span of time, milliseconds."""
        return [wait * 1e3 for began, wait in self.waits if began < end and began + wait > start]


def _file(round_number: int) -> str:
    lines = (
        f"acme,m-{number},input,{1 + round_number * 0.01 + number * 0.001:.3f},USD,million_tokens,"
        "2026-01-01,stated\n"
        for number in range(ROWS)
    )
    return COLUMNS + "".join(lines)


class Importer:
    """Posts and applies imports as a client with a key does."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}

    def preview(self, content: str) -> dict[str, Any]:
        """Post a file; return the import once it was compared with the catalog."""
        made = self._call("POST", "/v1/imports", {"source": "own-csv", "content": content})
        while made["state"] == "validating":
            time.sleep(0.05)
            made = self._call("GET", f"/v1/imports/{made['id']}")
        return made

    def apply(self, made: dict[str, Any]) -> int:
        """Apply an import; return the revision that it wrote."""
        revision = made["base_revision"]
        applied = self._call("POST", f"/v1/imports/{made['id']}/apply", {}, {"If-Match": f'"{revision}"'})
        return int(applied["applied_revision"])

    def _call(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        text = None if body is None else json.dumps(body)
        self._connection.request(method, path, text, {**self._headers, **(headers or {})})
        response = self._connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
        if response.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer}")
        return answer


def p99(waits: list[float]) -> float:
    """Return the 99th percentile."""
    return sorted(waits)[len(waits) * 99 // 100]


@contextmanager
def _asking(port: int) -> Iterator[Asker]:
    asker = Asker(port)
    thread = threading.Thread(target=asker.run)
    thread.start()
    try:
        yield asker
    finally:
        asker.stopped.set()
        thread.join()


def measure(port: int, key: str, rounds: int) -> dict[str, list[float]]:
    """Return the waits of each window, milliseconds."""
    importer = Importer(port, key)
    waits: dict[str, list[float]] = {QUIET: [], READING: [], COMMITTING: []}

    def window(name: str, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = work()
        waits[name] += asker.between(started, time.perf_counter())
        return result

    importer.apply(importer.preview(_file(0)))
    with _asking(port) as asker:
        time.sleep(2.0)
        for number in range(1, rounds + 1):
            window(QUIET, lambda: time.sleep(QUIET_SECONDS / rounds))
            made = window(READING, lambda n=number: importer.preview(_file(n)))
            if made["state"] != "preview":
                raise RuntimeError(f"round {number} is {made['state']}: {made}")

            def commit(made: dict[str, Any] = made) -> None:
                revision = importer.apply(made)
                while asker.revision < revision:
                    time.sleep(0.002)

            window(COMMITTING, commit)
    return waits


def make_key(database_url: str) -> str:
    """Make a key that may write."""
    with bootstrap.open_keys(Settings(database_url=database_url)) as keys:
        return keys.create("benchmark", ["write"], None, "cli").text


def rows(rounds: int, port: int) -> Iterator[Row]:
    """Yield the 99th percentile of each window and the ratio that has a target."""
    with tempfile.TemporaryDirectory() as folder:
        environment = prepare(folder)
        key = make_key(environment["PERTOKEN_DATABASE_URL"])
        with serving("service.bootstrap:create_service", port, environment):
            waits = measure(port, key, rounds)
    for name, some in waits.items():
        ordered = sorted(some)
        yield Row(f"an estimate while {name}, median of {len(some)}", ordered[len(some) // 2], "ms", digits=2)
        yield Row("... 99th percentile", p99(some), "ms", digits=2)
    ratio = p99(waits[COMMITTING]) / p99(waits[QUIET])
    yield Row(f"99th percentile while {COMMITTING} over quiet", ratio, "", 3.0, digits=2)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--port", type=int, default=8140)
    chosen = parser.parse_args()
    print(HEADER)
    for row in rows(chosen.rounds, chosen.port):
        print(row, flush=True)


if __name__ == "__main__":
    main()
