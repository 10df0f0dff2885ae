"""A mix of request classes reduced to the moments that a steady state needs.

Symbols (per request): S prompt tokens, C of them found in the cache, U = S - C computed, T output
tokens. The first output token comes from prefill, so a request decodes T - 1 steps. Equations W1 to
W6 of docs/equations.md; METHOD 3.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.engine.errors import InvalidInputError
from service.engine.spans import Array, kept_keys, kept_sum, visible_keys, visible_sum
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
        Shape (N, 3): input, cached and output tokens.
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
    if index.shape[0] > 1:
        order = np.argsort(index, kind="stable")
        rows, shares, index = rows[order], shares[order], index[order]
    return Mix(
        input_tokens=rows[:, 0],
        cached_tokens=rows[:, 1],
        output_tokens=rows[:, 2],
        weight=shares / shares.sum(),
        class_start=np.flatnonzero(np.diff(index, prepend=-1)),
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
    """b of reads = a / c + b: computed keys that chunks of c tokens read."""
    chunk_reads_own_times_chunk: Array
    """a."""
    chunk_reads_cached: Array
    chunk_reads_cached_times_chunk: Array
    new_keys: Array
    """Keys that computed prompt tokens add."""
    held_keys: Array
    """Keys of one sequence, shape (3, G): resident mean while decoding (length-biased), reserved for the
    whole length (length-biased), behind a mean prompt."""
    cached_limit_pairs: Array
    """Pairs that a prefix of one cached token adds to the mean request, shape (G,)."""

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
        Prompts of at most this many computed tokens are prefilled in one chunk.
    """
    prompt, cached = mix.input_tokens, mix.cached_tokens
    new, steps = prompt - cached, mix.output_tokens - 1.0
    tokens = mix.by_class(np.stack((np.ones_like(new), new, cached, mix.output_tokens, steps)))
    means = tokens.sum(axis=1)
    mean_new, mean_steps = float(means[1]), float(means[4])
    variation = mix.mean(new * new) / (mean_new * mean_new) - 1.0 if mean_new > 0 else 0.0
    rows, held, limits = [], [], []
    for span in spans:
        pairs, keys = _span_rows(span, (prompt, cached, new, steps), chunk_limit_tokens)
        rows.append(pairs)
        held.append(_held(mix, span, (keys, steps, mean_steps)))
        limits.append(_pairs_of_one_cached_key(span, mean_new))
    by_class = mix.by_class(np.stack(rows)) if rows else np.zeros((0, 10, mix.classes))
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
        chunk_reads_own_times_chunk=by_class[:, 6],
        chunk_reads_cached=by_class[:, 7],
        chunk_reads_cached_times_chunk=by_class[:, 8],
        new_keys=by_class[:, 9],
        held_keys=np.array(held, dtype=np.float64).reshape(-1, 3).T,
        cached_limit_pairs=np.array(limits, dtype=np.float64),
    )


def _span_rows(
    span: Span, tokens: tuple[Array, Array, Array, Array], chunk_limit_tokens: float
) -> tuple[Array, Array]:
    """Return (rows for ``Moments`` of shape (10, N), keys kept of shape (4, N)) of one span."""
    prompt, cached, new, steps = tokens
    end = prompt + steps
    at_prompt, at_cached, own, on_output, new_and_output, at_end = visible_sum(
        span, np.stack((prompt, cached, new, steps, new + steps, end))
    )
    kept_before, kept_at_prompt = kept_keys(span, np.stack((cached, prompt)))
    sum_before, sum_at_prompt, sum_at_end = kept_sum(span, np.stack((cached, prompt, end)))
    new_keys = new / span.stride
    rows = np.zeros((10, new.shape[0]))
    rows[0] = own
    np.maximum(at_prompt - at_cached - own, 0.0, out=rows[1])
    # Keys nearest to the query are seen first: output, then computed prompt, then the cached prefix.
    np.maximum(at_end - at_prompt - new_and_output + own, 0.0, out=rows[2])
    np.maximum(new_and_output - own - on_output, 0.0, out=rows[3])
    np.minimum(on_output, at_end - at_prompt, out=rows[4])
    long = new > chunk_limit_tokens
    # Left Riemann sum of the keys kept before each chunk (equation W5); a lone chunk reads all once.
    cached_part = np.minimum(kept_before, kept_at_prompt) * new
    rows[5] = np.where(long, new_keys - (kept_at_prompt - kept_before) / 2.0, new_keys)
    rows[6] = np.where(long, np.maximum(sum_at_prompt - sum_before - cached_part, 0.0), 0.0)
    rows[7] = np.where(long | (new <= 0), 0.0, kept_before)
    rows[8] = np.where(long, cached_part, 0.0)
    rows[9] = new_keys
    reserved = kept_keys(span, end + 1.0)
    return rows, np.stack((sum_at_end - sum_at_prompt, reserved, kept_at_prompt, kept_at_prompt))


def _held(mix: Mix, span: Span, figures: tuple[Array, Array, float]) -> tuple[float, float, float]:
    """Return keys of a sequence: resident mean and reserved, both weighed by time in decode, and prompt."""
    keys, steps, mean_steps = figures
    prompt = mix.mean(keys[2])
    if mean_steps <= 0:
        return prompt, mix.mean(keys[1]), prompt
    return mix.mean(keys[0]) / mean_steps, mix.mean(keys[1] * steps) / mean_steps, prompt


def _pairs_of_one_cached_key(span: Span, mean_new: float) -> float:
    """Pairs that a prefix of one cached token adds to ``mean_new`` computed tokens."""
    after, before = visible_keys(span, np.array([mean_new + 1.0, 1.0]))
    return max(float(after - before), 0.0)
