"""What a request uses at an operating point, and what the memory that its keys fill is worth.

Amounts are of the whole replica, per request. The price of a resource is what it is paid (its share of
the bill by the Shapley split) over what is used. Memory capacity takes no time; where it limits the
batch it has a shadow price, ``-dC/dM`` (METHOD 5; equation P7), shown beside the rest and never added.
"""

from dataclasses import dataclass, replace

import numpy as np

from service.engine.attribution import Attribution, Subject
from service.engine.batching import Population, steady_state
from service.engine.network import collective_cost
from service.engine.operating_point import Solved
from service.engine.step import StepLoad, step_work
from service.engine.types import Accelerator, Calibration, EnginePolicy, Formats, Layout, ModelWork

STEP = 1e-4
"""Relative step of the batch in the derivative of cost."""


@dataclass(frozen=True, slots=True)
class Wires:
    """Bytes through one accelerator's links."""

    per_rank_token: float
    per_group_token: float


@dataclass(frozen=True, slots=True)
class Used:
    """What the mean request uses, over all accelerators of its replica."""

    flop: float
    memory_bytes: float
    network_bytes: float
    cache_byte_seconds: float
    """Bytes of accelerator memory that its keys fill x seconds held while decoding."""


def wires_of(
    work: ModelWork, accelerator: Accelerator, layout: Layout, formats: Formats, calibration: Calibration
) -> Wires:
    """Return bytes on the links, from the time that collectives would take over links of 1 byte/s."""
    slow = replace(
        accelerator,
        scale_up_bandwidth_bytes_per_second=1.0,
        scale_out_bandwidth_bytes_per_second=1.0,
        scale_up_domain=max(layout.accelerators, 1),
    )
    exact = replace(calibration, scale_up_efficiency=1.0, scale_out_efficiency=1.0)
    cost = collective_cost(work, slow, layout, formats, exact)
    return Wires(cost.seconds_per_rank_token, cost.seconds_per_group_token)


def used_by_request(subject: Subject, attribution: Attribution, wires: Wires) -> Used:
    """Return what the mean request uses.

    Parameters
    ----------
    subject, attribution
        The operating point and its split.
    wires
        Bytes on the links, of one accelerator.
    """
    state, layout = subject.state, subject.table.layout
    seconds = layout.accelerators / float(state.requests_per_second[0])
    share = attribution.mixed_time_share
    totals = np.zeros(3)
    for part, times, load in (
        (1.0 - share, state.decode, state.decode_load),
        (share, state.mixed, state.mixed_load),
    ):
        flop, data = step_work(subject.load.coefficients, load, times.batches)
        moved = _link_bytes(load, wires)
        totals += part / float(times.total[0]) * np.array([float(flop.sum()), float(data.sum()), moved])
    flop_rate, byte_rate, link_rate = (totals * seconds).tolist()
    held = subject.load.cache_bytes_per_sequence * layout.accelerators / layout.attention_dp
    decoding = subject.load.mean_steps * subject.load.tokens_per_step * float(state.tpot_seconds[0])
    return Used(flop_rate, byte_rate, link_rate, held * decoding)


def _link_bytes(load: StepLoad, wires: Wires) -> float:
    rank = float((load.decode + load.chunk)[0])
    return rank * wires.per_rank_token + float(load.group[0]) * wires.per_group_token


def cost_elasticity_of_batch(subject: Subject, policy: EnginePolicy, population: Population) -> float:
    """Return d ln(cost per request) / d ln(batch), towards smaller batches; negative where batching pays."""
    seen = float(subject.state.seen_batch[0])
    axis = np.array([seen, 1.0 + (seen - 1.0) * (1.0 - STEP)])
    state = steady_state(subject.table, subject.load, policy, axis, population)
    cost, batch = -np.log(state.requests_per_second), np.log(state.batch)
    rise = float(batch[0] - batch[1])
    return float(cost[0] - cost[1]) / rise if rise > 0 else 0.0


def cache_shadow_price(solved: Solved, elasticity: float, replica_cost_per_second: float) -> float:
    """Return what a byte of cache is worth for a second, money per byte-second of accelerator memory.

    The batch is in proportion to the bytes left for the cache, so ``-dC/dM = -e C / M`` per accelerator.

    Parameters
    ----------
    solved
        The operating point; 0 where memory does not limit it.
    elasticity
        e of :func:`cost_elasticity_of_batch`.
    replica_cost_per_second
        Over the accelerators of the replica: C x requests per second.
    """
    if solved.limited_by != "memory":
        return 0.0
    return max(-elasticity, 0.0) * replica_cost_per_second / solved.memory.cache_bytes
