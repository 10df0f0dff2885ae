"""Draws for intervals."""

from math import exp
from statistics import NormalDist

import numpy as np
import pytest

from service.economics.intervals import (
    DIMENSIONS,
    MOST_DIMENSIONS,
    interval,
    normal_points,
    normal_quantile,
    sobol_points,
)


def test_points_are_the_same_for_the_same_seed_and_others_for_another() -> None:
    once = sobol_points(64, 7).copy()
    sobol_points.cache_clear()
    assert np.array_equal(once, sobol_points(64, 7))
    assert not np.array_equal(once, sobol_points(64, 8))


@pytest.mark.parametrize("power", [4, 8, 12])
@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_every_axis_has_one_point_in_every_equal_part(power: int, seed: int) -> None:
    """A (t, s)-sequence in base 2: each one-dimensional projection of 2^m points is stratified."""
    count = 2**power
    parts = np.floor(sobol_points(count, seed) * count).astype(int)
    for row in parts:
        assert np.array_equal(np.sort(row), np.arange(count))


@pytest.mark.parametrize("seed", [0, 3])
def test_the_first_two_axes_fill_every_elementary_box(seed: int) -> None:
    """Sobol's first two dimensions are a (0, m, 2)-net: 256 points, one in each 2^-k x 2^-(8-k) box."""
    points = sobol_points(256, seed)[:2]
    for k in range(9):
        boxes = np.floor(points[0] * 2**k) * 2 ** (8 - k) + np.floor(points[1] * 2 ** (8 - k))
        assert np.unique(boxes).size == 256


def test_no_two_axes_move_together() -> None:
    correlation = np.corrcoef(normal_points(1024, 0))
    assert np.abs(correlation - np.eye(DIMENSIONS)).max() < 0.05


def test_points_lie_inside_the_cube() -> None:
    points = sobol_points(4096, 5)
    assert points.shape == (DIMENSIONS, 4096)
    assert points.min() > 0
    assert points.max() < 1


def test_a_sum_over_all_axes_is_integrated_far_better_than_by_chance() -> None:
    # The product of 8 factors (1 + (x - 1/2)/2) has the mean 1; 256 random points miss it by about 3 %.
    means = [np.prod(0.75 + sobol_points(256, seed) / 2, axis=0).mean() for seed in range(20)]
    assert np.mean(np.abs(np.array(means) - 1.0)) < 0.004


def test_normal_quantiles_are_those_of_the_standard_library() -> None:
    chances = np.concatenate(([1e-12, 1e-9, 1e-4], np.linspace(0.001, 0.999, 999), [1 - 1e-4, 1 - 1e-9]))
    truth = [NormalDist().inv_cdf(float(chance)) for chance in chances]
    assert normal_quantile(chances) == pytest.approx(truth, rel=1e-13, abs=1e-13)


@pytest.mark.parametrize("seed", range(5))
def test_256_draws_find_the_quantiles_of_a_log_normal(seed: int) -> None:
    found = interval(np.exp(0.2 * normal_points(256, seed)))
    half = exp(0.2 * NormalDist().inv_cdf(0.9))
    for column in found.T:
        assert column == pytest.approx([1 / half, 1.0, half], rel=0.01)


def test_further_dimensions_leave_the_first_ones_as_they_are() -> None:
    assert np.array_equal(sobol_points(128, 4, MOST_DIMENSIONS)[:DIMENSIONS], sobol_points(128, 4))


def test_further_dimensions_are_as_even_and_as_apart() -> None:
    points = sobol_points(1024, 2, MOST_DIMENSIONS)
    for row in np.floor(points * 1024).astype(int):
        assert np.array_equal(np.sort(row), np.arange(1024))
    correlation = np.corrcoef(normal_points(1024, 2, MOST_DIMENSIONS))
    assert np.abs(correlation - np.eye(MOST_DIMENSIONS)).max() < 0.05
