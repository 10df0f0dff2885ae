"""A mix of request classes reduced to the moments that a steady state needs.

Symbols (per request): S prompt tokens, C of them found in the cache, U = S - C computed, T output
tokens. The first output token comes from prefill, so a request decodes T - 1 steps. Equations W1 to
W6 of docs/equations.md; METHOD 3.
"""

from dataclasses import dataclass
from functools import cached_property
from math import isfinite

import numpy as np
import numpy.typing as npt

from service.engine.errors import InvalidInputError
from service.engine.spans import Array, kept_keys, kept_sum, reach, recent_sum, stack_rows, visible_sum
from service.engine.types import Span

IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Mix:
    """Requests of K classes as N weighted samples, ordered by class.

    Arrays have shape (N,); ``weight`` sums to 1; ``class_start`` (K,) is where each class begins.
    """

    input_tokens: Array
    cached_tokens: Array
    output_tokens: Array
    weight: Array
    class_start: IntArray

    @property
    def classes(self) -> int:
        """K."""
        return int(self.class_start.shape[0])

    def mean(self, values: Array) -> float:
        """Return the mean over requests of a per-sample figure."""
        return float(values @ self.weight)

    def by_class(self, rows: Array) -> Array:
        """Return weight x value summed within each class: (..., N) to (..., K); sums over K are means."""
        weighted: Array = rows * self.weight
        if self.class_start.shape[0] == weighted.shape[-1]:
            return weighted
        sums: Array = np.add.reduceat(weighted, self.class_start, axis=-1)
        return sums


def make_mix(samples: npt.ArrayLike, class_index: npt.ArrayLike, weight: npt.ArrayLike) -> Mix:
    """Build a mix.

    Parameters
    ----------
    samples
        Shape (N, 3): input, cached and output tokens. The last prompt token is computed whatever is
        cached, because its hidden state yields the first output token: at most S - 1 count as cached.
    class_index
        Shape (N,), 0 .. K - 1, every class at least once.
    weight
        Shape (N,), share of requests; normalised here.

    Raises
    ------
    InvalidInputError
        Empty, negative or non-finite figures, more cached than input tokens, no output token.
    """
    rows = np.asarray(samples, dtype=np.float64)
    shares = np.asarray(weight, dtype=np.float64)
    if rows.size == 0:
        raise InvalidInputError(
            "The mix is empty; give at least one class.", field="workload", code="empty-mix"
        )
    _check_samples(rows, shares)
    index = np.asarray(class_index, dtype=np.intp)
    start = np.zeros(1, dtype=np.intp)
    if index.shape[0] > 1:
        order = np.argsort(index, kind="stable")
        rows, shares, index = rows[order], shares[order], index[order]
        start = np.flatnonzero(np.diff(index, prepend=-1))
    return Mix(
        input_tokens=rows[:, 0],
        cached_tokens=np.minimum(rows[:, 1], rows[:, 0] - 1.0),
        output_tokens=rows[:, 2],
        weight=shares / shares.sum(),
        class_start=start,
    )


def _check_samples(rows: Array, shares: Array) -> None:
    total = float(np.add.reduce(shares))
    if not isfinite(float(np.add.reduce(rows, axis=None)) + total):
        raise InvalidInputError("Token counts and weights must be finite numbers.", field="workload")
    if shares.min() < 0 or total <= 0:
        raise InvalidInputError(
            "Class weights must not be negative and at least one must be positive.", field="workload"
        )
    lowest = rows.min(axis=0)
    if lowest[0] < 1:
        raise InvalidInputError("A request needs at least 1 input token.", field="workload")
    if lowest[2] < 1:
        raise InvalidInputError("A request needs at least 1 output token.", field="workload")
    if lowest[1] < 0 or (rows[:, 1] > rows[:, 0]).any():
        raise InvalidInputError("Cached tokens must lie between 0 and the input tokens.", field="workload")


@dataclass(frozen=True)
class CachedLimit:
    """What a prefix of one cached token adds to the mean request of a mix that has none, by span (G,)."""

    prefill_pairs: Array
    decode_pairs: Array
    chunk_reads: Array


