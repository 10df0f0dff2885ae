"""The pairwise check: what an import may not bring in."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from service.billing.ambiguity import find_ambiguities
from service.billing.selectors import Selector, selector_from_mapping

JANUARY, MARCH, JUNE = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 3, 6))
MORNING = {"start_time": "06:00", "end_time": "12:00", "time_zone": "UTC"}
NOON = {"start_time": "11:00", "end_time": "13:00", "time_zone": "UTC"}
EVENING = {"start_time": "18:00", "end_time": "22:00", "time_zone": "UTC"}


@dataclass(frozen=True)
class Row:
    selector: Selector
    valid_from: datetime = JANUARY
    valid_to: datetime | None = None


def row(axes: dict[str, object], start: datetime = JANUARY, end: datetime | None = None) -> Row:
    return Row(selector_from_mapping(axes), start, end)


def band(
    low: int | None, high: int | None, mode: str = "whole_request", measure: str = "input"
) -> dict[str, object]:
    return {"context_measure": measure, "context_from": low, "context_to": high, "context_mode": mode}


BATCH: dict[str, object] = {"service_tier": "batch"}
EU: dict[str, object] = {"region": "eu"}


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row({})],
        [row({}), row(BATCH)],  # one binds more
        [row(BATCH), row({"service_tier": "flex"})],  # never both
        [row(MORNING), row(EVENING)],
        [row(band(None, 10)), row(band(10, None))],
        [row(band(0, 10, "excess")), row(band(10, None, "excess"))],
        [row(band(None, 10)), row(band(10, None, "excess"))],  # 10 tokens are not below 10
        [row(BATCH), row(EU), row({**BATCH, **EU})],  # the third settles it
        [
            row(BATCH),
            row(band(None, 10)),
            row(band(10, None)),
            row({**BATCH, **band(None, 10)}),
            row({**BATCH, **band(10, None)}),
        ],
        [row(BATCH), row(MORNING), row({**BATCH, **MORNING})],
        [row(BATCH, end=MARCH), row(EU, start=MARCH)],  # never at the same time
        [row(BATCH, end=JUNE), row(EU, end=MARCH), row({**BATCH, **EU}, end=MARCH)],
        [row(BATCH), row(MORNING), row({**BATCH, **MORNING}), row({})],
    ],
)
def test_rows_with_a_winner_for_every_request_are_admitted(rows: list[Row]) -> None:
    assert find_ambiguities(rows) == []


@pytest.mark.parametrize(
    "rows",
    [
        [row({}), row({})],
        [row(BATCH), row(EU)],
        [row(MORNING), row(NOON)],
        [row(MORNING), row({**EVENING, "time_zone": "Asia/Shanghai"})],  # cautious across zones
        [row(BATCH), row(MORNING)],
        [row(band(None, 11)), row(band(10, None))],
        [row(band(None, 11)), row(band(10, None, "excess"))],
        [row(band(5, None)), row(band(0, 5, "excess"))],  # 6 tokens have some below 5
        [row(band(5, None, measure="input")), row(band(5, None, measure="output"))],
        [row(BATCH), row(band(None, 10)), row({**BATCH, **band(None, 9)})],  # the third leaves a gap
        [row(BATCH), row(band(3, 10)), row({**BATCH, **band(4, 10)})],
        [row(BATCH), row(band(3, 10)), row({**BATCH, **band(3, 10, "excess")})],
        [row(BATCH), row(MORNING), row({**BATCH, **NOON})],
        [row(BATCH), row(EU), row({**BATCH, **EU}, start=MARCH)],  # the third comes too late
        [row(BATCH), row(EU), row({**BATCH, **EU}, end=MARCH)],  # or goes too early
        [row(BATCH, end=JUNE), row(EU, end=JUNE), row({**BATCH, **EU}, end=MARCH)],
        [
            row(BATCH),
            row(EU),
            row({"service_tier": "flex", "region": "eu", "variant": "x"}),
        ],  # settles others
        [row(BATCH), row(EU), row({**BATCH, **EU, "variant": "x"})],  # settles only some of the shared
        [row(BATCH), row(EU), row({**BATCH, **EU, **MORNING})],
        [row(BATCH), row(EU), row({**BATCH, **EU, **band(10, None)})],
    ],
)
def test_rows_that_leave_a_request_undecided_are_refused(rows: list[Row]) -> None:
    (found,) = find_ambiguities(rows)[:1]
    assert (found.first, found.second) == (rows[0], rows[1])
    assert "A request can match both" in found.reason


def test_the_reason_names_the_axes() -> None:
    (found,) = find_ambiguities([row({}), row({})])
    assert found.reason.endswith("a row bound to nothing and one bound to nothing.")
