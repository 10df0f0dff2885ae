"""Where attention costs as much as everything else (equation A12): exact, by bisection on integers."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from service.engine.architecture import linear_flop_per_token
from service.engine.types import ModelWork, Span

_FARTHEST = 2**60
"""Positions beyond this are never reached: treated as no crossover."""


@dataclass(frozen=True, slots=True)
class Crossover:
    """Smallest position or length at which attention FLOP meet linear FLOP; None where they never do."""

    per_token: int | None
    """Smallest position n at which the attention FLOP of token n reach its linear FLOP."""
    cumulative: int | None
    """Smallest length n at which the attention FLOP of tokens 1 to n reach their linear FLOP."""


def keys_seen(span: Span, position: int) -> Fraction:
    """Return keys that the query at a 1-based position sees (table of :class:`Span`)."""
    if span.kind == "full" or span.limit_tokens is None:
        return Fraction(position, span.stride)
    if span.kind == "chunked":
        return Fraction((position - 1) % span.limit_tokens + 1)
    return min(Fraction(position, span.stride), Fraction(span.limit_tokens))


def keys_seen_up_to(span: Span, length: int) -> Fraction:
    """Return the sum of :func:`keys_seen` over positions 1 to ``length``, in closed form."""
    triangle = Fraction(length * (length + 1), 2 * span.stride)
    if span.kind == "full" or span.limit_tokens is None:
        return triangle
    limit = span.limit_tokens
    if span.kind == "chunked":
        chunks, rest = divmod(length, limit)
        return Fraction(chunks * limit * (limit + 1) + rest * (rest + 1), 2)
    edge = limit * span.stride
    if length <= edge:
        return triangle
    return Fraction(edge * (edge + 1), 2 * span.stride) + (length - edge) * limit


def attention_crossover(work: ModelWork, phase: Literal["prefill", "decode"] = "prefill") -> Crossover:
    """Find where attention FLOP meet linear FLOP, the output head apart (A12).

    Parameters
    ----------
    work
        The model.
    phase
        Which FLOP per pair: they differ for latent attention only.

    Returns
    -------
    Crossover
        Exact token counts; None where windows, chunks or selections cap attention below the linear part.
    """
    streams = [
        (layer.count, stream.span, getattr(stream, f"flop_per_pair_{phase}"))
        for layer in work.layers
        for stream in layer.streams
    ]
    linear = linear_flop_per_token(work)

    def excess_at(position: int) -> Fraction:
        return sum((n * flop * keys_seen(span, position) for n, span, flop in streams), Fraction()) - linear

    def excess_up_to(length: int) -> Fraction:
        total = sum((n * flop * keys_seen_up_to(span, length) for n, span, flop in streams), Fraction())
        return total - length * linear

    period = next((span.limit_tokens or 1 for _, span, _ in streams if span.kind == "chunked"), 1)
    return Crossover(
        per_token=_first_non_negative(excess_at, period), cumulative=_first_non_negative(excess_up_to, period)
    )


def _first_non_negative(excess: Callable[[int], Fraction], period: int) -> int | None:
    """Bisect for the first n >= 1 with excess(n) >= 0.

    Attention grows within a chunk and from one chunk's end to the next, so the sign at chunk ends changes
    once, and once within the chunk where it does (the sum is convex there). Without chunks the period is 1.
    """
    last_chunk = 1
    while excess(last_chunk * period) < 0:
        last_chunk *= 2
        if last_chunk * period > _FARTHEST:
            return None
    first_chunk = last_chunk // 2
    while last_chunk - first_chunk > 1:
        middle = (first_chunk + last_chunk) // 2
        first_chunk, last_chunk = (
            (first_chunk, middle) if excess(middle * period) >= 0 else (middle, last_chunk)
        )
    low, high = first_chunk * period, last_chunk * period
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if excess(middle) >= 0 else (middle, high)
    return high
