"""Speed of the engine alone: one scenario, an operating point, a sweep over layouts, mixes and batches.

Processor time of one thread, the least of several rounds: whatever else runs on the machine only adds time.

Run it from the repository: ``python -m benchmarks.engine_speed``.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import numpy as np

from benchmarks.catalog import seeded_catalog
from benchmarks.table import HEADER, Row
from service.application.deployment import Deployment, deploy
from service.application.estimate import Estimator, split_of
from service.application.ports import CatalogSnapshot
from service.application.requests import (
    EstimateRequest,
    FormatsRequest,
    LayoutRequest,
    OperatingPointRequest,
    UncertaintyRequest,
)
from service.application.uncertainty import uncertainty_of
from service.bootstrap import read_snapshot
from service.engine.attribution import Subject, attribute
from service.engine.batching import steady_state
from service.engine.load import make_load
from service.engine.operating_point import Limits, Replica, solve_cheapest
from service.engine.spans import Array
from service.engine.workload import make_mix, reduce_mix

ROUNDS, REPEATS = 7, 200
INTERVAL_REPEATS = 20
ARRIVALS = OperatingPointRequest(kind="arrival_rate", requests_per_second=0.5)
BATCHES = 48
LIMITS = Limits(max_ttft_seconds=5.0, max_tpot_seconds=0.05)


def rows() -> Iterator[Row]:
    """Yield each figure as it is measured."""
    with seeded_catalog() as settings:
        snapshot = read_snapshot(settings)
    for model, accelerator in (("llama-3.1-70b", "h100-sxm"), ("deepseek-r1", "h200-sxm")):
        place = _deployment(snapshot, model, accelerator, 8)
        given = _best(partial(_with_batch, place), REPEATS)
        yield Row(f"engine, {model}: one scenario, B given", given * 1e3, "ms", 0.3)
        solved = _best(partial(_solved, place), REPEATS)
        yield Row(f"engine, {model}: operating point solved", solved * 1e3, "ms", 1.0)
        for samples, target in ((256, 20.0), (4096, None)):
            for kind, point in (("closed loop", None), ("arrivals", ARRIVALS)):
                taken = _intervals(snapshot, (model, accelerator), (samples, point))
                what = f"{model}: intervals, {samples} samples, {kind}, CPU"
                yield Row(what, taken * 1e3, "ms", target)
    places = [_deployment(snapshot, "llama-3.1-70b", "h100-sxm", tp) for tp in (2, 4, 8)]
    prompts = np.linspace(500, 16_000, 20)
    points = len(places) * len(prompts) * BATCHES
    seconds = _best(lambda: _sweep(places, prompts), 3)
    what = f"engine, sweep of {points} (layout, B, mix) points"
    yield Row(what, points / seconds, "/s", 100_000, at_most=False, digits=0)


def main() -> None:
    """Print the table."""
    print(HEADER)
    for row in rows():
        print(row, flush=True)


def _deployment(snapshot: CatalogSnapshot, model: str, accelerator: str, tp: int) -> Deployment:
    return deploy(
        EstimateRequest(
            accelerator=accelerator,
            model=model,
            layout=LayoutRequest(tp=tp),
            formats=FormatsRequest(precision="fp8"),
        ),
        snapshot,
    )


def _replica(place: Deployment, prompt: float) -> Replica:
    mix = make_mix([[prompt, prompt * 0.3, 512.0]], [0], [1.0])
    moments = reduce_mix(mix, place.table.spans, float(place.policy.token_budget))
    return Replica(place.table, make_load(place.table, moments), place.policy)


def _with_batch(place: Deployment) -> None:
    """From the mix to the split at one batch."""
    mix = make_mix([[4096.0, 1024.0, 512.0]], [0], [1.0])
    moments = reduce_mix(mix, place.table.spans, float(place.policy.token_budget))
    load = make_load(place.table, moments)
    state = steady_state(place.table, load, place.policy, np.array([64.0]), "closed")
    attribute(Subject(place.table, load, moments, state))


def _solved(place: Deployment) -> None:
    """From the mix to the split at the cheapest point within limits."""
    mix = make_mix([[4096.0, 1024.0, 512.0]], [0], [1.0])
    moments = reduce_mix(mix, place.table.spans, float(place.policy.token_budget))
    load = make_load(place.table, moments)
    found = solve_cheapest(Replica(place.table, load, place.policy), LIMITS)
    attribute(Subject(place.table, load, moments, found.state))


def _intervals(
    snapshot: CatalogSnapshot, names: tuple[str, str], wanted: tuple[int, OperatingPointRequest | None]
) -> float:
    """Return the CPU seconds that intervals add to an estimate."""
    (model, accelerator), (samples, point) = names, wanted
    plain = EstimateRequest(
        accelerator=accelerator, model=model, layout=LayoutRequest(tp=8), operating_point=point
    )
    asked = replace(plain, uncertainty=UncertaintyRequest(samples=samples))
    estimator, now = Estimator(), datetime.now(UTC)
    split = split_of(estimator.solve(plain, snapshot, now), "shapley")[0]
    solution = estimator.solve(asked, snapshot, now)
    uncertainty_of(solution, split, snapshot)
    start = time.process_time()
    for _ in range(INTERVAL_REPEATS):
        uncertainty_of(solution, split, snapshot)
    return (time.process_time() - start) / INTERVAL_REPEATS


def _sweep(places: list[Deployment], prompts: Array) -> None:
    batches = np.geomspace(1.0, 512.0, BATCHES)
    for place in places:
        for prompt in prompts:
            replica = _replica(place, float(prompt))
            steady_state(replica.table, replica.load, replica.policy, batches, "closed")


def _best(run: Callable[[], None], repeats: int) -> float:
    """Return the least mean time of a call over the rounds, seconds."""
    run()
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(repeats):
            run()
        rounds.append((time.process_time() - start) / repeats)
    return min(rounds)


if __name__ == "__main__":
    main()
