"""Operating points of separate pools whose speed is uncertain, at many samples at once (equation U9).

Both pools have errors of their own. A planned prefill pool is planned again for each sample, at the same
load beside a decode worker of the same batch; with given workers the requests in flight are held, or the
arrivals, and either pool may turn out to be the one that limits.
"""

from dataclasses import dataclass, replace

import numpy as np

from service.engine.attribution import Subject, busy_seconds
from service.engine.operating_point import batch_limit
from service.engine.pool_points import PoolPoint, busy_axis
from service.engine.pools import Mask, Plant, at_work_of, state_at
from service.engine.samples import Draws, evaluated, sample_arrivals, scaled
from service.engine.spans import Array

BISECTIONS = 40
FINER = 8
"""Points of a curve for each of the axis, between which a straight line will do."""
MOST_LOAD = 0.999
"""Of a prefill pool that cannot carry its arrivals; the sample is marked as overloaded."""


@dataclass(frozen=True)
class PoolDraws:
    """Draws of both pools; a spread of ``step`` is that of a pool's step time."""

    decode: Draws
    """``first`` is of the time before decoding beyond what the pools' steps take."""
    prefill: Draws


@dataclass(frozen=True)
class PoolSampled:
    """N samples of both pools; arrays (N,), seconds and requests per second of the whole."""

    prefill: Subject
    decode: Subject
    requests_per_second: Array
    prefill_workers: Array
    tpot_seconds: Array
    ttft_seconds: Array
    prefill_working: Array
    """Seconds that prefill workers work for a request."""
    decode_working: Array
    overloaded: Mask


@dataclass(frozen=True)
class _Found:
    """Where each sample works."""

    rate: Array
    seen: Array
    """Batch that a sequence of a decode worker sees."""
    tpot: Array
    ttft: Array
    prefill_workers: Array
    working: Array
    """Seconds that decode workers work for a request."""
    overloaded: Mask


_Factors = tuple[Array, Array, Array]
"""On times of decode steps, of prefill steps, and of what passes before decoding beside."""


def sample_pools(
    plant: Plant, point: PoolPoint, subjects: tuple[Subject, Subject], planned: bool, draws: PoolDraws
) -> PoolSampled:
    """Return samples of an operating point.

    Parameters
    ----------
    plant, point
        The pools and where they work.
    subjects
        What is split in the prefill and in the decode pool.
    planned
        Whether the prefill pool is planned, at the load of the point.
    draws
        Of both pools.
    """
    factors = (
        np.exp(draws.decode.tpot_log_spread * draws.decode.step),
        np.exp(draws.prefill.tpot_log_spread * draws.prefill.step),
        np.exp(draws.decode.ttft_log_spread * draws.decode.first),
    )
    prefilling, decoding = subjects
    if point.limited_by == "arrivals":
        decode, found = _arriving(plant, point, decoding, (draws.decode, factors))
    else:
        found = (_planned if planned else _held)(plant, point, factors)
        load = scaled(decoding.load, draws.decode)
        decode = evaluated(decoding, plant.decode.policy, (load, found.seen, "closed"))
    reaching = found.rate / found.prefill_workers * factors[1]
    load = scaled(prefilling.load, draws.prefill)
    return PoolSampled(
        prefill=replace(prefilling, load=load, state=plant.prefill.state_at(reaching, load)),
        decode=decode,
        requests_per_second=found.rate,
        prefill_workers=found.prefill_workers,
        tpot_seconds=found.tpot,
        ttft_seconds=found.ttft,
        prefill_working=sum(busy_seconds(prefilling)) * factors[1],
        decode_working=found.working,
        overloaded=found.overloaded,
    )


def _before(plant: Plant, rate: Array, workers: Array, factor: Array) -> tuple[Array, Mask]:
    """Return seconds of waiting and prefill where it takes ``factor`` longer, and where it cannot keep up.

    Times that are all longer by a factor are those of as much more work, stretched.
    """
    load = rate / workers * factor / plant.prefill.requests_per_second
    kept = np.minimum(load, MOST_LOAD)
    within = kept * plant.prefill.requests_per_second
    before = plant.prefill.waiting(kept, within, workers) + plant.prefill.seconds_of(within)
    return before * factor, load > MOST_LOAD


def _links(plant: Plant, decode_workers: float) -> float:
    """Return the requests per second that the links of decode workers admit, however fast these are."""
    return decode_workers * plant.received_per_second / plant.decoding_share


