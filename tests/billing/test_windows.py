"""Time windows: edges n-1, n, n+1, midnight, the week's end, zones; against a minute-by-minute count."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from service.billing.errors import SelectorError
from service.billing.selectors import STANDARD, Selector
from service.billing.windows import in_window, window_covers, windows_may_overlap

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)


def make_window(start: str | None, end: str | None, days: str | None = None, zone: str = "UTC") -> Selector:
    return Selector(weekdays=days, start_time=start, end_time=end, time_zone=zone)


def test_no_window_contains_every_instant() -> None:
    assert in_window(STANDARD, MONDAY)
    assert in_window(STANDARD, datetime(2026, 1, 1))  # noqa: DTZ001


def test_an_instant_without_offset_is_refused() -> None:
    with pytest.raises(SelectorError, match="no offset"):
        in_window(make_window("01:00", "04:00"), datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("clock", "inside"),
    [
        ("00:59:59.999999", False),
        ("01:00:00", True),
        ("01:00:00.000001", True),
        ("03:59:59.999999", True),
        ("04:00:00", False),
        ("04:00:00.000001", False),
    ],
)
def test_the_start_is_in_and_the_end_is_out(clock: str, inside: bool) -> None:
    at = datetime.fromisoformat(f"2026-11-02T{clock}+00:00")
    assert in_window(make_window("01:00", "04:00"), at) is inside


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-11-06T21:59", False),  # Friday
        ("2026-11-06T22:00", True),
        ("2026-11-06T23:59", True),
        ("2026-11-07T00:00", True),  # Saturday, still Friday's window
        ("2026-11-07T01:59", True),
        ("2026-11-07T02:00", False),
        ("2026-11-07T22:00", False),  # Saturday has none of its own
        ("2026-11-02T01:00", False),  # Monday morning would be Sunday's
    ],
)
def test_a_window_across_midnight_belongs_to_the_day_it_starts_on(moment: str, inside: bool) -> None:
    window = make_window("22:00", "02:00", "12345")
    assert in_window(window, datetime.fromisoformat(f"{moment}:00+00:00")) is inside


def test_sundays_window_reaches_into_monday() -> None:
    window = make_window("22:00", "02:00", "7")
    assert in_window(window, MONDAY + timedelta(hours=1))
    assert not in_window(window, MONDAY + timedelta(hours=2))


def test_midnight_as_an_end_is_the_end_of_the_day_and_weekdays_alone_are_whole_days() -> None:
    evening = make_window("22:00", "00:00", "1")
    assert in_window(evening, MONDAY + timedelta(hours=23, minutes=59))
    assert not in_window(evening, MONDAY + timedelta(hours=24))
    whole = make_window(None, None, "1")
    assert in_window(whole, MONDAY)
    assert not in_window(whole, MONDAY - timedelta(microseconds=1))
    assert not in_window(whole, MONDAY + timedelta(days=1))


def test_the_zone_decides_day_and_hour_summer_time_included() -> None:
    shanghai = make_window("09:00", "12:00", "1", "Asia/Shanghai")
    assert in_window(shanghai, datetime(2026, 11, 2, 1, 0, tzinfo=UTC))
    assert not in_window(shanghai, datetime(2026, 11, 2, 4, 0, tzinfo=UTC))
    berlin = make_window("09:00", "10:00", zone="Europe/Berlin")
    assert in_window(berlin, datetime(2026, 7, 1, 7, 30, tzinfo=UTC))
    assert in_window(berlin, datetime(2026, 12, 1, 8, 30, tzinfo=UTC))
    assert not in_window(berlin, datetime(2026, 12, 1, 7, 30, tzinfo=UTC))


def test_deepseeks_peak_is_35_of_168_hours() -> None:
    """Monday to Friday 01:00-04:00 and 06:00-10:00 UTC (Portkey-AI/models issue 900)."""
    windows = [make_window("01:00", "04:00", "12345"), make_window("06:00", "10:00", "12345")]
    hours = [MONDAY + timedelta(hours=hour) for hour in range(168)]
    assert sum(any(in_window(window, hour) for window in windows) for hour in hours) == 35


WINDOWS = [
    make_window("01:00", "04:00"),
    make_window("04:00", "05:00"),
    make_window("03:00", "05:00", "3"),
    make_window("22:00", "02:00", "7"),
    make_window("00:00", "01:00", "1"),
    make_window("22:00", "00:00"),
    make_window(None, None, "67"),
    make_window("22:00", "03:00"),
]


@pytest.mark.parametrize(("one", "other"), list(product(WINDOWS, WINDOWS)))
def test_overlap_and_cover_agree_with_a_count_of_the_week(one: Selector, other: Selector) -> None:
    week = [MONDAY + timedelta(minutes=30 * step) for step in range(336)]
    shared = [at for at in week if in_window(one, at) and in_window(other, at)]
    assert windows_may_overlap(one, other) is bool(shared)
    for outer in WINDOWS:
        assert window_covers(outer, one, other) is all(in_window(outer, at) for at in shared)


def test_across_zones_the_answer_is_the_cautious_one() -> None:
    here, there = make_window("01:00", "04:00"), make_window("12:00", "13:00", zone="Asia/Shanghai")
    assert windows_may_overlap(here, there)
    assert windows_may_overlap(here, STANDARD)
    assert not window_covers(here, there, there)
    assert window_covers(here, here, there)
    assert window_covers(STANDARD, here, there)
