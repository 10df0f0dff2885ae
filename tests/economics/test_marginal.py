"""What one more token costs, against the limits in which marginal and average agree."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine.attribution import CACHED, OUTPUT, UNCACHED, Subject, attribute
from service.engine.batching import steady_state
from service.engine.load import make_load
from service.engine.marginal import CLOSURES, Closure, MarginalPoint, marginal
from service.engine.spans import Array
from service.engine.tables import ReplicaTable
from service.engine.workload import make_mix, reduce_mix
from tests.builders.operating_points import POLICY, make_layer, make_table, make_work

TABLE = make_table()
# Keys that nobody computes, reads or keeps.
WITHOUT_ATTENTION = make_table(make_work(make_layer(())))


def _point(
    tokens: tuple[float, float, float] = (3000.0, 0.0, 400.0),
    batch: float = 48.0,
    table: ReplicaTable = TABLE,
    limited_by: str = "tpot",
) -> MarginalPoint:
    mix = make_mix([tokens], [0], [1.0])
    return MarginalPoint(table, POLICY, mix, batch, "closed", limited_by)


@pytest.mark.parametrize("closure", CLOSURES)
def test_without_attention_request_terms_and_partial_chunks_marginal_is_average(closure: Closure) -> None:
    # Prompts of many whole chunks and very long answers leave nothing that a request needs once.
    found = marginal(_point((8192e3, 0.0, 4e6), 48.0, WITHOUT_ATTENTION), closure)
    assert found.sum_over_cost == pytest.approx(1.0, abs=1e-3)
    assert found.from_attention == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("closure", CLOSURES)
@pytest.mark.parametrize("tokens", [(3000.0, 0.0, 400.0), (20_000.0, 8000.0, 100.0), (50.0, 0.0, 3000.0)])
def test_what_makes_the_sum_differ_from_the_cost_adds_up(
    closure: Closure, tokens: tuple[float, float, float]
) -> None:
    found = marginal(_point(tokens), closure)
    parts = found.from_attention + found.from_request_terms + found.from_kinks
    assert 1.0 + parts == pytest.approx(found.sum_over_cost, abs=1e-9)
    assert found.from_kinks == pytest.approx(0.0, abs=0.02)


def test_attention_makes_long_requests_cost_more_than_in_proportion() -> None:
    short, long = (marginal(_point((n, 0.0, n / 10)), "fixed_batch") for n in (1000.0, 40_000.0))
    assert long.from_attention > short.from_attention > 0


@given(
    prompt=st.integers(2, 30_000),
    cached=st.floats(0.0, 0.99),
    output=st.integers(2, 4000),
    batch=st.floats(1.5, 200.0),
)
@settings(max_examples=40, deadline=None)
def test_one_more_token_never_saves_money_without_a_limit_on_the_first_token(
    prompt: int, cached: float, output: int, batch: float
) -> None:
    point = _point((float(prompt), np.floor(prompt * cached), float(output)), batch)
    for closure in ("fixed_batch", "tpot_limit"):
        assert marginal(point, closure).per_token.min() > -1e-6


def test_under_a_limit_on_the_first_token_more_output_can_save_money() -> None:
    point = _point((16_000.0, 0.0, 200.0), 40.0, limited_by="ttft")
    found = marginal(point, "tpot_and_ttft_limits")
    assert found.held == "ttft"
    assert found.per_token[OUTPUT] < marginal(point, "fixed_batch").per_token[OUTPUT]


def _cost(point: MarginalPoint, tokens: tuple[float, float, float]) -> float:
    moments = reduce_mix(make_mix([tokens], [0], [1.0]), point.table.spans, point.chunk_limit_tokens)
    load = make_load(point.table, moments)
    state = steady_state(point.table, load, POLICY, np.array([1.0 + point.batch]), "open")
    return 1.0 / float(state.requests_per_second[0])


@pytest.mark.parametrize(
    ("kind", "added"), [(UNCACHED, (64.0, 0.0, 0.0)), (CACHED, (64.0, 64.0, 0.0)), (OUTPUT, (0.0, 0.0, 8.0))]
)
def test_the_derivative_is_that_of_a_few_more_tokens(kind: int, added: tuple[float, float, float]) -> None:
    tokens = (12_000.0, 4000.0, 500.0)
    point = _point(tokens)
    longer = tuple(a + b for a, b in zip(tokens, added, strict=True))
    rise = _cost(point, (longer[0], longer[1], longer[2])) / _cost(point, tokens) - 1.0
    found = marginal(point, "fixed_batch").per_token[kind] * max(added)
    assert found == pytest.approx(rise, rel=0.05)


def _average(point: MarginalPoint) -> Array:
    moments = reduce_mix(point.mix, point.table.spans, point.chunk_limit_tokens)
    load = make_load(point.table, moments)
    state = steady_state(point.table, load, POLICY, np.array([1.0 + point.batch]), "open")
    return attribute(Subject(point.table, load, moments, state)).shares.sum(axis=(0, 2, 3))


def test_at_the_limit_of_the_time_per_token_input_costs_more_at_the_margin_than_on_average() -> None:
    point = _point()
    made = _average(point)
    found = marginal(point, "tpot_limit")
    assert found.held == "tpot"
    assert found.per_token[UNCACHED] * 3000 > made[UNCACHED]


@pytest.mark.parametrize("limited_by", ["throughput", "max_batch"])
def test_where_no_latency_limits_the_batch_is_held(limited_by: str) -> None:
    point = replace(_point(), limited_by=limited_by)
    assert marginal(point, "tpot_limit").held == "batch"


def test_full_memory_makes_tokens_that_are_kept_dearer() -> None:
    point = _point((8000.0, 0.0, 800.0), limited_by="memory")
    held, batch = marginal(point, "tpot_limit"), marginal(point, "fixed_batch")
    assert held.held == "memory"
    assert (held.per_token[[UNCACHED, OUTPUT]] > batch.per_token[[UNCACHED, OUTPUT]]).all()
