"""Weekly time windows of selectors: whether an instant lies in one, whether two can meet."""

from datetime import datetime, time

from service.billing.errors import SelectorError
from service.billing.selectors import Selector, time_of_day, zone

MINUTES_PER_DAY = 24 * 60
_MIDNIGHT = time(0, 0)


def in_window(selector: Selector, at: datetime) -> bool:
    """Return whether an instant lies in the selector's window [start, end) of local time.

    A window across midnight belongs to the weekday on which it starts. A selector without a window
    contains every instant.

    Raises
    ------
    SelectorError
        If the instant has no offset.
    """
    if selector.time_zone is None:
        return True
    if at.tzinfo is None:
        raise SelectorError(f"The time {at.isoformat()} has no offset.")
    local = at.astimezone(zone(selector.time_zone))
    clock, today = local.time(), local.isoweekday()
    start, end = _edges(selector)
    if start < end or end == _MIDNIGHT:
        return _on(selector, today) and start <= clock and (end == _MIDNIGHT or clock < end)
    yesterday = (today - 2) % 7 + 1
    return (_on(selector, today) and clock >= start) or (_on(selector, yesterday) and clock < end)


def windows_may_overlap(one: Selector, other: Selector) -> bool:
    """Return whether some instant may lie in both windows; certain within one zone, cautious across."""
    if one.time_zone is None or other.time_zone is None or one.time_zone != other.time_zone:
        return True
    return any(
        first_start < second_end and second_start < first_end
        for first_start, first_end in _week_minutes(one)
        for second_start, second_end in _week_minutes(other)
    )


def window_covers(outer: Selector, one: Selector, other: Selector) -> bool:
    """Return whether every instant in both ``one`` and ``other`` is surely in ``outer``."""
    if outer.time_zone is None:
        return True
    minutes = set(_minutes_of(outer))
    inside = [
        set(_minutes_of(selector)) for selector in (one, other) if selector.time_zone == outer.time_zone
    ]
    return bool(inside) and set.intersection(*inside) <= minutes


def _on(selector: Selector, weekday: int) -> bool:
    return selector.weekdays is None or str(weekday) in selector.weekdays


def _edges(selector: Selector) -> tuple[time, time]:
    """Return start and end; midnight as an end means the end of the day."""
    if selector.start_time is None or selector.end_time is None:
        return _MIDNIGHT, _MIDNIGHT
    return time_of_day(selector.start_time), time_of_day(selector.end_time)


def _week_minutes(selector: Selector) -> list[tuple[int, int]]:
    """Return the window as intervals of minutes of the week from Monday 00:00 local, cut at the end."""
    start, end = _edges(selector)
    first = start.hour * 60 + start.minute
    last = end.hour * 60 + end.minute
    if last <= first:
        last += MINUTES_PER_DAY
    week = 7 * MINUTES_PER_DAY
    intervals: list[tuple[int, int]] = []
    for day in range(7):
        if not _on(selector, day + 1):
            continue
        low, high = day * MINUTES_PER_DAY + first, day * MINUTES_PER_DAY + last
        intervals.append((low, min(high, week)))
        if high > week:
            intervals.append((0, high - week))
    return intervals


def _minutes_of(selector: Selector) -> list[int]:
    return [minute for low, high in _week_minutes(selector) for minute in range(low, high)]
