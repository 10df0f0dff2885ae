"""Intervals of estimates with pools: they follow both pools' errors and prices, and repeat."""

from dataclasses import replace
from decimal import Decimal
from math import exp, isfinite
from typing import Any

import pytest

from service.application.estimate import estimate
from service.application.requests import PoolsRequest, PriceRequest, UncertaintyRequest
from service.application.spreads import DEFAULT_TPOT_SPREAD, POOL_PREFILL_SPREAD, POOL_TTFT_SPREAD, Z90
from service.application.uncertainty_answers import Uncertainty
from service.engine.types import Calibration
from tests.builders.catalog import make_gpu_price
from tests.builders.estimates import NOW, SNAPSHOT, ModelledSnapshot, make_estimate_request, workload
from tests.builders.operating_points import CALIBRATION
from tests.builders.pools import CHEAPEST, PLANNED, arrivals, given, in_flight, make_pooled, planned

MANY = UncertaintyRequest(samples=1024)


class Sure(ModelledSnapshot):
    """A catalog whose calibration states small spreads."""

    def calibration(self, name: str | None, family: str, vendor: str, engine: str) -> Calibration:
        return replace(CALIBRATION, extra={"tpot_log_spread": 0.1, "ttft_log_spread": 0.2})


class Unsure(ModelledSnapshot):
    """A catalog whose calibration states wide ones."""

    def calibration(self, name: str | None, family: str, vendor: str, engine: str) -> Calibration:
        return replace(CALIBRATION, extra={"tpot_log_spread": 0.6})


def _found(snapshot: ModelledSnapshot = SNAPSHOT, **changes: Any) -> Uncertainty:
    request = make_estimate_request(**{"uncertainty": MANY, "pools": PLANNED, **changes})
    found = estimate(request, snapshot, NOW).uncertainty
    assert found is not None
    return found


def test_the_rate_of_each_kind_spreads_as_the_steps_of_its_own_pool() -> None:
    figures = _found(Sure(), split="phase").figures
    # A planned pool is paid for the time of its steps: 0.39 in prefill, the calibration's 0.1 in decoding.
    for kind, spread in (("uncached_input", POOL_PREFILL_SPREAD), ("output", 0.1)):
        rate = figures[f"rates.{kind}.per_million_tokens"]
        assert rate.p90 / rate.p50 == pytest.approx(exp(Z90 * spread), rel=0.02)
        assert rate.p50 / rate.p10 == pytest.approx(exp(Z90 * spread), rel=0.02)


def test_a_calibration_less_sure_than_measured_pools_widens_prefill() -> None:
    assert _found(Unsure()).prefill_log_spread == 0.6
    assert _found().prefill_log_spread == POOL_PREFILL_SPREAD > DEFAULT_TPOT_SPREAD


def test_the_first_token_spreads_as_that_of_measured_pools() -> None:
    # A pool with room: nearly all of the first token is prefill and transfer.
    long = workload((1, 50_000, 400, 0.0))
    found = _found(Sure(), pools=given(40, 4), operating_point=in_flight(8.0), workload=long)
    ttft = found.figures["ttft_seconds"]
    assert found.ttft_log_spread == POOL_TTFT_SPREAD
    assert ttft.p90 / ttft.p50 == pytest.approx(exp(Z90 * POOL_TTFT_SPREAD), rel=0.05)


ASKED: dict[str, dict[str, Any]] = {
    "planned": {},
    "cheapest": {"operating_point": CHEAPEST},
    "whole workers": {"pools": given(2, 3)},
    "prefill limits": {"pools": given(1, 3), "operating_point": in_flight(400.0)},
    "a lone request": {"pools": given(3, 3), "operating_point": in_flight(1.0)},
    "queued": {"pools": given(3, 1), "operating_point": in_flight(1e6)},
    "whole and cheapest": {"pools": given(2, 1), "operating_point": CHEAPEST},
    "links": {
        "pools": given(4, 1),
        "operating_point": in_flight(1e6),
        "workload": workload((1, 4000, 2, 0.0)),
    },
    "arrivals": {"operating_point": arrivals(12.0), "utilisation": None},
    "phase": {"split": "phase"},
    "by cause": {"kv_view": "by_cause", "workload": workload((1, 4000, 500, 0.5))},
    "classes": {"workload": workload((1, 3000, 400, 0.3), (4, 100, 900, 0), (2, 800, 1, 0.0))},
    "open prices": {"price": None, "utilisation": None},
}


