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
    passes = np.maximum(load.mean_uncached / chunk, 1.0)
    cycle = _Cycle(
        others=seen_batch - 1.0,
        decode_steps=steps * layout.pp,
        # Of the prefill server a request takes its share of a full chunk.
        server_steps=load.mean_uncached / room,
        prefill_steps=passes + (layout.pp - 1),
        fill_steps=layout.pp - 1,
        chunks=load.mean_uncached / chunk,
        ranks=layout.attention_dp,
    )
    flow = _closed if population == "closed" else _open
    rate, rho, queued = flow(cycle, load, (step_seconds, decode_total, mixed_total))
    batch = rate * steps * tpot
    # A request that finds the engine busy waits for the step under way.
    waiting = queued + np.minimum(seen_batch - 1.0, 1.0) * step_seconds
    prefill = cycle.prefill_steps * mixed_total
    ttft = waiting + prefill
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
        waiting_seconds=waiting,
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


@dataclass(frozen=True)
class _Cycle:
    """A request's way round the replica, counted in steps of a pipeline stage."""

    others: Array
    """b - 1."""
    decode_steps: float
    server_steps: Array
    """Held of the prefill server of its rank."""
    prefill_steps: Array
    fill_steps: int
    """Of these, those in which a chunk goes on to the next stages."""
    chunks: Array
    ranks: int
    """Attention-DP ranks, each with a prefill server."""


_Seconds = tuple[Array, Array, Array]
"""Of the step that a decoding sequence sees on average, of a decode-only step, of a mixed one."""


def _closed(cycle: _Cycle, load: Load, seconds: _Seconds) -> tuple[Array, Array, Array]:
    """Return (requests/s, load of the prefill server, wait for it) with so many requests in flight.

    Decoding goes on step by step while prompts are prefilled, so the network is one of steps, not of
    seconds: one server beside a delay, in Schweitzer's approximate mean-value analysis. Its fixed point
    is closed: ``Q = (sqrt(B'^2 + 4 rho B' / (1 - rho)) - B') / 2`` (equations B2 and B6). The variance of
    the service enters by the factor of Pollaczek and Khinchine.
    """
    _, plain, mixed = seconds
    turn, server = cycle.decode_steps, cycle.server_steps
    delay = 1.0 + (np.minimum(cycle.others, 1.0) + cycle.prefill_steps - server) / turn
    free = np.maximum(turn - cycle.others * server / cycle.ranks, 0.0)
    batch = cycle.others + free / (free * delay + server)
    rho = np.minimum(batch * server / (turn * cycle.ranks), 1.0)
    share = np.minimum(batch * cycle.chunks / (turn * cycle.ranks), 1.0)
    # A lone request keeps one rank's prefill server busy and fills the stages by itself.
    alone = 1.0 / (1.0 + cycle.others)
    any_rank = 1.0 - (1.0 - share) ** cycle.ranks
    every = plain + (any_rank + alone * (cycle.ranks * share - any_rank)) * (mixed - plain)
    fill = alone * cycle.fill_steps * (mixed - plain)
    held = batch * delay / cycle.ranks
    queue = (np.sqrt(held**2 + 4.0 * rho * held / np.maximum(1.0 - rho, 1e-12)) - held) / 2.0
    behind = np.maximum(queue - rho, 0.0) / np.maximum(rho, 1e-300)
    return batch / (turn * every + batch * fill), rho, behind * server * mixed * _variation(load)


def _open(cycle: _Cycle, load: Load, seconds: _Seconds) -> tuple[Array, Array, Array]:
    """Return the same under Poisson arrivals: M/G/1 (Pollaczek-Khinchine; equation B6)."""
    seen, _, mixed = seconds
    rate = cycle.others / (cycle.decode_steps * seen)
    service = cycle.server_steps * mixed
    rho = np.minimum(rate * service / cycle.ranks, 1.0)
    return rate, rho, rho * service * _variation(load) / np.maximum(1.0 - rho, 1e-12)


def _variation(load: Load) -> float:
    return (1.0 + load.uncached_variation) / 2.0
