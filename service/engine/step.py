"""Time of one engine step, operator by operator (METHOD 2; equations S1 to S7 of docs/equations.md).

What a step carries is a handful of counters (tokens, sequences, chunks); every operator's FLOP, bytes
and seconds are linear in them, so a whole axis of steps is one small matrix product. Only routed experts
bend: how many of them a step touches saturates. An operator takes
``max(FLOP / (peak eta_c), bytes / (bandwidth eta_m))``; collectives and host work add.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from service.engine.spans import Array
from service.engine.tables import (
    CHUNK_PRESENT,
    COLLECTIVES,
    COUNTERS,
    EXPERTS,
    OPERATORS,
    STEP,
    ExpertTable,
    StepCoefficients,
)

_ONE_EACH = np.ones(len(OPERATORS))


@dataclass(frozen=True)
class StepLoad:
    """What steps carry; every array has the same shape (N,)."""

    decode: Array
    """Sequences decoding on the slowest rank."""
    chunk: Array
    """Prefill tokens on the slowest rank; 0 for a pure decode step."""
    group: Array
    """Tokens of the whole expert-parallel group."""

    def counters(self, mean_uncached: float) -> Array:
        """Return the counters of the steps, shape (7, N), in the order of ``tables.COUNTERS``."""
        rows = np.empty((len(COUNTERS), self.decode.shape[0]))
        np.add(self.decode, self.chunk, out=rows[0])
        # The head sees sampled positions only: decodes and the last position of each finished prompt.
        np.add(self.decode, self.chunk / max(mean_uncached, 1e-9), out=rows[1])
        rows[2] = self.decode
        rows[3] = self.chunk
        np.minimum(self.chunk, 1.0, out=rows[4])
        rows[5] = self.group
        rows[6] = 1.0
        return rows

    def columns(self, part: slice) -> "StepLoad":
        """Return some of the steps."""
        return StepLoad(self.decode[part], self.chunk[part], self.group[part])


@dataclass(frozen=True)
class StepTimes:
    """Seconds of steps by operator, arrays of shape (9, N); of one rank."""

    compute_seconds: Array
    memory_seconds: Array
    seconds: Array
    batches: Array | None = None
    """Micro-batches that each step runs as, shape (N,); None where none is ever split."""

    @cached_property
    def total(self) -> Array:
        """Seconds of the step, shape (N,)."""
        total: Array = _ONE_EACH @ self.seconds
        return total

    def columns(self, part: slice) -> "StepTimes":
        """Return some of the steps."""
        batches = None if self.batches is None else self.batches[part]
        return StepTimes(
            self.compute_seconds[:, part], self.memory_seconds[:, part], self.seconds[:, part], batches
        )


def step_times(coefficients: StepCoefficients, step: StepLoad) -> StepTimes:
    """Return the operator times of steps; in two micro-batches where those overlap and are quicker."""
    compute, memory = _streams(coefficients, step, 1.0)
    times = StepTimes(compute, memory, np.maximum(compute, memory))
    if coefficients.overlapped is None:
        return times
    return _quicker(times, _in_two(coefficients, step), step)


def _streams(coefficients: StepCoefficients, step: StepLoad, batches: float) -> tuple[Array, Array]:
    """Return (compute, memory) seconds by operator, (9, N) each, of a step's equal micro-batches together."""
    counters = step.counters(coefficients.mean_uncached)
    if batches > 1.0:
        counters[[CHUNK_PRESENT, STEP]] *= batches
    seconds = coefficients.seconds @ counters
    compute, memory = seconds[0], seconds[1]
    if coefficients.experts is not None:
        group = step.group + coefficients.drafts_per_decode * step.decode
        if batches > 1.0:
            of_one = expert_seconds(coefficients.experts, group / batches)
            compute[EXPERTS], memory[EXPERTS] = batches * of_one[0], batches * of_one[1]
        else:
            compute[EXPERTS], memory[EXPERTS] = expert_seconds(coefficients.experts, group)
    if coefficients.scale is not None:
        rounds = (len(compute), -1, coefficients.scale.shape[2])
        compute = (compute.reshape(rounds) * coefficients.scale[0][:, None]).reshape(compute.shape)
        memory = (memory.reshape(rounds) * coefficients.scale[1][:, None]).reshape(memory.shape)
    return compute, memory


