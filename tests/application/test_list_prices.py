"""List prices of a model: what is in force, what falls back, what ranks."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from service.application.list_prices import ListPriceFinder, ListPriceQuery, list_prices_for_model
from service.application.ports import (
    BitemporalStamp,
    CatalogSnapshot,
    ListingRecord,
    ListPriceRecord,
    Price,
    Selector,
)

JANUARY, MARCH = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)


class FakeSnapshot:
    """Rows in lists; the real one has indexes."""

    def __init__(self, listings: Sequence[ListingRecord], rows: Sequence[ListPriceRecord]) -> None:
        self._listings, self._rows = listings, rows
        self.reads = 0

    def sources(self) -> dict[str, Any]:
        precedence = {"genai-prices": 50, "own-page": 100}
        return {name: SimpleNamespace(id=name, precedence=value) for name, value in precedence.items()}

    def listings(self, model: str) -> list[ListingRecord]:
        return [listing for listing in self._listings if listing.model == model]

    def list_prices(
        self, provider: str, provider_model_id: str, as_of: None, known_at: int | None
    ) -> list[ListPriceRecord]:
        self.reads += 1
        believed = 10 if known_at is None else known_at
        return [
            row
            for row in self._rows
            if (row.provider, row.provider_model_id) == (provider, provider_model_id)
            and row.stamp.revision_from <= believed
            and (row.stamp.revision_to is None or believed < row.stamp.revision_to)
        ]


def listing(provider: str, **changes: Any) -> ListingRecord:
    values: dict[str, Any] = {
        "provider": provider,
        "provider_model_id": "m",
        "model": "llama-3.1-70b",
        "relation": "same",
        "routed_from": None,
        "method": "id",
        "checked_on": date(2026, 11, 23),
        "source": "listing-review",
    }
    return ListingRecord(**(values | changes))


def row(provider: str, meter: str, amount: str, **changes: Any) -> ListPriceRecord:
    stamp = BitemporalStamp(
        row_id=changes.pop("row_id", abs(hash((provider, meter, amount))) % 10**6),
        valid_from=changes.pop("valid_from", JANUARY),
        valid_to=changes.pop("valid_to", None),
        revision_from=changes.pop("revision_from", 1),
        revision_to=changes.pop("revision_to", None),
        recorded_at=NOW,
        valid_from_basis="observed",
    )
    price = Price(Decimal(amount), "USD", changes.pop("per", "million_tokens"))
    values: dict[str, Any] = {"source": "genai-prices", "selector": Selector(), "note": ""}
    return ListPriceRecord(
        stamp=stamp, provider=provider, provider_model_id="m", meter=meter, price=price, **(values | changes)
    )


def pair(provider: str, amount: str = "1") -> list[ListPriceRecord]:
    return [row(provider, "input", amount), row(provider, "output", amount)]


def snapshot(listings: Sequence[ListingRecord], rows: Sequence[ListPriceRecord]) -> CatalogSnapshot:
    return cast(CatalogSnapshot, FakeSnapshot(listings, rows))


def find(catalog: CatalogSnapshot, at: datetime = NOW, tokens: int = 1_000, **changes: Any) -> list[Any]:
    query = ListPriceQuery(at, tokens, **changes)
    found = list_prices_for_model(catalog, "llama-3.1-70b", query)
    assert ListPriceFinder().for_model(catalog, "llama-3.1-70b", query) == found
    return list(found)


def test_a_model_without_listings_or_prices_has_none() -> None:
    assert find(snapshot([], [])) == []
    assert find(snapshot([listing("acme")], [])) == []


def test_rates_are_per_million_tokens_whatever_the_unit() -> None:
    rows = [
        row("acme", "input", "0.0005", per="thousand_tokens"),
        row("acme", "output", "0.000002", per="token"),
        row("acme", "cache_write", "3", per="hour"),  # not a price of tokens
    ]
    (found,) = find(snapshot([listing("acme")], rows))
    assert (found.input.per_million, found.output.per_million) == (Decimal("0.5"), 2)
    assert found.cache_write.priced_as == ("cache_write", "input")


def test_a_missing_cache_price_falls_back_to_input_and_says_so() -> None:
    (found,) = find(snapshot([listing("acme")], pair("acme", "4")))
    assert found.cache_read.per_million == 4
    assert found.cache_read.priced_as == ("cache_read", "input")
    assert [row.meter for row in found.rows] == ["input", "output"]
    assert found.unranked_because is None
    assert not found.is_router


def test_the_price_in_force_at_the_time_counts_its_start_in_and_its_end_out() -> None:
    rows = [
        row("acme", "input", "5", valid_to=MARCH),
        row("acme", "input", "2", valid_from=MARCH),
        row("acme", "output", "9"),
    ]
    catalog = snapshot([listing("acme")], rows)
    assert find(catalog, JANUARY - timedelta(microseconds=1)) == []
    assert find(catalog, JANUARY)[0].input.per_million == 5
    assert find(catalog, MARCH - timedelta(microseconds=1))[0].input.per_million == 5
    assert find(catalog, MARCH)[0].input.per_million == 2


@pytest.mark.parametrize(("tokens", "rate"), [(0, 1), (200_000, 1), (200_001, 2), (200_002, 2)])
def test_the_mean_input_length_picks_the_band(tokens: int, rate: int) -> None:
    def band(low: int | None, high: int | None) -> Selector:
        return Selector(
            context_measure="input", context_from=low, context_to=high, context_mode="whole_request"
        )

    rows = [
        row("acme", "input", "1", selector=band(None, 200_001)),
        row("acme", "input", "2", selector=band(200_001, None)),
        row("acme", "output", "9"),
    ]
    (found,) = find(snapshot([listing("acme")], rows), tokens=tokens)
    assert found.input.per_million == rate


def test_the_standard_tier_is_compared_unless_another_is_named() -> None:
    rows = [*pair("acme", "4"), row("acme", "input", "2", selector=Selector(service_tier="batch"))]
    catalog = snapshot([listing("acme")], rows)
    assert find(catalog)[0].input.per_million == 4
    assert find(catalog, service_tier="batch")[0].input.per_million == 2


def test_a_daily_window_is_honoured_to_the_minute_by_one_finder() -> None:
    peak = Selector(weekdays="12345", start_time="01:00", end_time="04:00", time_zone="UTC")
    rows = [*pair("deepseek", "1"), row("deepseek", "input", "2", selector=peak)]
    catalog, finder = snapshot([listing("deepseek")], rows), ListPriceFinder()

    def rate(clock: str) -> Decimal:
        at = datetime.fromisoformat(f"2026-11-03T{clock}+00:00")
        (found,) = finder.for_model(catalog, "llama-3.1-70b", ListPriceQuery(at, 1))
        assert found.input is not None
        return found.input.per_million

    assert [rate(clock) for clock in ("00:59:59", "01:00:00", "03:59:59", "04:00:00")] == [1, 2, 2, 1]


def test_our_own_rows_go_before_imported_ones_for_their_meter_and_time() -> None:
    rows = [*pair("acme", "4"), row("acme", "input", "3", source="own-page", valid_to=MARCH)]
    catalog = snapshot([listing("acme")], rows)
    assert find(catalog, JANUARY)[0].input.per_million == 3
    assert find(catalog, JANUARY)[0].output.per_million == 4
    assert find(catalog, MARCH)[0].input.per_million == 4


def test_rows_that_leave_the_request_undecided_price_nothing() -> None:
    rows = [*pair("acme"), row("acme", "input", "2")]
    (found,) = find(snapshot([listing("acme")], rows))
    assert found.input is None
    assert found.unranked_because == "input or output has no price"


@pytest.mark.parametrize(
    ("changes", "amount", "reason"),
    [
        ({"relation": "quantised"}, "1", "relation is quantised"),
        ({"method": "tier_variant"}, "1", "another service of the same model"),
        ({}, "0", "free"),
        ({}, "1", None),
    ],
)
def test_only_a_paid_standard_offer_of_the_same_model_ranks(
    changes: dict[str, Any], amount: str, reason: str | None
) -> None:
    (found,) = find(snapshot([listing("acme", **changes)], pair("acme", amount)))
    assert found.unranked_because == reason


def test_a_router_counts_only_where_its_origin_does_not() -> None:
    listings = [
        listing("acme"),
        listing("hub_acme", routed_from="acme"),
        listing("hub_other", routed_from="other"),
        listing("mixer", routed_from="various"),
    ]
    rows = [each for name in ("acme", "hub_acme", "hub_other", "mixer") for each in pair(name)]
    found = {item.listing.provider: item for item in find(snapshot(listings, rows))}
    assert found["acme"].unranked_because is None
    assert found["hub_acme"].unranked_because == "router; acme counts already"
    assert found["hub_other"].unranked_because is None
    assert found["mixer"].unranked_because == "router; various counts already"
    assert found["mixer"].is_router
    (alone,) = find(snapshot([listings[3]], rows))
    assert alone.unranked_because is None


def test_earlier_knowledge_answers_with_what_was_believed() -> None:
    rows = [
        row("acme", "input", "5", revision_to=4),
        row("acme", "input", "6", revision_from=4),
        row("acme", "output", "9"),
    ]
    catalog = snapshot([listing("acme")], rows)
    assert find(catalog)[0].input.per_million == 6
    assert find(catalog, known_at=3)[0].input.per_million == 5


def test_a_finder_reads_a_snapshot_once_and_forgets_it_with_the_next() -> None:
    first = FakeSnapshot([listing("acme")], pair("acme", "1"))
    second = FakeSnapshot([listing("acme")], pair("acme", "2"))
    finder, query = ListPriceFinder(), ListPriceQuery(NOW, 1_000)
    for _ in range(3):
        (found,) = finder.for_model(cast(CatalogSnapshot, first), "llama-3.1-70b", query)
        assert found.input is not None
        assert found.input.per_million == 1
    assert first.reads == 1
    (found,) = finder.for_model(cast(CatalogSnapshot, second), "llama-3.1-70b", query)
    assert found.input is not None
    assert found.input.per_million == 2
