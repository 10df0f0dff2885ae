"""Flat plans and kept prefixes."""

import numpy as np
import pytest

from service.economics.prefix import Tier, keep, per_byte_second
from service.economics.subscription import cap_for_mean, flat_plan, lognormal_use


def test_a_plan_breaks_even_where_use_times_cost_is_the_price() -> None:
    plan = flat_plan(20.0, 0.01, np.array([100.0, 2000.0, 5000.0, 900.0]), target_margin=-1.0)
    assert plan.break_even_requests == pytest.approx(2000.0)
    assert plan.share_at_loss == 0.25
    assert plan.margin == pytest.approx(0.0)
    assert plan.cap_for_target is None


def test_the_cap_restores_the_target_margin() -> None:
    use = np.array([100.0, 400.0, 1500.0, 9000.0])
    plan = flat_plan(20.0, 0.01, use, target_margin=0.5)
    assert plan.cap_for_target is not None
    kept = np.minimum(use, plan.cap_for_target)
    assert 1.0 - kept.mean() * 0.01 / 20.0 == pytest.approx(0.5)
    assert plan.share_capped == 0.25


@pytest.mark.parametrize("wanted", [1.0, 50.0, 260.0, 499.0])
def test_a_cap_gives_the_mean_that_is_wanted(wanted: float) -> None:
    use = np.array([0.0, 100.0, 400.0, 1500.0])
    assert np.minimum(use, cap_for_mean(use, wanted)).mean() == pytest.approx(wanted)


def test_a_lognormal_has_its_median_and_its_ninetieth_percentile() -> None:
    use = lognormal_use(100.0, 1000.0)
    assert np.median(use) == pytest.approx(100.0, rel=1e-3)
    assert np.quantile(use, 0.9) == pytest.approx(1000.0, rel=5e-3)


def test_a_prefix_may_be_held_for_as_long_as_holding_costs_less_than_a_hit_saves() -> None:
    kept = keep(Tier("host", per_byte_second(0.01), 50e9), 1e9, saved_by_hit=0.02)
    assert kept.per_second == pytest.approx(0.01 / 3600)
    assert kept.break_even_seconds == pytest.approx(7200.0)
    assert kept.reload_seconds == pytest.approx(0.02)


def test_memory_that_limits_nobody_may_be_held_for_ever() -> None:
    kept = keep(Tier("hbm", 0.0, None), 1e9, saved_by_hit=0.02)
    assert kept.break_even_seconds is None
    assert kept.reload_seconds == 0.0
