"""What plots share: which points are drawn, and on which axis."""

from itertools import pairwise

import pytest

from service.cli.charts import MOST_POINTS, axis_type, thinned


@pytest.mark.parametrize("count", [1, 2, MOST_POINTS, MOST_POINTS + 1, 20_000])
def test_a_line_keeps_both_ends_and_no_more_points_than_can_be_told_apart(count: int) -> None:
    kept = thinned(count)
    assert (kept[0], kept[-1]) == (0, count - 1)
    assert len(kept) == min(count, MOST_POINTS)
    gaps = {after - before for before, after in pairwise(kept)}
    assert not gaps or max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1.0, 30.0], "linear"), ([1.0, 31.0], "log"), ([0.0, 1e9], "linear"), ([-1.0, 1e9], "linear")],
)
def test_positive_values_over_a_wide_range_go_on_a_logarithmic_axis(
    values: list[float], expected: str
) -> None:
    assert axis_type(values) == expected
