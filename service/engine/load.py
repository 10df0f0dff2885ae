"""What a mix asks of a compiled replica: attention work per decode step and per prefill chunk, per rank.

Joins ``ReplicaTable`` (per key, per pair) with ``Moments`` (keys, pairs). The prefill attention of the mean
request is spread evenly over its computed tokens, so it is linear in a chunk's tokens.
"""

from dataclasses import dataclass

from service.engine.spans import Array
from service.engine.tables import (
    ATTENTION_DECODE,
    ATTENTION_PREFILL,
    CHUNK,
    DECODE,
    ReplicaTable,
    StepCoefficients,
)
from service.engine.workload import Moments


@dataclass(frozen=True)
class PrefillWork:
    """Attention of the prefill of one request of the mix on one rank, by class, shape (K,)."""

    own_flop: Array
    """Pairs of computed tokens, and MLA's expansion of a prompt's earlier keys again by later chunks."""
    own_bytes: Array
    cached_flop: Array
    cached_bytes: Array


@dataclass(frozen=True)
class Load:
    """A mix on a replica."""

    coefficients: StepCoefficients
    mean_uncached: float
    mean_steps: float
    """Decode steps of a request."""
    uncached_variation: float
    """Squared coefficient of variation of U."""
    prefill: PrefillWork
    cache_bytes_per_sequence: float
    """On one rank; mean of a decoding sequence."""
    reserved_bytes_per_sequence: float
    """On one rank, where a request's whole length is reserved at admission."""
    prompt_bytes: float
    """On one rank, of a prompt being prefilled."""
    tokens_per_step: float = 1.0
    """Output tokens that a sequence gets from one step; above 1 under speculation."""


def make_load(table: ReplicaTable, moments: Moments) -> Load:
    """Join a replica and a mix."""
    streams = table.streams
    bytes_per_key = streams.cache_bytes_per_key
    steps = moments.mean_steps
    prefill = _prefill_work(table, moments)
    held = (moments.held_keys @ bytes_per_key + table.state_bytes_per_sequence).tolist()
    decode_flop = decode_bytes = 0.0
    if steps > 0:
        pairs = moments.decode_pairs_mean
        decode_flop = float(streams.flop_per_pair_decode @ pairs) / steps
        decode_bytes = float(bytes_per_key @ pairs) / steps
    return Load(
        coefficients=_coefficients(table, moments, prefill, (decode_flop, decode_bytes)),
        mean_uncached=moments.mean_uncached,
        mean_steps=steps,
        uncached_variation=moments.uncached_variation,
        prefill=prefill,
        cache_bytes_per_sequence=held[0],
        reserved_bytes_per_sequence=held[1],
        prompt_bytes=held[2],
    )


def _coefficients(
    table: ReplicaTable, moments: Moments, prefill: PrefillWork, decode: tuple[float, float]
) -> StepCoefficients:
    """Fill the attention rows of a replica's matrices."""
    work, seconds = table.work.copy(), table.seconds.copy()
    requests = 1.0 / moments.mean_uncached if moments.mean_uncached > 0 else 0.0
    rows = (
        (ATTENTION_PREFILL, CHUNK, _total(prefill.own_flop, prefill.cached_flop) * requests,
         _total(prefill.own_bytes, prefill.cached_bytes) * requests, table.attention_prefill),
        (ATTENTION_DECODE, DECODE, decode[0], decode[1], table.attention_decode),
    )  # fmt: skip
    for operator, counter, flop, data, rates in rows:
        work[0, operator, counter] = flop
        work[1, operator, counter] = data
        seconds[0, operator, counter] = flop / rates.flop_per_second
        seconds[1, operator, counter] = data / rates.bytes_per_second
    overlapped = table.exchange if table.overlaps else None
    return StepCoefficients(work, seconds, table.experts, moments.mean_uncached, overlapped=overlapped)


def _total(*parts: Array) -> float:
    return float(sum(part.sum() for part in parts))


def _prefill_work(table: ReplicaTable, moments: Moments) -> PrefillWork:
    streams = table.streams
    pair, key, expand = (
        streams.flop_per_pair_prefill,
        streams.cache_bytes_per_key,
        streams.expand_flop_per_key,
    )
    own_reads, cached_reads = moments.chunk_reads_own, moments.chunk_reads_cached
    # A computed key is expanded inside the GEMMs by its own chunk; only re-reads expand it again.
    return PrefillWork(
        own_flop=pair @ moments.prefill_pairs_own + expand @ (own_reads - moments.new_keys),
        own_bytes=key @ own_reads,
        cached_flop=pair @ moments.prefill_pairs_cached + expand @ cached_reads,
        cached_bytes=key @ cached_reads,
    )


def attention_of_cached_limit(table: ReplicaTable, moments: Moments) -> tuple[float, float]:
    """Return (FLOP, bytes) that one cached token would add to one request's prefill on one rank.

    The price of a cached token of a mix that has none: the derivative of the prefill's attention at an
    empty prefix.
    """
    streams, limit = table.streams, moments.cached_limit
    reads = limit.chunk_reads
    flop = streams.flop_per_pair_prefill @ limit.prefill_pairs + streams.expand_flop_per_key @ reads
    return float(flop), float(streams.cache_bytes_per_key @ reads)
