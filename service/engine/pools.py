"""Where a deployment with separate pools for prefill and decode works (equations D1 to D6).

Everything is explicit in one unknown, how busy a decode worker is: its steady state gives the rate, the
rate gives the load of the prefill pool and the wait there, and the sum of a request's stages gives the
requests in flight and the time to the first token. A point is found on an axis of that unknown in one
broadcast call and on ever finer axes around it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil

import numpy as np
import numpy.typing as npt

from service.engine.batching import Population, SteadyState, steady_state
from service.engine.errors import InfeasibleError
from service.engine.memory import MemoryPlan, plan_memory
from service.engine.operating_point import (
    Limits,
    Replica,
    batch_axis,
    batch_limit,
    itl_quantile,
    quantile_of,
    solve_arrivals,
)
from service.engine.prefill_pool import NO_LOAD, PrefillWorker
from service.engine.spans import Array

ALONE_POINTS = 12
"""Points below one request a decode worker, log-spaced from ``LEAST_BUSY``."""
LEAST_BUSY = 1e-9
FINE_POINTS = 16
REFINEMENTS = 10
NARROW = 1e-5
"""Logarithm of what is asked for across a bracket within which a straight line will do."""
BISECTIONS = 50
LEAST_LOAD = 1e-6
"""Of the prefill pool; where waits must be shorter still, a limit on the first token is out of reach."""
_TOLERANCE = 1e-3
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Workers:
    """How many there are, of each pool."""

    prefill: float
    decode: float


@dataclass(frozen=True)
class Plant:
    """What the pools are made of."""

    decode: Replica
    """One decode worker under the requests that reach it, their prompts handed over."""
    prefill: PrefillWorker
    decoding_share: float
    """Share of requests with more than one output token: the others end at the prefill pool."""
    transfer_seconds: float
    prefill_cost: float
    """Cost of a prefill worker over that of a decode worker; weighs the pools where both can change."""

    @cached_property
    def memory(self) -> MemoryPlan:
        """Memory of a decode worker."""
        return plan_memory(self.decode.table, self.decode.load, self.decode.policy)

    @cached_property
    def limit(self) -> tuple[float, str]:
        """Most sequences that a decode worker decodes together, and what sets it."""
        return batch_limit(self.decode, self.memory)


@dataclass(frozen=True, slots=True)
class Sizing:
    """How many workers: whole ones that are given, or a prefill pool at a load beside one decode worker."""

    workers: Workers | None
    load: float
    """Most of the prefill pool, 0 to 1; a planned one works at it unless a limit is in the way."""


@dataclass(frozen=True)
class Flow:
    """Pools at every point of an axis; arrays (N,), seconds and requests per second of the whole."""

    busy: Array
    """The axis: below 1 the share of time in which a decode worker has a request, then the batch it sees."""
    state: SteadyState
    """Of a decode worker while it has one."""
    rate: Array
    load: Array
    """Of the prefill pool."""
    prefill_workers: Array
    decode_workers: float
    waiting: Array
    """For prefill."""
    prefill: Array
    after: Array
    """Transfer and the first step of a decode worker, of the mean request."""
    in_flight: Array

    @property
    def ttft(self) -> Array:
        """Mean time to first token."""
        return self.waiting + self.prefill + self.after


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


def flow_at(plant: Plant, busy: Array, sizing: Sizing, population: Population = "closed") -> Flow:
    """Return the pools at points of the axis, the prefill pool at the load of ``sizing`` if it is planned."""
    return _flow(plant, busy, sizing, (population, None))


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

    axis = _axis(plant)
    busy = _crossing(axis, excess)
    flow = flow_at(plant, np.array([axis[-1] if busy is None else busy]), sizing)
    rate = float(flow.rate[0])
    held, queued = plant.limit[1], 0.0
    if busy is None:
        queued = (concurrency - float(flow.in_flight[0])) / (rate * plant.decoding_share)
    else:
        held = "concurrency"
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
        flow = _flow(plant, busy, sizing, ("closed", limits))
        paid = flow.decode_workers + plant.prefill_cost * flow.prefill_workers
        return flow, np.where(_within(plant, flow, limits, sizing.load), paid / flow.rate, np.inf)

    axis = _axis(plant)
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
    chosen = _flow(plant, np.array([best]), sizing, ("closed", limits))
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
    flow = _flow(plant, solved.state.seen_batch, replace(sizing, workers=workers), ("open", None))
    over = float(_tpot_excess(plant, flow.state, limits)[0])
    if over > _TOLERANCE or not _first_in_time(flow, limits)[0]:
        which = "tpot" if over > _TOLERANCE else "ttft"
        _unmet(limits, which, (float(flow.ttft[0]), float(flow.state.tpot_seconds[0])), "these arrivals take")
    return _point(plant, flow, "arrivals", (0.0, float(flow.in_flight[0]), most * workers.decode))


def decode_capacity(plant: Plant, limits: Limits, population: Population) -> float:
    """Return the most requests per second that one decode worker completes within a limit on its TPOT."""

    def served(busy: Array) -> tuple[Array, Array]:
        state = _state(plant, busy, population)
        within = _tpot_excess(plant, state, limits) <= 0
        return busy, np.where(within, state.requests_per_second, 0.0)

    busy, rate = served(batch_axis(plant.limit[0], prefill_bound=False))
    for _ in range(REFINEMENTS):
        place = int(np.argmax(rate))
        low, high = busy[max(place - 1, 0)], busy[min(place + 1, rate.size - 1)]
        if high - low <= NARROW * high:
            break
        finer = np.concatenate((low + (high - low) * np.linspace(0, 1, FINE_POINTS), [busy[place]]))
        busy, rate = served(np.unique(finer))
    best = float(rate.max())
    if best <= 0:
        _refuse(plant, replace(limits, max_ttft_seconds=None))
    return best


def _axis(plant: Plant) -> Array:
    alone = np.geomspace(LEAST_BUSY, 1.0, ALONE_POINTS, endpoint=False)
    return np.concatenate((alone, batch_axis(plant.limit[0], prefill_bound=False)))


def _state(plant: Plant, busy: Array, population: Population) -> SteadyState:
    decode = plant.decode
    return steady_state(decode.table, decode.load, decode.policy, np.maximum(busy, 1.0), population)


def _flow(plant: Plant, busy: Array, sizing: Sizing, asked: tuple[Population, Limits | None]) -> Flow:
    """Return the pools; a planned prefill pool works at the largest load up to the sizing's in the limits."""
    population, limits = asked
    state = _state(plant, busy, population)
    at_work = np.minimum(busy, 1.0) if population == "closed" else np.ones_like(busy)
    decode_workers = 1.0 if sizing.workers is None else sizing.workers.decode
    reaching = decode_workers * at_work * state.requests_per_second
    rate = reaching / plant.decoding_share
    after = plant.decoding_share * (plant.transfer_seconds + state.ttft_seconds)
    each = plant.prefill.requests_per_second
    if sizing.workers is not None:
        prefill_workers = np.full(busy.shape, sizing.workers.prefill)
        load = rate / (sizing.workers.prefill * each)
    else:
        load = _planned_load(plant, (rate, after), sizing.load, limits)
        prefill_workers = rate / (each * np.maximum(load, LEAST_LOAD))
    waiting, prefill = _before(plant, rate, load, prefill_workers)
    waiting = np.where(load < 1.0, waiting, np.inf)
    decoding = decode_workers * at_work * state.concurrency
    in_flight = decoding + rate * (waiting + prefill) + reaching * plant.transfer_seconds
    return Flow(busy, state, rate, load, prefill_workers, decode_workers, waiting, prefill, after, in_flight)


