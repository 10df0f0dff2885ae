"""Operating points of pools: given requests in flight, least cost within limits, arrivals, refusals."""

import numpy as np
import pytest

from service.engine.errors import InfeasibleError
from service.engine.operating_point import Limits, capacity
from service.engine.pool_points import decode_capacity, solve_cheapest, solve_in_flight, solve_rate
from service.engine.pools import Sizing, Workers, flow_at
from tests.builders.pools import make_plant

PLANNED = Sizing(None, 0.9)


@pytest.mark.parametrize("workers", [None, Workers(1.0, 1.0), Workers(2.0, 5.0), Workers(7.0, 1.0)])
@pytest.mark.parametrize("concurrency", [1.0, 1.5, 8.0, 64.0, 5000.0])
def test_all_requests_in_flight_are_somewhere(workers: Workers | None, concurrency: float) -> None:
    plant = make_plant()
    point = solve_in_flight(plant, Sizing(workers, 0.9), concurrency)
    ttft = float(point.flow.ttft[0]) + point.queued_seconds
    seconds = ttft + 399 * float(point.flow.state.tpot_seconds[0])
    assert point.requests_per_second * seconds == pytest.approx(concurrency, rel=1e-6)


def test_the_pool_that_cannot_keep_up_sets_the_rate() -> None:
    plant = make_plant()
    many = solve_in_flight(plant, Sizing(Workers(1.0, 20.0), 1.0), 4000.0)
    assert many.requests_per_second == pytest.approx(plant.prefill.requests_per_second, rel=0.02)
    assert many.requests_per_second < plant.prefill.requests_per_second
    few = solve_in_flight(plant, Sizing(Workers(20.0, 1.0), 1.0), 4000.0)
    full = flow_at(plant, np.array([plant.limit[0]]), Sizing(Workers(20.0, 1.0), 1.0))
    assert few.requests_per_second == pytest.approx(float(full.rate[0]))
    assert few.limited_by == "memory"
    assert few.queued_seconds > 0


def test_the_cheapest_point_is_no_dearer_than_any_other_within_the_limits() -> None:
    plant = make_plant(prefill_cost=3.0)
    limits = Limits(max_ttft_seconds=0.35, max_tpot_seconds=0.02)
    point = solve_cheapest(plant, PLANNED, limits)
    axis = 1.0 + np.geomspace(1e-3, plant.limit[0] - 1.0, 2000)
    flow = flow_at(plant, axis, PLANNED, limits=limits)
    kept = (flow.ttft <= 0.35) & (flow.state.tpot_seconds <= 0.02)
    cost = ((1.0 + 3.0 * flow.prefill_workers) / flow.rate)[kept]
    paid = (1.0 + 3.0 * point.workers.prefill) / point.requests_per_second
    assert paid <= cost.min() * (1.0 + 1e-4)
    assert float(point.flow.ttft[0]) <= 0.35 * (1 + 1e-9)
    assert float(point.flow.state.tpot_seconds[0]) <= 0.02


def test_whole_workers_keep_the_prefill_pool_within_its_load() -> None:
    plant = make_plant()
    point = solve_cheapest(plant, Sizing(Workers(1.0, 4.0), 0.6), Limits())
    assert float(point.flow.load[0]) == pytest.approx(0.6, rel=1e-3)
    assert point.limited_by == "prefill_pool"


def test_a_decode_worker_alone_carries_what_a_replica_without_prefill_would() -> None:
    plant = make_plant()
    for limits in (Limits(), Limits(max_tpot_seconds=0.015), Limits(max_tpot_seconds=0.015, statistic="p90")):
        assert decode_capacity(plant, limits, "closed") == pytest.approx(
            capacity(plant.decode, limits), rel=2e-3
        )


def test_arrivals_get_the_fewest_whole_workers_that_carry_them() -> None:
    plant = make_plant()
    each, most = plant.prefill.requests_per_second, decode_capacity(plant, Limits(), "open")
    for rate in (0.1, 5.0, 40.0, 333.0):
        point = solve_rate(plant, PLANNED, rate, Limits())
        assert point.workers.prefill == np.ceil(rate / (0.9 * each))
        assert point.workers.decode == np.ceil(rate / most)
        assert point.requests_per_second == pytest.approx(rate, rel=1e-3)


@pytest.mark.parametrize(("workers", "pool"), [(Workers(1.0, 9.0), "prefill"), (Workers(9.0, 1.0), "decode")])
def test_more_arrivals_than_a_pool_can_carry_are_refused(workers: Workers, pool: str) -> None:
    with pytest.raises(InfeasibleError, match=f"The {pool} pool") as refused:
        solve_rate(make_plant(), Sizing(workers, 1.0), 30.0, Limits())
    assert refused.value.code == "arrival-rate-too-high"
    needed = refused.value.accepted[f"{pool}_workers"]
    assert isinstance(needed, float)
    enough = Workers(max(workers.prefill, needed), max(workers.decode, needed))
    assert solve_rate(make_plant(), Sizing(enough, 1.0), 30.0, Limits()).requests_per_second > 29.9


@pytest.mark.parametrize("name", ["max_ttft_seconds", "max_tpot_seconds"])
@pytest.mark.parametrize("workers", [None, Workers(2.0, 2.0)])
def test_limits_that_not_even_a_lone_request_meets_are_refused(name: str, workers: Workers | None) -> None:
    with pytest.raises(InfeasibleError) as refused:
        solve_cheapest(make_plant(), Sizing(workers, 0.9), Limits(**{name: 1e-3}))
    assert refused.value.code == "limits-unmet"
    assert refused.value.field == f"operating_point.{name}"
    least = refused.value.accepted[f"minimum_{name.removeprefix('max_').removesuffix('_seconds')}_seconds"]
    assert isinstance(least, float)
    met = solve_cheapest(make_plant(), Sizing(workers, 0.9), Limits(**{name: least * 1.01}))
    assert met.requests_per_second > 0


@pytest.mark.parametrize("name", ["max_ttft_seconds", "max_tpot_seconds"])
def test_arrivals_that_break_a_limit_are_refused(name: str) -> None:
    with pytest.raises(InfeasibleError) as refused:
        solve_rate(make_plant(), Sizing(Workers(3.0, 3.0), 1.0), 20.0, Limits(**{name: 8e-3}))
    assert refused.value.code == "limits-unmet"
    assert refused.value.field == f"operating_point.{name}"
