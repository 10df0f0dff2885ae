"""Requests a second of POST /v1/estimates on one worker, beside an empty endpoint of the same models.

Alternating runs, one load generator for both (keep-alive connections over raw sockets, in a process of
its own), at least 1 000 distinct bodies, no cache of results. The empty endpoint reads each body into the
request model and writes one of the recorded answers by the response model, ready made or validated from
plain values, as FastAPI does with what an endpoint returns.

Run it from the repository: ``python -m benchmarks.http_estimates [--seconds 5] [--rounds 3]``.
"""

import argparse
import asyncio
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
from fastapi import FastAPI
from starlette.requests import Request

from benchmarks.table import HEADER, Row
from service.api.schemas.estimate_request import EstimateBody
from service.api.schemas.from_dataclass import model_of
from service.application.answers import EstimateAnswer

ESTIMATE = "POST /v1/estimates"
BODIES = 1_200
CONNECTIONS = 16
MODELS = ("llama-3.1-70b", "llama-3.1-8b", "gpt-oss-120b", "mixtral-8x7b", "qwen3-32b")
ACCELERATORS = ("h100-sxm", "h200-sxm", "b200-sxm")
REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Run:
    """What one run of the load generator measured."""

    requests_per_second: float
    p50_milliseconds: float
    p99_milliseconds: float
    refused: int
    requests: int
    per_processor_second: float = 0.0
    """Requests a second of the server's processor time: what one worker with a core to itself answers."""


@dataclass(frozen=True)
class Target:
    """An endpoint of a server that runs."""

    port: int
    path: str
    pid: int


def make_empty_app() -> FastAPI:
    """Return an application whose endpoint reads and writes the same models and does nothing between."""
    app = FastAPI()
    answer_model = model_of(EstimateAnswer)
    recorded = json.loads(Path(os.environ["PERTOKEN_BENCHMARK_ANSWERS"]).read_bytes())
    values = itertools.cycle(recorded)
    answers = itertools.cycle([answer_model.model_validate(one) for one in recorded])

    async def empty(body: EstimateBody) -> object:
        return next(answers)

    async def validated(body: EstimateBody) -> object:
        return next(values)

    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    app.post("/v1/estimates", response_model=answer_model)(empty)
    app.post("/validated", response_model=answer_model)(validated)
    app.get("/healthz")(healthz)

    async def bare(request: Request) -> dict[str, str]:
        return {}

    app.post("/bare")(bare)
    return app


def distinct_bodies() -> list[bytes]:
    """Return bodies that differ in model, accelerator, lengths and operating point."""
    bodies = []
    for number in range(BODIES):
        model, accelerator = MODELS[number % 5], ACCELERATORS[number % 3]
        one = {
            "name": "mix",
            "weight": 1,
            "input_tokens": 500 + 7 * number,
            "output_tokens": 100 + number % 900,
            "cached_share": (number % 10) / 10,
        }
        body = {
            "model": model,
            "accelerator": accelerator,
            "layout": {"tp": 8},
            "workload": {"classes": [one]},
            "operating_point": {"kind": "concurrency", "concurrency": 4 + number % 61},
            "utilisation": 0.5,
            "price": {"amount": f"2.{number:04d}", "currency": "USD"},
        }
        bodies.append(json.dumps(body).encode())
    return bodies


async def _client(port: int, path: str, bodies: list[bytes], until: float, waits: list[float]) -> int:
    """Send one request after the other over one connection; return how many were refused."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    refused, number = 0, 0
    while time.perf_counter() < until:
        body = bodies[number % len(bodies)]
        number += 1
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        started = time.perf_counter()
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        lowered = answer.lower()
        start = lowered.index(b"content-length:") + 15
        await reader.readexactly(int(lowered[start : lowered.index(b"\r\n", start)]))
        waits.append(time.perf_counter() - started)
        refused += not answer.startswith(b"HTTP/1.1 200")
    writer.close()
    return refused


async def _load(port: int, path: str, seconds: float) -> Run:
    bodies = distinct_bodies()
    waits: list[float] = []
    started = time.perf_counter()
    step = len(bodies) // CONNECTIONS
    clients = [
        _client(port, path, bodies[step * n :] + bodies[: step * n], started + seconds, waits)
        for n in range(CONNECTIONS)
    ]
    refused = sum(await asyncio.gather(*clients))
    spent = time.perf_counter() - started
    waits.sort()
    middle, last = waits[len(waits) // 2] * 1e3, waits[len(waits) * 99 // 100] * 1e3
    return Run(len(waits) / spent, middle, last, refused, len(waits))


def _measure(target: Target, seconds: float) -> Run:
    """Run the load generator in a process of its own."""
    place = [str(target.port), target.path, str(seconds)]
    command = [sys.executable, "-m", "benchmarks.http_estimates", "--load", *place]
    before = processor_seconds(target.pid)
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True)
    used = processor_seconds(target.pid) - before
    run = Run(**json.loads(done.stdout))
    return replace(run, per_processor_second=run.requests / used)


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    figures = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(figures[11]) + int(figures[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(factory: str, port: int, environment: dict[str, str]) -> Iterator[tuple[float, int]]:
    """Serve; yield seconds until it answered, and the process id."""
    command = [sys.executable, "-m", "uvicorn", "--factory", factory, "--port", str(port)]
    started = time.perf_counter()
    server = subprocess.Popen(
        [*command, "--log-level", "warning", "--no-access-log"], cwd=REPOSITORY, env=environment
    )
    try:
        _wait(port)
        yield time.perf_counter() - started, server.pid
    finally:
        server.terminate()
        server.wait(timeout=20)


def _wait(port: int) -> None:
    for _ in range(3_000):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    raise TimeoutError("the server did not start")


def resident_mebibytes(pid: int) -> float:
    """Return the resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def _post(port: int, body: bytes) -> bytes:
    headers = {"Content-Type": "application/json"}
    answer = httpx.post(f"http://127.0.0.1:{port}/v1/estimates", content=body, headers=headers)
    return answer.raise_for_status().content


