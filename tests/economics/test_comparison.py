"""Margins, outliers and rank correlation, against figures worked by hand."""

import numpy as np
import pytest

from service.economics.comparison import implied_utilisation, outlier_scores, rank_correlation


def test_at_the_implied_utilisation_the_margin_is_the_wanted_one() -> None:
    implied = implied_utilisation(cost=0.004, utilisation=0.5, price=0.01, margin=0.2)
    cost_there = 0.004 * 0.5 / implied
    assert 1.0 - cost_there / 0.01 == pytest.approx(0.2)


def test_one_price_apart_from_the_rest_is_an_outlier() -> None:
    scores = outlier_scores(np.array([1.0, 1.1, 0.9, 1.05, 20.0]))
    assert scores[-1] > 3.5
    assert np.abs(scores[:-1]).max() < 3.5


def test_equal_prices_have_no_outlier() -> None:
    assert outlier_scores(np.array([2.0, 2.0, 2.0])).tolist() == [0.0, 0.0, 0.0]


def test_rank_correlation_is_one_for_any_rising_relation_and_shares_ties() -> None:
    x = np.array([1.0, 2.0, 3.0, 4.0])
    assert rank_correlation(x, np.exp(x)) == pytest.approx(1.0)
    assert rank_correlation(x, -x) == pytest.approx(-1.0)
    assert rank_correlation(x, np.ones(4)) == 0.0
    # Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4.
    assert rank_correlation(np.array([1.0, 2.0, 2.0, 3.0]), x) == pytest.approx(4.5 / (4.5 * 5.0) ** 0.5)
