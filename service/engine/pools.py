"""Separate pools for prefill and decode, by how busy a decode worker is (equations D1, D5, D6).

Everything is explicit in that one unknown: the decode worker's steady state gives the rate, the rate gives
the load of the prefill pool and the wait there, and the sum of a request's stages gives the requests in
flight and the time to the first token. All of an axis is one broadcast call.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from service.engine.batching import Population, SteadyState, steady_state
from service.engine.memory import MemoryPlan, plan_memory
from service.engine.operating_point import Limits, Replica, batch_limit, itl_quantile, quantile_of
from service.engine.prefill_pool import NO_LOAD, PrefillWorker
from service.engine.spans import Array

BISECTIONS = 50
LINK_POINTS, LINK_ROUNDS = 16, 6
LEAST_LOAD = 1e-6
"""Of the prefill pool; where waits must be shorter still, a limit on the first token is out of reach."""
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
    received_per_second: float = float("inf")
    """Prompts whose caches the links of one decode worker can receive (D2)."""

    @cached_property
    def memory(self) -> MemoryPlan:
        """Memory of a decode worker."""
        return plan_memory(self.decode.table, self.decode.load, self.decode.policy)

    @cached_property
    def limit(self) -> tuple[float, str]:
        """Most sequences that a decode worker decodes together, and what sets it."""
        most, held = batch_limit(self.decode, self.memory)
        low, high = 1.0, most
        if self._received_by(np.array([most]))[0] <= self.received_per_second:
            return most, held
        for _ in range(LINK_ROUNDS):
            axis = np.geomspace(low, high, LINK_POINTS)
            place = int(np.searchsorted(self._received_by(axis), self.received_per_second))
            low, high = float(axis[max(place - 1, 0)]), float(axis[min(place, LINK_POINTS - 1)])
        return low, "transfer"

    def _received_by(self, batch: Array) -> Array:
        """Return the requests per second that reach a decode worker with such batches."""
        return state_at(self, batch, "closed").requests_per_second


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


def flow_at(
    plant: Plant,
    busy: Array,
    sizing: Sizing,
    population: Population = "closed",
    limits: Limits | None = None,
) -> Flow:
    """Return the pools at points of the axis.

    Parameters
    ----------
    plant, sizing
        The pools. A planned prefill pool works at the load of the sizing, or at the largest below it at
        which first tokens keep their limit.
    busy
        How busy a decode worker is, shape (N,), as in ``Flow``.
    population
        ``closed``: a fixed number of requests in flight; ``open``: Poisson arrivals.
    limits
        None where there are none.
    """
    state = state_at(plant, busy, population)
    at_work = np.ones_like(busy)
    if population == "closed":
        at_work = at_work_of(plant, busy, state)
        busy = np.where(busy > 1.0, busy, at_work)
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


def at_work_of(plant: Plant, busy: Array, state: SteadyState) -> Array:
    """Return the share of time in which a decode worker has a request, of those always in flight.

    One whose links bring less than a lone request at a time waits for them.
    """
    share: Array = np.minimum(np.minimum(busy, 1.0), plant.received_per_second / state.requests_per_second)
    return share


def state_at(plant: Plant, busy: Array, population: Population) -> SteadyState:
    """Return the steady states of a decode worker while it has a request."""
    decode = plant.decode
    return steady_state(decode.table, decode.load, decode.policy, np.maximum(busy, 1.0), population)


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


def tpot_excess(plant: Plant, state: SteadyState, limits: Limits) -> Array:
    """Return ln of TPOT over its limit."""
    if limits.max_tpot_seconds is None:
        return np.full_like(state.batch, -np.inf)
    probability = quantile_of(limits.statistic)
    tpot = state.tpot_seconds if probability is None else itl_quantile(plant.decode, state, probability)
    over: Array = np.log(tpot / limits.max_tpot_seconds)
    return over


def within(plant: Plant, flow: Flow, limits: Limits, most_load: float) -> Mask:
    """Whether limits hold and the prefill pool keeps up, at each point."""
    inside: Mask = (flow.load <= most_load * (1.0 + NO_LOAD)) & (flow.load < 1.0)
    inside = inside & (tpot_excess(plant, flow.state, limits) <= 0.0)
    return inside & first_in_time(flow, limits)


def first_in_time(flow: Flow, limits: Limits, share: float = 1.0) -> Mask:
    """Whether first tokens keep a share of their limit, at each point."""
    if limits.max_ttft_seconds is None:
        return np.full(flow.rate.shape, True)
    first = first_token(flow, limits)
    kept: Mask = first <= limits.max_ttft_seconds * share
    return kept
