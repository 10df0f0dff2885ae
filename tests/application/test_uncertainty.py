"""Intervals of an estimate: they reproduce residuals, follow prices and utilisation, and repeat."""

from dataclasses import replace
from decimal import Decimal
from math import exp, isfinite
from typing import Any

import pytest

from service.application.errors import InvalidRequestError, LimitExceededError
from service.application.estimate import estimate
from service.application.requests import (
    EstimateRequest,
    LayoutRequest,
    OperatingPointRequest,
    PriceRequest,
    UncertaintyRequest,
)
from service.application.spreads import DEFAULT_TPOT_SPREAD, DEFAULT_TTFT_SPREAD, Z90
from service.application.uncertainty_answers import Uncertainty
from service.engine.types import Calibration
from tests.builders.catalog import make_gpu_price
from tests.builders.estimates import NOW, SNAPSHOT, ModelledSnapshot, make_estimate_request, workload
from tests.builders.operating_points import CALIBRATION

MANY = UncertaintyRequest(samples=1024)


class Fitted(ModelledSnapshot):
    """A catalog whose calibration states spreads."""

    def calibration(self, name: str | None, family: str, vendor: str, engine: str) -> Calibration:
        return replace(CALIBRATION, extra={"tpot_log_spread": 0.15, "ttft_log_spread": 0.4})


def _found(snapshot: ModelledSnapshot = SNAPSHOT, **changes: Any) -> Uncertainty:
    request = make_estimate_request(**{"uncertainty": MANY, **changes})
    found = estimate(request, snapshot, NOW).uncertainty
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("snapshot", "spreads"),
    [(SNAPSHOT, (DEFAULT_TPOT_SPREAD, DEFAULT_TTFT_SPREAD)), (Fitted(), (0.15, 0.4))],
    ids=["assumed", "fitted"],
)
def test_tpot_and_ttft_spread_as_their_residuals_do(
    snapshot: ModelledSnapshot, spreads: tuple[float, float]
) -> None:
    answer = estimate(make_estimate_request(uncertainty=MANY), snapshot, NOW)
    assert answer.uncertainty is not None
    figures = answer.uncertainty.figures
    for name, middle, spread in (
        ("tpot_seconds", answer.tpot_seconds, spreads[0]),
        ("ttft_seconds", answer.ttft_seconds, spreads[1]),
    ):
        found = figures[name]
        wanted = (middle / exp(Z90 * spread), middle, middle * exp(Z90 * spread))
        assert (found.p10, found.p50, found.p90) == pytest.approx(wanted, rel=0.015)


def test_with_price_and_utilisation_fixed_cost_spreads_as_time_does() -> None:
    # TPOT is nearly all of the time here, so a request's cost has its spread and no more.
    figures = _found(Fitted(), workload=workload((1, 50, 2000, 0.0))).figures
    cost = figures["cost_per_request"]
    assert cost.p90 / cost.p50 == pytest.approx(exp(Z90 * 0.15), rel=0.02)
    per_second = figures["operating_point.requests_per_second"]
    assert cost.p90 / cost.p50 == pytest.approx(per_second.p50 / per_second.p10, rel=1e-3)


def test_every_headline_figure_has_an_interval_around_it() -> None:
    request = make_estimate_request(uncertainty=MANY, workload=workload((1, 4000, 500, 0.5)))
    answer = estimate(request, SNAPSHOT, NOW)
    assert answer.uncertainty is not None
    stated = {
        **{f"rates.{rate.kind}.per_million_tokens": rate.per_million_tokens for rate in answer.rates},
        **{f"energy.joules_per_token.{kind}": j for kind, j in answer.energy.joules_per_token.items()},
        "energy.joules_per_request.total": answer.energy.joules_per_request["total"],
        "output_to_input_ratio": answer.output_to_input_ratio,
        "cost_per_request": answer.cost_per_request,
        "operating_point.requests_per_second": answer.operating_point.requests_per_second,
        "throughput.output_tokens_per_second": answer.throughput.output_tokens_per_second,
        "throughput.output_tokens_per_second_per_accelerator": (
            answer.throughput.output_tokens_per_second_per_accelerator
        ),
        "ttft_seconds": answer.ttft_seconds,
        "tpot_seconds": answer.tpot_seconds,
    }
    assert set(answer.uncertainty.figures) == set(stated)
    for name, found in answer.uncertainty.figures.items():
        assert found.p10 < found.p50 < found.p90, name
        assert found.p10 < stated[name] < found.p90, name
        assert found.p50 == pytest.approx(stated[name], rel=0.06), name


PRICES = tuple(
    make_gpu_price(number, amount, provider)
    for number, (amount, provider) in enumerate([("1.00", "a"), ("2.00", "b"), ("3.00", "c"), ("8.00", "d")])
)
SPOT = replace(make_gpu_price(9, "0.10", "e"), commitment="spot")


def test_a_price_left_open_may_be_that_of_any_row() -> None:
    snapshot = ModelledSnapshot(all_gpu_prices=(*PRICES, SPOT))
    spread = _found(snapshot, price=None)
    # Spot is another bargain, not another place.
    assert (spread.price.rows, spread.price.lowest, spread.price.highest) == (4, 1.0, 8.0)
    pinned = _found(snapshot, price=PriceRequest(provider="b"))
    assert (pinned.price.rows, pinned.price.lowest, pinned.price.highest) == (1, 2.0, 2.0)
    own = _found(snapshot, price=PriceRequest(amount=Decimal(2), currency="USD"))
    assert own.figures["cost_per_request"] == pinned.figures["cost_per_request"]
    assert spread.figures["cost_per_request"].p90 > pinned.figures["cost_per_request"].p90 * 2
    assert spread.figures["tpot_seconds"] == pinned.figures["tpot_seconds"]


