"""Moments of a mix against requests simulated token by token."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine.errors import InvalidInputError
from service.engine.types import Span
from service.engine.workload import Moments, make_mix, reduce_mix

SPANS = st.one_of(
    st.builds(Span, stride=st.integers(1, 5)),
    st.builds(Span, st.sampled_from(["sliding", "chunked"]), st.integers(1, 50)),
    st.builds(Span, st.just("top_k"), st.integers(1, 30), st.integers(1, 5)),
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[int, int, int]:
    prompt = draw(st.integers(1, 120))
    return prompt, draw(st.integers(0, prompt - 1)), draw(st.integers(1, 80))


@dataclass
class Simulated:
    """Pairs of one request, counted key by key."""

    own: float = 0.0
    on_prefix: float = 0.0
    decode_cached: float = 0.0
    decode_uncached: float = 0.0
    decode_output: float = 0.0


def _farthest(span: Span, position: int) -> float:
    """Where the keys of a query begin: the nearest ones are seen first, chunks end at their edges."""
    if span.kind == "chunked":
        return position - ((position - 1) % span.limit_tokens + 1)
    if span.limit_tokens is None:
        return 0.0
    return max(0.0, position - span.limit_tokens * span.stride)


def _between(low: float, high: float, first: float, last: float) -> float:
    return max(0.0, min(high, last) - max(low, first))


def _simulate(span: Span, prompt: int, cached: int, output: int) -> Simulated:
    counts = Simulated()
    for position in range(cached + 1, prompt + output):
        first = _farthest(span, position)
        on_cached = _between(0, cached, first, position) / span.stride
        on_prompt = _between(cached, prompt, first, position) / span.stride
        on_output = _between(prompt, prompt + output, first, position) / span.stride
        if position <= prompt:
            counts.own += on_prompt
            counts.on_prefix += on_cached
        else:
            counts.decode_cached += on_cached
            counts.decode_uncached += on_prompt
            counts.decode_output += on_output
    return counts


def _moments(span: Span, *rows: tuple[float, float, float], chunk: float = np.inf) -> Moments:
    mix = make_mix(rows, np.arange(len(rows)), np.ones(len(rows)))
    return reduce_mix(mix, (span,), chunk)


@given(SPANS, requests())
@settings(max_examples=150, deadline=None)
def test_pairs_equal_those_of_a_request_simulated_token_by_token(
    span: Span, request: tuple[int, int, int]
) -> None:
    counted, moments = _simulate(span, *request), _moments(span, request)
    assert moments.prefill_pairs_own[0, 0] == pytest.approx(counted.own)
    assert moments.prefill_pairs_cached[0, 0] == pytest.approx(counted.on_prefix)
    assert moments.decode_pairs_on_cached[0, 0] == pytest.approx(counted.decode_cached)
    assert moments.decode_pairs_on_uncached[0, 0] == pytest.approx(counted.decode_uncached)
    assert moments.decode_pairs_on_output[0, 0] == pytest.approx(counted.decode_output)


@given(SPANS, st.lists(requests(), min_size=1, max_size=5), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_moments_of_a_mix_are_means_over_its_requests(
    span: Span, rows: list[tuple[int, int, int]], heavier: int
) -> None:
    weights = np.ones(len(rows))
    weights[0] = heavier
    mix = make_mix(rows, np.zeros(len(rows)), weights)
    mean = sum(
        w * _simulate(span, *row).decode_uncached
        for w, row in zip(weights / weights.sum(), rows, strict=True)
    )
    moments = reduce_mix(mix, (span,), np.inf)
    assert moments.classes == 1
    assert moments.decode_pairs_on_uncached[0, 0] == pytest.approx(mean)


def _simulate_reads(span: Span, prompt: int, cached: int, chunk: int) -> tuple[float, float]:
    """Keys that chunks read: (computed ones, cached ones), nearest kept ones first."""
    own = from_cache = 0.0
    for start in range(cached, prompt, chunk):
        tokens = min(chunk, prompt - start)
        kept = min(start, span.limit_tokens) if span.kind in ("sliding", "chunked") else start
        kept_own = min(kept, start - cached)
        own += (tokens + kept_own) / span.stride
        from_cache += (kept - kept_own) / span.stride
    return own, from_cache


@given(SPANS, st.integers(0, 150), st.integers(2, 12), st.integers(5, 60), st.integers(0, 59))
@settings(max_examples=150, deadline=None)
def test_chunked_prefill_reads_what_a_loop_over_chunks_reads(
    span: Span, cached: int, full: int, chunk: int, rest: int
) -> None:
    prompt = cached + full * chunk + rest % chunk
    own, from_cache = _simulate_reads(span, prompt, cached, chunk)
    moments = _moments(span, (prompt, cached, 1), chunk=chunk)
    # The sum over chunks is an integral by the trapezoidal rule: exact for a linear cache and whole
    # chunks but for half a key a chunk; a last partial chunk, and a window's edge inside a chunk, are
    # each off by at most one reading of what is kept.
    kept = min(prompt, span.limit_tokens or prompt) if span.kind != "top_k" else prompt
    slack = kept / span.stride + full + 1
    assert abs(moments.chunk_reads_own[0, 0] - own) <= slack
    assert abs(moments.chunk_reads_cached[0, 0] - from_cache) <= slack
    assert abs(moments.chunk_reads_own[0, 0] + moments.chunk_reads_cached[0, 0] - own - from_cache) <= slack


def test_whole_chunks_of_full_attention_are_read_exactly_but_for_half_a_key_a_chunk() -> None:
    own, from_cache = _simulate_reads(Span(), 10_000 + 8 * 2048, 10_000, 2048)
    moments = _moments(Span(), (10_000 + 8 * 2048, 10_000, 1), chunk=2048)
    assert moments.chunk_reads_cached[0, 0] == from_cache
    assert moments.chunk_reads_own[0, 0] - own == pytest.approx(8 / 2)


def test_a_prompt_within_the_budget_reads_its_prefix_once_and_itself_once() -> None:
    moments = _moments(Span(), (5000, 2000, 10), chunk=3000)
    assert moments.chunk_reads_own[0, 0] == 3000
    assert moments.chunk_reads_cached[0, 0] == 2000


def test_the_mean_context_of_a_decode_step_is_length_biased() -> None:
    # METHOD 3: E[S (T - 1) + T (T - 1) / 2] / E[T - 1].
    rng = np.random.default_rng(5)
    prompt, output = rng.integers(1, 9000, 400), rng.integers(1, 700, 400)
    mix = make_mix(np.stack((prompt, 0 * prompt, output), axis=1), np.zeros(400), np.ones(400))
    moments = reduce_mix(mix, (Span(),), np.inf)
    biased = (prompt * (output - 1) + output * (output - 1) / 2).mean() / (output - 1).mean()
    assert moments.decode_pairs_mean[0] / moments.mean_steps == pytest.approx(biased)
    assert moments.held_keys[0, 0] == pytest.approx(biased)
    reserved = ((prompt + output) * (output - 1)).mean() / (output - 1).mean()
    assert moments.held_keys[1, 0] == pytest.approx(reserved)
    assert moments.held_keys[2, 0] == pytest.approx(prompt.mean())


@given(SPANS, requests())
@settings(max_examples=60, deadline=None)
def test_resident_keys_are_the_mean_of_what_each_decode_step_finds(
    span: Span, request: tuple[int, int, int]
) -> None:
    prompt, _, output = request
    if output == 1:
        return
    capped = span.kind in ("sliding", "chunked")
    kept = [
        min(n, span.limit_tokens) if capped else n / span.stride for n in range(prompt + 1, prompt + output)
    ]
    held = _moments(span, request).held_keys[:, 0]
    assert held[0] == pytest.approx(np.mean(kept))
    whole = prompt + output
    assert held[1] == pytest.approx(min(whole, span.limit_tokens) if capped else whole / span.stride)


@given(SPANS, st.integers(1, 120), st.integers(1, 80))
@settings(max_examples=100, deadline=None)
def test_the_limit_of_a_first_cached_token_is_what_one_cached_token_adds(
    span: Span, new: int, output: int
) -> None:
    moments = _moments(span, (new, 0, output))
    added = _simulate(span, new + 1, 1, output)
    assert moments.cached_limit.prefill_pairs[0] == pytest.approx(added.on_prefix, abs=1.0)
    if span.kind != "chunked":
        assert moments.cached_limit.prefill_pairs[0] == pytest.approx(added.on_prefix)
        assert moments.cached_limit.decode_pairs[0] == pytest.approx(added.decode_cached)
    assert moments.cached_limit.chunk_reads[0] == pytest.approx(1 / span.stride)


def test_the_last_prompt_token_is_computed_whatever_is_cached() -> None:
    # Its hidden state yields the first output token.
    moments = _moments(Span(), (1000, 1000, 5))
    assert (moments.mean_uncached, moments.mean_cached) == (1, 999)
    assert _moments(Span(), (1, 1, 5)).mean_uncached == 1


def test_a_request_of_one_output_token_does_not_decode() -> None:
    moments = _moments(Span(), (1000, 200, 1))
    assert moments.mean_steps == 0
    assert moments.decode_pairs_mean[0] == 0
    assert moments.held_keys[:, 0].tolist() == [1000, 1001, 1000]


def test_the_order_in_which_classes_come_does_not_matter() -> None:
    rows = [(100, 0, 10), (2000, 500, 70), (50, 20, 300)]
    apart = make_mix(rows, [2, 0, 1], [1, 2, 3])
    assert apart.input_tokens.tolist() == [2000, 50, 100]
    there, back = (
        reduce_mix(apart, (Span(),), np.inf),
        reduce_mix(make_mix(rows, [0, 1, 2], [1, 2, 3]), (Span(),), np.inf),
    )
    assert there.decode_pairs_mean == pytest.approx(back.decode_pairs_mean)
    assert sorted(there.uncached) == pytest.approx(sorted(back.uncached))


def test_a_class_of_weight_zero_changes_nothing() -> None:
    alone = _moments(Span(), (100, 0, 10))
    both = reduce_mix(make_mix([(100, 0, 10), (9000, 0, 900)], [0, 1], [1.0, 0.0]), (Span(),), np.inf)
    assert both.class_share.tolist() == [1.0, 0.0]
    assert both.decode_pairs_mean == pytest.approx(alone.decode_pairs_mean)
    assert both.mean_uncached == alone.mean_uncached


def test_variation_of_prefill_work_is_that_of_computed_tokens() -> None:
    mix = make_mix([(100, 0, 5), (300, 0, 5)], [0, 0], [1, 1])
    assert reduce_mix(mix, (Span(),), np.inf).uncached_variation == pytest.approx(100**2 / 200**2)


def test_a_model_without_cache_has_moments_of_no_span() -> None:
    moments = reduce_mix(make_mix([(100, 0, 10)], [0], [1]), (), 512.0)
    assert moments.held_keys.shape == (3, 0)
    assert moments.prefill_pairs_own.shape == (0, 1)


@pytest.mark.parametrize(
    ("rows", "weights"),
    [
        ([], []),  # no class
        ([(10, 0, 5)], [0.0]),  # no weight at all
        ([(10, 0, 5), (10, 0, 5)], [2.0, -1.0]),  # negative weight
        ([(10, 0, 5)], [float("nan")]),
        ([(float("inf"), 0, 5)], [1.0]),
        ([(0, 0, 5)], [1.0]),  # no input
        ([(10, 0, 0)], [1.0]),  # no output
        ([(10, -1, 5)], [1.0]),
        ([(10, 11, 5)], [1.0]),  # more cached than there is
    ],
)
def test_impossible_mixes_are_refused_naming_the_workload(
    rows: list[tuple[float, float, float]], weights: list[float]
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        make_mix(rows, np.arange(len(rows)), weights)
    assert refused.value.field == "workload"
