"""Who pays, by kind of token alone, at many operating points of one mix at once.

The same split as ``attribution``, without classes and resources: an operator's seconds go to kinds in
proportions that do not depend on what binds it, except where attention goes by bytes or by FLOP. One
array axis of states, so that samples of an uncertain replica cost one call (equations P1 to P3).
"""

import numpy as np

from service.engine.attribution import CACHED, KINDS, OUTPUT, UNCACHED, KvView, Subject
from service.engine.batching import SHORTEST_DECODE_STEPS
from service.engine.spans import Array
from service.engine.step import StepTimes
from service.engine.tables import (
    ATTENTION_DECODE,
    ATTENTION_PREFILL,
    EXPERTS,
    HEAD,
    OPERATORS,
    RECURRENT,
)


def busy_seconds_of(subject: Subject) -> tuple[Array, Array]:
    """Return seconds per request in (decode-only steps, steps with a chunk) at every state (equation B8)."""
    state, load = subject.state, subject.load
    steps = max(load.mean_steps, SHORTEST_DECODE_STEPS) * subject.table.layout.pp
    plain: Array = steps * (1.0 - state.mixed_share) * state.decode.total / state.seen_batch
    # Chunks of a request over those that ranks carry together in one step.
    carried = state.mixed_load.group - state.decode_load.group
    mixed: Array = load.mean_uncached / carried * state.mixed.total
    return plain, mixed


def kind_shares(subject: Subject, view: KvView) -> tuple[Array, Array]:
    """Return shares of busy time by kind, (3, N) each, in decode-only steps and in steps with a chunk.

    Both together sum to 1 at every state.

    Parameters
    ----------
    subject
        A replica and a mix at N states.
    view
        Who pays for a read of the cache, as ``attribution.attribute``.
    """
    plain, mixed = busy_seconds_of(subject)
    weight = mixed / (plain + mixed)
    state = subject.state
    of_plain = _paid(_decode_payers(subject, view), state.decode)
    of_mixed = _paid(_mixed_payers(subject, view), state.mixed)
    return of_plain * (1.0 - weight), of_mixed * weight


def phase_shares(subject: Subject, shares: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return the same under the rule ``phase``: of a mixed step input pays what the chunk adds (P2).

    Parameters
    ----------
    subject
        As :func:`kind_shares`.
    shares
        By the Shapley rule; kinds of input keep their proportion.
    """
    plain, mixed = busy_seconds_of(subject)
    weight = mixed / (plain + mixed)
    state = subject.state
    added = weight * (1.0 - np.minimum(state.decode.total / state.mixed.total, 1.0))
    inputs = (shares[0] + shares[1])[:OUTPUT]
    total = np.add.reduce(inputs, axis=0)
    even = np.array([[1.0], [0.0]])
    proportion = np.where(total > 0, inputs / np.where(total > 0, total, 1.0), even)
    of_plain, of_mixed = np.zeros_like(shares[0]), np.zeros_like(shares[1])
    of_mixed[:OUTPUT] = added * proportion
    of_mixed[OUTPUT] = weight - added
    of_plain[OUTPUT] = 1.0 - weight
    return of_plain, of_mixed


def _paid(payers: Array, times: StepTimes) -> Array:
    """Return shares of a step by kind, (3, N), from who pays each operator, (9, 3, N)."""
    paid: Array = np.add.reduce(payers * times.seconds[:, None, :], axis=0) / times.total
    return paid


def _decode_payers(subject: Subject, view: KvView) -> Array:
    times = subject.state.decode
    payers = np.zeros((len(OPERATORS), len(KINDS), times.total.shape[0]))
    payers[:, OUTPUT] = 1.0
    payers[ATTENTION_DECODE] = _decode_readers(subject, times, view)
    return payers


def _mixed_payers(subject: Subject, view: KvView) -> Array:
    state = subject.state
    decode, chunk = state.mixed_load.decode, state.mixed_load.chunk
    payers = np.zeros((len(OPERATORS), len(KINDS), decode.shape[0]))
    payers[:, OUTPUT] = decode / (decode + chunk)
    payers[:, UNCACHED] = chunk / (decode + chunk)
    # Experts see the tokens of the whole group, on whatever rank they decode.
    payers[EXPERTS, OUTPUT] = state.decode_load.group / state.mixed_load.group
    payers[EXPERTS, UNCACHED] = 1.0 - payers[EXPERTS, OUTPUT]
    payers[HEAD, OUTPUT], payers[HEAD, UNCACHED] = 1.0, 0.0
    # Recurrent: by states moved where memory binds, one for each decode and one for the chunk.
    waits = state.mixed.memory_seconds[RECURRENT] >= state.mixed.compute_seconds[RECURRENT]
    states = np.where(waits, np.minimum(chunk, 1.0), chunk)
    payers[RECURRENT, OUTPUT] = decode / np.maximum(decode + states, 1e-300)
    payers[RECURRENT, UNCACHED] = states / np.maximum(decode + states, 1e-300)
    payers[ATTENTION_PREFILL] = _prefill_payers(subject)
    payers[ATTENTION_DECODE] = _decode_readers(subject, state.mixed, view)
    return payers


def _prefill_payers(subject: Subject) -> Array:
    times, work = subject.state.mixed, subject.load.prefill
    waits = times.memory_seconds[ATTENTION_PREFILL] > times.compute_seconds[ATTENTION_PREFILL]
    by_bytes = _row(work.own_bytes.sum(), work.cached_bytes.sum(), 0.0)
    by_flop = _row(work.own_flop.sum(), work.cached_flop.sum(), 0.0)
    payers: Array = np.where(waits, by_bytes, by_flop)
    payers[:, subject.state.mixed_load.chunk <= 0] = _row(1.0, 0.0, 0.0)
    return payers


def _decode_readers(subject: Subject, times: StepTimes, view: KvView) -> Array:
    """By pass the decoding token pays; by cause the tokens whose keys it reads."""
    count = times.total.shape[0]
    if view == "by_pass":
        return np.broadcast_to(_row(0.0, 0.0, 1.0), (len(KINDS), count))
    waits = times.memory_seconds[ATTENTION_DECODE] >= times.compute_seconds[ATTENTION_DECODE]
    streams, moments = subject.table.streams, subject.moments
    pairs = (
        moments.decode_pairs_on_uncached,
        moments.decode_pairs_on_cached,
        moments.decode_pairs_on_output,
    )
    by_bytes, by_flop = (
        _row(*(float((price @ rows).sum()) for rows in pairs))
        for price in (streams.cache_bytes_per_key, streams.flop_per_pair_decode)
    )
    readers: Array = np.where(waits, by_bytes, by_flop)
    return readers


def _row(uncached: float, cached: float, output: float) -> Array:
    """Return shares as a column, all of it output's where there is nothing to share."""
    column = np.zeros((len(KINDS), 1))
    column[UNCACHED], column[CACHED], column[OUTPUT] = uncached, cached, output
    total = column.sum()
    if total <= 0:
        column[OUTPUT] = 1.0
        return column
    shares: Array = column / total
    return shares
