"""Bases, fleets, splits side by side and prices of resources, as estimates state them."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.application.answers import EstimateAnswer
from service.application.cost_answers import CostBasis
from service.application.cost_requests import CostTermsRequest, LoadProfileRequest
from service.application.errors import InvalidRequestError, LimitExceededError
from service.application.requests import OperatingPointRequest, PriceRequest
from service.engine.errors import InfeasibleError
from tests.builders.estimates import make_estimate, workload

TERMS = CostTermsRequest(
    currency="USD",
    electricity_per_kilowatt_hour=Decimal("0.10"),
    capital_per_accelerator=Decimal(30_000),
    host_power_watts=0.0,
    power_usage_effectiveness=1.25,
)
CHEAPEST = OperatingPointRequest("cheapest")


def power_at(price: Decimal | None) -> CostTermsRequest:
    return replace(TERMS, electricity_per_kilowatt_hour=price)


def by_basis(answer: EstimateAnswer) -> dict[str, CostBasis]:
    return {line.basis: line for line in answer.cost_bases}


def with_day(*hours: float, **profile: Any) -> EstimateAnswer:
    """Estimate under a day whose 24 hours repeat what is given."""
    day = LoadProfileRequest(tuple(hours) * (24 // len(hours)), **profile)
    return make_estimate(utilisation=None, load_profile=day, operating_point=CHEAPEST)


@pytest.mark.parametrize("utilisation", [0.1, 0.5, 1.0])
def test_reserved_is_active_and_idle_and_the_bill(utilisation: float) -> None:
    answer = make_estimate(utilisation=utilisation, costs=TERMS)
    lines = by_basis(answer)
    assert set(lines) == {"rental", "tco", "energy"}
    for line in lines.values():
        assert line.active_per_request + line.idle_per_request == pytest.approx(line.reserved_per_request)
    rental = lines["rental"]
    assert rental.reserved_per_request == pytest.approx(answer.cost_per_request)
    assert rental.idle_per_request == pytest.approx((1 - utilisation) * answer.cost_per_request, abs=1e-15)
    for rate in answer.rates:
        assert rental.per_million_tokens[rate.kind] == pytest.approx(rate.per_million_tokens)


def test_rental_stands_on_every_estimate() -> None:
    assert [line.basis for line in make_estimate().cost_bases] == ["rental"]


def test_without_capital_there_is_no_ownership() -> None:
    lines = by_basis(make_estimate(costs=replace(TERMS, capital_per_accelerator=None)))
    assert set(lines) == {"rental", "energy"}


def test_power_alone_costs_what_the_datasheet_and_the_tariff_allow() -> None:
    energy = by_basis(make_estimate(costs=TERMS))["energy"]
    # 700 W at most and 100 W idle, times 1.25, at 10 cents a kWh.
    assert 0.1 * 1.25 * 0.1 < energy.per_working_accelerator_hour <= 0.7 * 1.25 * 0.1
    assert energy.per_waiting_accelerator_hour == pytest.approx(0.1 * 1.25 * 0.1)


def test_a_range_of_utilisation_states_the_cost_at_its_ends() -> None:
    at = by_basis(make_estimate(utilisation=0.5, utilisation_range=(0.1, 0.9)))[
        "rental"
    ].reserved_per_request_at
    bills = {str(share): make_estimate(utilisation=share).cost_per_request for share in (0.1, 0.9)}
    assert at == pytest.approx(bills)


@pytest.mark.parametrize("basis", ["tco", "energy"])
def test_a_basis_may_be_that_of_the_whole_answer(basis: Any) -> None:
    answer = make_estimate(utilisation=0.5, costs=TERMS, price=PriceRequest(basis=basis))
    line = by_basis(answer)[basis]
    assert answer.cost_per_request == pytest.approx(line.reserved_per_request, rel=1e-8)
    assert "rental" not in by_basis(answer)


def test_an_even_day_at_capacity_leaves_nothing_idle() -> None:
    capacity = make_estimate(operating_point=CHEAPEST).operating_point.requests_per_second
    answer = with_day(10 * capacity)
    assert answer.fleet is not None
    assert answer.fleet.replicas == (10.0,) * 24
    assert answer.operating_point.utilisation == pytest.approx(1.0)
    assert by_basis(answer)["rental"].idle_per_request == pytest.approx(0.0, abs=1e-12)
    # Every request brings its own share of a replica.
    rental = by_basis(answer)["rental"]
    assert rental.marginal_per_request == pytest.approx(rental.active_per_request)


def test_spares_and_floors_are_paid_by_the_requests() -> None:
    capacity = make_estimate(operating_point=CHEAPEST).operating_point.requests_per_second
    day = (1.9 * capacity, 5.9 * capacity)
    free = with_day(*day)
    for limits, paid in (({"spare_replicas": 1}, 3 + 7), ({"minimum_replicas": 6}, 6 + 6)):
        answer = with_day(*day, **limits)
        # The work of 1.9 + 5.9 replicas over those that are paid.
        assert answer.operating_point.utilisation == pytest.approx(7.8 / paid)
        assert answer.cost_per_request == pytest.approx(free.cost_per_request * paid / (2 + 6))


def test_a_day_beyond_the_most_replicas_is_infeasible() -> None:
    capacity = make_estimate(operating_point=CHEAPEST).operating_point.requests_per_second
    with pytest.raises(InfeasibleError) as refused:
        with_day(3.5 * capacity, maximum_replicas=3)
    assert refused.value.accepted == {"replicas_needed": 4.0}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"costs": replace(TERMS, currency="EUR")}, "costs.currency"),
        ({"costs": power_at(None)}, "costs.electricity_per_kilowatt_hour"),
        ({"costs": replace(TERMS, staff_share=1e300)}, "costs"),
        ({"price": PriceRequest(basis="tco")}, "costs"),
        ({"price": PriceRequest(basis="energy"), "costs": power_at(Decimal(0))}, "costs"),
        ({"load_profile": LoadProfileRequest((1.0,) * 24)}, "utilisation"),
        ({"utilisation_range": (0.0,)}, "utilisation_range"),
    ],
)
def test_terms_that_make_no_sense_are_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        make_estimate(**changes)
    assert refused.value.field == field


def test_a_fleet_beyond_the_stated_limit_is_refused() -> None:
    with pytest.raises(LimitExceededError):
        with_day(1000.0, target_utilisation=1e-6)


@given(
    classes=st.lists(
        st.tuples(st.floats(0.1, 9), st.integers(1, 20_000), st.integers(1, 3000), st.floats(0, 1)),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=20, deadline=None)
def test_all_splits_stand_side_by_side_and_say_whether_they_add_up(
    classes: list[tuple[float, int, int, float]],
) -> None:
    answer = make_estimate(workload=workload(*classes), include=("splits",))
    tokens = {rate.kind: rate.tokens_per_request for rate in answer.rates}
    for row in answer.splits:
        total = sum(row.per_million_tokens[kind] * count for kind, count in tokens.items()) / 1e6
        assert total == pytest.approx(row.sum_over_bill * answer.cost_per_request, rel=1e-9)
        if row.rule == "marginal":
            found = row.marginal
            assert found is not None
            assert found.sum_over_cost == pytest.approx(row.sum_over_bill, rel=1e-9)
            parts = found.from_attention + found.from_request_terms + found.from_kinks
            assert 1.0 + parts == pytest.approx(found.sum_over_cost, abs=1e-9)
        else:
            assert row.sum_over_bill == pytest.approx(1.0, rel=1e-9)
            assert row.marginal is None
    assert [(row.rule, row.variant) for row in answer.splits] == [
        ("shapley", "by_pass"),
        ("shapley", "by_cause"),
        ("phase", "increment_over_decode"),
        ("phase", "increment_over_prefill"),
        ("marginal", "fixed_batch"),
        ("marginal", "tpot_limit"),
        ("marginal", "tpot_and_ttft_limits"),
    ]


@pytest.mark.parametrize("parts", [2, 7])
def test_rates_do_not_depend_on_how_requests_are_grouped(parts: int) -> None:
    rows = [(3.0, 2000, 500, 0.5), (1.0, 9000, 100, 0.0)]
    whole = make_estimate(workload=workload(*rows))
    cut = make_estimate(workload=workload(*[(w / parts, *rest) for w, *rest in rows for _ in range(parts)]))  # type: ignore[arg-type]
    for one, other in zip(whole.rates, cut.rates, strict=True):
        assert one.per_million_tokens == pytest.approx(other.per_million_tokens, rel=1e-9)


def test_paid_resources_are_the_bill_and_each_has_its_price() -> None:
    answer = make_estimate(include=("resource_prices",))
    found = answer.resource_prices
    assert found is not None
    assert sum(row.share_of_bill for row in found.prices) == pytest.approx(1.0)
    paid = sum((row.per_unit or 0.0) * row.units_per_request for row in found.prices)
    assert paid == pytest.approx(answer.cost_per_request)
    assert [row.unit for row in found.prices] == [
        "PFLOP",
        "TB of memory traffic",
        "TB over the interconnect",
        "accelerator-second",
    ]
    # One accelerator sends nothing; 32 requests in flight leave memory room.
    assert found.prices[2].per_unit is None
    assert (found.limited_by, found.kv_cache_shadow_per_gigabyte_second) == ("concurrency", 0.0)


def test_where_memory_limits_the_batch_its_cache_is_worth_something() -> None:
    full = workload((1.0, 40_000, 2000, 0.95))
    found = make_estimate(
        workload=full, operating_point=CHEAPEST, include=("resource_prices",)
    ).resource_prices
    assert found is not None
    assert found.limited_by == "memory"
    assert found.kv_cache_shadow_per_gigabyte_second > 0
