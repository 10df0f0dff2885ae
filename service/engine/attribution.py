"""Who pays for a step: joint time split between token kinds and request classes.

Shapley in the sense of Aumann and Shapley (1974): every token is a player, so the split does not depend
on how tokens are grouped. For a roofline operator ``max(f0 + f x, m0 + m x)`` on x tokens the price of a
token integrates the slope along the diagonal; with ``s* = clip((m0 - f0) / ((f - m) x), 0, 1)`` the
memory part is ``m0 + s* m x`` and the compute part ``(1 - s*) f x`` (equation P1; METHOD 5). Tokens that
an operator treats alike pay alike. Every split returned here sums to 1.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from service.engine.batching import SHORTEST_DECODE_STEPS, SteadyState
from service.engine.load import Load, PrefillWork, attention_of_cached_limit
from service.engine.spans import Array
from service.engine.step import StepLoad, StepTimes, expert_seconds, step_times
from service.engine.tables import (
    ATTENTION_DECODE,
    ATTENTION_PREFILL,
    COLLECTIVES,
    EXPERTS,
    HEAD,
    HOST,
    OPERATORS,
    RECURRENT,
    ROOFLINE_OPERATORS,
    STEP,
    ExpertTable,
    ReplicaTable,
)
from service.engine.workload import Moments

KINDS = ("uncached_input", "cached_input", "output")
UNCACHED, CACHED, OUTPUT = range(3)
RESOURCES = ("compute", "memory", "network", "overhead")
COMPUTE, MEMORY, NETWORK, OVERHEAD = range(4)
KvView = Literal["by_pass", "by_cause"]
_DIAGONAL = np.geomspace(1e-4, 1.0, 48)


@dataclass(frozen=True)
class Attribution:
    """Shares of a replica's time.

    ``shares`` has shape (9 operators, 3 kinds, K classes, 4 resources) and sums to 1.
    """

    shares: Array
    mixed_time_share: float
    """Share of busy time in steps that carry a chunk."""
    decode_parts: Array
    """Seconds of a decode-only step by operator and resource, shape (9, 4)."""
    mixed_parts: Array
    """The same of a step with a chunk."""
    cached_limit_share: float
    """Share of the time per request that one cached token would cost in a mix that has none."""
    plain_by_kind: Array
    """Of ``shares``, what falls on decode-only steps, by kind, shape (3,)."""


@dataclass(frozen=True)
class PhaseIncrements:
    """The two increments of a mixed step (METHOD 5, ``phase``); shares of time by kind, each sums to 1."""

    over_decode: Array
    """Input pays what the chunk adds to the decode step; shape (3,)."""
    over_prefill: Array
    """Output pays what the decodes add to the chunk alone; shape (3,)."""


@dataclass(frozen=True)
class Subject:
    """What is being split: a replica at one operating point (axis length 1)."""

    table: ReplicaTable
    load: Load
    moments: Moments
    state: SteadyState


def attribute(subject: Subject, view: KvView = "by_pass") -> Attribution:
    """Split the replica's time by the Shapley rule.

    Parameters
    ----------
    subject
        The operating point.
    view
        ``by_pass``: the decode step that reads a key pays; ``by_cause``: the token whose key is read
        pays. Same total.
    """
    plain, mixed = busy_seconds(subject)
    weight_mixed = mixed / (plain + mixed)
    decode_parts, mixed_parts = step_parts(subject)
    of_decode, of_mixed = step_shares(subject, view, (decode_parts, mixed_parts, weight_mixed))
    plain_by_kind = np.add.reduce(np.add.reduce(np.add.reduce(of_decode, axis=3), axis=2), axis=0)
    of_mixed += of_decode
    return Attribution(
        shares=of_mixed,
        mixed_time_share=weight_mixed,
        decode_parts=decode_parts,
        mixed_parts=mixed_parts,
        cached_limit_share=_cached_limit(subject, view, (plain, mixed)),
        plain_by_kind=plain_by_kind,
    )


def step_parts(subject: Subject) -> tuple[Array, Array]:
    """Return seconds by operator and resource, (9, 4), of a decode-only step and of one with a chunk."""
    decode, mixed = resource_parts(subject, subject.state.steps, subject.state.step_loads)
    return decode, mixed


def step_shares(subject: Subject, view: KvView, parts: tuple[Array, Array, float]) -> tuple[Array, Array]:
    """Return the shares of the two kinds of step apart, (9, 3, K, 4) each; together they sum to 1.

    Parameters
    ----------
    subject, view
        As :func:`attribute`.
    parts
        Parts of a decode-only and of a mixed step, and the share of busy time in mixed steps.
    """
    decode_parts, mixed_parts, weight_mixed = parts
    decode_weights = decode_parts * ((1.0 - weight_mixed) / decode_parts.sum())
    mixed_weights = mixed_parts * (weight_mixed / mixed_parts.sum())
    return (
        _decode_payers(subject, view)[:, :, :, None] * decode_weights[:, None, None, :],
        _mixed_payers(subject, view)[:, :, :, None] * mixed_weights[:, None, None, :],
    )


def phase_increments(subject: Subject, attribution: Attribution) -> PhaseIncrements:
    """Return both increments; within input, kinds keep their Shapley proportion."""
    state = subject.state
    alone = step_times(
        subject.load.coefficients,
        StepLoad(
            np.zeros_like(state.mixed_load.decode),
            state.mixed_load.chunk,
            state.mixed_load.group - state.decode_load.group,
        ),
    )
    weight_mixed = attribution.mixed_time_share
    mixed_seconds = float(state.mixed.total[0])
    decode_share = min(float(state.decode.total[0]) / mixed_seconds, 1.0)
    prefill_share = min(float(alone.total[0]) / mixed_seconds, 1.0)
    by_kind = attribution.shares.sum(axis=(0, 2, 3))
    inputs = by_kind[:OUTPUT]
    proportion = inputs / inputs.sum() if inputs.sum() > 0 else np.array([1.0, 0.0])
    rows = []
    for input_share in (1.0 - decode_share, prefill_share):
        paid = weight_mixed * input_share
        rows.append(np.array([*(paid * proportion), 1.0 - paid]))
    return PhaseIncrements(rows[0], rows[1])


def busy_seconds(subject: Subject) -> tuple[float, float]:
    """Return seconds per request in (decode-only steps, steps with a chunk) of one replica (equation B8)."""
    state, load, layout = subject.state, subject.load, subject.table.layout
    steps = max(load.mean_steps, SHORTEST_DECODE_STEPS)
    plain = steps * layout.pp * (1.0 - state.mixed_share) * state.decode.total / state.seen_batch
    chunks = load.mean_uncached / state.chunk_tokens
    mixed = chunks * state.mixed.total / _carriers(subject)
    return float(plain[0]), float(mixed[0])


def resource_parts(subject: Subject, times: StepTimes, step: StepLoad) -> Array:
    """Return seconds of steps by operator and resource, shape (N, 9, 4); rows sum to operators' seconds."""
    coefficients = subject.load.coefficients
    compute, memory = times.compute_seconds.T, times.memory_seconds.T
    fixed = coefficients.seconds[:, None, :, STEP]
    if times.batches is not None:
        fixed = fixed * times.batches[:, None]
    fixed_memory = np.minimum(fixed[1], memory)
    fixed_compute = np.minimum(fixed[0], compute)
    rise_memory = memory - fixed_memory
    gap = compute - fixed_compute - rise_memory
    # At a gap of 0 or less memory binds all along the diagonal; attention has no fixed part.
    crossing = np.where(gap > 0, (fixed_memory - fixed_compute) / np.where(gap > 0, gap, 1.0), 1.0)
    part = np.where(crossing < 0, 0.0, fixed_memory + np.minimum(crossing, 1.0) * rise_memory)
    if coefficients.experts is not None:
        for place, group in enumerate(step.group.tolist()):
            ends = float(compute[place, EXPERTS]), float(memory[place, EXPERTS])
            batches = 1.0 if times.batches is None else float(times.batches[place])
            part[place, EXPERTS] = _expert_memory_part(coefficients.experts, (group, batches), ends)
    seconds = times.seconds.T
    parts = np.zeros((*seconds.shape, len(RESOURCES)))
    np.minimum(part, seconds, out=parts[:, :, MEMORY])
    np.subtract(seconds, parts[:, :, MEMORY], out=parts[:, :, COMPUTE])
    parts[:, ROOFLINE_OPERATORS:] = 0.0
    parts[:, COLLECTIVES, NETWORK] = seconds[:, COLLECTIVES]
    parts[:, HOST, OVERHEAD] = seconds[:, HOST]
    return parts