def prepare(folder: str) -> dict[str, str]:
    """Seed a database in a folder; return the environment of a server on it."""
    environment = {**os.environ, "PERTOKEN_DATABASE_URL": f"sqlite:///{folder}/benchmark.db"}
    code = "from service import bootstrap as b; s = b.load_settings(); b.migrate(s); b.seed(s)"
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, env=environment, check=True)
    return environment


def compare(seconds: float, rounds: int, port: int) -> dict[str, list[Run]]:
    """Return the runs of each endpoint."""
    with tempfile.TemporaryDirectory() as folder:
        environment = prepare(folder)
        answers = Path(folder) / "answers.json"
        environment["PERTOKEN_BENCHMARK_ANSWERS"] = str(answers)
        with serving("service.bootstrap:create_service", port, environment) as (_, pid):
            # One of each model on each accelerator, so that both endpoints write equally much.
            kinds = len(MODELS) * len(ACCELERATORS)
            answers.write_bytes(b"[%b]" % b",".join(_post(port, body) for body in distinct_bodies()[:kinds]))
            with serving("benchmarks.http_estimates:make_empty_app", port + 1, environment) as (_, other):
                targets = {
                    ESTIMATE: Target(port, "/v1/estimates", pid),
                    "empty, same models": Target(port + 1, "/v1/estimates", other),
                    "empty, answer validated": Target(port + 1, "/validated", other),
                    "empty, no models": Target(port + 1, "/bare", other),
                }
                return _alternate(targets, seconds, rounds)


def rows(seconds: float, rounds: int, port: int) -> Iterator[Row]:
    """Yield requests a second of each endpoint, and the ratios of neighbouring runs."""
    runs = compare(seconds, rounds, port)
    if any(run.refused for measured in runs.values() for run in measured):
        raise RuntimeError(f"requests were refused: {runs}")
    for name, measured in runs.items():
        rate = statistics.median(run.requests_per_second for run in measured)
        yield Row(f"{name}, one worker", rate, "/s", digits=0)
        rate = statistics.median(run.per_processor_second for run in measured)
        yield Row("... a second of its processor time", rate, "/s", digits=0)
    for name in ("empty, same models", "empty, answer validated"):
        pairs = list(zip(runs[ESTIMATE], runs[name], strict=True))
        ratio = statistics.median(one.requests_per_second / other.requests_per_second for one, other in pairs)
        yield Row(f"{ESTIMATE} over {name}", ratio, "", 0.333, at_most=False)
        ratio = statistics.median(
            one.per_processor_second / other.per_processor_second for one, other in pairs
        )
        yield Row("... by processor time", ratio, "", 0.333, at_most=False)


def _alternate(targets: dict[str, Target], seconds: float, rounds: int) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {name: [] for name in targets}
    for target in targets.values():
        _measure(target, 1.0)  # warm
    for _ in range(rounds):
        for name, target in targets.items():
            runs[name].append(_measure(target, seconds))
    return runs


def main() -> None:
    """Compare, or be the load generator of one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--port", type=int, default=8144)
    parser.add_argument("--load", nargs=3, metavar=("PORT", "PATH", "SECONDS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.load:
        port, path, seconds = arguments.load
        print(json.dumps(asyncio.run(_load(int(port), path, float(seconds))).__dict__))
        return
    print(HEADER)
    for row in rows(arguments.seconds, arguments.rounds, arguments.port):
        print(row, flush=True)


if __name__ == "__main__":
    main()
