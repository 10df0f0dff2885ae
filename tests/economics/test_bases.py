"""Cost bases: owning, renting, powering; a day of load; reserved, active and marginal cost."""

from dataclasses import replace

import numpy as np
import pytest

from service.economics.bases import (
    HourlyCost,
    LoadProfile,
    OwnershipTerms,
    Power,
    PowerTerms,
    annuity,
    energy_hour,
    fleet_of,
    ownership_hour,
    rental_hour,
    request_cost,
)
from service.engine.energy import working_power
from service.engine.errors import InfeasibleError, InvalidInputError
from tests.builders.operating_points import ACCELERATOR, CALIBRATION, make_point

POWER = Power(working=800.0, waiting=200.0)
TERMS = PowerTerms(electricity_per_kilowatt_hour=0.10, effectiveness=1.25)
OWNER = OwnershipTerms(
    capital=30_000.0,
    life_years=5.0,
    cost_of_capital=0.0,
    residual_share=0.0,
    network_share=0.0,
    staff_share=0.0,
    hosting_per_kilowatt_month=0.0,
)


def _profile(load: list[float], **changes: object) -> LoadProfile:
    profile = LoadProfile(np.array(load), 1.0, 1, None, 0)
    return replace(profile, **changes)  # type: ignore[arg-type]


def test_without_interest_capital_is_paid_back_in_equal_parts() -> None:
    assert annuity(30_000.0, 0.0, 5.0) == 6000.0
    assert annuity(30_000.0, 0.0, 5.0, residual_share=0.5) == 3000.0


@pytest.mark.parametrize("rate", [1e-9, 1e-17, 1e-300])
def test_an_annuity_tends_to_the_straight_line_as_interest_tends_to_nothing(rate: float) -> None:
    assert annuity(30_000.0, rate, 5.0) == pytest.approx(6000.0, rel=1e-6)
    assert annuity(30_000.0, rate, 5.0, residual_share=0.5) == pytest.approx(3000.0, rel=1e-6)


def test_the_payments_of_an_annuity_are_worth_the_capital_today() -> None:
    paid = annuity(1000.0, 0.08, 4.0, residual_share=0.25)
    worth = sum(paid / 1.08**year for year in range(1, 5)) + 250.0 / 1.08**4
    assert worth == pytest.approx(1000.0)


def test_power_alone_is_watts_times_effectiveness_times_electricity() -> None:
    hour = energy_hour(POWER, TERMS)
    assert hour.working == pytest.approx(0.8 * 1.25 * 0.10)
    assert hour.waiting == pytest.approx(0.2 * 1.25 * 0.10)


def test_owning_costs_capital_and_power_and_saves_only_power_while_waiting() -> None:
    hour = ownership_hour(POWER, TERMS, OWNER)
    assert hour.working == pytest.approx(6000.0 / 8760.0 + 0.1)
    assert hour.working - hour.waiting == pytest.approx(0.075)


@pytest.mark.parametrize(
    "name", ["network_share", "staff_share", "hosting_per_kilowatt_month", "cost_of_capital"]
)
def test_each_further_term_of_ownership_adds_to_its_cost(name: str) -> None:
    more = ownership_hour(POWER, TERMS, replace(OWNER, **{name: 0.1}))
    assert more.working > ownership_hour(POWER, TERMS, OWNER).working
    assert sum(more.parts.values()) == pytest.approx(more.working)


def test_reserved_cost_is_active_and_idle_cost_and_inverse_in_utilisation() -> None:
    full, half, tenth = (request_cost(rental_hour(3.6), 10.0, u, (0.0, 1.0)) for u in (1.0, 0.5, 0.1))
    assert full.reserved == full.active == pytest.approx(0.01)
    assert full.idle == 0.0
    assert half.reserved == pytest.approx(2 * full.reserved)
    assert tenth.reserved == pytest.approx(10 * full.reserved)
    assert tenth.active + tenth.idle == pytest.approx(tenth.reserved)


def test_on_a_rented_fleet_that_stays_one_more_request_adds_nothing_and_on_an_owned_one_its_power() -> None:
    assert request_cost(rental_hour(3.6), 10.0, 0.5, (0.0, 1.0)).marginal == 0.0
    owned = request_cost(HourlyCost(3.6, 3.0, {}), 3600.0, 0.5, (0.0, 1.0))
    assert owned.marginal == pytest.approx(0.6)


def test_where_every_request_adds_capacity_marginal_is_active_over_the_target() -> None:
    cost = request_cost(rental_hour(3.6), 10.0, 0.5, (1.0, 0.8))
    assert cost.marginal == pytest.approx(cost.active / 0.8)


def test_an_even_day_at_the_target_is_used_at_the_target() -> None:
    fleet = fleet_of(_profile([8.0] * 24, target_utilisation=0.8), capacity=1.0)
    assert fleet.replicas.tolist() == [10.0] * 24
    assert fleet.utilisation == pytest.approx(0.8)
    assert fleet.scaling_share == 1.0


def test_spare_replicas_and_a_floor_lower_utilisation() -> None:
    day = [1.0] * 12 + [8.0] * 12
    free = fleet_of(_profile(day), 1.0)
    spare = fleet_of(_profile(day, spare_replicas=2), 1.0)
    floor = fleet_of(_profile(day, minimum_replicas=8), 1.0)
    assert free.utilisation == 1.0
    assert spare.utilisation == pytest.approx(9 / 13)
    assert floor.utilisation == pytest.approx(9 / 16)
    assert floor.scaling_share == pytest.approx(8 / 9)


def test_more_than_the_most_replicas_can_serve_is_infeasible() -> None:
    with pytest.raises(InfeasibleError) as caught:
        fleet_of(_profile([1.0] * 23 + [9.0], maximum_replicas=4), 2.0)
    assert caught.value.accepted == {"replicas_needed": 5.0}


@pytest.mark.parametrize("load", [[], [1.0] * 23, [-1.0] + [1.0] * 23, [0.0] * 24, [float("nan")] * 24])
def test_a_day_has_twenty_four_hours_and_some_requests(load: list[float]) -> None:
    with pytest.raises(InvalidInputError):
        fleet_of(_profile(load), 1.0)


def test_power_lies_between_idle_and_full() -> None:
    for batch in (1.0, 32.0, 200.0):
        watts = working_power(make_point(seen_batch=batch).subject, ACCELERATOR, CALIBRATION)
        assert ACCELERATOR.idle_power_watts < watts <= ACCELERATOR.max_power_watts