def _expert_memory_part(
    experts: ExpertTable, tokens: tuple[float, float], seconds: tuple[float, float]
) -> float:
    """Memory part of the experts' seconds: their read where FLOP overtake it along the diagonal.

    Both bend with the experts touched, so the crossing is looked up on a log-spaced diagonal.

    Parameters
    ----------
    experts
        What the rank holds.
    tokens
        Of the expert-parallel group, and the micro-batches that they come in.
    seconds
        Compute and memory seconds of the step.
    """
    compute, memory = seconds
    group, batches = tokens
    if memory >= compute:
        return memory
    flop, data = expert_seconds(experts, group / batches * _DIAGONAL)
    waits = np.flatnonzero(data >= flop)
    if waits.size == 0:
        return 0.0
    last = min(int(waits[-1]), _DIAGONAL.shape[0] - 2)
    below, above = np.log(flop[last : last + 2] / data[last : last + 2])
    return batches * float(data[last] + (data[last + 1] - data[last]) * below / (below - above))


def _decode_payers(subject: Subject, view: KvView) -> Array:
    """Return who pays each operator of a decode-only step, shape (9, 3, K); rows sum to 1."""
    moments = subject.moments
    payers = np.zeros((len(OPERATORS), len(KINDS), moments.classes))
    payers[:, OUTPUT] = _decoding(moments)
    payers[ATTENTION_DECODE] = _decode_share(subject, subject.state.decode, view)
    return payers


