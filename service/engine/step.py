"""Time of one engine step, operator by operator (METHOD 2; equations S1 to S6 of docs/equations.md).

A step carries ``decode`` sequences and ``chunk`` prefill tokens on the rank that the others wait for,
and ``group`` tokens over the expert-parallel group. Every operator takes
``max(FLOP / (peak eta_c), bytes / (bandwidth eta_m))``; collectives and host work add.
"""

from dataclasses import dataclass

import numpy as np

from service.engine.load import Load
from service.engine.replica import ReplicaTable
from service.engine.spans import Array

OPERATORS = (
    "projections",
    "feed_forward",
    "head",
    "experts",
    "attention_prefill",
    "attention_decode",
    "recurrent",
    "collectives",
    "host",
)
"""Order of the first axis of every step array."""
(
    PROJECTIONS,
    FEED_FORWARD,
    HEAD,
    EXPERTS,
    ATTENTION_PREFILL,
    ATTENTION_DECODE,
    RECURRENT,
    COLLECTIVES,
    HOST,
) = range(9)
ROOFLINE_OPERATORS = 7


@dataclass(frozen=True)
class StepLoad:
    """What steps carry; every array has the same shape (N,)."""

    decode: Array
    """Sequences decoding on the slowest rank."""
    chunk: Array
    """Prefill tokens on the slowest rank; 0 for a pure decode step."""
    group: Array
    """Tokens of the whole expert-parallel group."""


@dataclass(frozen=True)
class StepTimes:
    """Operators of steps; arrays of shape (9, N) or, for work and rooflines, (7, N)."""

    flop: Array
    """Of one rank."""
    bytes: Array
    fixed_bytes: Array
    """Bytes read whatever the tokens: weights (experts: at these tokens)."""
    compute_seconds: Array
    memory_seconds: Array
    seconds: Array
    """Per operator; the last two are collectives and host."""

    @property
    def total(self) -> Array:
        """Seconds of the step, shape (N,)."""
        total: Array = self.seconds.sum(axis=0)
        return total


def step_times(table: ReplicaTable, load: Load, step: StepLoad) -> StepTimes:
    """Return the operator times of steps."""
    count = step.decode.shape[0]
    flop = np.zeros((ROOFLINE_OPERATORS, count))
    data = np.zeros((ROOFLINE_OPERATORS, count))
    fixed = np.zeros((ROOFLINE_OPERATORS, count))
    compute = np.zeros((ROOFLINE_OPERATORS, count))
    memory = np.zeros((ROOFLINE_OPERATORS, count))
    tokens = gemm_tokens(load, step)
    gemm = table.gemm
    flop[:3] = gemm.flop_per_token * tokens
    # Weights are read once a step, also by a step whose head samples nothing (T > 0 is rare but free).
    fixed[:3] = gemm.weight_bytes * np.minimum(tokens, 1.0)
    data[:3] = fixed[:3] + gemm.activation_bytes_per_token * tokens
    compute[:3] = (
        gemm.flop_per_token
        * (tokens + gemm.half_rate_tokens * np.minimum(tokens, 1.0))
        / gemm.flop_per_second
    )
    memory[:3] = data[:3] / gemm.bytes_per_second
    if table.experts is not None:
        _expert_rows(table, step, (flop, data, fixed, compute, memory))
    _attention_rows(table, load, step, (flop, data, compute, memory))
    _recurrent_row(table, load, step, (flop, data, compute, memory))
    seconds = np.empty((len(OPERATORS), count))
    np.maximum(compute, memory, out=seconds[:ROOFLINE_OPERATORS])
    network = table.collectives
    seconds[COLLECTIVES] = (
        network.latency_seconds
        + network.seconds_per_rank_token * tokens[0]
        + network.seconds_per_group_token * step.group
    )
    seconds[HOST] = table.launch_seconds + table.host_seconds + table.host_seconds_per_sequence * step.decode
    return StepTimes(flop, data, fixed, compute, memory, seconds)


def gemm_tokens(load: Load, step: StepLoad) -> Array:
    """Return tokens through projections, feed-forward and head, shape (3, N)."""
    tokens = step.decode + step.chunk
    # The head sees sampled positions only: decodes and the last position of each finished prompt.
    finished = step.chunk / load.mean_uncached if load.mean_uncached > 0 else np.zeros_like(step.chunk)
    return np.stack((tokens, tokens, step.decode + finished))


