"""Where a deployment with separate pools works: requests in flight, least cost in limits, arrivals (D1, D6).

A point is found on an axis of how busy a decode worker is, in one broadcast call, and on ever finer axes
around it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from service.engine.batching import Population
from service.engine.errors import InfeasibleError
from service.engine.memory import MemoryPlan
from service.engine.operating_point import Limits, batch_axis, batch_limit, solve_arrivals
from service.engine.pools import (
    Flow,
    Plant,
    Sizing,
    Workers,
    first_in_time,
    flow_at,
    state_at,
    tpot_excess,
    within,
)
from service.engine.spans import Array

ALONE_POINTS = 12
"""Points below one request a decode worker, log-spaced from ``LEAST_BUSY``."""
LEAST_BUSY = 1e-9
FINE_POINTS = 16
REFINEMENTS = 10
NARROW = 1e-5
"""Logarithm of what is asked for across a bracket within which a straight line will do."""
FULL_LOAD = 0.99
"""Of the prefill pool, at which more requests in flight hardly move the rate: they wait for it."""
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class PoolPoint:
    """One operating point of both pools."""

    flow: Flow
    """Of one point."""
    memory: MemoryPlan
    limited_by: str
    queued_seconds: float
    """Of a request that decodes: for a place in a decode worker's batch, beyond those in flight there."""
    concurrency: float
    """In flight over the whole deployment."""
    workers: Workers
    prefill_capacity: float
    """Requests per second of the pool, working all the time."""
    decode_capacity: float
    """Requests per second, of all, that the decode pool could carry if it never waited for prefill."""

    @property
    def requests_per_second(self) -> float:
        """Of the whole deployment."""
        return float(self.flow.rate[0])


def solve_in_flight(plant: Plant, sizing: Sizing, concurrency: float) -> PoolPoint:
    """Return the point with so many requests in flight, over all workers (equation D1).

    Parameters
    ----------
    plant, sizing
        The pools; where workers are planned, requests are counted for each decode worker.
    concurrency
        At least one.
    """

    def excess(busy: Array) -> Array:
        return np.log(flow_at(plant, busy, sizing).in_flight / concurrency)

    axis = busy_axis(plant)
    busy = _crossing(axis, excess)
    flow = flow_at(plant, np.array([axis[-1] if busy is None else busy]), sizing)
    rate = float(flow.rate[0])
    held, queued = plant.limit[1], 0.0
    if busy is None:
        queued = (concurrency - float(flow.in_flight[0])) / (rate * plant.decoding_share)
    else:
        full = sizing.workers is not None and float(flow.load[0]) > FULL_LOAD
        held = "prefill_pool" if full else "concurrency"
    # A decode worker for which prefill is planned never waits for more of it than planned.
    carried = rate if sizing.workers is None else _unhindered(plant, sizing, concurrency)
    return _point(plant, flow, held, (queued, concurrency, carried))


def solve_cheapest(plant: Plant, sizing: Sizing, limits: Limits) -> PoolPoint:
    """Return the point of least cost per request within limits (equation D6).

    Raises
    ------
    InfeasibleError
        Not even a lone request meets the limits (code ``limits-unmet``).
    """

    def evaluate(busy: Array) -> tuple[Flow, Array]:
        flow = flow_at(plant, busy, sizing, limits=limits)
        paid = flow.decode_workers + plant.prefill_cost * flow.prefill_workers
        return flow, np.where(within(plant, flow, limits, sizing.load), paid / flow.rate, np.inf)

    axis = busy_axis(plant)
    flow, cost = evaluate(axis)
    if not np.isfinite(cost).any():
        _refuse(plant, limits)
    low, high, best = axis[0], axis[-1], float(axis[0])
    for _ in range(REFINEMENTS):
        place = int(np.argmin(cost))
        best = float(flow.busy[place])
        low, high = flow.busy[max(place - 1, 0)], flow.busy[min(place + 1, cost.size - 1)]
        if high - low <= NARROW * high:
            break
        # The best so far is on the finer axis too, so no round loses it.
        finer = np.unique(np.concatenate((low + (high - low) * np.linspace(0, 1, FINE_POINTS), [best])))
        flow, cost = evaluate(finer)
    chosen = flow_at(plant, np.array([best]), sizing, limits=limits)
    capacity = float(chosen.rate[0])
    if sizing.workers is not None:
        capacity = decode_capacity(plant, limits, "closed") * sizing.workers.decode / plant.decoding_share
    held = _held_by(plant, chosen, limits, sizing)
    return _point(plant, chosen, held, (0.0, float(chosen.in_flight[0]), capacity))


