"""Attention-DP ranks that hold prompts back to prefill together."""

from dataclasses import replace
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine.attribution import KvView, attribute, phase_increments
from service.engine.batching import SteadyState, steady_state
from service.engine.load import Load, make_load
from service.engine.operating_point import Replica, solve_concurrency
from service.engine.step import StepLoad, step_times
from service.engine.types import EnginePolicy, Layout
from service.engine.workload import make_mix, reduce_mix
from tests.builders.operating_points import POLICY, make_layer, make_point, make_table, make_work

ALIGNED: Final = replace(POLICY, name="trtllm", aligns_prefill=True)
RANKS: Final = 8
PROMPT, STEPS = 3000.0, 399.0
LAYOUT: Final = Layout(attention_dp=RANKS, moe_ep=RANKS)
TABLE: Final = make_table(make_work(make_layer(experts=64)), LAYOUT)
DENSE: Final = make_table(make_work(), Layout(attention_dp=RANKS))
AXIS: Final = np.array([1.0, 1.5, 3.0, 9.0, 64.0, 256.0, 700.0])
VIEWS: tuple[KvView, ...] = ("by_pass", "by_cause")


def _load(prompt: float = PROMPT) -> Load:
    moments = reduce_mix(make_mix([(prompt, 0.0, STEPS + 1.0)], [0], [1.0]), TABLE.spans, 8192.0)
    return make_load(TABLE, moments)


def _state(policy: EnginePolicy, population: str = "closed") -> SteadyState:
    return steady_state(TABLE, _load(), policy, AXIS, population)  # type: ignore[arg-type]


def test_all_ranks_carry_a_chunk_in_the_steps_in_which_one_does() -> None:
    state = _state(ALIGNED)
    full = RANKS + 1.0 <= AXIS
    # A rank's share of steps with a chunk is the replica's: q = (b - 1) E[U] / (D ranks c), c one prompt.
    q = (AXIS - 1.0) / (STEPS * RANKS)
    np.testing.assert_allclose(state.mixed_share[full], q[full], rtol=1e-12)
    carried = state.mixed_load.group - state.decode_load.group
    np.testing.assert_allclose(carried[full], RANKS * PROMPT, rtol=1e-12)


def test_no_more_ranks_prefill_together_than_there_are_other_requests() -> None:
    state = _state(ALIGNED)
    carried = state.mixed_load.group - state.decode_load.group
    others = np.clip(AXIS - 1.0, 1.0, RANKS)
    # A lone request has no chunk in any share of its steps, and one in the step of its own.
    np.testing.assert_allclose(carried, others * PROMPT, rtol=1e-12)


@pytest.mark.parametrize("population", ["closed", "open"])
@pytest.mark.parametrize("policy", [POLICY, ALIGNED])
def test_prefill_tokens_that_steps_carry_are_those_that_arrive(policy: EnginePolicy, population: str) -> None:
    state = _state(policy, population)
    carried = state.mixed_share * (state.mixed_load.group - state.decode_load.group)
    # In a step of D each of the b - 1 others brings E[U] / D tokens, whoever carries them.
    np.testing.assert_allclose(carried, (AXIS - 1.0) * PROMPT / STEPS, rtol=1e-12)


def test_aligned_ranks_spend_no_more_steps_on_chunks_than_ranks_on_their_own() -> None:
    apart, together = _state(POLICY), _state(ALIGNED)
    enough = RANKS + 1.0 <= AXIS
    # 1 - (1 - q)^n >= q: the union of independent chunks is at least one rank's.
    assert (together.mixed_share <= apart.mixed_share * (1 + 1e-12))[enough].all()
    # Chunks of a rank are as long; only who else carries one in the same step differs.
    np.testing.assert_allclose(together.chunk_tokens, apart.chunk_tokens)
    np.testing.assert_allclose(together.chunk_share, apart.chunk_share)