def _in_two(coefficients: StepCoefficients, step: StepLoad) -> StepTimes:
    """Return the times of steps run as two micro-batches, of the collectives what is not hidden (S7).

    What one batch exchanges travels while the other computes, so both take the longer of the two streams.
    """
    compute, memory = _streams(coefficients, step, 2.0)
    seconds = np.maximum(compute, memory)
    exchange = _exchange_seconds(coefficients, step)
    others = seconds[COLLECTIVES] - exchange
    working = _ONE_EACH @ seconds - exchange
    seconds[COLLECTIVES] = others + np.maximum(exchange - working, 0.0)
    compute[COLLECTIVES] = seconds[COLLECTIVES]
    return StepTimes(compute, memory, seconds)


def _exchange_seconds(coefficients: StepCoefficients, step: StepLoad) -> Array:
    """Return seconds in which two micro-batches dispatch and combine, shape (N,)."""
    exchange = coefficients.overlapped
    if exchange is None:
        return np.zeros_like(step.group)
    group = step.group + coefficients.drafts_per_decode * step.decode
    seconds: Array = 2.0 * exchange.latency_seconds + exchange.seconds_per_group_token * group
    if coefficients.scale is not None:
        scale = coefficients.scale[0, COLLECTIVES]
        seconds = (seconds.reshape(-1, scale.shape[0]) * scale).reshape(-1)
    return seconds


def _quicker(whole: StepTimes, halves: StepTimes, step: StepLoad) -> StepTimes:
    """Return each step as it is quicker; one token a rank cannot be halved."""
    split = (halves.total < whole.total) & (step.decode + step.chunk >= 2.0)
    return StepTimes(
        np.where(split, halves.compute_seconds, whole.compute_seconds),
        np.where(split, halves.memory_seconds, whole.memory_seconds),
        np.where(split, halves.seconds, whole.seconds),
        np.where(split, 2.0, 1.0),
    )


def step_work(
    coefficients: StepCoefficients, step: StepLoad, batches: Array | None = None
) -> tuple[Array, Array]:
    """Return (FLOP, bytes) of steps by operator on one rank, shape (9, N) each.

    Parameters
    ----------
    coefficients, step
        As :func:`step_times`.
    batches
        ``StepTimes.batches``: each micro-batch reads the weights again.
    """
    counters = step.counters(coefficients.mean_uncached)
    if batches is not None:
        counters[CHUNK_PRESENT] *= batches
        counters[STEP] *= batches
    work = coefficients.work @ counters
    flop, data = work[0], work[1]
    experts = coefficients.experts
    if experts is not None:
        group = step.group + coefficients.drafts_per_decode * step.decode
        flop[EXPERTS] = (experts.flop_per_token * group).sum(axis=0)
        data[EXPERTS] = (
            expert_bytes(experts, group)
            if batches is None
            else batches * expert_bytes(experts, group / batches)
        )
    return flop, data


def expert_bytes(experts: ExpertTable, group: Array) -> Array:
    """Return bytes that routed experts move on one rank for ``group`` tokens, shape (N,).

    Each of E experts is left alone by n tokens with probability (1 - k / E)^n (METHOD 2).
    """
    touched = 1.0 - experts.miss_probability**group
    data: Array = (experts.weight_bytes * touched + experts.activation_bytes_per_token * group).sum(axis=0)
    return data


def expert_seconds(experts: ExpertTable, group: Array) -> tuple[Array, Array]:
    """Return (compute, memory) seconds of routed experts; the step waits for the fullest rank.

    A GEMM on n tokens runs at n / (n + n_half) of its full rate, n the tokens of one touched expert.
    """
    touched = 1.0 - experts.miss_probability**group
    work = experts.flop_per_token * (group + experts.half_rate_tokens * touched / experts.tokens_per_expert)
    data = experts.weight_bytes * touched + experts.activation_bytes_per_token * group
    return (
        work.sum(axis=0) * (experts.imbalance / experts.flop_per_second),
        data.sum(axis=0) / experts.bytes_per_second,
    )
