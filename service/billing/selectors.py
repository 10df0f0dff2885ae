"""To which requests a list price applies (CONTRACT 3): the axes and their canonical text."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import time
from functools import lru_cache
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from service.billing.errors import SelectorError

ContextMode = Literal["whole_request", "excess"]
Axis = Literal["service_tier", "region", "window", "context", "cache_lifetime", "variant"]

_TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_WEEKDAYS = re.compile(r"(?=.)1?2?3?4?5?6?7?")
_NAME_AXES: tuple[Literal["service_tier", "region", "cache_lifetime", "variant"], ...] = (
    "service_tier",
    "region",
    "cache_lifetime",
    "variant",
)


@dataclass(frozen=True, slots=True)
class Selector:
    """Axes a list price is bound to; None matches everything (CONTRACT 3)."""

    service_tier: str | None = None
    region: str | None = None
    weekdays: str | None = None
    """ISO weekday digits, ``12345`` for Monday to Friday; of the day on which the window starts."""
    start_time: str | None = None
    """``HH:MM``, start included; with ``end_time`` (excluded) and ``time_zone``."""
    end_time: str | None = None
    time_zone: str | None = None
    context_measure: str | None = None
    context_from: int | None = None
    context_to: int | None = None
    """Band [from, to) of the measure; None is open."""
    context_mode: ContextMode | None = None
    cache_lifetime: str | None = None
    variant: str | None = None

    def __post_init__(self) -> None:
        for axis in _NAME_AXES:
            if getattr(self, axis) == "":
                raise SelectorError(f"{axis} is empty; leave the axis out to match everything.")
        _check_window(self)
        _check_context(self)

    @property
    def axes(self) -> frozenset[Axis]:
        """Return the axes this selector binds."""
        bound: set[Axis] = {axis for axis in _NAME_AXES if getattr(self, axis) is not None}
        if self.time_zone is not None:
            bound.add("window")
        if self.context_measure is not None:
            bound.add("context")
        return frozenset(bound)


@lru_cache(maxsize=4096)
def selector_to_json(selector: Selector) -> str:
    """Return the canonical text, which is the key column in the database.

    Keys are sorted, absent axes left out, no blanks: equal selectors have equal text.
    """
    present = {
        field.name: value
        for field in fields(selector)
        if (value := getattr(selector, field.name)) is not None
    }
    return json.dumps(present, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def selector_from_mapping(values: Mapping[str, object]) -> Selector:
    """Build a selector from JSON or YAML values.

    Raises
    ------
    SelectorError
        If a key is unknown, a value has the wrong type, or the axes contradict each other.
    """
    known = {field.name: field for field in fields(Selector)}
    for key, value in values.items():
        if key not in known:
            raise SelectorError(f"Unknown selector axis {key!r}.", accepted={"axes": sorted(known)})
        wanted: type = int if key in ("context_from", "context_to") else str
        if value is not None and (isinstance(value, bool) or not isinstance(value, wanted)):
            raise SelectorError(f"{key} is {value!r}; {wanted.__name__} or null is wanted.")
    return Selector(**cast(dict[str, Any], dict(values)))


@lru_cache(maxsize=4096)
def selector_from_json(text: str) -> Selector:
    """Parse the canonical text (any JSON object with the same keys will do).

    Raises
    ------
    SelectorError
        If the text is not a JSON object of known axes.
    """
    try:
        values = json.loads(text)
    except ValueError as error:
        raise SelectorError(f"A selector must be a JSON object, got {text!r}.") from error
    if not isinstance(values, dict):
        raise SelectorError(f"A selector must be a JSON object, got {text!r}.")
    return selector_from_mapping(values)


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """Return an IANA time zone.

    Raises
    ------
    SelectorError
        If the time zone database has no such zone.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SelectorError(f"{name!r} is not an IANA time zone, such as UTC or Asia/Shanghai.") from error


@lru_cache(maxsize=1024)
def time_of_day(text: str) -> time:
    """Return the time of day of ``HH:MM``.

    Raises
    ------
    SelectorError
        If the text is not a time between 00:00 and 23:59.
    """
    if not _TIME_OF_DAY.fullmatch(text):
        raise SelectorError(f"{text!r} is not a time of day HH:MM between 00:00 and 23:59.")
    return time.fromisoformat(text)


def _check_window(selector: Selector) -> None:
    times = (selector.start_time, selector.end_time)
    if (times[0] is None) != (times[1] is None):
        raise SelectorError("A time window needs both start_time and end_time.")
    bound = times[0] is not None or selector.weekdays is not None
    if bound != (selector.time_zone is not None):
        raise SelectorError("A time window needs time_zone, and time_zone needs times or weekdays.")
    if selector.time_zone is not None:
        zone(selector.time_zone)
    if selector.weekdays is not None and not _WEEKDAYS.fullmatch(selector.weekdays):
        raise SelectorError(
            f"weekdays is {selector.weekdays!r}; ISO digits 1 (Monday) to 7 in ascending order are wanted."
        )
    if times[0] is not None and times[1] is not None and time_of_day(times[0]) == time_of_day(times[1]):
        raise SelectorError("start_time equals end_time; name weekdays alone for the whole day.")


def _check_context(selector: Selector) -> None:
    low, high = selector.context_from, selector.context_to
    bounded = low is not None or high is not None
    parts = (bounded, selector.context_measure is not None, selector.context_mode is not None)
    if any(parts) and not all(parts):
        raise SelectorError("A context band needs context_measure, context_mode and at least one edge.")
    if selector.context_mode not in (None, "whole_request", "excess"):
        raise SelectorError(f"context_mode is {selector.context_mode!r}; whole_request or excess is wanted.")
    if (low is not None and low < 0) or (high is not None and high <= (low or 0)):
        raise SelectorError(f"The context band [{low}, {high}) is empty or negative.")


STANDARD = Selector()
"""Binds nothing: the price that applies unless a more specific one does."""
