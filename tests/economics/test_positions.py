"""Position curves: they integrate to the request, and rise and fall as attention does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine.attribution import KvView
from service.engine.positions import RequestShape, position_drivers, reached_by, summed_drivers
from service.engine.spans import Array
from service.engine.types import Span
from service.engine.unit_costs import request_drivers, unit_costs
from tests.builders.operating_points import Made, make_layer, make_point, make_table, make_work

TABLES = {
    "full": make_table(),
    "windowed": make_table(make_work(make_layer((Span(), Span("sliding", 512))))),
    "chunked": make_table(make_work(make_layer((Span("chunked", 256),)))),
    "selected": make_table(make_work(make_layer((Span("top_k", 300, 4), Span("full", None, 8))))),
    "without attention": make_table(make_work(make_layer(()))),
}


def _costs(made: Made, shape: RequestShape, view: KvView, positions: Array) -> Array:
    units = unit_costs(made.subject, made.chunk_limit)
    return units.of_requests(position_drivers(made.subject, units, shape, positions, view))


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("view", ["by_cause", "by_pass"])
@given(
    prompt=st.integers(1, 3000),
    cached=st.floats(0, 0.99),
    output=st.integers(1, 1500),
    batch=st.floats(2, 99),
)
@settings(max_examples=25, deadline=None)
def test_a_position_curve_integrates_to_the_cost_of_the_request(
    name: str, view: KvView, prompt: int, cached: float, output: int, batch: float
) -> None:
    made = make_point([(1.0, 2000.0, 200.0, 300.0), (2.0, 200.0, 0.0, 900.0)], batch, TABLES[name])
    shape = RequestShape(float(prompt), float(int(cached * prompt)), float(output))
    units = unit_costs(made.subject, made.chunk_limit)
    row = [(shape.input_tokens, shape.cached_tokens, shape.output_tokens)]
    whole = float(units.of_requests(request_drivers(made.subject, units, row))[0])
    curve = _costs(made, shape, view, np.arange(1.0, prompt + output + 1.0))
    assert float(curve.sum()) == pytest.approx(whole, rel=1e-9)
    assert curve.min() >= 0.0


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("view", ["by_cause", "by_pass"])
@given(prompt=st.integers(1, 3000), cached=st.floats(0, 0.99), output=st.integers(1, 1500))
@settings(max_examples=25, deadline=None)
def test_the_sum_over_positions_is_that_of_visiting_each(
    name: str, view: KvView, prompt: int, cached: float, output: int
) -> None:
    made = make_point([(1.0, 2000.0, 200.0, 300.0), (2.0, 200.0, 0.0, 900.0)], 40.0, TABLES[name])
    shape = RequestShape(float(prompt), float(int(cached * prompt)), float(output))
    units = unit_costs(made.subject, made.chunk_limit)
    each = position_drivers(made.subject, units, shape, np.arange(1.0, prompt + output + 1.0), view)
    np.testing.assert_allclose(summed_drivers(made.subject, units, shape, view), each.sum(axis=1), rtol=1e-9)


def test_a_request_of_a_million_tokens_is_integrated_without_visiting_each() -> None:
    made = make_point([(1.0, 16_000.0, 0.0, 200.0)], 16.0)
    shape = RequestShape(900_000.0, 100_000.0, 100_000.0)
    units = unit_costs(made.subject, made.chunk_limit)
    whole = units.of_requests(request_drivers(made.subject, units, [(900_000.0, 100_000.0, 100_000.0)]))
    summed = summed_drivers(made.subject, units, shape, "by_cause")
    np.testing.assert_allclose(units.of_requests(summed[:, None]), whole, rtol=1e-9)


def test_by_pass_later_prompt_tokens_cost_more_and_by_cause_earlier_ones_do() -> None:
    made = make_point([(1.0, 16_000.0, 0.0, 200.0)], 16.0)
    shape, at = RequestShape(16_000.0, 0.0, 200.0), np.array([1.0, 8000.0, 16_000.0])
    by_pass, by_cause = (_costs(made, shape, view, at) for view in ("by_pass", "by_cause"))
    assert (np.diff(by_pass) > 0).all()
    assert (np.diff(by_cause) < 0).all()


def test_a_window_caps_what_a_token_costs() -> None:
    made = make_point(
        [(1.0, 16_000.0, 0.0, 200.0)], 16.0, make_table(make_work(make_layer((Span("sliding", 512),))))
    )
    shape = RequestShape(16_000.0, 0.0, 200.0)
    costs = _costs(made, shape, "by_pass", np.array([100.0, 512.0, 9000.0, 15_000.0]))
    assert costs[0] < costs[1] == pytest.approx(costs[2]) == pytest.approx(costs[3])


def test_the_first_output_token_pays_no_decode_step() -> None:
    made = make_point()
    costs = _costs(made, RequestShape(3000.0, 0.0, 400.0), "by_pass", np.array([3001.0, 3002.0, 3400.0]))
    assert costs[0] < costs[1] < costs[2]


def test_without_attention_every_input_token_costs_the_same() -> None:
    made = make_point(table=TABLES["without attention"])
    costs = _costs(made, RequestShape(3000.0, 0.0, 400.0), "by_cause", np.array([1.0, 1001.0, 3000.0]))
    assert costs.min() == pytest.approx(costs.max())


def test_fewer_requests_reach_later_output_tokens() -> None:
    outputs, weight = np.array([3.0, 1.0, 2.0, 2.0]), np.array([0.25, 0.25, 0.25, 0.25])
    reached = reached_by(outputs, weight, np.array([1.0, 2.0, 3.0, 4.0]))
    np.testing.assert_allclose(reached, [1.0, 0.75, 0.25, 0.0])
