"""Solvers hit what they are asked for, hold limits, and refuse what nothing meets."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine.batching import SteadyState, prefill_limit, steady_state
from service.engine.errors import InfeasibleError
from service.engine.load import make_load
from service.engine.operating_point import (
    Limits,
    Replica,
    Statistic,
    batch_axis,
    capacity,
    itl_quantile,
    solve_arrivals,
    solve_cheapest,
    solve_concurrency,
    ttft_quantile,
)
from service.engine.replica import compile_replica
from service.engine.tables import ReplicaTable
from service.engine.types import EnginePolicy, Layout
from service.engine.workload import make_mix, reduce_mix
from tests.builders.known_models import IDEAL, endless
from tests.builders.operating_points import CALIBRATION, FORMATS, POLICY, make_layer, make_table, make_work

CHAT = (3000.0, 0.0, 400.0)
ROOMY = replace(POLICY, max_batch=10**7)


def _table(layout: Layout | None = None, memory: bool = False) -> ReplicaTable:
    if memory:
        return make_table(layout=layout)
    work = make_work(make_layer(experts=64))
    return compile_replica(work, endless(), layout or Layout(), FORMATS, CALIBRATION)


def _replica(
    tokens: tuple[float, float, float] = CHAT,
    table: ReplicaTable | None = None,
    policy: EnginePolicy = POLICY,
) -> Replica:
    used = table or _table()
    moments = reduce_mix(make_mix([tokens], [0], [1.0]), used.spans, policy.token_budget)
    return Replica(used, make_load(used, moments), policy)


def _curve(replica: Replica, points: int = 400) -> SteadyState:
    highest = min(prefill_limit(replica.table, replica.load, replica.policy), replica.policy.max_batch)
    axis = 1 + np.geomspace(1e-3, highest - 1, points)
    return steady_state(replica.table, replica.load, replica.policy, axis, "closed")


TOKENS = st.tuples(st.integers(1, 40_000), st.floats(0.0, 1.0), st.integers(1, 3000)).map(
    lambda t: (float(t[0]), t[0] * t[1], float(t[2]))
)
LAYOUTS = st.sampled_from([Layout(), Layout(tp=4), Layout(pp=4), Layout(attention_dp=8, moe_ep=8)])


@given(TOKENS, LAYOUTS, st.floats(1.0, 3000.0))
@settings(max_examples=40, deadline=None)
def test_the_concurrency_asked_for_is_in_flight_or_queued(
    tokens: tuple[float, float, float], layout: Layout, concurrency: float
) -> None:
    solved = solve_concurrency(_replica(tokens, _table(layout)), concurrency)
    state = solved.state
    if solved.limited_by == "concurrency":
        # Interpolated within a narrow bracket; waiting bends most near saturation.
        assert float(state.concurrency[0]) == pytest.approx(concurrency, rel=0.005)
        return
    waiting = solved.queued_seconds * float(state.requests_per_second[0])
    assert float(state.concurrency[0]) + waiting == pytest.approx(
        max(concurrency, float(state.concurrency[0]))
    )


@given(TOKENS, LAYOUTS, st.floats(1e-5, 0.999))
@settings(max_examples=40, deadline=None)
def test_the_arrival_rate_asked_for_is_served(
    tokens: tuple[float, float, float], layout: Layout, share: float
) -> None:
    replica = _replica(tokens, _table(layout), ROOMY)
    axis = np.array([prefill_limit(replica.table, replica.load, ROOMY)])
    most = float(steady_state(replica.table, replica.load, ROOMY, axis, "open").requests_per_second[0])
    state = solve_arrivals(replica, most * share).state
    assert float(state.requests_per_second[0]) == pytest.approx(most * share, rel=1e-3)
    assert np.isfinite(state.ttft_seconds).all()


def test_few_requests_on_many_ranks_are_solved_up_to_the_prefill_limit() -> None:
    # Fewer sequences than ranks: the room of a step is the budget less one, not less b / ranks.
    table = _table(Layout(attention_dp=16, moe_ep=16))
    replica = _replica((83_000.0, 0.0, 26.0), table, replace(ROOMY, token_budget=512))
    for concurrency in (10.0, 100.0, 1000.0, 2000.0):
        state = solve_concurrency(replica, concurrency).state
        assert float(state.concurrency[0]) == pytest.approx(concurrency, rel=0.01)


def test_a_lone_request_is_the_start_of_the_axis() -> None:
    solved = solve_concurrency(_replica(), 1.0)
    assert float(solved.state.seen_batch[0]) == pytest.approx(1.0, abs=1e-9)
    assert solved.limited_by == "concurrency"


@pytest.mark.parametrize(
    ("policy", "memory", "expected"),
    [
        (POLICY, True, "memory"),
        (replace(POLICY, max_batch=20), False, "max_batch"),
        (ROOMY, False, "prefill"),
    ],
)
def test_beyond_the_batch_limit_requests_wait_for_a_slot(
    policy: EnginePolicy, memory: bool, expected: str
) -> None:
    replica = _replica(table=_table(memory=memory), policy=policy)
    solved = solve_concurrency(replica, 1e9)
    rate = float(solved.state.requests_per_second[0])
    assert solved.limited_by == expected
    carried = float(solved.state.concurrency[0])
    assert solved.queued_seconds == pytest.approx((1e9 - carried) / rate)
    assert carried < 1e8
    assert solved.concurrency == 1e9


@given(TOKENS, LAYOUTS, st.floats(1.05, 50.0), st.sampled_from(["mean", "p50", "p90", "p95", "p99"]))
@settings(max_examples=40, deadline=None)
def test_the_cheapest_point_holds_its_limits(
    tokens: tuple[float, float, float], layout: Layout, slack: float, statistic: Statistic
) -> None:
    replica = _replica(tokens, _table(layout))
    alone = solve_concurrency(replica, 1.0).state
    limits = Limits(slack * float(alone.ttft_seconds[0]), slack * float(alone.tpot_seconds[0]), statistic)
    state = solve_cheapest(replica, limits).state
    tpot, ttft = state.tpot_seconds, state.ttft_seconds
    if statistic != "mean":
        probability = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}[statistic]
        tpot, ttft = itl_quantile(replica, state, probability), ttft_quantile(state, probability)
    assert limits.max_ttft_seconds is not None
    assert limits.max_tpot_seconds is not None
    # Interpolation may overshoot by a part in a thousand.
    assert float(ttft[0]) <= limits.max_ttft_seconds * 1.001
    assert float(tpot[0]) <= limits.max_tpot_seconds * 1.001


@pytest.mark.parametrize("limits", [Limits(None, 0.02), Limits(0.2, None), Limits(0.5, 0.03), Limits()])
def test_the_cheapest_point_is_the_best_of_a_fine_axis(limits: Limits) -> None:
    replica = _replica()
    curve = _curve(replica)
    within = np.ones_like(curve.batch, dtype=bool)
    if limits.max_tpot_seconds:
        within &= curve.tpot_seconds <= limits.max_tpot_seconds
    if limits.max_ttft_seconds:
        within &= curve.ttft_seconds <= limits.max_ttft_seconds
    best = curve.requests_per_second[within].max()
    assert capacity(replica, limits) == pytest.approx(best, rel=0.02)
    assert capacity(replica, limits) >= best * 0.999


def test_a_quantile_that_jumps_stays_before_the_jump() -> None:
    # The 99th percentile of a step is a mixed one as soon as 1 % of them are: 100 ms instead of 10.
    replica = _replica()
    alone = solve_concurrency(replica, 1.0).state
    between = float(alone.mixed.total[0]) / 2
    state = solve_cheapest(replica, Limits(None, between, "p99")).state
    assert 0.008 < float(state.mixed_share[0]) <= 0.01
    assert float(itl_quantile(replica, state, 0.99)[0]) <= between


def test_what_limits_the_batch_is_named() -> None:
    replica = _replica()
    assert solve_cheapest(replica, Limits(None, 0.02)).limited_by == "tpot"
    assert solve_cheapest(replica, Limits(0.15, None)).limited_by == "ttft"
    assert solve_cheapest(_replica(table=_table(memory=True)), Limits()).limited_by == "memory"
    assert solve_cheapest(_replica(policy=replace(POLICY, max_batch=8)), Limits()).limited_by == "max_batch"


@pytest.mark.parametrize(("limits", "name"), [(Limits(None, 1e-5), "tpot"), (Limits(1e-5, None), "ttft")])
def test_limits_that_nothing_meets_are_refused_with_what_is_possible(limits: Limits, name: str) -> None:
    replica = _replica()
    with pytest.raises(InfeasibleError) as refused:
        solve_cheapest(replica, limits)
    assert refused.value.code == "limits-unmet"
    assert refused.value.field == f"operating_point.max_{name}_seconds"
    least = refused.value.accepted[f"minimum_{name}_seconds"]
    alone = solve_concurrency(replica, 1.0).state
    assert least == pytest.approx(float(getattr(alone, f"{name}_seconds")[0]))


def test_an_arrival_rate_beyond_capacity_is_refused_with_the_most_that_is_possible() -> None:
    replica = _replica()
    with pytest.raises(InfeasibleError) as refused:
        solve_arrivals(replica, 1e6)
    assert refused.value.code == "arrival-rate-too-high"
    assert refused.value.field == "operating_point.requests_per_second"
    most = refused.value.accepted["maximum_requests_per_second_per_replica"]
    assert isinstance(most, float)
    assert solve_arrivals(replica, 0.999 * most).limited_by == "arrivals"


def test_an_arrival_rate_under_which_latency_breaks_a_limit_is_refused() -> None:
    replica = _replica()
    calm = solve_arrivals(replica, 1.0, Limits(None, 0.02))
    assert calm.limited_by == "arrivals"
    with pytest.raises(InfeasibleError) as refused:
        solve_arrivals(replica, 1.0, Limits(None, float(calm.state.tpot_seconds[0]) * 0.9))
    assert refused.value.code == "limits-unmet"
    assert refused.value.field == "operating_point.max_tpot_seconds"


def test_quantiles_of_the_wait_are_those_of_an_atom_and_an_exponential_tail() -> None:
    # P(W > t) = rho exp(-rho t / E[W]): sampled, 200,000 draws, 1 %.
    state = solve_arrivals(_replica(policy=ROOMY), 4.0).state
    rho, mean = float(state.prefill_utilisation[0]), float(state.waiting_seconds[0])
    rng = np.random.default_rng(3)
    waits = np.where(rng.random(200_000) < rho, rng.exponential(mean / rho, 200_000), 0.0)
    assert waits.mean() == pytest.approx(mean, rel=0.02)
    for probability in (0.5, 0.9, 0.99):
        expected = np.quantile(waits, probability) + float(state.prefill_seconds[0])
        assert float(ttft_quantile(state, probability)[0]) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("highest", [1.0, 1.0 + 1e-7, 2.0, 300.0, 1e6, 1e12])
@pytest.mark.parametrize("prefill_bound", [True, False])
def test_the_axis_rises_from_a_lone_request_to_its_end(highest: float, prefill_bound: bool) -> None:
    axis = batch_axis(highest, prefill_bound)
    assert axis[0] == 1.0
    assert (np.diff(axis) > 0).all()
    assert axis[-1] == pytest.approx(highest, rel=1e-6)
    assert axis[-1] <= highest * (1 + 1e-12)


def test_latency_and_throughput_rise_along_the_axis() -> None:
    curve = _curve(_replica(table=compile_replica(make_work(), endless(), Layout(), FORMATS, IDEAL)))
    for values in (curve.tpot_seconds, curve.ttft_seconds, curve.concurrency, curve.batch):
        assert (np.diff(values) >= -1e-9 * values[1:]).all()


def test_a_model_that_keeps_no_cache_is_bound_by_prefill_or_the_engine() -> None:
    work = make_work(make_layer(streams=(), mixer_gemm_parameters=0, mixer_kind="none"))
    table = compile_replica(work, endless(), Layout(), FORMATS, IDEAL)
    solved = solve_cheapest(_replica(table=table), Limits())
    assert solved.memory.max_batch == np.inf
    assert solved.limited_by in ("prefill", "max_batch", "throughput")
    assert np.isfinite(solved.state.requests_per_second).all()