def _before(plant: Plant, rate: Array, load: Array, workers: Array) -> tuple[Array, Array]:
    """Return (wait for prefill, seconds of prefill) of a prompt."""
    reaching = np.minimum(rate / workers, plant.prefill.requests_per_second)
    return plant.prefill.waiting(load, reaching, workers), plant.prefill.seconds_of(reaching)


def _planned_load(plant: Plant, point: tuple[Array, Array], most: float, limits: Limits | None) -> Array:
    """Return the largest load of the prefill pool, at most ``most``, at which first tokens keep their limit.

    Where not even ``LEAST_LOAD`` does, that is returned, and the limit is not met.
    """
    rate, after = point
    high = np.full(rate.shape, most)
    if limits is None or limits.max_ttft_seconds is None:
        return high
    low = np.full(rate.shape, LEAST_LOAD)

    def keeps(load: Array) -> Mask:
        workers = rate / (plant.prefill.requests_per_second * load)
        waiting, prefill = _before(plant, rate, load, workers)
        first = _first_token(waiting, load, prefill + after, limits)
        held: Mask = first <= (limits.max_ttft_seconds or 0.0)
        return held

    kept = keeps(high)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2.0
        held = keeps(middle)
        low, high = np.where(held, middle, low), np.where(held, high, middle)
    return np.where(kept, most, low)