def _mixed_payers(subject: Subject, view: KvView) -> Array:
    """Return who pays each operator of a step with a chunk, shape (9, 3, K); rows sum to 1."""
    moments, times, step = subject.moments, subject.state.mixed, subject.state.mixed_load
    decode, chunk = float(step.decode[0]), float(step.chunk[0])
    total = decode + chunk
    decoding, prefilling = _decoding(moments), _proportion(moments.uncached)
    payers = np.zeros((len(OPERATORS), len(KINDS), moments.classes))
    payers[:, OUTPUT] = decode / total * decoding
    payers[:, UNCACHED] = chunk / total * prefilling
    # Experts see the tokens of the whole group, on whatever rank they decode.
    group = subject.state.decode_load.group[0] / step.group[0]
    payers[EXPERTS, OUTPUT] = group * decoding
    payers[EXPERTS, UNCACHED] = (1.0 - group) * prefilling
    # Every request's last prompt position and every decode step pass the head for an output token.
    payers[HEAD, UNCACHED] = 0.0
    payers[HEAD, OUTPUT] = _proportion(moments.output)
    if times.seconds[RECURRENT, 0] > 0:
        payers[RECURRENT] = _recurrent_share(times, (decode, chunk), (decoding, prefilling))
    payers[ATTENTION_PREFILL] = _prefill_share(subject, times, chunk)
    payers[ATTENTION_DECODE] = _decode_share(subject, times, view)
    return payers


def _recurrent_share(times: StepTimes, tokens: tuple[float, float], classes: tuple[Array, Array]) -> Array:
    """Compute-bound: by tokens. Memory-bound: by states moved, one for each decode and one for the chunk."""
    decode, chunk = tokens
    if times.memory_seconds[RECURRENT, 0] >= times.compute_seconds[RECURRENT, 0]:
        chunk = min(chunk, 1.0)
    total = max(decode + chunk, 1e-300)
    row = np.zeros((len(KINDS), classes[0].shape[0]))
    row[OUTPUT] = decode / total * classes[0]
    row[UNCACHED] = chunk / total * classes[1]
    return row


