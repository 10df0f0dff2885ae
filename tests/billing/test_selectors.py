"""Selectors: what may be said, and the one text it is kept as."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.billing.errors import SelectorError
from service.billing.selectors import (
    STANDARD,
    Selector,
    selector_from_json,
    selector_from_mapping,
    selector_to_json,
    time_of_day,
    zone,
)

WINDOW = {"weekdays": "12345", "start_time": "01:00", "end_time": "04:00", "time_zone": "UTC"}
BAND = {"context_measure": "input", "context_from": 200_001, "context_mode": "whole_request"}
names = st.none() | st.text(min_size=1, max_size=12)


def test_the_standard_selector_binds_nothing_and_is_an_empty_object() -> None:
    assert STANDARD.axes == frozenset()
    assert selector_to_json(STANDARD) == "{}"
    assert selector_from_json("{}") == STANDARD


def test_a_window_is_one_axis_and_a_band_is_one_axis() -> None:
    selector = selector_from_mapping({**WINDOW, **BAND, "service_tier": "batch"})
    assert selector.axes == {"window", "context", "service_tier"}
    assert selector_from_mapping({"weekdays": "67", "time_zone": "UTC"}).axes == {"window"}


def test_the_text_has_sorted_keys_no_blanks_and_no_absent_axes() -> None:
    selector = selector_from_mapping({"service_tier": "batch", "region": None, **BAND})
    assert selector_to_json(selector) == (
        '{"context_from":200001,"context_measure":"input","context_mode":"whole_request","service_tier":"batch"}'
    )


@given(names, names, names, names, st.sampled_from([{}, WINDOW]), st.sampled_from([{}, BAND]))
def test_text_and_selector_are_inverse(
    tier: str | None,
    region: str | None,
    cache: str | None,
    variant: str | None,
    window: dict[str, object],
    band: dict[str, object],
) -> None:
    values = {"service_tier": tier, "region": region, "cache_lifetime": cache, "variant": variant}
    selector = selector_from_mapping({**values, **window, **band})
    assert selector_from_json(selector_to_json(selector)) == selector


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"service_tier": ""}, "service_tier is empty"),
        ({"tier": "batch"}, "Unknown selector axis 'tier'"),
        ({"service_tier": 1}, "str or null"),
        ({"context_from": True}, "int or null"),
        ({"context_from": "5"}, "int or null"),
        ({"start_time": "01:00"}, "both start_time and end_time"),
        ({"end_time": "01:00", "time_zone": "UTC"}, "both start_time and end_time"),
        ({"start_time": "01:00", "end_time": "02:00"}, "needs time_zone"),
        ({"weekdays": "1"}, "needs time_zone"),
        ({"time_zone": "UTC"}, "needs times or weekdays"),
        ({**WINDOW, "time_zone": "Mars/Olympus"}, "IANA time zone"),
        ({**WINDOW, "weekdays": "51"}, "ascending order"),
        ({**WINDOW, "weekdays": "8"}, "ascending order"),
        ({**WINDOW, "weekdays": ""}, "ascending order"),
        ({**WINDOW, "end_time": "24:00"}, "not a time of day"),
        ({**WINDOW, "end_time": "4:00"}, "not a time of day"),
        ({**WINDOW, "end_time": "01:00"}, "equals end_time"),
        ({"context_measure": "input"}, "needs context_measure"),
        ({"context_from": 5, "context_mode": "excess"}, "needs context_measure"),
        ({**BAND, "context_mode": "half"}, "whole_request or excess"),
        ({**BAND, "context_to": 200_001}, "empty or negative"),
        ({**BAND, "context_from": None, "context_to": 0}, "empty or negative"),
        ({**BAND, "context_from": -1}, "empty or negative"),
    ],
)
def test_half_said_or_contradictory_axes_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(SelectorError, match=message):
        selector_from_mapping(values)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '"x"'])
def test_text_that_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(SelectorError, match="JSON object"):
        selector_from_json(text)


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../UTC", "Europe"])
def test_a_zone_is_a_name_of_the_database_not_a_path(name: str) -> None:
    with pytest.raises(SelectorError, match="IANA"):
        zone(name)


def test_times_of_day_run_to_the_last_minute() -> None:
    assert time_of_day("23:59").minute == 59
    with pytest.raises(SelectorError):
        time_of_day("24:00")


def test_an_open_band_needs_only_one_edge() -> None:
    assert Selector(context_measure="input", context_to=1, context_mode="excess").axes == {"context"}