def first_token(flow: Flow, limits: Limits) -> Array:
    """Return the mean or a quantile of the time to first token, as limits have it, at each point."""
    return _first_token(flow.waiting, flow.load, flow.prefill + flow.after, limits)


def _first_token(waiting: Array, load: Array, rest: Array, limits: Limits) -> Array:
    """Return the mean or a quantile of the time to first token; the wait's tail as in equation B6."""
    probability = quantile_of(limits.statistic)
    if probability is None:
        return waiting + rest
    share = np.clip(load, NO_LOAD, 1.0)
    tail = np.maximum(np.log(share / (1.0 - probability)), 0.0)
    quantile: Array = waiting / share * tail + rest
    return quantile


def _tpot_excess(plant: Plant, state: SteadyState, limits: Limits) -> Array:
    """Return ln of TPOT over its limit."""
    if limits.max_tpot_seconds is None:
        return np.full_like(state.batch, -np.inf)
    probability = quantile_of(limits.statistic)
    tpot = state.tpot_seconds if probability is None else itl_quantile(plant.decode, state, probability)
    over: Array = np.log(tpot / limits.max_tpot_seconds)
    return over


def _within(plant: Plant, flow: Flow, limits: Limits, most_load: float) -> Mask:
    """Whether limits hold and the prefill pool keeps up, at each point."""
    inside: Mask = (flow.load <= most_load * (1.0 + NO_LOAD)) & (flow.load < 1.0)
    inside = inside & (_tpot_excess(plant, flow.state, limits) <= 0.0)
    return inside & _first_in_time(flow, limits)


def _first_in_time(flow: Flow, limits: Limits, share: float = 1.0) -> Mask:
    """Whether first tokens keep a share of their limit, at each point."""
    if limits.max_ttft_seconds is None:
        return np.full(flow.rate.shape, True)
    first = first_token(flow, limits)
    kept: Mask = first <= limits.max_ttft_seconds * share
    return kept


def _held_by(plant: Plant, flow: Flow, limits: Limits, sizing: Sizing) -> str:
    """Return what keeps a decode worker's batch from growing at the cheapest point."""
    if float(flow.busy[0]) >= plant.limit[0] * (1.0 - _TOLERANCE):
        return plant.limit[1]
    if float(_tpot_excess(plant, flow.state, limits)[0]) > -_TOLERANCE:
        return "tpot"
    if not _first_in_time(flow, limits, 1.0 - _TOLERANCE)[0]:
        return "ttft"
    if sizing.workers is not None and float(flow.load[0]) > sizing.load * (1.0 - _TOLERANCE):
        return "prefill_pool"
    return "throughput"


def _unhindered(plant: Plant, sizing: Sizing, concurrency: float) -> float:
    """Return the rate of the decode pool with so many in flight if none of them waited for prefill."""

    def excess(busy: Array) -> Array:
        flow = flow_at(plant, busy, sizing)
        first = plant.prefill.seconds_of(np.zeros_like(busy))
        decoding = flow.decode_workers * np.minimum(busy, 1.0) * flow.state.concurrency
        on_their_way = flow.rate * (first + plant.decoding_share * plant.transfer_seconds)
        return np.log((decoding + on_their_way) / concurrency)

    axis = _axis(plant)
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
        f"The {name} pool carries less than {most:.4g} requests/s of this mix with {workers:g} workers; "
        f"{rate:.4g} requests/s arrive. Add {name} workers or lower the rate.",
        field="operating_point.requests_per_second",
        code="arrival-rate-too-high",
        accepted={"below_requests_per_second": most, f"{name}_workers": float(int(rate / each) + 1)},
    )


def _refuse(plant: Plant, limits: Limits) -> None:
    """Refuse limits that a lone request does not meet."""
    alone = flow_at(plant, np.array([LEAST_BUSY]), Sizing(Workers(1.0, 1.0), 1.0))
    over = float(_tpot_excess(plant, alone.state, limits)[0])
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
