"""FLOP of one request, exact: what does not depend on how it is served (equation A13)."""

from dataclasses import dataclass
from fractions import Fraction

from service.engine.architecture import head_flop_per_token, linear_flop_per_token
from service.engine.crossover import keys_seen, keys_seen_up_to
from service.engine.types import ModelWork


@dataclass(frozen=True, slots=True)
class RequestFlop:
    """FLOP of one request by cause."""

    linear: float
    """Matrix products and recurrences that every position passes."""
    attention_prefill: float
    """(query, key) pairs whose query is a prompt token."""
    attention_decode: float
    """Pairs whose query is an output token: all but the last, which is only sampled."""
    head: float
    """Output head, once for each output token."""

    @property
    def total(self) -> float:
        """Return the sum."""
        return self.linear + self.attention_prefill + self.attention_decode + self.head


def request_flop(work: ModelWork, input_tokens: int, output_tokens: int) -> RequestFlop:
    """Return the FLOP of a request without cached prefix (A13).

    Parameters
    ----------
    work
        The model.
    input_tokens
        Prompt tokens S, at least 1.
    output_tokens
        Output tokens T, at least 1: prefill yields the first, T - 1 decode steps the others.

    Returns
    -------
    RequestFlop
        FLOP; prompts are taken as one chunk, so no cached key is expanded again.

    Raises
    ------
    ValueError
        A length below 1.
    """
    if input_tokens < 1 or output_tokens < 1:
        raise ValueError(f"lengths are at least 1, not {input_tokens} and {output_tokens}")
    last = input_tokens + output_tokens - 1
    prefill = decode = Fraction(0)
    for layer in work.layers:
        for stream in layer.streams:
            prompt = keys_seen_up_to(stream.span, input_tokens)
            prefill += layer.count * stream.flop_per_pair_prefill * prompt
            rest = keys_seen_up_to(stream.span, last) - prompt
            decode += layer.count * stream.flop_per_pair_decode * rest
    return RequestFlop(
        linear=float(last * linear_flop_per_token(work)),
        attention_prefill=float(prefill),
        attention_decode=float(decode),
        head=float(output_tokens * head_flop_per_token(work)),
    )


def attention_flop_at(work: ModelWork, position: int) -> float:
    """Return the attention FLOP of the prompt token at a position, counted from 1 (a(n) of A12)."""
    return float(
        sum(
            layer.count * stream.flop_per_pair_prefill * keys_seen(stream.span, position)
            for layer in work.layers
            for stream in layer.streams
        )
    )
