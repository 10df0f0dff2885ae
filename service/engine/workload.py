"""A mix of request classes reduced to the moments that a steady state needs.

Symbols (per request): S prompt tokens, C of them found in the cache, U = S - C computed, T output
tokens. The first output token comes from prefill, so a request decodes T - 1 steps. Equations W1 to
W6 of docs/equations.md; METHOD 3.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from service.engine.errors import InvalidInputError
from service.engine.spans import Array, kept_keys, kept_sum, visible_keys, visible_sum
from service.engine.types import Span

IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Mix:
    """Requests of K classes as N weighted samples.

    All arrays have shape (N,); ``weight`` sums to 1.
    """

    input_tokens: Array
    cached_tokens: Array
    output_tokens: Array
    weight: Array
    class_index: IntArray
    classes: int

    @cached_property
    def uncached_tokens(self) -> Array:
        """U of every sample."""
        return self.input_tokens - self.cached_tokens

    @cached_property
    def decode_steps(self) -> Array:
        """T - 1 of every sample."""
        return self.output_tokens - 1.0

    def mean(self, values: Array) -> float:
        """Return the mean over requests of a per-sample figure."""
        return float(self.weight @ values)

    def by_class(self, values: Array) -> Array:
        """Return weight x value summed within each class, shape (K,); its sum is ``mean``."""
        weighted = self.weight * values
        return np.bincount(self.class_index, weights=weighted, minlength=self.classes).astype(np.float64)


def make_mix(samples: npt.ArrayLike, class_index: npt.ArrayLike, weight: npt.ArrayLike) -> Mix:
    """Build a mix.

    Parameters
    ----------
    samples
        Shape (N, 3): input, cached and output tokens.
    class_index
        Shape (N,), 0 .. K - 1.
    weight
        Shape (N,), share of requests; normalised here.

    Raises
    ------
    InvalidInputError
        Empty, negative or non-finite figures, more cached than input tokens, no output token.
    """
    rows = np.asarray(samples, dtype=np.float64)
    shares = np.asarray(weight, dtype=np.float64)
    index = np.asarray(class_index, dtype=np.intp)
    if rows.size == 0:
        raise InvalidInputError(
            "The mix is empty; give at least one class.", field="workload", code="empty-mix"
        )
    _check_samples(rows, shares)
    return Mix(
        input_tokens=rows[:, 0],
        cached_tokens=rows[:, 1],
        output_tokens=rows[:, 2],
        weight=shares / shares.sum(),
        class_index=index,
        classes=int(index.max()) + 1,
    )


def _check_samples(rows: Array, shares: Array) -> None:
    if not (np.isfinite(rows).all() and np.isfinite(shares).all()):
        raise InvalidInputError("Token counts and weights must be finite numbers.", field="workload")
    if (shares < 0).any() or shares.sum() <= 0:
        raise InvalidInputError(
            "Class weights must not be negative and at least one must be positive.", field="workload"
        )
    if (rows[:, 0] < 1).any():
        raise InvalidInputError("A request needs at least 1 input token.", field="workload")
    if (rows[:, 2] < 1).any():
        raise InvalidInputError("A request needs at least 1 output token.", field="workload")
    if (rows[:, 1] < 0).any() or (rows[:, 1] > rows[:, 0]).any():
        raise InvalidInputError("Cached tokens must lie between 0 and the input tokens.", field="workload")


@dataclass(frozen=True)
class SpanMoments:
    """Work of a mix on one attention span; every array is by class, shape (K,), weighted (sums to the mean).

    Units: (query, key) pairs or keys, per request.
    """

    prefill_pairs_own: Array
    """Pairs of computed prompt tokens with computed prompt keys."""
    prefill_pairs_cached: Array
    """Pairs of computed prompt tokens with cached keys."""
    prefill_pairs_cached_limit: float
    """Pairs that one cached token would add to a request of the mix's mean U; for a mix without any."""
    decode_pairs_on_cached: Array
    decode_pairs_on_uncached: Array
    decode_pairs_on_output: Array
    decode_pairs_on_cached_limit: float
    chunk_reads_own: Array
    """Keys of computed tokens that chunks read, for prompts of one chunk."""
    chunk_reads_cached: Array
    """Cached keys that chunks read, for prompts of one chunk."""
    chunked_reads_own: tuple[Array, Array]
    """(a, b) of reads = a / c + b for prompts longer than a chunk of c tokens."""
    chunked_reads_cached: Array
    """a of reads = a / c for prompts longer than a chunk."""
    resident_keys: float
    """Mean keys one decoding sequence holds, length-biased (per decode step)."""
    reserved_keys: float
    """Mean keys reserved for one resident sequence under full reservation, length-biased."""
    prompt_keys: float
    """Keys behind a mean prompt while it is prefilled."""

    @property
    def decode_pairs(self) -> Array:
        """All pairs of decode queries, by class."""
        return self.decode_pairs_on_cached + self.decode_pairs_on_uncached + self.decode_pairs_on_output


