"""A batch of a million lines over a real socket: every line back, memory, and other requests meanwhile.

Clients: curl with and without ``Expect: 100-continue``, httpx, and a slow reader. ``usage`` prices distinct
records, a million of them where not told otherwise; ``estimates`` answers distinct estimates, 20 000 of them:
at a good millisecond each a million would take each client a quarter of an hour and show no more.

Run it from the repository: ``python -m benchmarks.http_batch usage [--lines 1000000]``.
"""

import argparse
import hashlib
import http.client
import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import orjson

from benchmarks.http_estimates import distinct_bodies, prepare, resident_mebibytes, serving
from benchmarks.usage_pricing import record

NDJSON = {"Content-Type": "application/x-ndjson"}
PATHS = {"usage": "/v1/usage/price/batch", "estimates": "/v1/estimates/batch"}
LINES = {"usage": 1_000_000, "estimates": 20_000}


@dataclass
class Tally:
    """Counts lines as they arrive; keeps the last one."""

    lines: int = 0
    received: int = 0
    rest: bytes = b""
    waits: list[float] = field(default_factory=list)

    def take(self, part: bytes) -> None:
        """Count the newlines of a part."""
        self.lines += part.count(b"\n")
        self.received += len(part)
        self.rest = (self.rest + part)[-4096:]


def _by_curl(expect: str) -> Callable[[str, Path, Tally], None]:
    def send(url: str, source: Path, tally: Tally) -> None:
        command = ["curl", "-sS", "-N", "-H", f"Content-Type: {NDJSON['Content-Type']}", "-H", expect]
        command += ["--data-binary", f"@{source}", url]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as curl:
            while part := os.read(curl.stdout.fileno(), 2**16) if curl.stdout else b"":
                tally.take(part)

    return send


def _by_httpx(url: str, source: Path, tally: Tally) -> None:
    def parts() -> Iterator[bytes]:
        with source.open("rb") as file:
            while part := file.read(2**16):
                yield part

    with httpx.stream("POST", url, content=parts(), headers=NDJSON, timeout=600) as answer:
        for part in answer.iter_raw(2**16):
            tally.take(part)


def _slowly(url: str, source: Path, tally: Tally) -> None:
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=600)
    with source.open("rb") as file:
        size = str(source.stat().st_size)
        connection.request("POST", f"/{path}", file, {**NDJSON, "Content-Length": size})
        answer = connection.getresponse()
        while part := answer.read(2**18):
            tally.take(part)
            # Slower than lines are priced, so that the server has to wait for the reader.
            time.sleep(0.05)
    connection.close()


CLIENTS: dict[str, Callable[[str, Path, Tally], None]] = {
    "curl": _by_curl("Expect:"),
    "curl, Expect: 100-continue": _by_curl("Expect: 100-continue"),
    "httpx": _by_httpx,
    "slow reader": _slowly,
}


def _ask_meanwhile(port: int, stop: threading.Event, waits: list[float]) -> None:
    bodies = distinct_bodies()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while not stop.wait(0.02):
        started = time.perf_counter()
        body = bodies[len(waits) % len(bodies)]
        connection.request("POST", "/v1/estimates", body, {"Content-Type": "application/json"})
        connection.getresponse().read()
        waits.append((time.perf_counter() - started) * 1e3)
    connection.close()


def _run(port: int, pid: int, name: str, job: tuple[str, Path]) -> None:
    path, source = job
    before = resident_mebibytes(pid)
    tally, stop = Tally(), threading.Event()
    asker = threading.Thread(target=_ask_meanwhile, args=(port, stop, tally.waits))
    asker.start()
    started = time.perf_counter()
    CLIENTS[name](f"http://127.0.0.1:{port}{path}", source, tally)
    spent = time.perf_counter() - started
    stop.set()
    asker.join()
    summary = json.loads(tally.rest.splitlines()[-1])["summary"]
    whole = summary["lines"] == tally.lines - 1
    with source.open("rb") as file:
        whole &= summary["input_sha256"] == hashlib.file_digest(file, "sha256").hexdigest()
    waits = sorted(tally.waits)
    print(
        f"{name:<34}{summary['lines']:>9}{summary['errors']:>8}{'yes' if whole else 'NO':>7}"
        f"{spent:>8.1f}{summary['lines'] / spent:>9.0f}{resident_mebibytes(pid) - before:>7.1f}"
        f"{waits[len(waits) // 2]:>8.1f}{waits[len(waits) * 99 // 100]:>8.1f}",
        flush=True,
    )


def write_lines(what: str, count: int, target: Path) -> None:
    """Write a batch of distinct lines."""
    with target.open("wb") as file:
        if what == "usage":
            file.writelines(orjson.dumps(record(index)) + b"\n" for index in range(count))
            return
        bodies = distinct_bodies()
        for index in range(count):
            body = orjson.loads(bodies[index % len(bodies)])
            body["utilisation"] = (1 + index) / (1 + count)
            file.write(orjson.dumps(body) + b"\n")


def run(what: str, lines: int, clients: list[str], port: int) -> None:
    """Print one row a client."""
    path = PATHS[what]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "lines.ndjson"
        write_lines(what, lines, source)
        environment = prepare(folder)
        print(
            f"{f'POST {path}, sent by':<34}{'lines':>9}{'errors':>8}{'whole':>7}{'s':>8}{'lines/s':>9}",
            end="",
        )
        print(f"{'+MiB':>7}{'p50 ms':>8}{'p99 ms':>8}  (of estimates meanwhile)")
        for name in clients:
            with serving("service.bootstrap:create_service", port, environment) as (_, pid):
                with source.open("rb") as file:
                    warm = b"".join(file.readline() for _ in range(200))
                url = f"http://127.0.0.1:{port}{path}"
                httpx.post(url, content=warm, headers=NDJSON, timeout=60)
                _run(port, pid, name, (path, source))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=sorted(PATHS))
    parser.add_argument("--lines", type=int)
    parser.add_argument("--clients", nargs="*", choices=sorted(CLIENTS), default=list(CLIENTS))
    parser.add_argument("--port", type=int, default=8141)
    chosen = parser.parse_args()
    run(chosen.what, chosen.lines or LINES[chosen.what], chosen.clients, chosen.port)


if __name__ == "__main__":
    main()
