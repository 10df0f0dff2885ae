"""Closed sums over spans against loops over positions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine.spans import kept_keys, kept_sum, reach, recent_sum, visible_keys, visible_sum
from service.engine.types import Span

SPANS = st.one_of(
    st.builds(Span, stride=st.integers(1, 8)),
    st.builds(Span, st.sampled_from(["sliding", "chunked"]), st.integers(1, 60)),
    st.builds(Span, st.just("top_k"), st.integers(1, 40), st.integers(1, 8)),
)
TOKENS = st.integers(0, 200)


def _seen(span: Span, position: int) -> float:
    """Keys that the query at a position sees, by the table of ``Span``."""
    if span.kind == "chunked":
        return (position - 1) % span.limit_tokens + 1
    keys = position / span.stride
    return keys if span.limit_tokens is None else min(keys, span.limit_tokens)


def _kept(span: Span, position: int) -> float:
    if span.kind in ("sliding", "chunked"):
        return min(position, span.limit_tokens)
    return position / span.stride


@given(SPANS, TOKENS)
@settings(deadline=None)
def test_sums_in_closed_form_equal_loops_over_positions(span: Span, length: int) -> None:
    positions = range(1, length + 1)
    assert float(visible_sum(span, length)) == pytest.approx(sum(_seen(span, n) for n in positions))
    assert float(kept_sum(span, length)) == pytest.approx(sum(_kept(span, n) for n in positions))


@given(SPANS, st.integers(1, 200))
@settings(deadline=None)
def test_keys_of_one_query_are_the_difference_of_sums(span: Span, position: int) -> None:
    difference = visible_sum(span, position) - visible_sum(span, position - 1)
    assert float(visible_keys(span, position)) == pytest.approx(_seen(span, position))
    assert float(visible_keys(span, position)) == pytest.approx(float(difference))
    assert float(kept_keys(span, position)) == pytest.approx(_kept(span, position))


@given(SPANS, TOKENS, TOKENS)
@settings(deadline=None)
def test_pairs_of_recent_queries_with_recent_keys_equal_a_loop(span: Span, start: int, count: int) -> None:
    pairs = sum(
        min(_seen(span, n) * span.stride, n - start) / span.stride
        for n in range(start + 1, start + count + 1)
    )
    assert float(recent_sum(span, start, count)) == pytest.approx(pairs)


@given(SPANS, TOKENS, TOKENS)
@settings(deadline=None)
def test_a_query_after_a_start_never_sees_more_than_its_reach(span: Span, start: int, count: int) -> None:
    assert float(visible_keys(span, count)) <= float(reach(span, count)) + 1e-9
    assert (
        float(recent_sum(span, start, count))
        <= sum(float(reach(span, n)) for n in range(1, count + 1)) + 1e-6
    )


def test_a_window_longer_than_the_sequence_is_full_attention() -> None:
    lengths = np.arange(0, 500)
    for kind in ("sliding", "top_k", "chunked"):
        np.testing.assert_allclose(
            visible_sum(Span(kind, 1000), lengths),
            visible_sum(Span(), lengths),  # type: ignore[arg-type]
        )


def test_the_mean_of_a_cap_is_not_the_cap_of_the_mean() -> None:
    # METHOD 1: E[min(n, w)], never min(mean, w): positions 1 to 100 with a window of 50.
    mean = float(visible_sum(Span("sliding", 50), 100)) / 100
    assert mean == pytest.approx((50 * 51 / 2 + 50 * 50) / 100)
    assert mean < min(50.5, 50)


def test_contexts_of_billions_of_tokens_keep_their_precision() -> None:
    length = 2**33
    assert float(visible_sum(Span(), length)) == pytest.approx(length * (length + 1) / 2, rel=1e-15)
    chunked = float(visible_sum(Span("chunked", 8192), length))
    assert chunked == pytest.approx(length / 8192 * 8192 * 8193 / 2, rel=1e-15)
    assert np.isfinite(kept_sum(Span(), 2**40))


def test_arrays_equal_scalars() -> None:
    span, lengths = Span("chunked", 7), np.array([0.0, 3.0, 7.0, 8.0, 70.0])
    assert visible_sum(span, lengths).tolist() == [float(visible_sum(span, n)) for n in lengths]
    assert recent_sum(span, 5.0, lengths).tolist() == [float(recent_sum(span, 5.0, n)) for n in lengths]
