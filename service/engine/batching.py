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
from functools import cached_property
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
    steps: StepTimes
    """Of 2 N steps: those that only decode, then those that carry a chunk."""
    step_loads: StepLoad
    """The same of what they carry."""
    step_seconds: Array
    """Mean time of one pipeline stage's step."""
    tpot_seconds: Array
    prefill_utilisation: Array
    """Load of the prefill server of one rank, rho."""
    waiting_seconds: Array
    prefill_seconds: Array
    ttft_seconds: Array

    @cached_property
    def decode(self) -> StepTimes:
        """Steps that only decode."""
        return self.steps.columns(slice(0, self.seen_batch.shape[0]))

    @cached_property
    def mixed(self) -> StepTimes:
        """Steps that carry a chunk."""
        return self.steps.columns(slice(self.seen_batch.shape[0], None))

    @cached_property
    def decode_load(self) -> StepLoad:
        """What a step carries that only decodes."""
        return self.step_loads.columns(slice(0, self.seen_batch.shape[0]))

    @cached_property
    def mixed_load(self) -> StepLoad:
        """What a step carries that has a chunk."""
        return self.step_loads.columns(slice(self.seen_batch.shape[0], None))


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
    others = seen_batch - 1.0
    arriving = others * (load.mean_uncached / (steps * ranks))
    chunk = np.minimum(np.maximum(max(load.mean_uncached, 1e-9), arriving), room)
    share = np.minimum(arriving / chunk, 1.0)
    ranks_at_once = _ranks_at_once(policy, layout.attention_dp, seen_batch)
    mixed_share, carried = _any_rank(share, chunk, (layout.attention_dp, ranks_at_once))
    group = np.maximum(seen_batch / layout.pp, 1.0)
    both = StepLoad(
        np.concatenate((per_rank, per_rank)),
        np.concatenate((np.zeros(chunk.shape), chunk)),
        np.concatenate((group, group + carried)),
    )
    times = step_times(load.coefficients, both)
    decode_total, mixed_total = times.total.reshape(2, -1)
    added = mixed_total - decode_total
    step_seconds = decode_total + mixed_share * added
    chunks = load.mean_uncached / chunk
    cycle = _Cycle(
        others=others,
        company=np.minimum(others, 1.0),
        decode_steps=steps * layout.pp,
        # Of the prefill server a request takes its share of a full chunk.
        server_steps=load.mean_uncached / room,
        prefill_steps=np.maximum(chunks, 1.0) + (layout.pp - 1),
        fill_steps=layout.pp - 1,
        chunks=chunks,
        ranks=layout.attention_dp,
        ranks_at_once=ranks_at_once,
    )
    flow = _closed if population == "closed" else _open
    rate, rho, queued = flow(cycle, load, (step_seconds, decode_total, mixed_total, added))
    # A request that finds the engine busy waits for the step under way.
    waiting = queued + cycle.company * step_seconds
    prefill = cycle.prefill_steps * mixed_total
    ttft = waiting + prefill
    turn_seconds = step_seconds * layout.pp
    batch = rate * turn_seconds * steps
    return SteadyState(
        seen_batch=seen_batch,
        batch=batch,
        concurrency=batch + rate * ttft,
        requests_per_second=rate,
        chunk_tokens=chunk,
        chunk_share=share,
        mixed_share=mixed_share,
        steps=times,
        step_loads=both,
        step_seconds=step_seconds,
        tpot_seconds=turn_seconds / load.tokens_per_step,
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


def _ranks_at_once(policy: EnginePolicy, attention_dp: int, seen_batch: Array) -> Array | None:
    """Ranks that prefill at the same time where the engine aligns them, no more than there are requests."""
    if attention_dp == 1 or not policy.aligns_prefill:
        return None
    return np.clip(seen_batch - 1.0, 1.0, float(attention_dp))


def _any_rank(share: Array, chunk: Array, ranks: tuple[int, Array | None]) -> tuple[Array, Array]:
    """Return (share of steps in which any rank carries a chunk, prefill tokens all ranks carry in one)."""
    attention_dp, at_once = ranks
    if attention_dp == 1:
        return share, chunk
    mixed_share = _share_of_any(share, attention_dp, at_once)
    there = mixed_share > 0
    carriers = np.where(there, attention_dp * share / np.where(there, mixed_share, 1.0), 1.0)
    return mixed_share, chunk * carriers


def _share_of_any(share: Array, ranks: int, at_once: Array | None) -> Array:
    """Return the share of steps in which any rank carries a chunk: ranks are independent, or aligned."""
    if at_once is not None:
        return np.minimum(share * (ranks / at_once), 1.0)
    any_rank: Array = 1.0 - (1.0 - share) ** ranks
    return any_rank


@dataclass(frozen=True)
class _Cycle:
    """A request's way round the replica, counted in steps of a pipeline stage."""

    others: Array
    """b - 1."""
    company: Array
    """Chance that a request finds the engine busy: min(b - 1, 1)."""
    decode_steps: float
    server_steps: Array
    """Held of the prefill server of its rank."""
    prefill_steps: Array
    fill_steps: int
    """Of these, those in which a chunk goes on to the next stages."""
    chunks: Array
    ranks: int
    """Attention-DP ranks, each with a prefill server."""
    ranks_at_once: Array | None
    """Ranks that prefill at the same time; None where each does when it must."""


_Seconds = tuple[Array, Array, Array, Array]
"""Of the step that a decoding sequence sees on average, of a decode-only step, of a mixed one, and what
the latter takes longer."""


def _closed(cycle: _Cycle, load: Load, seconds: _Seconds) -> tuple[Array, Array, Array]:
    """Return (requests/s, load of the prefill server, wait for it) with so many requests in flight.

    Decoding goes on step by step while prompts are prefilled, so the network is one of steps, not of
    seconds: one server beside a delay, in Schweitzer's approximate mean-value analysis. Its fixed point
    is closed: ``Q = (sqrt(B'^2 + 4 rho B' / (1 - rho)) - B') / 2`` (equations B2 and B6). The variance of
    the service enters by the factor of Pollaczek and Khinchine.
    """
    _, plain, mixed, added = seconds
    turn, server = cycle.decode_steps, cycle.server_steps
    in_turns = server / turn
    # Of the prefill server of its rank, while one request decodes.
    load_each = in_turns / cycle.ranks
    delay = 1.0 + (cycle.company + cycle.prefill_steps - server) / turn
    free = np.maximum(1.0 - cycle.others * load_each, 0.0)
    batch = cycle.others + free / (free * delay + in_turns)
    rho = np.minimum(batch * load_each, 1.0)
    held = batch * delay if cycle.ranks == 1 else batch * delay / cycle.ranks
    queue = (np.sqrt(held * (held + 4.0 * rho / np.maximum(1.0 - rho, 1e-12))) - held) / 2.0
    behind = np.maximum(queue - rho, 0.0) / np.maximum(rho, 1e-300)
    rate = batch / _cycle_seconds(cycle, (batch, held, queue), (plain, added))
    return rate, rho, behind * (server * mixed) * _variation(load)


def _cycle_seconds(cycle: _Cycle, present: tuple[Array, Array, Array], seconds: tuple[Array, Array]) -> Array:
    """Return the time in which ``batch`` decoding sequences come round once.

    Parameters
    ----------
    cycle
        A request's way.
    present
        The batch; of one rank, those that decode or are on their way, and those at its prefill server.
    seconds
        Of a decode-only step, and what a chunk adds.
    """
    turn, (batch, held, queue), (plain, added) = cycle.decode_steps, present, seconds
    share = np.minimum(batch * cycle.chunks / (turn * cycle.ranks), 1.0)
    if cycle.ranks == 1 and cycle.fill_steps == 0:
        return turn * (plain + share * added)
    # A lone request, which is all that decodes, prefills, waits or is on its way, keeps one rank's prefill
    # server busy and fills the stages by itself.
    alone = 1.0 / np.maximum((held + queue) * cycle.ranks, 1.0)
    any_rank = _share_of_any(share, cycle.ranks, cycle.ranks_at_once)
    every = plain + (any_rank + alone * (cycle.ranks * share - any_rank)) * added
    return turn * every + batch * (alone * cycle.fill_steps * added)


def _open(cycle: _Cycle, load: Load, seconds: _Seconds) -> tuple[Array, Array, Array]:
    """Return the same under Poisson arrivals: M/G/1 (Pollaczek-Khinchine; equation B6)."""
    seen, _, mixed, _ = seconds
    rate = cycle.others / (cycle.decode_steps * seen)
    service = cycle.server_steps * mixed
    rho = np.minimum(rate * service / cycle.ranks, 1.0)
    return rate, rho, rho * service * _variation(load) / np.maximum(1.0 - rho, 1e-12)


def _variation(load: Load) -> float:
    return (1.0 + load.uncached_variation) / 2.0
