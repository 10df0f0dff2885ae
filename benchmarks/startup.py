"""How long the command and a server take to start, and how much memory a server holds.

Least of several runs, because whatever else runs on the machine only adds time; processor time beside it.

Run it from the repository: ``python -m benchmarks.startup``.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import httpx

from benchmarks.http_estimates import (
    distinct_bodies,
    prepare,
    processor_seconds,
    resident_mebibytes,
    serving,
)
from benchmarks.table import HEADER, Row

ROUNDS = 5
REQUESTS = 1_000


def command(arguments: list[str], environment: dict[str, str] | None = None) -> tuple[float, float]:
    """Return least seconds and least processor seconds of a command over the rounds."""
    walls, processors = [], []
    for _ in range(ROUNDS):
        before = _children_seconds()
        started = time.perf_counter()
        subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL, env=environment)
        walls.append(time.perf_counter() - started)
        processors.append(_children_seconds() - before)
    return min(walls), min(processors)


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def rows(port: int) -> Iterator[Row]:
    """Yield each figure as it is measured."""
    pertoken = [sys.executable, "-m", "service.cli.main"]
    wall, processor = command([*pertoken, "--help"])
    yield Row("pertoken --help", wall, "s", 0.4, digits=2)
    yield Row("... processor time", processor, "s", digits=2)
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, **prepare(folder)}
        wall, processor = command([*pertoken, "estimate", "llama-3.1-70b", "h100-sxm"], environment)
        yield Row("pertoken estimate, whole command", wall, "s", digits=2)
        yield Row("... processor time", processor, "s", digits=2)
        starts, used = [], []
        for _ in range(ROUNDS):
            with serving("service.bootstrap:create_service", port, environment) as (start, pid):
                starts.append(start)
                used.append(processor_seconds(pid))
        yield Row("server on a filled database, to its first answer", min(starts), "s", digits=2)
        yield Row("... processor time", min(used), "s", digits=2)
        with serving("service.bootstrap:create_service", port, environment) as (_, pid):
            yield Row(
                "resident memory of a worker, before requests", resident_mebibytes(pid), "MiB", digits=0
            )
            with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
                for body in distinct_bodies()[:REQUESTS]:
                    client.post("/v1/estimates", content=body, headers={"Content-Type": "application/json"})
            yield Row(f"... after {REQUESTS} estimates", resident_mebibytes(pid), "MiB", digits=0)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--port", type=int, default=8142)
    print(HEADER)
    for row in rows(parser.parse_args().port):
        print(row, flush=True)


if __name__ == "__main__":
    main()