@dataclass(frozen=True)
class Moments:
    """Everything a steady state needs to know of a mix."""

    classes: int
    class_share: Array
    """Share of requests, shape (K,)."""
    uncached: Array
    """w E[U] by class, tokens per request of the mix, shape (K,)."""
    cached: Array
    output: Array
    steps: Array
    """w E[T - 1] by class."""
    mean_uncached: float
    mean_cached: float
    mean_output: float
    mean_steps: float
    uncached_second_moment: float
    """E[U^2] / E[U]^2 - 1, squared coefficient of variation of prefill work."""
    longest_request: float
    spans: tuple[SpanMoments, ...]


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
    uncached = mix.by_class(mix.uncached_tokens)
    cached = mix.by_class(mix.cached_tokens)
    output = mix.by_class(mix.output_tokens)
    steps = mix.by_class(mix.decode_steps)
    mean_uncached = float(uncached.sum())
    second = mix.mean(mix.uncached_tokens**2)
    variation = second / mean_uncached**2 - 1.0 if mean_uncached > 0 else 0.0
    return Moments(
        classes=mix.classes,
        class_share=mix.by_class(np.ones_like(mix.weight)),
        uncached=uncached,
        cached=cached,
        output=output,
        steps=steps,
        mean_uncached=mean_uncached,
        mean_cached=float(cached.sum()),
        mean_output=float(output.sum()),
        mean_steps=float(steps.sum()),
        uncached_second_moment=max(0.0, variation),
        longest_request=float((mix.input_tokens + mix.output_tokens).max()),
        spans=tuple(_span_moments(mix, span, chunk_limit_tokens) for span in spans),
    )


def _span_moments(mix: Mix, span: Span, chunk_limit_tokens: float) -> SpanMoments:
    prompt, cached, new, steps = mix.input_tokens, mix.cached_tokens, mix.uncached_tokens, mix.decode_steps
    pairs_at_prompt = visible_sum(span, prompt)
    pairs_own = visible_sum(span, new)
    pairs_on_output = visible_sum(span, steps)
    pairs_on_new_or_output = visible_sum(span, new + steps) - pairs_own
    pairs_decode = visible_sum(span, prompt + steps) - pairs_at_prompt
    kept_at_prompt = kept_keys(span, prompt)
    long = new > chunk_limit_tokens
    single = ~long
    kept_before = kept_keys(span, cached)
    # Left Riemann sum of the keys before each chunk; see equation W5.
    reads_a = kept_sum(span, prompt) - kept_sum(span, cached)
    cached_a = np.minimum(kept_before, kept_at_prompt) * new
    own_b = new / span.stride - (kept_at_prompt - kept_before) / 2.0
    weight_steps = mix.mean(steps)
    biased = steps / weight_steps if weight_steps > 0 else np.ones_like(steps)
    resident = kept_sum(span, prompt + steps) - kept_sum(span, prompt)
    held = resident / weight_steps if weight_steps > 0 else kept_at_prompt
    mean_new, mean_steps = mix.mean(new), mix.mean(steps)
    return SpanMoments(
        prefill_pairs_own=mix.by_class(pairs_own),
        prefill_pairs_cached=mix.by_class(
            np.maximum(pairs_at_prompt - visible_sum(span, cached) - pairs_own, 0.0)
        ),
        prefill_pairs_cached_limit=float(_pairs_of_one_cached_key(span, mean_new)),
        decode_pairs_on_cached=mix.by_class(np.maximum(pairs_decode - pairs_on_new_or_output, 0.0)),
        decode_pairs_on_uncached=mix.by_class(np.maximum(pairs_on_new_or_output - pairs_on_output, 0.0)),
        decode_pairs_on_output=mix.by_class(np.minimum(pairs_on_output, pairs_decode)),
        decode_pairs_on_cached_limit=mean_steps / span.stride if span.limit_tokens is None else 0.0,
        chunk_reads_own=mix.by_class(np.where(single, new / span.stride, 0.0)),
        chunk_reads_cached=mix.by_class(np.where(single & (new > 0), kept_before, 0.0)),
        chunked_reads_own=(
            mix.by_class(np.where(long, np.maximum(reads_a - cached_a, 0.0), 0.0)),
            mix.by_class(np.where(long, own_b, 0.0)),
        ),
        chunked_reads_cached=mix.by_class(np.where(long, cached_a, 0.0)),
        resident_keys=mix.mean(held),
        reserved_keys=mix.mean(biased * kept_keys(span, mix.input_tokens + mix.output_tokens)),
        prompt_keys=mix.mean(kept_at_prompt),
    )


def _pairs_of_one_cached_key(span: Span, mean_new: float) -> Array:
    """Pairs that a prefix of one cached token adds to ``mean_new`` computed tokens."""
    return np.maximum(visible_keys(span, mean_new + 1.0) - visible_keys(span, 1.0), 0.0)