def test_a_dense_model_prefills_in_less_time_when_ranks_are_aligned() -> None:
    # Without experts a step's time does not depend on what other ranks carry.
    moments = reduce_mix(make_mix([(PROMPT, 0.0, STEPS + 1.0)], [0], [1.0]), DENSE.spans, 8192.0)
    load = make_load(DENSE, moments)
    apart, together = (steady_state(DENSE, load, policy, AXIS, "closed") for policy in (POLICY, ALIGNED))
    enough = RANKS + 1.0 <= AXIS
    np.testing.assert_allclose(together.mixed.total, apart.mixed.total)
    assert (together.step_seconds <= apart.step_seconds * (1 + 1e-12))[enough].all()
    assert (together.requests_per_second >= apart.requests_per_second * (1 - 1e-12))[enough].all()
    busy = AXIS == 700.0
    assert (together.step_seconds < 0.95 * apart.step_seconds)[busy].all()


def test_a_mean_step_is_that_of_ranks_in_lockstep_counted_out() -> None:
    # Each of the 64 others brings a prompt every 399 steps. Eight ranks take eight prompts at once, so they
    # do that in 8 of 399 steps.
    state = steady_state(TABLE, _load(), ALIGNED, np.array([65.0]), "closed")
    batch = 65.0 / RANKS
    loads = StepLoad(
        np.array([batch, batch]), np.array([0.0, PROMPT]), np.array([65.0, 65.0 + RANKS * PROMPT])
    )
    plain, mixed = step_times(_load().coefficients, loads).total.tolist()
    assert float(state.step_seconds[0]) == pytest.approx((391 * plain + 8 * mixed) / 399, rel=1e-12)


def test_without_attention_dp_there_is_nothing_to_align() -> None:
    table = make_table(make_work(make_layer(experts=64)), Layout(tp=RANKS))
    moments = reduce_mix(make_mix([(PROMPT, 0.0, 400.0)], [0], [1.0]), table.spans, 8192.0)
    load = make_load(table, moments)
    found = [steady_state(table, load, policy, AXIS, "closed") for policy in (POLICY, ALIGNED)]
    np.testing.assert_array_equal(found[0].tpot_seconds, found[1].tpot_seconds)
    np.testing.assert_array_equal(found[0].ttft_seconds, found[1].ttft_seconds)


@given(
    concurrency=st.floats(1.0, 2000.0),
    prompt=st.integers(1, 12_000),
    output=st.integers(2, 1000),
)
@settings(max_examples=25, deadline=None)
def test_a_solved_point_has_the_requests_in_flight_that_were_asked_for(
    concurrency: float, prompt: int, output: int
) -> None:
    moments = reduce_mix(make_mix([(prompt, 0.0, output)], [0], [1.0]), TABLE.spans, 8192.0)
    load = make_load(TABLE, moments)
    solved = solve_concurrency(Replica(TABLE, load, ALIGNED), concurrency)
    state = solved.state
    waiting = float(state.requests_per_second[0]) * solved.queued_seconds
    assert float(state.concurrency[0]) + waiting == pytest.approx(concurrency, rel=2e-3)
    assert 0.0 <= float(state.mixed_share[0]) <= 1.0


@given(
    batch=st.floats(1.0, 600.0),
    prompt=st.integers(1, 12_000),
    cached=st.floats(0.0, 0.99),
    output=st.integers(1, 1000),
)
@settings(max_examples=25, deadline=None)
def test_splits_of_aligned_steps_conserve(batch: float, prompt: int, cached: float, output: int) -> None:
    mix = [(1.0, float(prompt), float(int(prompt * cached)), float(output)), (0.5, 700.0, 0.0, 50.0)]
    made = make_point(mix, batch, TABLE, ALIGNED)
    for view in VIEWS:
        split = attribute(made.subject, view)
        assert split.shares.sum() == pytest.approx(1.0, rel=1e-12)
        assert split.shares.min() >= 0.0
    increments = phase_increments(made.subject, split)
    for shares in (increments.over_decode, increments.over_prefill):
        assert shares.sum() == pytest.approx(1.0, rel=1e-12)
