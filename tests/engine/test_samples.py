"""Samples of an uncertain replica: they reproduce the spreads, and keep the laws that times obey."""

from dataclasses import replace
from math import exp

import numpy as np
import pytest

from service.economics.intervals import normal_points
from service.engine.attribution import Subject
from service.engine.memory import plan_memory
from service.engine.operating_point import Replica, Solved, batch_limit, solve_arrivals, solve_concurrency
from service.engine.samples import Draws, sample_arrivals, sample_closed
from tests.builders.operating_points import POLICY, make_point

SPREADS = (0.2, 0.45)
MADE = make_point()
REPLICA = Replica(MADE.subject.table, MADE.subject.load, POLICY)


def _draws(count: int = 256, step: float = 1.0, resources: float = 1.0) -> Draws:
    normal = normal_points(count, 3)
    return Draws(
        step=step * normal[0],
        first=step * (0.3 * normal[0] + np.sqrt(1 - 0.3**2) * normal[1]),
        compute=resources * normal[2],
        memory=resources * normal[3],
        network=resources * normal[4],
        host=resources * normal[4],
        tpot_log_spread=SPREADS[0],
        ttft_log_spread=SPREADS[1],
    )


def _closed(concurrency: float) -> tuple[Subject, Solved]:
    solved = solve_concurrency(REPLICA, concurrency)
    return replace(MADE.subject, state=solved.state), solved


@pytest.mark.parametrize("concurrency", [1.0, 32.0, 100.0])
def test_tpot_and_ttft_have_the_spread_of_their_residuals(concurrency: float) -> None:
    subject, solved = _closed(concurrency)
    found = sample_closed(subject, solved, POLICY, _draws(1024))
    for sampled, middle, spread in (
        (found.tpot_seconds, solved.state.tpot_seconds[0], SPREADS[0]),
        (found.ttft_seconds, solved.state.ttft_seconds[0], SPREADS[1]),
    ):
        wanted = [middle * exp(z * spread) for z in (-1.2815515655, 0.0, 1.2815515655)]
        assert np.quantile(sampled, (0.1, 0.5, 0.9)) == pytest.approx(wanted, rel=0.01)


def test_samples_without_spread_are_the_point_itself() -> None:
    subject, solved = _closed(48.0)
    found = sample_closed(subject, solved, POLICY, _draws(16, 0.0, 0.0))
    assert found.tpot_seconds == pytest.approx(solved.state.tpot_seconds[0], rel=1e-12)
    assert found.requests_per_second == pytest.approx(solved.state.requests_per_second[0], rel=1e-9)
    assert found.time_factor == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("concurrency", [4.0, 64.0, 5000.0])
def test_every_sample_keeps_littles_law(concurrency: float) -> None:
    subject, solved = _closed(concurrency)
    found = sample_closed(subject, solved, POLICY, _draws())
    time = found.ttft_seconds + subject.load.mean_steps * found.tpot_seconds
    assert found.requests_per_second * time == pytest.approx(concurrency, rel=1e-3)


def test_a_slower_step_lowers_throughput() -> None:
    subject, solved = _closed(64.0)
    found = sample_closed(subject, solved, POLICY, _draws())
    assert np.corrcoef(found.tpot_seconds, found.requests_per_second)[0, 1] < -0.9


def test_scaling_all_times_scales_a_closed_loop() -> None:
    """Times of 1.5 leave the batch and divide the throughput: what the common factor stands on."""
    subject, solved = _closed(64.0)
    table = replace(REPLICA.table, seconds=REPLICA.table.seconds * 1.5)
    table = replace(
        table,
        attention_prefill=_slower(table.attention_prefill),
        attention_decode=_slower(table.attention_decode),
    )
    coefficients = replace(subject.load.coefficients, seconds=subject.load.coefficients.seconds * 1.5)
    slow = Replica(table, replace(subject.load, coefficients=coefficients), POLICY)
    state = solve_concurrency(slow, 64.0).state
    assert state.batch[0] == pytest.approx(solved.state.batch[0], rel=1e-6)
    assert state.requests_per_second[0] == pytest.approx(solved.state.requests_per_second[0] / 1.5, rel=1e-6)


def _slower(rates: object) -> object:
    return replace(
        rates,  # type: ignore[type-var]
        flop_per_second=rates.flop_per_second / 1.5,  # type: ignore[attr-defined]
        bytes_per_second=rates.bytes_per_second / 1.5,  # type: ignore[attr-defined]
    )


@pytest.mark.parametrize("rate", [0.5, 3.0, 6.0])
def test_under_arrivals_each_sample_is_where_the_solver_would_be(rate: float) -> None:
    solved = solve_arrivals(REPLICA, rate)
    subject = replace(MADE.subject, state=solved.state)
    most, _ = batch_limit(REPLICA, plan_memory(REPLICA.table, REPLICA.load, POLICY))
    still = sample_arrivals(subject, POLICY, _draws(16, 0.0, 0.0), (rate, most))
    assert still.tpot_seconds == pytest.approx(solved.state.tpot_seconds[0], rel=5e-3)
    assert still.ttft_seconds == pytest.approx(solved.state.ttft_seconds[0], rel=1e-2)
    found = sample_arrivals(subject, POLICY, _draws(), (rate, most))
    assert np.median(found.tpot_seconds) == pytest.approx(solved.state.tpot_seconds[0], rel=0.05)
    # A slower step gathers a larger batch, which is slower again.
    spread = np.std(np.log(found.tpot_seconds[~found.overloaded]))
    assert spread > SPREADS[0] * 0.95
    assert (found.working_seconds <= 1 / rate).all()


def test_samples_too_slow_for_the_arrivals_say_so() -> None:
    most, _ = batch_limit(REPLICA, plan_memory(REPLICA.table, REPLICA.load, POLICY))
    solved = solve_arrivals(REPLICA, 1.0)
    subject = replace(MADE.subject, state=solved.state)
    none = sample_arrivals(subject, POLICY, _draws(), (1.0, most))
    assert not none.overloaded.any()
    slow = replace(_draws(), step=np.full(256, 30.0))
    assert sample_arrivals(subject, POLICY, slow, (1.0, most)).overloaded.all()