def _planned(plant: Plant, point: PoolPoint, factors: _Factors) -> _Found:
    """Hold the decode worker's batch and the prefill pool's load."""
    slower, factor, late = factors
    flow, share = point.flow, plant.decoding_share
    rate = np.minimum(float(flow.rate[0]) / slower, _links(plant, flow.decode_workers))
    workers = rate * factor / (plant.prefill.requests_per_second * float(flow.load[0]))
    before, _ = _before(plant, rate, workers, factor)
    first_step = (float(flow.state.ttft_seconds[0]) + point.queued_seconds) * slower
    return _Found(
        rate=rate,
        seen=np.full(rate.shape, max(float(flow.busy[0]), 1.0)),
        tpot=float(flow.state.tpot_seconds[0]) * slower,
        ttft=(before + share * plant.transfer_seconds) * late + share * first_step,
        prefill_workers=workers,
        working=min(float(flow.busy[0]), 1.0) / rate,
        overloaded=np.zeros(rate.shape, dtype=bool),
    )


def _held(plant: Plant, point: PoolPoint, factors: _Factors) -> _Found:
    """Hold the requests in flight over all workers (D1), on curves between the points of one axis."""
    slower, factor, late = factors
    workers, share = point.workers, plant.decoding_share
    coarse = busy_axis(plant)
    steps = np.linspace(0.0, coarse.size - 1.0, FINER * (coarse.size - 1) + 1)
    axis = np.interp(steps, np.arange(coarse.size), coarse)
    state = state_at(plant, axis, "closed")
    alone = at_work_of(plant, axis, state)
    at_work = workers.decode * alone
    links = _links(plant, workers.decode)
    decoding, rates = at_work * state.concurrency, at_work * state.requests_per_second / share
    place, count = np.arange(axis.size, dtype=np.float64), np.full(slower.shape, workers.prefill)

    def at(where: Array, values: Array) -> Array:
        found: Array = np.interp(where, place, values)
        return found

    def in_flight(where: Array) -> Array:
        rate = np.minimum(at(where, rates) / slower, links)
        before, over = _before(plant, rate, count, factor)
        on_their_way = rate * (before + share * plant.transfer_seconds) * late
        return np.where(over, np.inf, at(where, decoding) + on_their_way)

    low, high = np.zeros(slower.shape), np.full(slower.shape, place[-1])
    for _ in range(BISECTIONS):
        middle = (low + high) / 2.0
        above = in_flight(middle) > point.concurrency
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    # Where a full batch leaves some waiting, the end of the axis is what is found.
    rate, tpot = np.minimum(at(low, rates) / slower, links), at(low, state.tpot_seconds) * slower
    tokens = plant.decode.load.mean_steps * plant.decode.load.tokens_per_step
    return _Found(
        rate=rate,
        seen=np.maximum(at(low, axis), 1.0),
        tpot=tpot,
        # Little's law: what is not decoding is before the first token.
        ttft=point.concurrency / rate - share * tokens * tpot,
        prefill_workers=count,
        working=workers.decode * at(low, alone) / rate,
        overloaded=np.zeros(slower.shape, dtype=bool),
    )


def _arriving(
    plant: Plant, point: PoolPoint, subject: Subject, drawn: tuple[Draws, _Factors]
) -> tuple[Subject, _Found]:
    """Hold the arrivals (equation U5)."""
    draws, (_, factor, late) = drawn
    shape, share = draws.step.shape, plant.decoding_share
    rate, workers = np.full(shape, point.requests_per_second), np.full(shape, point.workers.prefill)
    reaching = point.requests_per_second * share / point.workers.decode
    most, _ = batch_limit(plant.decode, plant.memory)
    sampled = sample_arrivals(subject, plant.decode.policy, draws, (reaching, most))
    before, over = _before(plant, rate, workers, factor)
    first_step = sampled.subject.state.ttft_seconds * sampled.time_factor
    return sampled.subject, _Found(
        rate=rate,
        seen=sampled.subject.state.seen_batch,
        tpot=sampled.tpot_seconds,
        ttft=(before + share * plant.transfer_seconds) * late + share * first_step,
        prefill_workers=workers,
        working=share * sampled.working_seconds,
        overloaded=sampled.overloaded.astype(bool) | over,
    )
