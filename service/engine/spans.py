"""How many keys queries see and how many are kept, in closed form.

Positions are 1-based: the query at position n sees itself. With stride s and limit L (docs/equations.md,
section W):

- capped span (full: L infinite; sliding: s = 1; top_k): v(n) = min(n / s, L),
  V(n) = sum_{j<=n} v(j) = m (m + 1) / (2 s) + (n - m) L with m = min(n, s L);
- chunked span: v(n) = (n - 1) mod L + 1, V(n) = k L (L + 1) / 2 + r (r + 1) / 2 with n = k L + r.

A capped layer needs E[min(n, w)] over positions, never min(E[n], w): the sums here give it exactly.
"""

import numpy as np
import numpy.typing as npt

from service.engine.types import Span

Array = npt.NDArray[np.float64]


def stack_rows(*rows: Array) -> Array:
    """Return equal rows as one array, shape (rows, N); several times quicker than ``np.stack`` at small N."""
    stacked = np.empty((len(rows), *rows[0].shape))
    for place, row in enumerate(rows):
        stacked[place] = row
    return stacked


def visible_keys(span: Span, position: npt.ArrayLike) -> Array:
    """Return how many keys the query at a 1-based position sees.

    Parameters
    ----------
    span
        The span of the stream.
    position
        Query positions, tokens, >= 0, any shape.
    """
    n = np.asarray(position, dtype=np.float64)
    if span.kind == "chunked":
        limit = float(_limit(span))
        return np.where(n > 0, np.mod(n - 1.0, limit) + 1.0, 0.0)
    return np.minimum(n / span.stride, _limit(span))


def visible_sum(span: Span, positions: npt.ArrayLike) -> Array:
    """Return V(n): (query, key) pairs of the first n positions.

    Parameters
    ----------
    span
        The span of the stream.
    positions
        Sequence lengths n, tokens, >= 0, any shape.
    """
    n = np.asarray(positions, dtype=np.float64)
    limit = _limit(span)
    if span.kind == "chunked":
        chunks = np.floor(n / limit)
        rest = n - chunks * limit
        return chunks * limit * (limit + 1.0) / 2.0 + rest * (rest + 1.0) / 2.0
    return _capped_sum(n, float(span.stride), limit)


def recent_sum(span: Span, start: npt.ArrayLike, count: npt.ArrayLike) -> Array:
    """Return pairs of ``count`` queries after position ``start`` with keys after it too (equation W2).

    A query sees its nearest keys first, so this is V(count), except that chunks end where they end:
    with d tokens left to the next edge, d (d + 1) / 2 + V(count - d).

    Parameters
    ----------
    span
        The span of the stream.
    start, count
        Tokens, >= 0, shapes that broadcast.
    """
    n = np.asarray(count, dtype=np.float64)
    if span.kind != "chunked":
        return visible_sum(span, n)
    to_edge = np.minimum(n, np.mod(-np.asarray(start, dtype=np.float64), _limit(span)))
    return to_edge * (to_edge + 1.0) / 2.0 + visible_sum(span, n - to_edge)


def reach(span: Span, tokens: npt.ArrayLike) -> Array:
    """Return min(n / stride, limit): keys seen by the n-th query after the start of a sequence or chunk."""
    keys: Array = np.asarray(tokens, dtype=np.float64) / span.stride
    return keys if span.limit_tokens is None else np.minimum(keys, span.limit_tokens)


def kept_keys(span: Span, positions: npt.ArrayLike) -> Array:
    """Return how many keys stay in the cache behind n positions, tokens over stride."""
    n = np.asarray(positions, dtype=np.float64)
    if span.kind in ("sliding", "chunked"):
        return np.minimum(n, _limit(span))
    return n / span.stride


def kept_sum(span: Span, positions: npt.ArrayLike) -> Array:
    """Return K(n) = sum of ``kept_keys`` over the first n positions."""
    n = np.asarray(positions, dtype=np.float64)
    if span.kind in ("sliding", "chunked"):
        return _capped_sum(n, 1.0, _limit(span))
    return n * (n + 1.0) / (2.0 * span.stride)


def _limit(span: Span) -> float:
    return float("inf") if span.limit_tokens is None else float(span.limit_tokens)


def _capped_sum(n: Array, stride: float, limit: float) -> Array:
    if np.isinf(limit):
        return n * (n + 1.0) / (2.0 * stride)
    below = np.minimum(n, stride * limit)
    return below * (below + 1.0) / (2.0 * stride) + (n - below) * limit
