"""Coverage of intervals, on residuals of known distribution."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from service.application.calibrate import LeftOut
from service.application.coverage import correlation_of, held_by_intervals, spreads_without
from service.economics.intervals import normal_points


def _cases(count: int) -> list[Any]:
    """Make runs of four architectures in one scope: 1 s and 100 tokens of 10 ms."""
    row = SimpleNamespace(ttft_seconds=1.0, tpot_seconds=0.01, mean_output_tokens=101.0)
    accelerator = SimpleNamespace(spec=SimpleNamespace(family="hopper"))
    policy = SimpleNamespace(name="vllm")
    return [
        SimpleNamespace(row=row, architecture=f"a{place % 4}", accelerator=accelerator, policy=policy)
        for place in range(count)
    ]


def _residuals(count: int = 1024, correlation: float = 0.3) -> LeftOut:
    normal = normal_points(count, 9)
    first = correlation * normal[0] + np.sqrt(1 - correlation**2) * normal[1]
    return LeftOut(tpot=0.2 * normal[0], ttft=0.5 * first)


def test_residuals_of_one_distribution_are_held_eight_times_in_ten() -> None:
    cases, judged = _cases(1024), _residuals()
    found = held_by_intervals(cases, judged).over("all", np.ones(1024, dtype=bool))
    assert found.rows == 1024
    assert found.tpot == pytest.approx(0.8, abs=0.02)
    assert found.ttft == pytest.approx(0.8, abs=0.02)
    assert found.throughput == pytest.approx(0.8, abs=0.03)


def test_an_architecture_worse_than_all_others_is_held_less_often() -> None:
    cases, judged = _cases(1024), _residuals()
    worse = np.array([case.architecture == "a0" for case in cases])
    judged.tpot[worse] *= 3.0
    held = held_by_intervals(cases, judged)
    # P(|z| < 1.2816 / 3) = 0.331
    assert held.over("a0", worse).tpot == pytest.approx(0.331, abs=0.03)


def test_a_spread_has_not_seen_the_architecture_it_judges() -> None:
    logs = np.array([0.1, -0.1, 9.0, -9.0])
    spreads = spreads_without(logs, np.array(["a", "a", "b", "b"]), [("hopper", "vllm")] * 4)
    assert spreads[2:] == pytest.approx(0.1 / 1.2815515655, rel=1e-9)
    assert spreads[0] > 5


def test_runs_without_a_time_are_left_out_of_its_share() -> None:
    cases, judged = _cases(8), LeftOut(np.full(8, 0.0), np.full(8, np.nan))
    judged.tpot[:] = [0.1, -0.1, 0.2, -0.2, 0.1, -0.1, 0.2, -0.2]
    held = held_by_intervals(cases, judged)
    assert np.isnan(held.ttft).all()
    assert np.isnan(held.throughput).all()
    assert np.isfinite(held.tpot).all()


@pytest.mark.parametrize("wanted", [0.0, 0.3, 0.9])
def test_the_correlation_of_residuals_is_that_they_were_made_with(wanted: float) -> None:
    assert correlation_of(_residuals(4096, wanted))["values"] == pytest.approx(wanted, abs=0.02)
