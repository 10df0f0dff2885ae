"""A batch of a million lines over a real socket: every line back, memory, and other requests meanwhile.

Clients: curl with and without ``Expect: 100-continue``, httpx, and a slow reader. Most lines name an
unknown model, so that the stream and not the engine is measured; one in ``--every`` is a real estimate.

Run it from the repository: ``python -m benchmarks.http_batch [--lines 1000000]``.
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

from benchmarks.http_estimates import prepare, resident_mebibytes, serving

GOOD = b'{"model": "llama-3.1-8b", "accelerator": "h100-sxm", "price": {"amount": "2", "currency": "USD"}}\n'
BAD = b'{"model": "nonesuch", "accelerator": "h100-sxm"}\n'
NDJSON = {"Content-Type": "application/x-ndjson"}
PATH = "/v1/estimates/batch"


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


def _by_curl(expect: str) -> Callable[[int, Path, Tally], None]:
    def send(port: int, source: Path, tally: Tally) -> None:
        command = ["curl", "-sS", "-N", "-H", f"Content-Type: {NDJSON['Content-Type']}", "-H", expect]
        command += ["--data-binary", f"@{source}", f"http://127.0.0.1:{port}{PATH}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as curl:
            while part := os.read(curl.stdout.fileno(), 2**16) if curl.stdout else b"":
                tally.take(part)

    return send


def _by_httpx(port: int, source: Path, tally: Tally) -> None:
    def parts() -> Iterator[bytes]:
        with source.open("rb") as file:
            while part := file.read(2**16):
                yield part

    url = f"http://127.0.0.1:{port}{PATH}"
    with httpx.stream("POST", url, content=parts(), headers=NDJSON, timeout=600) as answer:
        for part in answer.iter_raw(2**16):
            tally.take(part)


def _slowly(port: int, source: Path, tally: Tally) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    with source.open("rb") as file:
        size = str(source.stat().st_size)
        connection.request("POST", PATH, file, {**NDJSON, "Content-Length": size})
        answer = connection.getresponse()
        while part := answer.read(2**18):
            tally.take(part)
            time.sleep(0.005)
    connection.close()


CLIENTS: dict[str, Callable[[int, Path, Tally], None]] = {
    "curl": _by_curl("Expect:"),
    "curl, Expect: 100-continue": _by_curl("Expect: 100-continue"),
    "httpx": _by_httpx,
    "slow reader": _slowly,
}


def _ask_meanwhile(port: int, stop: threading.Event, waits: list[float]) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        while not stop.wait(0.02):
            started = time.perf_counter()
            client.post("/v1/estimates", content=GOOD, headers={"Content-Type": "application/json"})
            waits.append((time.perf_counter() - started) * 1e3)


def _run(port: int, pid: int, name: str, source: Path) -> None:
    before = resident_mebibytes(pid)
    tally, stop = Tally(), threading.Event()
    asker = threading.Thread(target=_ask_meanwhile, args=(port, stop, tally.waits))
    asker.start()
    started = time.perf_counter()
    CLIENTS[name](port, source, tally)
    spent = time.perf_counter() - started
    stop.set()
    asker.join()
    summary = json.loads(tally.rest.splitlines()[-1])["summary"]
    whole = summary["lines"] == tally.lines - 1
    with source.open("rb") as file:
        whole &= summary["input_sha256"] == hashlib.file_digest(file, "sha256").hexdigest()
    waits = sorted(tally.waits)
    print(
        f"{name:<28}{summary['lines']:>10}{summary['errors']:>10}{'yes' if whole else 'NO':>7}"
        f"{spent:>9.1f}{summary['lines'] / spent:>10.0f}{resident_mebibytes(pid) - before:>9.1f}"
        f"{waits[len(waits) // 2]:>9.1f}{waits[len(waits) * 99 // 100]:>9.1f}",
        flush=True,
    )


def main() -> None:
    """Print one row a client."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--every", type=int, default=100, help="one line in so many is a real estimate")
    parser.add_argument("--port", type=int, default=8881)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "lines.ndjson"
        with source.open("wb") as file:
            for number in range(arguments.lines):
                file.write(GOOD if number % arguments.every == 0 else BAD)
        environment = prepare(folder)
        print(f"{'client':<28}{'lines':>10}{'errors':>10}{'whole':>7}{'s':>9}{'lines/s':>10}", end="")
        print(f"{'+MiB':>9}{'p50 ms':>9}{'p99 ms':>9}  (of estimates meanwhile)")
        for name in CLIENTS:
            with serving("service.bootstrap:create_service", arguments.port, environment) as (_, pid):
                httpx.post(
                    f"http://127.0.0.1:{arguments.port}{PATH}", content=GOOD * 50, headers=NDJSON, timeout=60
                )
                _run(arguments.port, pid, name, source)


if __name__ == "__main__":
    main()
