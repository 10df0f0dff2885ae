"""The fit of what a first token waits for outside the engine's steps."""

from dataclasses import astuple, replace

import numpy as np
import pytest

from service.calibration.front_end import GENERAL, FirstTokens, fit_front_end
from service.calibration.rounds import row_weights
from service.calibration.run_protocol import FRONT_END, FrontEnd

FAST = FrontEnd(0.01, 4e-3, 1e-6, 2.0, 0.8)
SLOW = FrontEnd(0.05, 1e-3, 5e-6, 0.6, 1.5)


def _observed(weight: float) -> FirstTokens:
    """Make runs of two engines whose parts, at the figures assumed, mix in all proportions."""
    parts = np.random.default_rng(6).dirichlet(np.full(6, 0.4), 400)
    engines = ["fast", "slow"] * 200
    factors = {name: np.array(astuple(true)) / astuple(FRONT_END) for name, true in _TRUE.items()}
    seconds = np.array(
        [row[:5] @ factors[engine] + row[5] for row, engine in zip(parts, engines, strict=True)]
    )
    return FirstTokens(parts, seconds, np.full(400, weight), engines, {GENERAL: FRONT_END})


_TRUE = {"fast": FAST, "slow": SLOW}


def test_a_fit_finds_the_front_ends_that_made_the_runs() -> None:
    found = fit_front_end(_observed(1e6))
    assert astuple(found["fast"]) == pytest.approx(astuple(FAST), rel=0.01)
    assert astuple(found["slow"]) == pytest.approx(astuple(SLOW), rel=0.01)


def test_the_figures_of_the_replay_do_not_matter_where_parts_are_proportional() -> None:
    observed = _observed(1e6)
    other = replace(FRONT_END, trip_seconds=0.04, chunk_factor=2.0)
    factors = np.array(astuple(other)) / astuple(FRONT_END)
    parts = observed.parts.copy()
    parts[:, :5] *= factors
    moved = fit_front_end(replace(observed, parts=parts, replayed={GENERAL: other}))
    for name, front in fit_front_end(observed).items():
        assert astuple(moved[name]) == pytest.approx(astuple(front), rel=1e-3)


def test_engines_without_runs_have_the_general_front_end_between_the_known() -> None:
    found = fit_front_end(_observed(1e6))
    assert set(found) == {GENERAL, "fast", "slow"}
    for low, middle, high in zip(astuple(FAST), astuple(found[GENERAL]), astuple(SLOW), strict=True):
        assert min(low, high) < middle < max(low, high)


def test_runs_that_weigh_nothing_leave_what_is_assumed() -> None:
    for front in fit_front_end(_observed(0.0)).values():
        assert astuple(front) == pytest.approx(astuple(FRONT_END), rel=1e-9)


def test_the_fit_is_the_same_every_time() -> None:
    assert fit_front_end(_observed(0.02)) == fit_front_end(_observed(0.02))


def test_a_model_measured_often_counts_by_the_root_of_its_runs() -> None:
    weight = row_weights(["often"] * 100 + ["seldom"] * 4)
    assert weight.mean() == pytest.approx(1.0)
    # 100 runs at a tenth each against 4 at a half.
    assert weight[:100].sum() / weight[100:].sum() == pytest.approx(10.0 / 2.0)