def solve_rate(plant: Plant, sizing: Sizing, requests_per_second: float, limits: Limits) -> PoolPoint:
    """Return the steady state under Poisson arrivals; workers not given are the fewest that carry them.

    Raises
    ------
    InfeasibleError
        More arrives than a pool can carry (code ``arrival-rate-too-high``), or a latency is above its limit
        (``limits-unmet``).
    """
    each = plant.prefill.requests_per_second
    unlimited, most = (
        decode_capacity(plant, held, "open") / plant.decoding_share for held in (Limits(), limits)
    )
    workers = sizing.workers or Workers(
        float(max(ceil(requests_per_second / (each * sizing.load)), 1)),
        float(int(requests_per_second / most) + 1),
    )
    _check_overload(requests_per_second, ("decode", workers.decode, unlimited))
    _check_overload(requests_per_second, ("prefill", workers.prefill, each))
    reaching = requests_per_second * plant.decoding_share / workers.decode
    solved = solve_arrivals(plant.decode, reaching)
    flow = flow_at(plant, solved.state.seen_batch, replace(sizing, workers=workers), "open")
    # The rate is looked up on an axis; where it is the pool's limit but for that, there is no steady state.
    _check_overload(float(flow.rate[0]), ("prefill", workers.prefill, each))
    over = float(tpot_excess(plant, flow.state, limits)[0])
    if over > _TOLERANCE or not first_in_time(flow, limits)[0]:
        which = "tpot" if over > _TOLERANCE else "ttft"
        _unmet(limits, which, (float(flow.ttft[0]), float(flow.state.tpot_seconds[0])), "these arrivals take")
    return _point(plant, flow, "arrivals", (0.0, float(flow.in_flight[0]), most * workers.decode))


def decode_capacity(plant: Plant, limits: Limits, population: Population) -> float:
    """Return the most requests per second that one decode worker completes within a limit on its TPOT."""

    def served(busy: Array) -> tuple[Array, Array]:
        state = state_at(plant, busy, population)
        kept = tpot_excess(plant, state, limits) <= 0
        return busy, np.where(kept, state.requests_per_second, 0.0)

    most, _ = batch_limit(plant.decode, plant.memory)
    busy, rate = served(batch_axis(most, prefill_bound=False))
    for _ in range(REFINEMENTS):
        place = int(np.argmax(rate))
        low, high = busy[max(place - 1, 0)], busy[min(place + 1, rate.size - 1)]
        if high - low <= NARROW * high:
            break
        finer = np.concatenate((low + (high - low) * np.linspace(0, 1, FINE_POINTS), [busy[place]]))
        busy, rate = served(np.unique(finer))
    best = min(float(rate.max()), plant.received_per_second)
    if best <= 0:
        _refuse(plant, replace(limits, max_ttft_seconds=None))
    return best


def busy_axis(plant: Plant) -> Array:
    """Return points of how busy a decode worker can be: from hardly a request to a full batch."""
    alone = np.geomspace(LEAST_BUSY, 1.0, ALONE_POINTS, endpoint=False)
    return np.concatenate((alone, batch_axis(plant.limit[0], prefill_bound=False)))


def _held_by(plant: Plant, flow: Flow, limits: Limits, sizing: Sizing) -> str:
    """Return what keeps a decode worker's batch from growing at the cheapest point."""
    if float(flow.busy[0]) >= plant.limit[0] * (1.0 - _TOLERANCE):
        return plant.limit[1]
    if float(tpot_excess(plant, flow.state, limits)[0]) > -_TOLERANCE:
        return "tpot"
    if not first_in_time(flow, limits, 1.0 - _TOLERANCE)[0]:
        return "ttft"
    if sizing.workers is not None and float(flow.load[0]) > sizing.load * (1.0 - _TOLERANCE):
        return "prefill_pool"
    return "throughput"