@dataclass(frozen=True)
class Moments:
    """Everything a steady state needs to know of a mix.

    Arrays by class have shape (K,) and sum to means over requests; arrays by span and class have shape
    (G, K) in the order of the model's distinct spans. Units: tokens, keys or (query, key) pairs a request.
    """

    class_share: Array
    """Share of requests."""
    uncached: Array
    cached: Array
    output: Array
    steps: Array
    """T - 1."""
    mean_uncached: float
    mean_cached: float
    mean_output: float
    mean_steps: float
    uncached_variation: float
    """E[U^2] / E[U]^2 - 1, squared coefficient of variation of prefill work."""
    prefill_pairs_own: Array
    """Pairs of computed prompt tokens with computed prompt keys."""
    prefill_pairs_cached: Array
    """Pairs of computed prompt tokens with cached keys."""
    decode_pairs_on_cached: Array
    decode_pairs_on_uncached: Array
    decode_pairs_on_output: Array
    chunk_reads_own: Array
    """Computed keys that prefill chunks read: a chunk's own once, earlier ones again by each later chunk."""
    chunk_reads_cached: Array
    """Cached keys that prefill chunks read, each chunk again."""
    new_keys: Array
    """Keys that computed prompt tokens add."""
    held_keys: Array
    """Keys of one sequence, shape (3, G): resident mean while decoding (length-biased), reserved for the
    whole length (length-biased), behind a mean prompt."""
    cached_limit: "CachedLimit"

    @property
    def classes(self) -> int:
        """K."""
        return int(self.class_share.shape[0])

    @cached_property
    def decode_pairs(self) -> Array:
        """All pairs of decode queries, (G, K)."""
        pairs: Array = (
            self.decode_pairs_on_cached + self.decode_pairs_on_uncached + self.decode_pairs_on_output
        )
        return pairs

    @property
    def decode_pairs_mean(self) -> Array:
        """Pairs of decode queries of the mean request, (G,)."""
        total: Array = np.add.reduce(self.decode_pairs, axis=1)
        return total


def reduce_mix(mix: Mix, spans: tuple[Span, ...], chunk_limit_tokens: float) -> Moments:
    """Reduce a mix to moments for the spans of a model.

    Parameters
    ----------
    mix
        The workload.
    spans
        Distinct spans of the model's streams.
    chunk_limit_tokens
        Prompts of at most this many computed tokens are prefilled in one chunk; longer ones are cut
        into chunks of this size.
    """
    new, steps = mix.input_tokens - mix.cached_tokens, mix.output_tokens - 1.0
    one = np.ones(new.shape)
    tokens = mix.by_class(stack_rows(one, new, mix.cached_tokens, mix.output_tokens, steps))
    _, mean_new, mean_cached, mean_output, mean_steps = np.add.reduce(tokens, axis=1).tolist()
    variation = mix.mean(new * new) / (mean_new * mean_new) - 1.0 if mean_new > 0 else 0.0
    lengths = _lengths(mix, (one, new, steps))
    pairs = np.empty((len(spans), 8, new.shape[0]))
    keys, limits = np.empty((2, len(spans), 3, new.shape[0]))
    for place, span in enumerate(spans):
        _fill_pairs(span, lengths, pairs[place])
        _fill_kept(span, lengths, chunk_limit_tokens, (pairs[place], keys[place]))
        _fill_limits(span, lengths, chunk_limit_tokens, limits[place])
    by_class = mix.by_class(pairs)
    limit = limits @ mix.weight
    return Moments(
        class_share=tokens[0],
        uncached=tokens[1],
        cached=tokens[2],
        output=tokens[3],
        steps=tokens[4],
        mean_uncached=mean_new,
        mean_cached=mean_cached,
        mean_output=mean_output,
        mean_steps=mean_steps,
        uncached_variation=max(0.0, variation),
        prefill_pairs_own=by_class[:, 0],
        prefill_pairs_cached=by_class[:, 1],
        decode_pairs_on_cached=by_class[:, 2],
        decode_pairs_on_uncached=by_class[:, 3],
        decode_pairs_on_output=by_class[:, 4],
        chunk_reads_own=by_class[:, 5],
        chunk_reads_cached=by_class[:, 6],
        new_keys=by_class[:, 7],
        held_keys=_held_keys(mix, keys, steps, mean_steps),
        cached_limit=CachedLimit(limit[:, 0], limit[:, 1], limit[:, 2]),
    )