@pytest.mark.parametrize(
    ("changes", "ends"),
    [
        ({"utilisation": None}, (0.3, 0.7)),
        ({"utilisation": 0.6}, (0.6, 0.6)),
        ({"utilisation": 0.6, "utilisation_range": (0.4, 0.9)}, (0.4, 0.9)),
        ({"uncertainty": UncertaintyRequest(utilisation_low=0.2, utilisation_high=1.0)}, (0.2, 1.0)),
    ],
)
def test_utilisation_lies_where_the_request_leaves_it(
    changes: dict[str, Any], ends: tuple[float, float]
) -> None:
    found = _found(**changes)
    assert (found.utilisation_low, found.utilisation_high) == pytest.approx(ends)


def test_a_range_of_utilisation_widens_cost_and_not_speed() -> None:
    fixed = _found(utilisation=0.5).figures
    wide = _found(utilisation=0.5, utilisation_range=(0.2, 0.8)).figures
    assert wide["cost_per_request"].p90 > fixed["cost_per_request"].p90 * 1.2
    assert wide["tpot_seconds"] == fixed["tpot_seconds"]


ASKED: dict[str, dict[str, Any]] = {
    "classes": {"workload": workload((1, 3000, 400, 0.3), (4, 100, 900, 0))},
    "prefill alone": {"workload": workload((1, 500, 1, 0.0))},
    "all cached": {"workload": workload((1, 4000, 200, 1.0)), "kv_view": "by_cause"},
    "queued": {"operating_point": OperatingPointRequest("concurrency", 1e6)},
    "arrivals": {
        "operating_point": OperatingPointRequest("arrival_rate", requests_per_second=2.0),
        "utilisation": None,
    },
    "hardly any arrivals": {
        "operating_point": OperatingPointRequest("arrival_rate", requests_per_second=1e-6),
        "utilisation": None,
    },
    "phase": {"split": "phase"},
    "marginal": {"split": "marginal"},
    "experts": {
        "model": "deepseek-v3",
        "accelerator": "h200-sxm",
        "layout": LayoutRequest(attention_dp=16, moe_ep=16),
    },
    "all defaults": {"price": None, "utilisation": None, "operating_point": None, "workload": None},
}


@pytest.mark.parametrize("name", ASKED)
def test_intervals_are_finite_ordered_and_come_back_from_what_was_resolved(name: str) -> None:
    request = make_estimate_request(**ASKED[name], uncertainty=UncertaintyRequest(samples=64, seed=5))
    first = estimate(request, SNAPSHOT, NOW)
    assert first.uncertainty is not None
    for figure, found in first.uncertainty.figures.items():
        assert all(isfinite(value) for value in (found.p10, found.p50, found.p90)), figure
        assert found.p10 <= found.p50 <= found.p90, figure
    assert first.resolved.uncertainty is not None
    assert (first.resolved.uncertainty.samples, first.resolved.uncertainty.seed) == (64, 5)
    again = estimate(first.resolved, SNAPSHOT, NOW)
    assert again == first
    assert again.digest == first.digest


def test_the_seed_is_resolved_and_changes_the_digest_of_the_answer() -> None:
    plain = estimate(make_estimate_request(), SNAPSHOT, NOW)
    assert plain.uncertainty is None
    one = estimate(make_estimate_request(uncertainty=UncertaintyRequest()), SNAPSHOT, NOW)
    other = estimate(make_estimate_request(uncertainty=UncertaintyRequest(seed=1)), SNAPSHOT, NOW)
    assert one.resolved.uncertainty == UncertaintyRequest(256, 0, 1.0, 1.0)
    assert {"uncertainty.samples", "uncertainty.seed"} <= set(one.resolved.defaulted)
    assert len({plain.digest, one.digest, other.digest}) == 3
    assert one.uncertainty != other.uncertainty
    assert replace(one, uncertainty=None, resolved=plain.resolved, digest=plain.digest) == plain


@pytest.mark.parametrize(
    ("changes", "error", "field"),
    [
        ({"uncertainty": UncertaintyRequest(samples=4097)}, LimitExceededError, "uncertainty.samples"),
        ({"uncertainty": UncertaintyRequest(samples=15)}, InvalidRequestError, "uncertainty.samples"),
        (
            {"uncertainty": UncertaintyRequest(utilisation_low=0.9, utilisation_high=0.5)},
            InvalidRequestError,
            "uncertainty.utilisation_low",
        ),
        (
            {"uncertainty": UncertaintyRequest(utilisation_high=0.5), **ASKED["arrivals"]},
            InvalidRequestError,
            "uncertainty.utilisation_high",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(
    changes: dict[str, Any], error: type[InvalidRequestError], field: str
) -> None:
    request: EstimateRequest = make_estimate_request(**changes)
    with pytest.raises(error) as caught:
        estimate(request, SNAPSHOT, NOW)
    assert caught.value.field == field
