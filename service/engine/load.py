"""What a mix asks of a compiled replica: attention work per decode step and per prefill chunk, per rank.

Joins ``ReplicaTable`` (per key, per pair) with ``Moments`` (keys, pairs). Chunk-dependent re-reading of
the cache is kept as reads = a / c + b (equation W5), so that a whole batch axis is one broadcast.
"""

from dataclasses import dataclass

import numpy as np

from service.engine.replica import ReplicaTable
from service.engine.spans import Array
from service.engine.workload import Moments


@dataclass(frozen=True)
class KindWork:
    """FLOP and bytes of attention charged to one kind of token, by class, per request; shape (K,)."""

    flop: Array
    bytes: Array


@dataclass(frozen=True)
class PrefillWork:
    """Attention of the prefill of one request of the mix on one rank, by class, shape (K,)."""

    own_flop: Array
    cached_flop: Array
    own_bytes: Array
    """Of prompts that fit one chunk, plus the constant part of longer ones."""
    own_bytes_times_chunk: Array
    """Divided by the chunk size, tokens."""
    cached_bytes: Array
    cached_bytes_times_chunk: Array
    cached_flop_times_chunk: Array
    """MLA's expansion of prefix keys read again by each chunk."""
    own_flop_times_chunk: Array


@dataclass(frozen=True)
class Load:
    """A mix on a replica."""

    mean_uncached: float
    mean_output: float
    mean_steps: float
    uncached_second_moment: float
    prefill: PrefillWork
    decode_flop_per_step: float
    """Attention FLOP of one decode step of one sequence on one rank."""
    decode_bytes_per_step: float
    cache_bytes_per_sequence: float
    """On one rank; resident mean."""
    reserved_bytes_per_sequence: float
    prompt_bytes: float
    state_bytes_per_sequence: float


def make_load(table: ReplicaTable, moments: Moments) -> Load:
    """Join a replica and a mix."""
    streams = table.streams
    spans = [moments.spans[index] for index in streams.span_index]
    steps = moments.mean_steps
    decode_pairs = np.array([float(span.decode_pairs.sum()) for span in spans])
    per_step = decode_pairs / steps if steps > 0 else np.zeros_like(decode_pairs)
    bytes_per_key = streams.cache_bytes_per_key
    state = table.recurrent.state_bytes_per_sequence
    return Load(
        mean_uncached=moments.mean_uncached,
        mean_output=moments.mean_output,
        mean_steps=steps,
        uncached_second_moment=moments.uncached_second_moment,
        prefill=_prefill_work(table, moments),
        decode_flop_per_step=float(streams.flop_per_pair_decode @ per_step),
        decode_bytes_per_step=float(bytes_per_key @ per_step),
        cache_bytes_per_sequence=_held(bytes_per_key, [s.resident_keys for s in spans]) + state,
        reserved_bytes_per_sequence=_held(bytes_per_key, [s.reserved_keys for s in spans]) + state,
        prompt_bytes=_held(bytes_per_key, [s.prompt_keys for s in spans]) + state,
        state_bytes_per_sequence=state,
    )


def _held(bytes_per_key: Array, keys: list[float]) -> float:
    return float(bytes_per_key @ np.array(keys, dtype=np.float64))


def _prefill_work(table: ReplicaTable, moments: Moments) -> PrefillWork:
    streams = table.streams
    zero = np.zeros(moments.classes)
    sums = [zero] * 8
    for position, index in enumerate(streams.span_index):
        span = moments.spans[index]
        pair = streams.flop_per_pair_prefill[position]
        key = streams.cache_bytes_per_key[position]
        expand = streams.expand_flop_per_key[position]
        a, b = span.chunked_reads_own
        stride = max(table.spans[index].stride, 1)
        # A key is expanded once for its own chunk inside the GEMMs; again for every later chunk.
        again = b - np.where(a > 0, moments.uncached / stride, 0.0)
        sums = [
            old + new
            for old, new in zip(
                sums,
                (
                    span.prefill_pairs_own * pair + again * expand,
                    span.prefill_pairs_cached * pair + span.chunk_reads_cached * expand,
                    (span.chunk_reads_own + b) * key,
                    a * key,
                    span.chunk_reads_cached * key,
                    span.chunked_reads_cached * key,
                    span.chunked_reads_cached * expand,
                    a * expand,
                ),
                strict=True,
            )
        ]
    return PrefillWork(*sums)


def attention_of_cached_limit(table: ReplicaTable, moments: Moments) -> tuple[float, float]:
    """Return (FLOP, bytes) that one cached token would add to one request's prefill on one rank.

    The price of a cached token of a mix that has none: the derivative of the prefill's attention at an
    empty prefix. Its keys are read once per chunk.
    """
    streams = table.streams
    flop = sum(
        float(streams.flop_per_pair_prefill[i]) * moments.spans[index].prefill_pairs_cached_limit
        + float(streams.expand_flop_per_key[i])
        for i, index in enumerate(streams.span_index)
    )
    return flop, float(streams.cache_bytes_per_key.sum())