_LENGTHS = range(10)
(_CACHED, _PROMPT, _NEW, _STEPS, _TAIL, _END, _RESERVED, _FIRST, _AFTER_PROMPT, _AFTER_END) = _LENGTHS
"""Rows of the lengths at which the sums over a span are taken."""


def _lengths(mix: Mix, tokens: tuple[Array, Array, Array]) -> Array:
    """Return the lengths of every request, shape (10, N): (1, computed, steps) and what follows from them."""
    one, new, steps = tokens
    prompt, output = mix.input_tokens, mix.output_tokens
    return stack_rows(
        mix.cached_tokens,
        prompt,
        new,
        steps,
        new + steps,
        prompt + steps,
        prompt + output,
        # Queries one key further, for the limit of a first cached token.
        one,
        new + 1.0,
        new + output,
    )


def _fill_pairs(span: Span, lengths: Array, rows: Array) -> None:
    """Fill the first five rows of ``Moments`` of one span: (query, key) pairs, shape (5, N)."""
    seen = visible_sum(span, lengths[: _END + 1])
    if span.kind == "chunked":
        starts, counts = lengths[[_CACHED, _PROMPT, _CACHED]], lengths[_NEW : _TAIL + 1]
        seen[_NEW : _TAIL + 1] = recent_sum(span, starts, counts)
    at_cached, at_prompt, own, on_output, tail, at_end = seen
    of_decode = tail - own
    rows[0] = own
    # Keys nearest to the query are seen first: output, then computed prompt, then the cached prefix.
    rows[1] = at_prompt - at_cached - own
    rows[2] = at_end - at_prompt - of_decode
    rows[3] = of_decode - on_output
    rows[4] = on_output
    np.maximum(rows[1:4], 0.0, out=rows[1:4])


def _fill_kept(span: Span, lengths: Array, chunk_limit_tokens: float, filled: tuple[Array, Array]) -> None:
    """Fill the last three rows of ``Moments``, keys that chunks read and add, and the keys kept, (3, N)."""
    rows, keys = filled
    new = lengths[_NEW]
    kept, summed = kept_keys(span, lengths), kept_sum(span, lengths[: _END + 1])
    new_keys = new / span.stride
    rows[5] = new_keys
    rows[6] = kept[_CACHED] * (new > 0)
    rows[7] = new_keys
    long = new > chunk_limit_tokens
    if long.any():
        # Keys kept before each chunk: the sum over positions by the trapezoidal rule (equation W5).
        cached_at_prompt = np.maximum(kept[_PROMPT] - kept[_NEW], 0.0)
        cached_sum = np.maximum(summed[_PROMPT] - summed[_CACHED] - summed[_NEW], 0.0)
        again = cached_sum / chunk_limit_tokens + (kept[_CACHED] - cached_at_prompt) / 2.0
        rows[5] += np.where(long, summed[_NEW] / chunk_limit_tokens - kept[_NEW] / 2.0, 0.0)
        rows[6] = np.where(long, again, rows[6])
    keys[0] = summed[_END] - summed[_PROMPT]
    keys[1] = kept[_RESERVED]
    keys[2] = kept[_PROMPT]


def _held_keys(mix: Mix, keys: Array, steps: Array, mean_steps: float) -> Array:
    """Return keys of a sequence by span, (3, G): resident mean, reserved, prompt.

    The first two are weighed by time in decode.
    """
    prompt = keys[:, 2] @ mix.weight
    if mean_steps <= 0:
        return stack_rows(prompt, keys[:, 1] @ mix.weight, prompt)
    resident = keys[:, 0] @ mix.weight / mean_steps
    return stack_rows(resident, keys[:, 1] @ (steps * mix.weight) / mean_steps, prompt)


def _fill_limits(span: Span, lengths: Array, chunk_limit_tokens: float, rows: Array) -> None:
    """Fill derivatives by C at C = 0 of the rows on cached keys, shape (3, N); see ``CachedLimit``."""
    new = lengths[_NEW]
    first, at_prompt, at_end = reach(span, lengths[_FIRST:])
    rows[0] = at_prompt - first
    rows[1] = at_end - at_prompt
    kept = new / span.stride if span.kind == "top_k" else rows[0]
    rows[2] = np.where(new > chunk_limit_tokens, kept / chunk_limit_tokens, 1.0 / span.stride)
