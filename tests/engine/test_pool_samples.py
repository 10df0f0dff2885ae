"""Samples of both pools: nothing drawn is the point itself; what is held stays; either pool may limit."""

from dataclasses import replace
from math import exp

import numpy as np
import pytest

from service.engine.attribution import Subject
from service.engine.operating_point import Limits
from service.engine.pool_points import PoolPoint, solve_cheapest, solve_in_flight, solve_rate
from service.engine.pool_samples import PoolDraws, PoolSampled, sample_pools
from service.engine.pools import Plant, Sizing, Workers
from service.engine.samples import Draws
from service.engine.spans import Array
from service.engine.workload import make_mix, reduce_mix
from tests.builders.pools import make_plant

PLANNED = Sizing(None, 0.9)
ONE = np.zeros(3)


def _draws(step: Array = ONE, prefill: Array = ONE, first: Array = ONE) -> PoolDraws:
    nothing = np.zeros(step.shape)
    decode = Draws(step, first, nothing, nothing, nothing, nothing, 0.3, 1.0)
    return PoolDraws(decode, replace(decode, step=prefill, tpot_log_spread=0.4))


def _sample(plant: Plant, point: PoolPoint, draws: PoolDraws, planned: bool = False) -> PoolSampled:
    table = plant.decode.table
    both = [
        reduce_mix(make_mix([[3000.0, 0.0, output]], [0], [1.0]), table.spans, 8192.0)
        for output in (1.0, 400.0)
    ]
    prefill = plant.prefill
    each = np.array([point.requests_per_second / point.workers.prefill])
    subjects = (
        Subject(table, prefill.replica.load, both[0], prefill.state_at(each)),
        Subject(table, plant.decode.load, both[1], point.flow.state),
    )
    return sample_pools(plant, point, subjects, planned, draws)


def _points(plant: Plant) -> dict[str, tuple[PoolPoint, bool]]:
    return {
        "planned": (solve_in_flight(plant, PLANNED, 32.0), True),
        "cheapest": (solve_cheapest(plant, PLANNED, Limits(max_tpot_seconds=0.02)), True),
        "prefill limits": (solve_in_flight(plant, Sizing(Workers(1.0, 4.0), 1.0), 300.0), False),
        "decode limits": (solve_in_flight(plant, Sizing(Workers(5.0, 1.0), 1.0), 40.0), False),
        "queued": (solve_in_flight(plant, Sizing(Workers(5.0, 1.0), 1.0), 4e4), False),
        "a lone request": (solve_in_flight(plant, Sizing(Workers(2.0, 3.0), 1.0), 1.0), False),
        "arrivals": (solve_rate(plant, PLANNED, 20.0, Limits()), False),
    }


NAMES = list(_points(make_plant()))


@pytest.mark.parametrize("name", NAMES)
def test_where_nothing_is_drawn_samples_are_the_point(name: str) -> None:
    plant = make_plant()
    point, planned = _points(plant)[name]
    found = _sample(plant, point, _draws(), planned)
    flow = point.flow
    assert found.requests_per_second == pytest.approx(np.full(3, point.requests_per_second), rel=1e-3)
    assert found.tpot_seconds == pytest.approx(np.full(3, float(flow.state.tpot_seconds[0])), rel=2e-3)
    ttft = float(flow.ttft[0]) + point.queued_seconds
    assert found.ttft_seconds == pytest.approx(np.full(3, ttft), rel=0.03)
    assert found.prefill_workers == pytest.approx(np.full(3, point.workers.prefill), rel=2e-3)
    assert not found.overloaded.any()


def test_a_planned_pool_grows_with_the_time_that_prefill_takes() -> None:
    plant = make_plant()
    point, planned = _points(plant)["planned"]
    drawn = np.array([-1.0, 0.0, 1.0])
    slower = _sample(plant, point, _draws(prefill=drawn), planned)
    assert slower.prefill_workers == pytest.approx(point.workers.prefill * np.exp(0.4 * drawn))
    assert slower.requests_per_second == pytest.approx(np.full(3, point.requests_per_second))
    decode = _sample(plant, point, _draws(step=drawn), planned)
    assert decode.requests_per_second == pytest.approx(point.requests_per_second * np.exp(-0.3 * drawn))
    assert decode.tpot_seconds == pytest.approx(float(point.flow.state.tpot_seconds[0]) * np.exp(0.3 * drawn))


def test_where_prefill_limits_its_time_sets_the_rate_and_that_of_decoding_does_not() -> None:
    plant = make_plant()
    point, _ = _points(plant)["prefill limits"]
    drawn = np.array([-0.2, 0.0, 1.0])
    by_prefill = _sample(plant, point, _draws(prefill=drawn))
    assert by_prefill.requests_per_second == pytest.approx(
        point.requests_per_second * np.exp(-0.4 * drawn), rel=0.02
    )
    by_decode = _sample(plant, point, _draws(step=drawn))
    assert by_decode.requests_per_second == pytest.approx(np.full(3, point.requests_per_second), rel=0.01)


def test_a_pool_that_turns_out_fast_makes_the_other_one_limit() -> None:
    plant = make_plant()
    point, _ = _points(plant)["prefill limits"]
    fast = _sample(plant, point, _draws(prefill=np.full(3, -20.0)))
    alone = solve_in_flight(plant, Sizing(Workers(1e6, 4.0), 1.0), 300.0)
    assert fast.requests_per_second == pytest.approx(np.full(3, alone.requests_per_second), rel=0.02)


@pytest.mark.parametrize("name", ["prefill limits", "decode limits", "queued", "a lone request"])
def test_requests_in_flight_are_held(name: str) -> None:
    plant = make_plant()
    point, _ = _points(plant)[name]
    drawn = np.linspace(-1.5, 1.5, 9)
    found = _sample(plant, point, _draws(drawn, drawn[::-1].copy(), drawn**2 - 1.0))
    held = found.requests_per_second * (found.ttft_seconds + 399 * found.tpot_seconds)
    assert held == pytest.approx(np.full(9, point.concurrency), rel=1e-9)
    assert (found.ttft_seconds > 0).all()


def test_what_passes_before_decoding_lengthens_the_first_token_alone() -> None:
    plant = make_plant()
    point, planned = _points(plant)["planned"]
    found = _sample(plant, point, _draws(first=np.array([0.0, 1.0, 2.0])), planned)
    step = float(point.flow.state.ttft_seconds[0])
    before = found.ttft_seconds - step
    assert before == pytest.approx(before[0] * np.array([1.0, exp(1), exp(2)]), rel=1e-9)
    assert np.ptp(found.tpot_seconds) == 0


def test_arrivals_that_either_pool_cannot_carry_are_marked() -> None:
    plant = make_plant()
    point, _ = _points(plant)["arrivals"]
    drawn = np.array([-3.0, 0.0, 5.0])
    assert _sample(plant, point, _draws(prefill=drawn)).overloaded.tolist() == [False, False, True]
    assert _sample(plant, point, _draws(step=drawn)).overloaded.tolist() == [False, False, True]
    assert np.isfinite(_sample(plant, point, _draws(drawn, drawn)).ttft_seconds).all()