@pytest.mark.parametrize("name", ASKED)
def test_intervals_lie_around_their_figures_and_come_back_from_what_was_resolved(name: str) -> None:
    changes = {"pools": PLANNED, **ASKED[name]}
    request = make_estimate_request(**changes, uncertainty=UncertaintyRequest(256, 5))
    answer = estimate(request, SNAPSHOT, NOW)
    assert answer.uncertainty is not None
    stated = {
        **{f"rates.{r.kind}.per_million_tokens": r.per_million_tokens for r in answer.rates},
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
    for figure, found in answer.uncertainty.figures.items():
        assert all(isfinite(value) for value in (found.p10, found.p50, found.p90)), figure
        assert found.p10 * (1 - 1e-3) <= stated[figure] <= found.p90 * (1 + 1e-3), figure
    missing = set(stated) - set(answer.uncertainty.figures)
    assert all("cached_input" in figure for figure in missing)
    again = estimate(answer.resolved, SNAPSHOT, NOW)
    assert again == answer
    assert again.digest == answer.digest


PRICES = tuple(
    make_gpu_price(number, amount, provider)
    for number, (amount, provider) in enumerate([("1.00", "a"), ("2.00", "b"), ("8.00", "d")])
)


def test_a_price_left_to_be_the_same_is_drawn_once_for_both_pools() -> None:
    snapshot = ModelledSnapshot(all_gpu_prices=PRICES)
    one = _found(snapshot, price=None, split="phase")
    assert (one.price.rows, one.prefill_price) == (3, None)
    # Prices that rise together do not move the ratio of the kinds.
    ratio = one.figures["output_to_input_ratio"]
    fixed = _found(snapshot, price=PriceRequest(provider="b"), split="phase").figures["output_to_input_ratio"]
    assert (ratio.p10, ratio.p90) == pytest.approx((fixed.p10, fixed.p90))


def test_a_price_of_its_own_is_drawn_apart() -> None:
    snapshot = ModelledSnapshot(all_gpu_prices=PRICES)
    pools = planned(price=PriceRequest(commitment="on_demand"))
    apart = _found(snapshot, price=PriceRequest(provider="b"), pools=pools, split="phase")
    assert apart.price.rows == 1
    assert apart.prefill_price is not None
    assert (apart.prefill_price.rows, apart.prefill_price.highest) == (3, 8.0)
    own = planned(price=PriceRequest(amount=Decimal(5), currency="USD"))
    fixed = _found(snapshot, price=PriceRequest(provider="b"), pools=own)
    assert fixed.prefill_price is not None
    assert (fixed.prefill_price.rows, fixed.prefill_price.lowest) == (1, 5.0)


def test_without_uncertainty_nothing_is_drawn() -> None:
    assert estimate(make_estimate_request(pools=PoolsRequest()), SNAPSHOT, NOW).uncertainty is None


def test_faster_workers_receive_no_more_than_their_links_bring() -> None:
    asked = {"workload": workload((1, 4000, 2, 0.0)), "uncertainty": UncertaintyRequest(samples=64)}
    _, pools = make_pooled(pools=given(40, 1), operating_point=in_flight(1e6), **asked)
    links = 1.0 / pools.transfer.seconds
    for pooled in (given(40, 1), PLANNED):
        answer, _ = make_pooled(pools=pooled, operating_point=in_flight(1e6), **asked)
        assert answer.uncertainty is not None
        found = answer.uncertainty.figures["operating_point.requests_per_second"]
        assert found.p50 == pytest.approx(links, rel=0.05)
        assert found.p90 <= links * (1.0 + 1e-9)
