"""The crossover against brute force and against closed forms."""

from fractions import Fraction

import pytest

from service.engine.architecture import derive_work, linear_flop_per_token
from service.engine.crossover import attention_crossover, keys_seen, keys_seen_up_to
from service.engine.parts import Attention, Dense, LayerGroup, ModelSpec
from service.engine.types import ModelWork, Span

_SPANS = [
    Span(),
    Span(stride=4),
    Span(kind="sliding", limit_tokens=7),
    Span(kind="chunked", limit_tokens=7),
    Span(kind="top_k", limit_tokens=5),
    Span(kind="top_k", limit_tokens=5, stride=3),
]


def _model(*spans: Span, width: int = 40) -> ModelWork:
    groups = tuple(
        LayerGroup(
            name=f"layer {index}",
            count=1,
            mixers=(Attention(query_heads=2, kv_heads=1, head_dim=8, value_head_dim=8, span=span),),
            feed_forwards=(Dense(intermediate_size=width),),
        )
        for index, span in enumerate(spans)
    )
    return derive_work(
        ModelSpec(
            name="toy",
            hidden_size=8,
            vocab_size=10,
            max_context_tokens=10,
            tied_embeddings=False,
            layer_groups=groups,
        )
    )


def _by_counting(work: ModelWork, farthest: int = 5000) -> tuple[int | None, int | None]:
    linear = linear_flop_per_token(work)
    streams = [(layer.count, stream) for layer in work.layers for stream in layer.streams]
    per_token = cumulative = None
    total = Fraction()
    for position in range(1, farthest):
        attention = sum(n * s.flop_per_pair_prefill * keys_seen(s.span, position) for n, s in streams)
        total += attention
        if per_token is None and attention >= linear:
            per_token = position
        if cumulative is None and total >= linear * position:
            cumulative = position
    return per_token, cumulative


@pytest.mark.parametrize("span", _SPANS, ids=lambda span: f"{span.kind}/{span.stride}")
def test_the_closed_sum_of_keys_equals_counting(span: Span) -> None:
    total = Fraction()
    for position in range(1, 60):
        total += keys_seen(span, position)
        assert keys_seen_up_to(span, position) == total


@pytest.mark.parametrize(
    "spans",
    [
        (Span(),),
        (Span(), Span(kind="sliding", limit_tokens=30)),
        (Span(), Span(kind="chunked", limit_tokens=50)),
        (Span(kind="chunked", limit_tokens=200),),
        (Span(stride=4), Span(kind="top_k", limit_tokens=9)),
        (Span(kind="sliding", limit_tokens=3),),
        (Span(kind="chunked", limit_tokens=9),),
    ],
    ids=str,
)
@pytest.mark.parametrize("width", [1, 13, 40, 90])
def test_the_crossover_is_the_first_token_that_counting_finds(spans: tuple[Span, ...], width: int) -> None:
    work = _model(*spans, width=width)
    found = attention_crossover(work)
    assert (found.per_token, found.cumulative) == _by_counting(work)


def test_the_sum_meets_at_about_twice_the_length_of_the_single_token() -> None:
    # Full attention: a*n = L at n; a*n*(n+1)/2 = L*n at 2n - 1.
    found = attention_crossover(_model(Span()))
    assert found.per_token is not None
    assert found.cumulative is not None
    assert found.cumulative in (2 * found.per_token - 1, 2 * found.per_token - 2)


def test_windows_alone_never_reach_the_linear_part() -> None:
    found = attention_crossover(_model(Span(kind="sliding", limit_tokens=2)))
    assert (found.per_token, found.cumulative) == (None, None)
