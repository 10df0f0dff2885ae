"""Our own list price rows: the history and the windows that the package lacks."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest
import yaml

from service.billing.ambiguity import find_ambiguities
from service.billing.resolution import RequestFacts, resolve_meter
from service.billing.selectors import Selector, selector_from_mapping
from service.catalog.seed_schema import ListPriceSeed, ListPricesFile

FOLDER = Path(__file__).parents[2] / "hardware_catalog" / "list_prices"


@dataclass(frozen=True)
class Row:
    seed: ListPriceSeed
    selector: Selector

    @property
    def valid_from(self) -> datetime:
        return self.seed.valid_from

    @property
    def valid_to(self) -> datetime | None:
        return self.seed.valid_to


@cache
def own_rows() -> tuple[Row, ...]:
    seeds = [
        seed
        for path in sorted(FOLDER.glob("*.yaml"))
        for seed in ListPricesFile.model_validate(yaml.load(path.read_text(), yaml.BaseLoader)).prices  # noqa: S506
    ]
    return tuple(Row(seed, selector_from_mapping(seed.selector.model_dump())) for seed in seeds)


def rate(listing: str, meter: str, at: datetime) -> Decimal | None:
    rows = [
        row
        for row in own_rows()
        if (row.seed.provider_model_id, row.seed.meter) == (listing, meter)
        and row.valid_from <= at
        and (row.valid_to is None or at < row.valid_to)
    ]
    parts = resolve_meter(rows, meter, RequestFacts(at=at), 1)
    return parts[0].row.seed.amount if parts else None


def test_no_two_own_rows_compete() -> None:
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in own_rows():
        groups.setdefault((row.seed.provider, row.seed.provider_model_id, row.seed.meter), []).append(row)
    assert all(find_ambiguities(rows) == [] for rows in groups.values())


@pytest.mark.parametrize(
    ("listing", "moment", "input_rate", "output_rate"),
    [
        ("gpt-4o", datetime(2024, 5, 12, 23, 59, 59, tzinfo=UTC), None, None),
        ("gpt-4o", datetime(2024, 5, 13, tzinfo=UTC), 5, 15),
        ("gpt-4o", datetime(2024, 10, 1, 23, 59, 59, tzinfo=UTC), 5, 15),
        ("gpt-4o", datetime(2024, 10, 2, tzinfo=UTC), None, None),
        ("gpt-4o-2024-05-13", datetime(2025, 6, 1, tzinfo=UTC), 5, 15),
        ("gpt-4o-2024-05-13", datetime(2026, 11, 10, tzinfo=UTC), None, None),
        ("gpt-4o-64k-output-alpha", datetime(2024, 8, 1, tzinfo=UTC), 6, 18),
    ],
)
def test_the_history_of_gpt_4o(
    listing: str, moment: datetime, input_rate: int | None, output_rate: int | None
) -> None:
    assert (rate(listing, "input", moment), rate(listing, "output", moment)) == (input_rate, output_rate)


def test_deepseek_v4_pro_charges_double_in_35_of_168_hours_from_its_first_hour() -> None:
    """$0.66 / $0.022 / $1.98 off-peak, double at peak (Portkey-AI/models issue 900)."""
    first = datetime(2026, 8, 16, 16, tzinfo=UTC)
    assert rate("deepseek-v4-pro", "input", first - timedelta(microseconds=1)) is None
    for meter, low in (("input", "0.66"), ("cache_read", "0.022"), ("output", "1.98")):
        week = [rate("deepseek-v4-pro", meter, first + timedelta(hours=hour)) for hour in range(168)]
        assert week.count(Decimal(low)) == 133
        assert week.count(2 * Decimal(low)) == 35
