"""Modelled cost beside list prices: margins, break-even, rank, currencies."""

from dataclasses import replace
from decimal import Decimal

import pytest

from service.application.list_comparison import ModelledCost, compare_with_list, prepare
from service.application.list_prices import ListedPrices, ListedRate
from service.application.ports import ListingRecord, Price
from tests.builders.answers import make_rate
from tests.builders.catalog import make_list_price, make_listing


def _rate(meter: str, amount: str | None, currency: str) -> ListedRate | None:
    if amount is None:
        return None
    row = replace(make_list_price(1, meter), price=Price(Decimal(amount), currency, "million_tokens"))
    return ListedRate(Decimal(amount), currency, row, (meter,))


def _listed(
    provider: str = "acme",
    amounts: tuple[str | None, str | None, str | None] = ("0.60", "0.30", "1.80"),
    currency: str = "USD",
    listing: ListingRecord | None = None,
    unranked: str | None = None,
) -> ListedPrices:
    fresh, cached, output = amounts
    return ListedPrices(
        listing=listing or make_listing(provider=provider),
        input=_rate("input", fresh, currency),
        cache_read=_rate("cache_read", cached, currency),
        cache_write=None,
        output=_rate("output", output, currency),
        unranked_because=unranked,
    )


COST = ModelledCost(
    rates=(
        replace(make_rate("uncached_input", 0.5), tokens_per_request=2000.0),
        replace(make_rate("cached_input", 0.1), tokens_per_request=1000.0),
        replace(make_rate("output", 1.5), tokens_per_request=500.0),
    ),
    cost_per_request=(2000 * 0.5 + 1000 * 0.1 + 500 * 1.5) / 1e6,
    currency="USD",
    utilisation=0.5,
)


def test_a_request_is_priced_by_its_mean_tokens_and_the_margin_follows() -> None:
    (one,) = compare_with_list(prepare([_listed()]), COST)
    price = (2000 * 0.60 + 1000 * 0.30 + 500 * 1.80) / 1e6
    assert one.price_per_request == Decimal("0.0024")
    assert one.margin == pytest.approx(1 - COST.cost_per_request / price)
    assert one.offer.output_to_input_ratio == 3.0
    assert one.margin_by_kind == pytest.approx(
        {"uncached_input": 1 - 0.5 / 0.6, "cached_input": 1 - 0.1 / 0.3, "output": 1 - 1.5 / 1.8}
    )


def test_at_the_break_even_utilisation_the_margin_is_zero() -> None:
    (one,) = compare_with_list(prepare([_listed()]), COST)
    assert one.breakeven_utilisation is not None
    scale = COST.utilisation / one.breakeven_utilisation
    there = replace(
        COST, cost_per_request=COST.cost_per_request * scale, utilisation=one.breakeven_utilisation
    )
    (even,) = compare_with_list(prepare([_listed()]), there)
    assert even.margin == pytest.approx(0.0, abs=1e-12)


def test_where_no_cached_rate_is_listed_cached_tokens_cost_what_fresh_ones_do() -> None:
    (one,) = compare_with_list(prepare([_listed(amounts=("0.60", None, "1.80"))]), COST)
    assert one.price_per_request == Decimal("0.0027")
    assert one.offer.cached_input_per_million is None
    assert one.margin_by_kind["cached_input"] is None


def test_the_cheapest_listing_ranks_first_and_unranked_ones_follow() -> None:
    listed = [
        _listed("dear", ("9", "9", "9")),
        _listed("cheap", ("0.1", "0.1", "0.1")),
        _listed("router", ("0.01", "0.01", "0.01"), unranked="routed"),
    ]
    rows = compare_with_list(prepare(listed), COST)
    assert [(row.offer.provider, row.rank) for row in rows] == [("cheap", 1), ("dear", 2), ("router", None)]


def test_another_currency_has_neither_margin_nor_rank() -> None:
    (one,) = compare_with_list(prepare([_listed(currency="EUR")]), COST)
    assert (one.margin, one.breakeven_utilisation, one.rank) == (None, None, None)
    assert set(one.margin_by_kind.values()) == {None}
    assert one.price_per_request == Decimal("0.0024")


def test_a_free_listing_has_no_margin() -> None:
    (one,) = compare_with_list(prepare([_listed(amounts=("0", "0", "0"), unranked="free")]), COST)
    assert (one.margin, one.rank, one.offer.output_to_input_ratio) == (None, None, None)
    assert set(one.margin_by_kind.values()) == {None}


def test_a_listing_without_output_has_no_price_of_a_request() -> None:
    (one,) = compare_with_list(prepare([_listed(amounts=("0.60", None, None))]), COST)
    assert (one.price_per_request, one.margin, one.rank) == (None, None, None)
    assert one.margin_by_kind["uncached_input"] is not None


@pytest.mark.parametrize(
    ("relation", "compared"),
    [("same", True), ("quantised", True), ("fine_tune", False), ("distilled", False), ("unknown", False)],
)
def test_other_models_stay_out(relation: str, compared: bool) -> None:
    listing = replace(make_listing(), relation=relation)
    assert len(prepare([_listed(listing=listing)])) == int(compared)
