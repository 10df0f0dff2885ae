"""Continuous batching in steady state, over a whole axis of batch sizes at once.

Decode sequences and prefill chunks share steps (METHOD 3). A share q of steps carries a chunk, so the
mean step is ``(1 - q) step(b, 0) + q step(b, c)``, never ``step`` at the mean prefill: a roofline is
convex and prefill would hide under the weight read. Short prompts that arrive faster than one a step
share a chunk, up to the token budget. Equations B1 to B8 of docs/equations.md.

The axis is b, the batch that a decoding sequence sees, itself included. By the arrival theorem of
closed queueing networks (Reiser and Lavenberg 1980) it relates to the mean batch B as
``b = 1 + B (C - 1) / C`` with C requests in flight, and as ``b = 1 + B`` under open arrivals.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from service.engine.load import Load
from service.engine.spans import Array
from service.engine.step import StepLoad, StepTimes, step_times
from service.engine.tables import ReplicaTable
from service.engine.types import EnginePolicy

Population = Literal["closed", "open"]
SHORTEST_DECODE_STEPS = 1e-4
"""Stands for zero decode steps (every request yields one token), so that ratios stay finite."""


@dataclass(frozen=True)
class SteadyState:
    """One replica at every point of the axis; all arrays (N,), times in seconds."""

    seen_batch: Array
    batch: Array
    """Mean sequences decoding in the replica."""
    concurrency: Array
    """Requests in flight: decoding, prefilling and waiting."""
    requests_per_second: Array
    chunk_tokens: Array
    """Prefill tokens a chunk carries on its rank."""
    chunk_share: Array
    """Share of a rank's steps that carry a chunk of its own."""
    mixed_share: Array
    """Share of steps in which some rank carries a chunk."""
    decode: StepTimes
    mixed: StepTimes
    mixed_load: StepLoad
    decode_load: StepLoad
    step_seconds: Array
    """Mean time of one pipeline stage's step."""
    tpot_seconds: Array
    prefill_utilisation: Array
    """Load of the prefill server of one rank, rho."""
    waiting_seconds: Array
    prefill_seconds: Array
    ttft_seconds: Array


def steady_state(
    table: ReplicaTable, load: Load, policy: EnginePolicy, seen_batch: Array, population: Population
) -> SteadyState:
    """Return the steady state for a batch axis.

    Parameters
    ----------
    table, load
        The replica and the mix on it.
    policy
        Token budget of the serving engine.
    seen_batch
        b, shape (N,), >= 1.
    population
        ``closed``: a fixed number of requests in flight; ``open``: Poisson arrivals.
    """
    layout = table.layout
    ranks = layout.attention_dp * layout.pp
    steps = max(load.mean_steps, SHORTEST_DECODE_STEPS)
    per_rank = np.maximum(seen_batch / ranks, 1.0)
    room = token_room(load, policy, per_rank)
    arriving = (seen_batch - 1.0) * load.mean_uncached / (steps * ranks)
    chunk = np.minimum(np.maximum(max(load.mean_uncached, 1e-9), arriving), room)
    share = np.minimum(arriving / chunk, 1.0)
    mixed_share, carried = _any_rank(share, chunk, layout.attention_dp)
    group = np.maximum(seen_batch / layout.pp, 1.0)
    decode_load = StepLoad(per_rank, np.zeros_like(chunk), group)
    mixed_load = StepLoad(per_rank, chunk, group + carried)
    decode, mixed = _both(load, decode_load, mixed_load)
    decode_total, mixed_total = decode.total, mixed.total
    step_seconds = decode_total + mixed_share * (mixed_total - decode_total)
    tpot = step_seconds * layout.pp
    service = np.maximum(load.mean_uncached / chunk, 1.0) * mixed_total
    fill = (layout.pp - 1) * mixed_total
    # A request that finds the engine busy waits for the step under way.
    under_way = np.minimum(seen_batch - 1.0, 1.0) * step_seconds
    # Of the prefill server a request takes its share of a full chunk; the rest of its time just passes.
    server = load.mean_uncached / room * mixed_total
    decoding = steps * tpot
    delay = 1.0 + (under_way + fill + service - server) / decoding
    batch = seen_batch - 1.0
    if population == "closed":
        free = np.maximum(decoding - batch * server / layout.attention_dp, 0.0)
        batch = batch + free / (free * delay + server)
    rate = batch / decoding
    rho = np.minimum(rate * server / layout.attention_dp, 1.0)
    waiting = _waiting(load, (batch * delay / layout.attention_dp, rho, server), population)
    prefill = service + fill
    ttft = waiting + under_way + prefill
    return SteadyState(
        seen_batch=seen_batch,
        batch=batch,
        concurrency=batch + rate * ttft,
        requests_per_second=rate,
        chunk_tokens=chunk,
        chunk_share=share,
        mixed_share=mixed_share,
        decode=decode,
        mixed=mixed,
        mixed_load=mixed_load,
        decode_load=decode_load,
        step_seconds=step_seconds,
        tpot_seconds=tpot,
        prefill_utilisation=rho,
        waiting_seconds=waiting + under_way,
        prefill_seconds=prefill,
        ttft_seconds=ttft,
    )


