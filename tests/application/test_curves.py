"""Curves pass through the estimate they start from, integrate to its bill, and say where they end."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from service.application.curve_answers import Counterfactual, CurveAnswer
from service.application.curve_requests import CounterfactualSpec, CurveRequest, CurveSpec
from service.application.curves import AXES, CurveDrawer
from service.application.errors import InvalidRequestError, LimitExceededError, UnknownIdError
from service.application.estimate import Estimator
from service.application.requests import OperatingPointRequest, SampleRequest, ServingRequest
from service.engine.errors import InfeasibleError, InvalidInputError
from tests.builders.estimates import NOW, SNAPSHOT, make_estimate, make_estimate_request, workload

DRAWER = CurveDrawer(Estimator())
KINDS = ("uncached_input", "cached_input", "output")


def draw(
    spec: CurveSpec, counterfactuals: tuple[CounterfactualSpec, ...] = (), **changes: Any
) -> CurveAnswer:
    request = CurveRequest(make_estimate_request(**changes), spec, counterfactuals)
    return DRAWER.draw(request, SNAPSHOT, NOW)


def what_if(kind: str, model: str = "llama-3.1-8b", **figures: Any) -> Counterfactual:
    spec = CounterfactualSpec(kind, **figures)  # type: ignore[arg-type]
    return draw(CurveSpec("utilisation", points=2), (spec,), model=model).counterfactuals[0]


@pytest.mark.parametrize("axis", AXES)
def test_every_axis_is_drawn_with_the_points_asked_for(axis: Any) -> None:
    answer = draw(CurveSpec(axis, points=40))
    assert answer.axis == axis
    assert set(answer.series) == set(answer.units)
    for values in answer.series.values():
        assert len(values) == len(answer.x)
        assert np.isfinite(values).all()
    assert answer.left_out or len(answer.x) == 40
    assert (np.diff(answer.x) > 0).all()
    assert answer.explanation


@pytest.mark.parametrize("view", ["by_cause", "by_pass"])
@pytest.mark.parametrize("model", ["llama-3.1-8b", "gpt-oss-120b", "deepseek-v3"])
def test_a_position_curve_integrates_to_the_cost_of_its_request(view: Any, model: str) -> None:
    layout = {"accelerator": "h200-sxm", "operating_point": OperatingPointRequest("cheapest")}
    answer = draw(CurveSpec("position", points=20_000, view=view), model=model, **layout)
    assert answer.conservation is not None
    assert answer.conservation.relative_difference < 1e-9
    # The mean request of a mix of one class is that class, so the curve is the estimate's bill.
    bill = make_estimate(model=model, **layout).cost_per_request
    assert sum(answer.series["cost"]) / 1e6 == pytest.approx(bill, rel=1e-6)


def test_a_position_curve_integrates_to_the_cost_of_its_request_under_speculation() -> None:
    serving = ServingRequest(draft_tokens=3)
    answer = draw(CurveSpec("position", points=20_000, view="by_pass"), model="deepseek-v3", serving=serving)
    bill = make_estimate(model="deepseek-v3", serving=serving).cost_per_request
    assert sum(answer.series["cost"]) / 1e6 == pytest.approx(bill, rel=1e-6)


def test_a_position_costs_what_its_resources_and_its_linear_and_quadratic_parts_cost() -> None:
    answer = draw(CurveSpec("position", points=500))
    cost = np.array(answer.series["cost"])
    parts = sum(np.array(answer.series[name]) for name in ("compute", "memory", "network", "overhead"))
    np.testing.assert_allclose(parts, cost, rtol=1e-6)
    linear, attention = (np.array(answer.series[name]) for name in ("linear", "attention"))
    np.testing.assert_allclose(linear + attention, cost, rtol=1e-6)


def test_positions_reach_to_a_million_tokens_where_the_model_does() -> None:
    million = replace(SNAPSHOT.model("llama-3.1-8b"))
    work = replace(million.work, max_context_tokens=1_048_576)
    long = replace(SNAPSHOT, all_models=(replace(million, work=work),))
    spec = CurveSpec("position", points=10_000, request=SampleRequest(1_000_000, 40_000, 500_000))
    answer = DRAWER.draw(CurveRequest(make_estimate_request(), spec), long, NOW)
    assert answer.x[-1] == 1_040_000
    assert answer.conservation is not None
    assert answer.conservation.relative_difference < 1e-9


def test_the_share_of_requests_that_reach_an_output_token_is_that_of_the_mix() -> None:
    mix = workload((3.0, 1000, 100, 0.0), (1.0, 1000, 300, 0.0))
    answer = draw(CurveSpec("position", request=SampleRequest(1000, 300), points=20_000), workload=mix)
    share = dict(zip(answer.x, answer.series["share_of_requests"], strict=True))
    assert (share[1.0], share[1100.0], share[1101.0], share[1300.0]) == (1.0, 1.0, 0.25, 0.25)


@pytest.mark.parametrize(
    ("axis", "value"),
    [
        ("context", 3000.0),
        ("cached_share", 0.0),
        ("input_to_output_ratio", 7.5),
        ("utilisation", 1.0),
        ("price", 2.0),
    ],
)
def test_a_curve_passes_through_the_estimate(axis: Any, value: float) -> None:
    estimate = make_estimate()
    ends = {"stop": value} if axis == "utilisation" else {"start": value}
    answer = draw(CurveSpec(axis, points=5, **ends))
    place = -1 if axis == "utilisation" else 0
    assert answer.series["cost_per_request"][place] == pytest.approx(estimate.cost_per_request, rel=1e-6)
    for kind, rate in zip(KINDS, estimate.rates, strict=True):
        assert answer.series[kind][place] == pytest.approx(rate.per_million_tokens, rel=1e-6)


def test_a_batch_curve_passes_through_the_estimate() -> None:
    estimate = make_estimate()
    answer = draw(CurveSpec("batch", points=5, start=estimate.operating_point.batch))
    assert answer.series["output"][0] == pytest.approx(estimate.rates[2].per_million_tokens, rel=1e-3)
    assert answer.series["cost_per_request"] == sorted(answer.series["cost_per_request"], reverse=True)


@pytest.mark.parametrize(("axis", "mean"), [("input_tokens", 3000.0), ("output_tokens", 400.0)])
def test_a_request_of_mean_length_costs_the_bill_and_is_charged_it(axis: Any, mean: float) -> None:
    answer = draw(CurveSpec(axis, points=5, start=mean))
    bill = make_estimate().cost_per_request
    assert answer.series["cost"][0] == pytest.approx(bill, rel=1e-6)
    assert answer.series["charged_at_linear_rates"][0] == pytest.approx(bill, rel=1e-6)
    # Attention grows with the square, the charge does not.
    assert answer.series["cost_over_charge"][-1] > 1.0


def test_rented_cost_is_inverse_in_utilisation_and_the_rest_is_idle() -> None:
    answer = draw(CurveSpec("utilisation", points=50))
    x, cost = np.array(answer.x), np.array(answer.series["cost_per_request"])
    np.testing.assert_allclose(cost * x, cost[-1], rtol=1e-6)
    np.testing.assert_allclose(answer.series["idle_share"], 1.0 - x, atol=1e-6)


def test_cost_is_in_proportion_to_the_price() -> None:
    answer = draw(CurveSpec("price", points=50))
    np.testing.assert_allclose(
        np.array(answer.series["output"]) / answer.x, answer.series["output"][0] / answer.x[0], rtol=1e-6
    )


def test_a_larger_share_found_in_the_cache_makes_requests_cheaper() -> None:
    cost = draw(CurveSpec("cached_share", points=20)).series["cost_per_request"]
    assert (np.diff(cost) < 0).all()


def test_points_between_solved_ones_lie_between_them() -> None:
    coarse, fine = (draw(CurveSpec("cached_share", points=count)) for count in (32, 2000))
    assert (coarse.solved_points, fine.solved_points) == (32, 32)
    again = np.interp(coarse.x, fine.x, fine.series["output"])
    np.testing.assert_allclose(again, coarse.series["output"], rtol=2e-3)


def test_attention_meets_the_linear_work_where_the_configuration_says() -> None:
    # Llama-3.1-8B's config.json: a layer multiplies by q 4096^2, k and v 2 x 4096 x 1024, o 4096^2 and
    # 3 x 4096 x 14336 weights, and spends 4 x 32 x 128 FLOP on a pair: 2 x 218 103 808 / 16 384 = 26 624.
    crossings = {row.name: row.at for row in draw(CurveSpec("utilisation", points=2)).crossovers}
    assert crossings["attention_flop_prefill_per_token"] == 26_624
    assert crossings["attention_flop_decode_per_token"] == 26_624
    # n (n + 1) / 2 pairs against n tokens: twice as far, less one.
    assert crossings["attention_flop_prefill_cumulative"] == 2 * 26_624 - 1


@pytest.mark.parametrize(
    ("kind", "figures"),
    [
        ("window", {"tokens": 200_000}),
        ("eviction", {"tokens": 200_000}),
        ("kv_heads", {"kv_heads": 8}),
        ("kv_format", {"format": "bf16"}),
    ],
)
def test_a_change_that_changes_nothing_costs_the_same(kind: str, figures: dict[str, Any]) -> None:
    assert what_if(kind, **figures).cost_over_actual == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize(
    ("kind", "figures", "cheaper"),
    [
        ("window", {"tokens": 512}, True),
        ("eviction", {"tokens": 512}, True),
        ("kv_format", {"format": "fp8"}, True),
        ("kv_heads", {"kv_heads": 1}, True),
        ("kv_heads", {"kv_heads": 32}, False),
        ("sparse_attention", {"tokens": 200_000}, False),  # the indexer alone is added
        ("no_kv_cache", {}, False),
    ],
)
def test_a_smaller_cache_is_cheaper_and_a_larger_or_none_dearer(
    kind: str, figures: dict[str, Any], cheaper: bool
) -> None:
    found = what_if(kind, **figures)
    assert found.cost_over_actual is not None
    assert (found.cost_over_actual < 1.0) is cheaper
    assert found.infeasible is None


def test_without_a_cache_each_output_token_costs_a_prefill_of_all_before_it() -> None:
    found = what_if("no_kv_cache")
    # 400 prefills of 3 000 to 3 399 tokens instead of one: at least 400 times the prompt's cost.
    prompt = make_estimate().rates[0].cost_per_request
    assert found.cost_per_request is not None
    assert found.cost_per_request > 400 * prompt * 0.9
    assert found.output_to_input_ratio is None


def test_without_a_cache_requests_weigh_by_their_output_tokens() -> None:
    # Of 4 001 prefills 4 000 are the second class's: the mean request costs half of what its own does.
    cost = [
        draw(
            CurveSpec("utilisation", points=2), (CounterfactualSpec("no_kv_cache"),), workload=workload(*mix)
        )
        .counterfactuals[0]
        .cost_per_request
        for mix in ([(1.0, 1000, 4000, 0.0)], [(1.0, 1000, 1, 0.0), (1.0, 1000, 4000, 0.0)])
    ]
    assert cost[0] is not None
    assert cost[1] == pytest.approx(cost[0] / 2, rel=0.01)


def test_a_what_if_without_a_feasible_point_says_why() -> None:
    # 124 000 tokens of 32 KV heads take 65 GB beside 16 GB of weights; 8 heads take 16.
    spec = CounterfactualSpec("kv_heads", kv_heads=32)
    mix = workload((1.0, 120_000, 4000, 0.0))
    point = OperatingPointRequest("cheapest")
    answer = draw(CurveSpec("utilisation", points=2), (spec,), operating_point=point, workload=mix)
    (found,) = answer.counterfactuals
    assert (found.cost_per_request, found.cost_over_actual, found.batch) == (None, None, None)
    assert found.infeasible is not None
    assert "GB" in found.infeasible


@pytest.mark.parametrize(
    ("kind", "figures", "model", "error"),
    [
        ("window", {}, "llama-3.1-8b", InvalidRequestError),
        ("window", {"tokens": 0}, "llama-3.1-8b", InvalidRequestError),
        ("kv_heads", {"kv_heads": 7}, "llama-3.1-8b", InvalidInputError),
        ("kv_format", {"format": "fp9"}, "llama-3.1-8b", UnknownIdError),
    ],
)
def test_a_what_if_that_makes_no_sense_is_refused(
    kind: str, figures: dict[str, Any], model: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        what_if(kind, model, **figures)


def test_a_latent_cache_has_no_heads_to_change() -> None:
    spec = CounterfactualSpec("kv_heads", kv_heads=8)
    point = OperatingPointRequest("cheapest")
    with pytest.raises(InvalidInputError, match="one latent for all heads"):
        draw(
            CurveSpec("utilisation", points=2),
            (spec,),
            model="deepseek-v3",
            accelerator="h200-sxm",
            operating_point=point,
        )


@pytest.mark.parametrize(
    ("spec", "field", "code"),
    [
        (CurveSpec("position", points=1), "curve.points", "invalid-request"),
        (CurveSpec("position", start=0.0), "curve.start", "invalid-request"),
        (CurveSpec("position", start=9.0, stop=5.0), "curve.start", "invalid-request"),
        (CurveSpec("position", stop=3500.0), "curve.stop", "invalid-request"),
        (CurveSpec("position", stop=131_073.0), "curve.stop", "context-too-long"),
        (CurveSpec("position", request=SampleRequest(131_000, 73)), "curve.request", "context-too-long"),
        (CurveSpec("position", request=SampleRequest(100, 0)), "curve.request", "invalid-request"),
        (CurveSpec("input_tokens", stop=131_000.0), "curve.stop", "invalid-request"),
        (CurveSpec("context", stop=float("inf")), "curve.stop", "invalid-request"),
        (CurveSpec("cached_share", spacing="log"), "curve.spacing", "invalid-request"),
        (CurveSpec("utilisation", stop=1.5), "curve.stop", "invalid-request"),
        (CurveSpec("price", start=0.0), "curve.start", "invalid-request"),
        (CurveSpec("batch", view="by_pass"), "curve.view", "conflicting-fields"),
        (CurveSpec("batch", request=SampleRequest(1, 1)), "curve.request", "conflicting-fields"),
    ],
)
def test_a_curve_that_cannot_be_drawn_names_its_field(spec: CurveSpec, field: str, code: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        draw(spec)
    assert (refused.value.field, refused.value.code) == (field, code)


def test_too_many_points_exceed_a_limit() -> None:
    with pytest.raises(LimitExceededError):
        draw(CurveSpec("price", points=20_001))


def test_an_axis_without_a_feasible_point_is_infeasible() -> None:
    with pytest.raises(InfeasibleError):
        draw(CurveSpec("context"), operating_point=OperatingPointRequest("cheapest", max_tpot_seconds=1e-6))


def test_values_of_an_axis_that_are_infeasible_are_left_out_and_counted() -> None:
    # A prompt of 100 000 tokens leaves the time to its first token beyond the limit.
    limits = OperatingPointRequest("cheapest", max_ttft_seconds=0.5)
    answer = draw(CurveSpec("context", points=20, spacing="log"), operating_point=limits)
    assert answer.left_out > 0
    assert answer.solved_points + answer.left_out == 20
    assert answer.x[-1] < 100_000


def test_what_was_chosen_comes_back_and_gives_the_same_answer() -> None:
    first = draw(CurveSpec("position"))
    assert first.resolved["curve"] == {"axis": "position", "points": 200, "view": "by_cause"}
    assert {"curve.points", "curve.view"} <= set(first.resolved["defaulted"])  # type: ignore[call-overload]
    again = draw(CurveSpec("position", points=200, view="by_cause"))
    assert (again.digest, again.series) == (first.digest, first.series)
    assert draw(CurveSpec("position", points=100)).digest != first.digest
