"""Engine results as the parts of an answer; arithmetic of presentation only."""

from typing import Literal

import numpy as np

from service.application.answers import Bound, Latency, Memory, OperatorTime
from service.engine.attribution import RESOURCES, Attribution, Subject
from service.engine.batching import SteadyState
from service.engine.memory import MemoryPlan
from service.engine.operating_point import Solved, ttft_quantile
from service.engine.spans import Array
from service.engine.step import step_work
from service.engine.tables import OPERATORS, ROOFLINE_OPERATORS, ReplicaTable
from service.engine.types import Layout

COMPONENTS = {
    "projections": "projections",
    "feed_forward": "feed_forward",
    "head": "head",
    "experts": "experts",
    "attention_prefill": "attention",
    "attention_decode": "attention",
    "recurrent": "attention",
    "collectives": "collectives",
    "host": "host",
}
"""Operator -> component of a rate's breakdown."""


def latency_of(solved: Solved, mean_decode_steps: float, layout: Layout, *, closed: bool) -> Latency:
    """Return the times a user sees; ``closed`` where so many requests are in flight and no more come."""
    state = solved.state
    late = float(ttft_quantile(state, 0.99)[0]) + solved.queued_seconds
    if closed:
        late = min(late, longest_stay(solved.concurrency, float(state.requests_per_second[0])))
    tpot = float(state.tpot_seconds[0])
    ttft = float(state.ttft_seconds[0]) + solved.queued_seconds
    return Latency(
        ttft_seconds=ttft,
        ttft_waiting_seconds=float(state.waiting_seconds[0]) + solved.queued_seconds,
        ttft_prefill_seconds=float(state.prefill_seconds[0]),
        ttft_p99_seconds=max(late, ttft),
        tpot_seconds=tpot,
        inter_token_mixed_step_seconds=float(state.mixed.total[0]) * layout.pp,
        decode_step_seconds=float(state.decode.total[0]) * layout.pp,
        end_to_end_seconds=ttft + mean_decode_steps * tpot,
        interactivity_tokens_per_second=1.0 / tpot,
    )


def longest_stay(in_flight: float, requests_per_second: float) -> float:
    """Return the seconds in which all requests in flight are served.

    The tail of a wait is that of endless arrivals (equation B6); among a fixed number of requests nobody
    waits for more than all others.
    """
    return in_flight / requests_per_second


def bounds_of(subject: Subject, attribution: Attribution) -> tuple[Bound, ...]:
    """Return what limits a decode-only step and one with a chunk."""
    state = subject.state
    flop, data = step_work(subject.load.coefficients, state.step_loads, state.steps.batches)
    flops, moved = np.add.reduce(flop, axis=0).tolist(), np.add.reduce(data, axis=0).tolist()
    return (
        _bound("decode", subject.table, attribution.decode_parts, (flops[0], moved[0])),
        _bound("mixed", subject.table, attribution.mixed_parts, (flops[1], moved[1])),
    )


def _bound(
    step: Literal["decode", "mixed"], table: ReplicaTable, parts: Array, work: tuple[float, float]
) -> Bound:
    by_resource = np.add.reduce(parts, axis=0).tolist()
    seconds = sum(by_resource)
    flop, data = work
    return Bound(
        step=step,
        resource=RESOURCES[by_resource.index(max(by_resource))],
        seconds=seconds,
        share_by_resource={name: value / seconds for name, value in zip(RESOURCES, by_resource, strict=True)},
        mfu=flop / seconds / table.peak_flop_per_second,
        mbu=data / seconds / table.peak_bytes_per_second,
        flop=flop,
        memory_bytes=data,
        flop_per_byte=flop / data if data > 0 else 0.0,
        ridge_flop_per_byte=table.peak_flop_per_second / table.peak_bytes_per_second,
    )


def mean_use(bounds: tuple[Bound, ...], mixed_time_share: float) -> tuple[float, float]:
    """Return (MFU, MBU) over the steady state, weighted by time."""
    decode, mixed = bounds
    rest = 1.0 - mixed_time_share
    return (
        rest * decode.mfu + mixed_time_share * mixed.mfu,
        rest * decode.mbu + mixed_time_share * mixed.mbu,
    )


def memory_of(plan: MemoryPlan) -> Memory:
    """Return the memory plan as stated in an answer."""
    return Memory(
        capacity_bytes=plan.capacity_bytes,
        usable_bytes=plan.usable_bytes,
        weights_bytes=plan.weights_bytes,
        activations_bytes=plan.activations_bytes,
        cache_bytes_per_sequence=plan.cache_bytes_per_sequence,
        cache_bytes=plan.cache_bytes,
        max_batch=plan.max_batch,
    )


def operators_of(state: SteadyState) -> tuple[OperatorTime, ...]:
    """Return the time of each operator class in both kinds of step, and what binds it in a mixed one."""
    decode, mixed = state.decode.seconds[:, 0].tolist(), state.mixed.seconds[:, 0].tolist()
    compute = (state.mixed.compute_seconds[:, 0] >= state.mixed.memory_seconds[:, 0]).tolist()
    bounds = ["compute" if flag else "memory" for flag in compute[:ROOFLINE_OPERATORS]]
    bounds += ["network", "overhead"]
    return tuple(
        OperatorTime(name, COMPONENTS[name], decode[i], mixed[i], bounds[i])
        for i, name in enumerate(OPERATORS)
        if i >= ROOFLINE_OPERATORS or mixed[i] > 0
    )