def _prefill_share(subject: Subject, times: StepTimes, chunk: float) -> Array:
    row = np.zeros((len(KINDS), subject.moments.classes))
    if chunk <= 0:
        row[UNCACHED] = _proportion(subject.moments.uncached)
        return row
    row[UNCACHED], row[CACHED] = prefill_drivers(subject.load.prefill, times)
    total = float(row.sum())
    if total > 0:
        row /= total
    return row


def prefill_drivers(work: PrefillWork, times: StepTimes) -> tuple[Array, Array]:
    """Return what prefill attention is shared by: work on computed and on cached keys, by class.

    Bytes where the step's prefill attention is bound by memory, FLOP otherwise.
    """
    if prefill_is_memory_bound(times):
        return work.own_bytes, work.cached_bytes
    return work.own_flop, work.cached_flop


def prefill_is_memory_bound(times: StepTimes) -> bool:
    """Whether a step's prefill attention waits for memory."""
    return bool(times.memory_seconds[ATTENTION_PREFILL, 0] > times.compute_seconds[ATTENTION_PREFILL, 0])


def decode_pair_price(table: ReplicaTable, times: StepTimes) -> Array:
    """Return what a pair of each span weighs in a step's decode attention, shape (G,).

    Bytes where it is bound by memory, FLOP otherwise.
    """
    memory = times.memory_seconds[ATTENTION_DECODE, 0] >= times.compute_seconds[ATTENTION_DECODE, 0]
    return table.streams.cache_bytes_per_key if memory else table.streams.flop_per_pair_decode


def decode_drivers(table: ReplicaTable, moments: Moments, times: StepTimes) -> tuple[Array, Array, Array]:
    """Return reads by decode steps of computed prompt, of cached and of output keys, by class."""
    price = decode_pair_price(table, times)
    return (
        price @ moments.decode_pairs_on_uncached,
        price @ moments.decode_pairs_on_cached,
        price @ moments.decode_pairs_on_output,
    )


def _decode_share(subject: Subject, times: StepTimes, view: KvView) -> Array:
    """By pass the decoding token pays; by cause the tokens whose keys it reads."""
    moments, table = subject.moments, subject.table
    row = np.zeros((len(KINDS), moments.classes))
    if view == "by_pass":
        row[OUTPUT] = decode_pair_price(table, times) @ moments.decode_pairs
    else:
        row[UNCACHED], row[CACHED], row[OUTPUT] = decode_drivers(table, moments, times)
    total = float(row.sum())
    if total > 0:
        row /= total
    else:
        row[OUTPUT] = _decoding(moments)
    return row


def _cached_limit(subject: Subject, view: KvView, seconds: tuple[float, float]) -> float:
    """Share of the bill that a prefix of one token would take: the limit of the split as C tends to 0."""
    state, limit = subject.state, subject.moments.cached_limit
    plain, mixed = seconds
    flop, data = attention_of_cached_limit(subject.table, subject.moments)
    rates = subject.table.attention_prefill
    bound = data / rates.bytes_per_second
    if not prefill_is_memory_bound(state.mixed):
        bound = flop / rates.flop_per_second
    share = bound / _carriers(subject) / (plain + mixed)
    if view == "by_pass":
        return share
    for times, weight in ((state.decode, plain), (state.mixed, mixed)):
        price = decode_pair_price(subject.table, times)
        every = float(price @ subject.moments.decode_pairs_mean)
        if every > 0:
            part = float(times.seconds[ATTENTION_DECODE, 0] / times.total[0])
            share += float(price @ limit.decode_pairs) / every * part * weight / (plain + mixed)
    return share


def _carriers(subject: Subject) -> float:
    """Mean number of ranks that carry a chunk in a step that has any."""
    state = subject.state
    return float((state.mixed_load.group - state.decode_load.group)[0] / state.chunk_tokens[0])


def _decoding(moments: Moments) -> Array:
    """Return shares of classes in decoding; where every request yields one token, in those tokens."""
    return _proportion(moments.steps if moments.mean_steps > 0 else moments.output)


def _proportion(values: Array) -> Array:
    total = float(np.add.reduce(values))
    shares: Array = values / total if total > 0 else np.full_like(values, 1.0 / values.size)
    return shares