def _unhindered(plant: Plant, sizing: Sizing, concurrency: float) -> float:
    """Return the rate of the decode pool with so many in flight if none of them waited for prefill."""

    def excess(busy: Array) -> Array:
        flow = flow_at(plant, busy, sizing)
        first = plant.prefill.seconds_of(np.zeros_like(busy))
        decoding = flow.decode_workers * np.minimum(flow.busy, 1.0) * flow.state.concurrency
        on_their_way = flow.rate * (first + plant.decoding_share * plant.transfer_seconds)
        return np.log((decoding + on_their_way) / concurrency)

    axis = busy_axis(plant)
    busy = _crossing(axis, excess)
    return float(flow_at(plant, np.array([axis[-1] if busy is None else busy]), sizing).rate[0])


def _crossing(axis: Array, excess: Callable[[Array], Array]) -> float | None:
    """Return where a rising function first reaches 0, None where it never does on the axis."""
    for _ in range(REFINEMENTS):
        values = excess(axis)
        over = np.flatnonzero(values >= 0.0)
        if over.size == 0:
            return None
        place = int(over[0])
        if place == 0:
            return float(axis[0])
        low, high = float(axis[place - 1]), float(axis[place])
        below, above = float(values[place - 1]), float(values[place])
        if above - below < NARROW:
            return low + (high - low) * (-below) / (above - below)
        axis = low + (high - low) * np.linspace(0.0, 1.0, FINE_POINTS)
    return low


def _point(plant: Plant, flow: Flow, held: str, figures: tuple[float, float, float]) -> PoolPoint:
    queued, concurrency, unhindered = figures
    workers = Workers(float(flow.prefill_workers[0]), flow.decode_workers)
    carried = plant.prefill.requests_per_second * workers.prefill
    return PoolPoint(
        flow=flow,
        memory=plant.memory,
        limited_by=held,
        queued_seconds=queued,
        concurrency=concurrency,
        workers=workers,
        prefill_capacity=carried,
        decode_capacity=max(unhindered, float(flow.rate[0])),
    )


def _check_overload(rate: float, pool: tuple[str, float, float]) -> None:
    name, workers, each = pool
    most = workers * each
    if rate < most:
        return
    raise InfeasibleError(
        f"The {name} pool carries less than {most:.9g} requests/s of this mix with {workers:g} workers; "
        f"{rate:.9g} requests/s arrive. Add {name} workers or lower the rate.",
        field="operating_point.requests_per_second",
        code="arrival-rate-too-high",
        accepted={"below_requests_per_second": most, f"{name}_workers": float(int(rate / each) + 1)},
    )


def _refuse(plant: Plant, limits: Limits) -> None:
    """Refuse limits that a lone request does not meet."""
    alone = flow_at(plant, np.array([LEAST_BUSY]), Sizing(Workers(1.0, 1.0), 1.0))
    over = float(tpot_excess(plant, alone.state, limits)[0])
    _unmet(
        limits,
        "tpot" if over > 0 else "ttft",
        (float(alone.ttft[0]), float(alone.state.tpot_seconds[0])),
        "a lone request already takes",
    )


def _unmet(limits: Limits, which: str, taken: tuple[float, float], who: str) -> None:
    seconds = taken[0] if which == "ttft" else taken[1]
    asked = limits.max_ttft_seconds if which == "ttft" else limits.max_tpot_seconds
    raise InfeasibleError(
        f"max_{which}_seconds is {asked or 0.0:.4g}, but {who} {seconds:.4g} s in these pools; raise the "
        "limit, use more accelerators a worker, or shorten the prompt.",
        field=f"operating_point.max_{which}_seconds",
        code="limits-unmet",
        accepted={f"minimum_{which}_seconds": seconds},
    )