def expert_bytes(table: ReplicaTable, group: Array) -> tuple[Array, Array]:
    """Return (expert weight bytes touched, activation bytes) on one rank for ``group`` tokens.

    Each of E experts is left alone by n tokens with probability (1 - k / E)^n (METHOD 2).
    """
    experts = table.experts
    if experts is None:
        return np.zeros_like(group), np.zeros_like(group)
    touched = 1.0 - experts.miss_probability**group
    weights: Array = (experts.weight_bytes * touched).sum(axis=0)
    activations: Array = (experts.activation_bytes_per_token * group).sum(axis=0)
    return weights, activations


def _expert_rows(table: ReplicaTable, step: StepLoad, rows: tuple[Array, Array, Array, Array, Array]) -> None:
    flop, data, fixed, compute, memory = rows
    experts = table.experts
    if experts is None:
        return
    weights, activations = expert_bytes(table, step.group)
    # The step waits for the fullest rank; with few tokens per rank one more copy weighs more.
    flop[EXPERTS] = (experts.flop_per_token * step.group).sum(axis=0)
    fixed[EXPERTS] = weights
    data[EXPERTS] = weights + activations
    touched = 1.0 - experts.miss_probability ** np.maximum(step.group, 1e-12)
    per_expert = experts.tokens_per_expert * step.group / touched
    slowdown = 1.0 + experts.half_rate_tokens / np.maximum(per_expert, 1e-12)
    compute[EXPERTS] = (
        (experts.flop_per_token * step.group * slowdown).sum(axis=0)
        * experts.imbalance
        / experts.flop_per_second
    )
    memory[EXPERTS] = data[EXPERTS] / experts.bytes_per_second


def _attention_rows(
    table: ReplicaTable, load: Load, step: StepLoad, rows: tuple[Array, Array, Array, Array]
) -> None:
    flop, data, compute, memory = rows
    prefill_flop, prefill_bytes = prefill_attention(load, step.chunk)
    flop[ATTENTION_PREFILL], data[ATTENTION_PREFILL] = prefill_flop, prefill_bytes
    flop[ATTENTION_DECODE] = load.decode_flop_per_step * step.decode
    data[ATTENTION_DECODE] = load.decode_bytes_per_step * step.decode
    for row, (peak_flop, bandwidth) in (
        (ATTENTION_PREFILL, table.attention_prefill),
        (ATTENTION_DECODE, table.attention_decode),
    ):
        compute[row] = flop[row] / peak_flop
        memory[row] = data[row] / bandwidth


def prefill_attention(load: Load, chunk: Array) -> tuple[Array, Array]:
    """Return (FLOP, bytes) of attention of one prefill chunk on one rank.

    ``chunk / E[U]`` requests' worth of prefill passes in the step (equations W4, W5).
    """
    if load.mean_uncached <= 0:
        return np.zeros_like(chunk), np.zeros_like(chunk)
    work = load.prefill
    share = chunk / load.mean_uncached
    again = share / np.maximum(chunk, 1e-12)
    flop = share * float((work.own_flop + work.cached_flop).sum()) + again * float(
        (work.own_flop_times_chunk + work.cached_flop_times_chunk).sum()
    )
    data = share * float((work.own_bytes + work.cached_bytes).sum()) + again * float(
        (work.own_bytes_times_chunk + work.cached_bytes_times_chunk).sum()
    )
    return flop, data


def _recurrent_row(
    table: ReplicaTable, load: Load, step: StepLoad, rows: tuple[Array, Array, Array, Array]
) -> None:
    flop, data, compute, memory = rows
    work = table.recurrent
    if work.flop_per_token <= 0:
        return
    flop[RECURRENT] = work.flop_per_token * (step.decode + step.chunk)
    # Read and written by every decode step, and once by a chunk.
    data[RECURRENT] = 2.0 * work.state_bytes_per_sequence * (step.decode + np.minimum(step.chunk, 1.0))
    compute[RECURRENT] = flop[RECURRENT] / table.recurrent_rates[0]
    memory[RECURRENT] = data[RECURRENT] / table.recurrent_rates[1]
