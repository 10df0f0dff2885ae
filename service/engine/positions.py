"""How what a request does spreads over its positions: which token of it is responsible for what.

A request of S prompt tokens (C of them cached) and T output tokens has positions 1 .. S + T. Reads of
the cache belong to the token whose key is read (by cause) or to the token that reads it (by pass; the
step that yields output m + 1 is the pass of output m). Summed over positions each driver is the
request's own (equation P6), so a position curve integrates to the cost of the request.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.engine.attribution import KvView, Subject, decode_pair_price, prefill_is_memory_bound
from service.engine.spans import Array, visible_keys
from service.engine.types import Span
from service.engine.unit_costs import (
    DECODE_STEPS,
    DRIVERS,
    MIXED_ON_UNCACHED,
    OUTPUT_TOKENS,
    PLAIN_ON_UNCACHED,
    PREFILL_ON_CACHED,
    PREFILL_ON_UNCACHED,
    UNCACHED_TOKENS,
    UnitCosts,
    request_drivers,
)
from service.engine.workload import Moments, make_mix, reduce_mix


@dataclass(frozen=True, slots=True)
class RequestShape:
    """One request."""

    input_tokens: float
    cached_tokens: float
    output_tokens: float

    @property
    def last_read_position(self) -> float:
        """Return the last position whose key is ever read: the last output token is only sampled."""
        return self.input_tokens + self.output_tokens - 1.0


def position_drivers(
    subject: Subject, units: UnitCosts, shape: RequestShape, positions: npt.ArrayLike, view: KvView
) -> Array:
    """Return drivers by position, shape (11, N).

    Parameters
    ----------
    subject, units
        The operating point and its unit costs.
    shape
        The request.
    positions
        1-based, up to input plus output tokens.
    view
        Whom reads of the cache belong to.
    """
    n = np.asarray(positions, dtype=np.float64)
    prompt, cached = shape.input_tokens, shape.cached_tokens
    computed = (n > cached) & (n <= prompt)
    rows = np.zeros((len(DRIVERS), n.size))
    rows[UNCACHED_TOKENS] = computed
    rows[DECODE_STEPS] = n > prompt + 1.0
    rows[OUTPUT_TOKENS] = n > prompt
    totals = request_drivers(subject, units, [(prompt, cached, shape.output_tokens)])[:, 0]
    moments = _moments(subject, units, shape)
    _fill_prefill(rows, (subject, shape, moments), totals, (n, view))
    for first, times in (
        (PLAIN_ON_UNCACHED, subject.state.decode),
        (MIXED_ON_UNCACHED, subject.state.mixed),
    ):
        price = decode_pair_price(subject.table, times)
        for offset, pairs in enumerate(
            (moments.decode_pairs_on_uncached, moments.decode_pairs_on_cached, moments.decode_pairs_on_output)
        ):
            counts = _decode_counts(subject, shape, (n, view), offset)
            _fill(rows, first + offset, price @ counts, float(price @ pairs[:, 0]), totals)
    return rows


def summed_drivers(subject: Subject, units: UnitCosts, shape: RequestShape, view: KvView) -> Array:
    """Return the sum of drivers over all positions of a request, shape (11,), without visiting each.

    Between the positions where a token is of another kind, a window or selection fills or runs out, or
    a chunk begins, every driver is linear in the position, so the two ends of a stretch give its sum.

    Parameters
    ----------
    subject, units
        The operating point and its unit costs.
    shape
        The request, in whole tokens.
    view
        Whom reads of the cache belong to.
    """
    last = shape.input_tokens + shape.output_tokens
    first = np.unique(np.clip(np.floor(_kinks(subject.table.spans, shape)) + 1.0, 1.0, last + 1.0))
    first = first[first <= last]
    final = np.append(first[1:] - 1.0, last)
    ends = position_drivers(subject, units, shape, np.concatenate((first, final)), view)
    sums: Array = (ends[:, : first.size] + ends[:, first.size :]) @ ((final - first + 1.0) / 2.0)
    return sums


def _kinks(spans: tuple[Span, ...], shape: RequestShape) -> Array:
    """Return positions after which a driver may be another linear function; some are none."""
    prompt, cached, end = shape.input_tokens, shape.cached_tokens, shape.last_read_position
    edges = np.array([0.0, cached, prompt, prompt + 1.0, end])
    rows = [edges]
    for span in spans:
        if span.limit_tokens is None:
            continue
        if span.kind == "chunked":
            begins = np.arange(0.0, end + 2.0, float(span.limit_tokens))
            rows += [begins, begins + 1.0]
            continue
        reach = float(span.limit_tokens * span.stride)
        # A query sees the last ``reach`` positions; decoding queries stand one position before theirs.
        rows += [edges + reach, edges + reach + 1.0, edges - reach, edges - reach + 1.0]
    return np.concatenate(rows)


def reached_by(shape_outputs: Array, weight: Array, outputs: Array) -> Array:
    """Return the share of requests that have an m-th output token, for each m.

    Parameters
    ----------
    shape_outputs, weight
        Output tokens of the mix's requests and their shares, shape (N,).
    outputs
        m, shape (M,).
    """
    order = np.argsort(shape_outputs)
    at_least = np.concatenate((np.cumsum(weight[order][::-1])[::-1], [0.0]))
    reached: Array = at_least[np.searchsorted(shape_outputs[order], outputs, side="left")]
    return reached


def _moments(subject: Subject, units: UnitCosts, shape: RequestShape) -> Moments:
    mix = make_mix([(shape.input_tokens, shape.cached_tokens, shape.output_tokens)], [0], [1.0])
    return reduce_mix(mix, subject.table.spans, units.chunk_limit_tokens)


def _fill_prefill(
    rows: Array, request: tuple[Subject, RequestShape, Moments], totals: Array, at: tuple[Array, KvView]
) -> None:
    subject, shape, moments = request
    n, view = at
    streams, state = subject.table.streams, subject.state
    bound = prefill_is_memory_bound(state.mixed)
    price = streams.cache_bytes_per_key if bound else streams.flop_per_pair_prefill
    prompt, cached = shape.input_tokens, shape.cached_tokens
    own, reused = (n > cached) & (n <= prompt), n <= cached
    on_own, on_cached = [], []
    for span in subject.table.spans:
        if view == "by_pass":
            on_own.append(np.where(own, _seen_after(span, n, cached), 0.0))
        else:
            on_own.append(np.where(own, _queries(span, n, cached, prompt), 0.0))
        # A cached token does nothing in this request but be read, so it pays in either view.
        on_cached.append(np.where(reused, _queries(span, n, cached, prompt), 0.0))
    for driver, counts, pairs in (
        (PREFILL_ON_UNCACHED, on_own, moments.prefill_pairs_own),
        (PREFILL_ON_CACHED, on_cached, moments.prefill_pairs_cached),
    ):
        if counts:
            _fill(rows, driver, price @ np.stack(counts), float(price @ pairs[:, 0]), totals)


def _decode_counts(subject: Subject, shape: RequestShape, at: tuple[Array, KvView], kind: int) -> Array:
    """Return pairs of decode queries with keys of a kind (computed, cached, output) by position, (G, N)."""
    n, view = at
    prompt, cached, end = shape.input_tokens, shape.cached_tokens, shape.last_read_position
    low, high = ((cached, prompt), (0.0, cached), (prompt, np.inf))[kind]
    rows = [np.zeros_like(n)]
    for span in subject.table.spans:
        if view == "by_cause":
            mine = (n > low) & (n <= high) & (n <= end)
            rows.append(np.where(mine, _queries(span, n, prompt, end), 0.0))
        else:
            query = n - 1.0
            seen = _seen_after(span, query, low)
            seen = seen - _seen_after(span, query, high) if np.isfinite(high) else seen
            rows.append(np.where(n > prompt + 1.0, seen, 0.0))
    return np.stack(rows[1:]) if len(rows) > 1 else np.zeros((0, n.size))


def _fill(rows: Array, driver: int, profile: Array, whole: float, totals: Array) -> None:
    """Spread a request's driver over positions in proportion to a profile whose sum is known."""
    if whole > 0:
        rows[driver] = profile * (totals[driver] / whole)


def _seen_after(span: Span, query: Array, start: float) -> Array:
    """Keys after position ``start`` that queries see; nearest keys are seen first."""
    seen: Array = np.clip((query - start) / span.stride, 0.0, visible_keys(span, np.maximum(query, 0.0)))
    return seen


def _queries(span: Span, key: Array, first: float, last: float) -> Array:
    """Count queries in (first, last] that see a key, over the stride; nearest keys are seen first."""
    if span.limit_tokens is None:
        until = np.full_like(key, last)
    elif span.kind == "chunked":
        until = np.minimum(np.ceil(key / span.limit_tokens) * span.limit_tokens, last)
    else:
        until = np.minimum(key + span.limit_tokens * span.stride - 1.0, last)
    seen: Array = np.maximum(until - np.maximum(key - 1.0, first), 0.0) / span.stride
    return seen