def token_room(load: Load, policy: EnginePolicy, decode_per_rank: Array) -> Array:
    """Return the most prefill tokens of one step: token budget - B, at least one token (METHOD 3)."""
    least = load.mean_uncached if policy.token_budget_covers_prompt else 1.0
    return np.maximum(policy.token_budget - decode_per_rank, max(least, 1e-9))


def prefill_limit(table: ReplicaTable, load: Load, policy: EnginePolicy) -> float:
    """Return the seen batch at which every step carries all that fits (q = 1 at c = room; equation B4)."""
    if load.mean_uncached <= 0:
        return float("inf")
    ranks = table.layout.attention_dp * table.layout.pp
    steps = max(load.mean_steps, SHORTEST_DECODE_STEPS)
    # The room budget - b / ranks shrinks as b grows: (b - 1) E[U] = steps (ranks budget - b); with fewer
    # sequences than ranks the slowest rank still has one.
    shrinking = (load.mean_uncached + steps * ranks * policy.token_budget) / (load.mean_uncached + steps)
    least = load.mean_uncached if policy.token_budget_covers_prompt else 1.0
    full, fewest = (
        1.0 + steps * ranks * room / load.mean_uncached for room in (policy.token_budget - 1, least)
    )
    return max(min(shrinking, full), fewest)


def _any_rank(share: Array, chunk: Array, attention_dp: int) -> tuple[Array, Array]:
    """Return (share of steps in which any rank carries a chunk, prefill tokens all ranks carry in one)."""
    if attention_dp == 1:
        return share, chunk
    mixed_share = 1.0 - (1.0 - share) ** attention_dp
    there = mixed_share > 0
    carriers = np.where(there, attention_dp * share / np.where(there, mixed_share, 1.0), 1.0)
    return mixed_share, chunk * carriers


def _both(load: Load, decode: StepLoad, mixed: StepLoad) -> tuple[StepTimes, StepTimes]:
    """Evaluate decode-only and mixed steps in one call."""
    count = decode.decode.shape[0]
    joined = step_times(
        load.coefficients,
        StepLoad(
            np.concatenate((decode.decode, mixed.decode)),
            np.concatenate((decode.chunk, mixed.chunk)),
            np.concatenate((decode.group, mixed.group)),
        ),
    )
    return joined.columns(slice(0, count)), joined.columns(slice(count, None))


def _waiting(load: Load, server: tuple[Array, Array, Array], population: Population) -> Array:
    """Mean wait for the prefill server, seconds.

    Open: M/G/1 (Pollaczek-Khinchine). Closed: mean-value analysis of a single server beside a delay
    station holding B, whose fixed point has the closed form
    ``Q = (sqrt(B^2 + 4 rho B / (1 - rho)) - B) / 2`` (equation B6); the service variance enters by the
    same factor (1 + cv^2) / 2 as in Pollaczek-Khinchine.
    """
    batch, rho, service = server
    factor = (1.0 + load.uncached_variation) / 2.0
    idle = np.maximum(1.0 - rho, 1e-12)
    if population == "open":
        return rho * service * factor / idle
    queue = (np.sqrt(batch**2 + 4.0 * rho * batch / idle) - batch) / 2.0
    behind = np.maximum(queue - rho, 0.0) / np.maximum(rho, 1e-300)
    return behind * service * factor
