"""Fair tariffs recover their mix, leave the least variance, and say who pays for whom."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.economics.tariff import (
    Array,
    Ledger,
    bands,
    fair_tariff,
    margin_variance,
    margins_under,
    transfers,
    weighted_quantiles,
)


def _ledger(seed: int = 0, count: int = 300, curvature: float = 1e-12) -> Ledger:
    rng = np.random.default_rng(seed)
    tokens = np.stack(
        (rng.integers(1, 20_000, count), rng.integers(0, 5000, count), rng.integers(1, 3000, count)), axis=1
    ).astype(float)
    cost = tokens @ np.array([4e-7, 5e-8, 2e-6]) + curvature * tokens[:, 0] ** 2
    weight = rng.random(count)
    return Ledger(tokens, cost, weight / weight.sum())


def _start(ledger: Ledger) -> Array:
    rates = np.array([1e-6, 1e-7, 3e-6])
    return rates * ledger.mean_cost / float(ledger.mean_tokens @ rates)


@given(seed=st.integers(0, 10_000), curvature=st.floats(0, 1e-9))
@settings(max_examples=60, deadline=None)
def test_a_tariff_recovers_its_mix_and_has_no_negative_rate(seed: int, curvature: float) -> None:
    ledger = _ledger(seed, 40, curvature)
    rates = fair_tariff(ledger, _start(ledger))
    assert rates.min() >= 0
    assert float(ledger.mean_tokens @ rates) == pytest.approx(ledger.mean_cost, rel=1e-9)


def test_costs_that_are_linear_give_back_their_own_rates() -> None:
    ledger = _ledger(curvature=0.0)
    rates = fair_tariff(ledger, _start(ledger))
    np.testing.assert_allclose(rates, [4e-7, 5e-8, 2e-6], rtol=1e-6)
    under = margins_under(ledger, rates)
    assert under.losing_share == 0.0
    assert under.moved == pytest.approx(0.0, abs=1e-9)


def test_no_other_tariff_that_recovers_the_mix_leaves_less_variance() -> None:
    ledger = _ledger(curvature=1e-10)
    rates = fair_tariff(ledger, _start(ledger))
    least = margin_variance(ledger, rates)
    rng = np.random.default_rng(1)
    for _ in range(200):
        other = rates * (1.0 + 0.2 * rng.standard_normal(3))
        other *= ledger.mean_cost / float(ledger.mean_tokens @ other)
        if other.min() >= 0:
            assert margin_variance(ledger, other) >= least * (1 - 1e-9)


def test_a_mix_of_one_request_keeps_the_rates_it_began_with() -> None:
    ledger = Ledger(np.array([[1000.0, 0.0, 100.0]]), np.array([0.002]), np.array([1.0]))
    start = np.array([1e-6, 3e-7, 1e-5])
    np.testing.assert_allclose(fair_tariff(ledger, start), start, rtol=1e-9)


@pytest.mark.parametrize("share", [0.0, 1e-313, 1e-20, 1e-13, 1e-6])
def test_a_kind_that_is_as_good_as_absent_keeps_its_rate_and_recovers_all_the_same(share: float) -> None:
    ledger = _ledger(curvature=1e-10)
    tokens = ledger.tokens * np.array([1.0, share, 1.0])
    rare = Ledger(tokens, ledger.cost, ledger.weight)
    rates = fair_tariff(rare, _start(rare))
    assert np.isfinite(rates).all()
    assert float(rare.mean_tokens @ rates) == pytest.approx(rare.mean_cost, rel=1e-9)
    if share < 1e-12:
        assert rates[1] == _start(rare)[1]


def test_a_price_below_cost_loses_on_every_request() -> None:
    ledger = _ledger(curvature=0.0)
    under = margins_under(ledger, np.array([2e-7, 2.5e-8, 1e-6]))
    assert under.losing_share == pytest.approx(1.0)
    assert under.total == pytest.approx(-1.0)
    assert under.moved == pytest.approx(0.0, abs=1e-9)


def test_groups_share_cost_and_revenue_of_the_whole() -> None:
    ledger = _ledger(curvature=1e-10)
    group, edges = bands(ledger.tokens[:, 0], ledger.weight, 5)
    rows = transfers(ledger, fair_tariff(ledger, _start(ledger)), group)
    assert len(rows) == edges.size == 5
    assert sum(row.share_of_cost for row in rows) == pytest.approx(1.0)
    assert sum(row.share_of_revenue for row in rows) == pytest.approx(1.0)
    assert all(row.share_of_requests == pytest.approx(0.2, abs=0.02) for row in rows)
    # The longest prompts cost more than in proportion, so others pay for them.
    assert rows[-1].share_of_cost > rows[-1].share_of_revenue


def test_a_quantile_is_the_first_value_at_which_the_weight_is_reached() -> None:
    values, weight = np.array([3.0, 1.0, 2.0]), np.array([0.2, 0.5, 0.3])
    np.testing.assert_array_equal(weighted_quantiles(values, weight, (0.1, 0.5, 0.8, 0.99)), [1, 1, 2, 3])
