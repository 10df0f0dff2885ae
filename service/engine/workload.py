"""A mix of request classes reduced to the moments that a steady state needs.

Symbols (per request): S prompt tokens, C of them found in the cache, U = S - C computed, T output
tokens. The first output token comes from prefill, so a request decodes T - 1 steps. Equations W1 to
W6 of docs/equations.md; METHOD 3.
"""

from dataclasses import dataclass

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
    if not (np.isfinite(rows).all() and np.isfinite(shares).all()):
        raise InvalidInputError("Token counts and weights must be finite numbers.", field="workload")
    if shares.min() < 0 or shares.sum() <= 0:
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

    @property
    def decode_pairs(self) -> Array:
        """All pairs of decode queries, (G, K)."""
        pairs: Array = (
            self.decode_pairs_on_cached + self.decode_pairs_on_uncached + self.decode_pairs_on_output
        )
        return pairs

    @property
    def decode_pairs_mean(self) -> Array:
        """Pairs of decode queries of the mean request, (G,)."""
        total: Array = self.decode_pairs.sum(axis=1)
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
    prompt, cached = mix.input_tokens, mix.cached_tokens
    new, steps = prompt - cached, mix.output_tokens - 1.0
    tokens = mix.by_class(stack_rows(np.ones_like(new), new, cached, mix.output_tokens, steps))
    means = tokens.sum(axis=1)
    mean_new, mean_steps = float(means[1]), float(means[4])
    variation = mix.mean(new * new) / (mean_new * mean_new) - 1.0 if mean_new > 0 else 0.0
    rows, held, limits = [], [], []
    for span in spans:
        pairs, keys = _span_rows(span, (prompt, cached, new, steps), chunk_limit_tokens)
        rows.append(pairs)
        held.append(_held(mix, span, (keys, steps, mean_steps)))
        limits.append(_limit_rows(span, new, steps, chunk_limit_tokens))
    by_class = mix.by_class(stack_rows(*rows)) if rows else np.zeros((0, 8, mix.classes))
    limit = stack_rows(*limits) @ mix.weight if limits else np.zeros((0, 3))
    return Moments(
        class_share=tokens[0],
        uncached=tokens[1],
        cached=tokens[2],
        output=tokens[3],
        steps=tokens[4],
        mean_uncached=mean_new,
        mean_cached=float(means[2]),
        mean_output=float(means[3]),
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
        held_keys=np.array(held, dtype=np.float64).reshape(-1, 3).T,
        cached_limit=CachedLimit(limit[:, 0], limit[:, 1], limit[:, 2]),
    )


def _span_rows(
    span: Span, tokens: tuple[Array, Array, Array, Array], chunk_limit_tokens: float
) -> tuple[Array, Array]:
    """Return (rows for ``Moments`` of shape (8, N), keys kept of shape (3, N)) of one span."""
    prompt, cached, new, steps = tokens
    end = prompt + steps
    at_prompt, at_cached, at_end = visible_sum(span, stack_rows(prompt, cached, end))
    own, on_output, new_and_output = recent_sum(
        span, stack_rows(cached, prompt, cached), stack_rows(new, steps, new + steps)
    )
    rows = np.zeros((8, new.shape[0]))
    rows[0] = own
    np.maximum(at_prompt - at_cached - own, 0.0, out=rows[1])
    # Keys nearest to the query are seen first: output, then computed prompt, then the cached prefix.
    np.maximum(at_end - at_prompt - new_and_output + own, 0.0, out=rows[2])
    np.maximum(new_and_output - own - on_output, 0.0, out=rows[3])
    rows[4] = on_output
    kept_before, kept_at_prompt, kept_own = kept_keys(span, stack_rows(cached, prompt, new))
    sum_before, sum_at_prompt, sum_own, sum_at_end = kept_sum(span, stack_rows(cached, prompt, new, end))
    new_keys = new / span.stride
    # Keys kept before each chunk: the sum over positions by the trapezoidal rule (equation W5).
    long = new > chunk_limit_tokens
    cached_at_prompt = np.maximum(kept_at_prompt - kept_own, 0.0)
    cached_sum = np.maximum(sum_at_prompt - sum_before - sum_own, 0.0)
    again = cached_sum / chunk_limit_tokens + (kept_before - cached_at_prompt) / 2.0
    rows[5] = new_keys + np.where(long, sum_own / chunk_limit_tokens - kept_own / 2.0, 0.0)
    rows[6] = np.where(long, again, np.where(new > 0, kept_before, 0.0))
    rows[7] = new_keys
    reserved = kept_keys(span, end + 1.0)
    return rows, stack_rows(sum_at_end - sum_at_prompt, reserved, kept_at_prompt)


def _held(mix: Mix, span: Span, figures: tuple[Array, Array, float]) -> tuple[float, float, float]:
    """Return keys of a sequence: resident mean and reserved, both weighed by time in decode, and prompt."""
    keys, steps, mean_steps = figures
    prompt = mix.mean(keys[2])
    if mean_steps <= 0:
        return prompt, mix.mean(keys[1]), prompt
    return mix.mean(keys[0]) / mean_steps, mix.mean(keys[1] * steps) / mean_steps, prompt


def _limit_rows(span: Span, new: Array, steps: Array, chunk_limit_tokens: float) -> Array:
    """Return derivatives by C at C = 0 of the rows on cached keys, shape (3, N); see ``CachedLimit``."""
    first, at_prompt, at_end = reach(span, stack_rows(np.ones_like(new), new + 1.0, new + steps + 1.0))
    long = new > chunk_limit_tokens
    kept = new / span.stride if span.kind == "top_k" else at_prompt - first
    reads = np.where(long, kept / chunk_limit_tokens, 1.0 / span.stride)
    return stack_rows(at_prompt - first, at_end - at_prompt, reads)
