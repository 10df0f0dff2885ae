"""Speed of curves, tariffs and comparisons in process, over the seeded catalog.

Prints their rows of the table of targets. Each figure is the least of several rounds, because whatever
else runs on the machine only adds time; CPU time stands beside it. Rendering the answer as JSON is part
of it. A trace may be named; without one a trace of the same length is drawn from a fixed seed.

Run it from the repository: ``python -m benchmarks.economics_speed [TRACE.csv|.jsonl]``.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, get_args

# As ``pertoken`` has it; before numpy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import orjson

from service.application.compare_requests import CompareRequest
from service.application.comparisons import Comparer
from service.application.curve_requests import CurveAxis, CurveRequest, CurveSpec
from service.application.curves import CurveDrawer
from service.application.estimate import Estimator
from service.application.ports import CatalogSnapshot
from service.application.render import to_json_values
from service.application.requests import EstimateRequest, SampleRequest
from service.application.tariff_requests import TariffRequest, TraceRequest
from service.application.tariffs import TariffMaker
from service.bootstrap import migrate, read_snapshot, seed
from service.settings import Settings

ROUNDS = 5
POINTS = 10_000
DRAWN_REQUESTS = 19_366
"""As many as the Azure LLM trace of 2023 (conversations) has."""
PLACE = EstimateRequest(accelerator="h100-sxm", model="llama-3.1-70b")
LONG = EstimateRequest(accelerator="h200-sxm", model="llama-4-scout")
MILLION = SampleRequest(input_tokens=900_000, output_tokens=100_000)


def main(arguments: list[str]) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(database_url=f"sqlite:///{Path(folder) / 'catalog.db'}")
        migrate(settings)
        seed(settings)
        snapshot = read_snapshot(settings)
    print(f"{'what':62}{'elapsed':>12}{'CPU':>12}{'target':>10}")
    estimator, now = Estimator(), datetime.now(UTC)
    _curves(estimator, snapshot, now)
    trace, name = _trace(arguments)
    tariff = TariffRequest(PLACE, trace=trace)
    _row(f"tariff over {name}", partial(TariffMaker(estimator).make, tariff, snapshot, now), "< 1 s")
    compare = Comparer(estimator).compare
    _row("comparison of one model", partial(compare, CompareRequest(PLACE), snapshot, now), "")
    everything = CompareRequest(PLACE, across_models=True)
    count = len(snapshot.models())
    _row(f"comparison over {count} models", partial(compare, everything, snapshot, now), "< 2 s")
    _row(
        f"comparison over {count} models, nothing kept",
        lambda: Comparer(Estimator()).compare(everything, snapshot, now),
        "< 2 s",
    )


def _curves(estimator: Estimator, snapshot: CatalogSnapshot, now: datetime) -> None:
    draw = CurveDrawer(estimator).draw
    for axis in get_args(CurveAxis):
        request = CurveRequest(PLACE, CurveSpec(axis, points=POINTS))
        _row(f"curve over {axis}, {POINTS} points", partial(draw, request, snapshot, now), "< 50 ms")
    million = CurveRequest(LONG, CurveSpec("position", points=POINTS, request=MILLION))
    _row(
        f"curve over position, {POINTS} points of 1 M tokens",
        partial(draw, million, snapshot, now),
        "< 50 ms",
    )


def _trace(arguments: list[str]) -> tuple[TraceRequest, str]:
    if arguments:
        path = Path(arguments[0])
        form = "mooncake_jsonl" if path.suffix == ".jsonl" else "azure_csv"
        text = path.read_text(encoding="utf-8")
        return TraceRequest(form, text), f"{path.name}, {text.count(chr(10))} lines"
    rng = np.random.default_rng(2023)
    prompts = np.ceil(rng.lognormal(6.5, 1.0, DRAWN_REQUESTS)).astype(int)
    outputs = np.ceil(rng.lognormal(5.0, 0.8, DRAWN_REQUESTS)).astype(int)
    rows = (f"t,{prompt},{output}" for prompt, output in zip(prompts, outputs, strict=True))
    text = "\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *rows])
    return TraceRequest("azure_csv", text), f"a drawn trace, {DRAWN_REQUESTS} requests"


def _row(what: str, run: Callable[[], Any], target: str) -> None:
    run()
    elapsed, busy = [], []
    for _ in range(ROUNDS):
        clock, processor = time.perf_counter(), time.process_time()
        orjson.dumps(to_json_values(run()))
        elapsed.append(time.perf_counter() - clock)
        busy.append(time.process_time() - processor)
    print(f"{what:62}{min(elapsed) * 1e3:9.1f} ms{min(busy) * 1e3:9.1f} ms{target:>10}")


if __name__ == "__main__":
    main(sys.argv[1:])
