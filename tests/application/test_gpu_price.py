"""Which price row an estimate takes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from service.application.errors import InvalidRequestError, NoPriceError
from service.application.gpu_price import ChosenPrice, GpuPriceChooser, choose_gpu_price
from service.application.ports import GpuPriceRecord, Price
from service.application.requests import PriceRequest
from tests.builders.catalog import NEW, OLD, FakeSnapshot, make_gpu_price

NOW = datetime(2026, 2, 1, tzinfo=UTC)


def _row(
    row_id: int, amount: str, provider: str = "acme", currency: str = "USD", **changes: Any
) -> GpuPriceRecord:
    return replace(
        make_gpu_price(row_id, amount, provider),
        price=Price(Decimal(amount), currency, "gpu_hour"),
        **changes,
    )


def _choose(*rows: GpuPriceRecord, as_of: datetime = NOW, **asked: Any) -> ChosenPrice:
    snapshot = FakeSnapshot(all_gpu_prices=rows)
    return choose_gpu_price(snapshot, PriceRequest(**asked), "h100-sxm", as_of, None)


def test_of_many_rows_the_median_is_taken_and_of_two_the_lower() -> None:
    rows = [_row(k, amount, f"p{k}") for k, amount in enumerate(["9.00", "2.10", "2.50", "2.00", "3.00"])]
    assert _choose(*rows).amount == Decimal("2.50")
    assert _choose(*rows[:2]).amount == Decimal("2.10")


def test_the_order_of_rows_does_not_matter() -> None:
    rows = [_row(k, amount, f"p{k}") for k, amount in enumerate(["9.00", "2.10", "2.50", "2.50"])]
    assert _choose(*rows) == _choose(*reversed(rows))


def test_on_demand_is_preferred_and_spot_comes_last() -> None:
    spot = _row(1, "1.00", "a", commitment="spot")
    year = _row(2, "2.00", "b", commitment="reserved_1y")
    demand = _row(3, "3.00", "c")
    assert _choose(spot, year, demand).amount == Decimal("3.00")
    assert _choose(spot, year).amount == Decimal("2.00")
    assert _choose(spot).amount == Decimal("1.00")
    assert _choose(spot, year, demand, commitment="spot").amount == Decimal("1.00")


def test_amounts_of_different_currencies_are_not_compared() -> None:
    rows = (_row(1, "2.00"), _row(2, "2.20", "b"), _row(3, "300", "c", "JPY"))
    assert _choose(*rows).currency == "USD"
    assert _choose(*rows, currency="JPY").amount == Decimal(300)


@pytest.mark.parametrize(
    ("name", "value"),
    [("provider", "acme"), ("region", "any"), ("commitment", "on_demand"), ("gpus_per_instance", 8),
     ("source", "prices"), ("currency", "USD")],
)  # fmt: skip
def test_a_row_can_be_narrowed_by_each_part_of_its_key(name: str, value: str | int) -> None:
    other = _row(2, "0.50", "b", "EUR", region="eu", commitment="spot", gpus_per_instance=1, source="else")
    chosen = _choose(_row(1, "2.00"), other, **{name: value})
    assert chosen.amount == Decimal("2.00")
    assert f"price.{name}" not in chosen.defaulted
    with pytest.raises(NoPriceError) as refused:
        _choose(_row(1, "2.00"), other, **{name: 99 if isinstance(value, int) else "none"})
    assert refused.value.field == f"price.{name}"
    assert refused.value.code == "price-not-found"
    assert value in refused.value.accepted[name]  # type: ignore[operator]


def test_what_was_chosen_chooses_itself() -> None:
    rows = [_row(k, amount, f"p{k}") for k, amount in enumerate(["9.00", "2.10", "2.50"])]
    first = _choose(*rows)
    again = choose_gpu_price(FakeSnapshot(all_gpu_prices=rows), first.request, "h100-sxm", NOW, None)
    assert again.row == first.row
    assert again.request == first.request
    assert again.defaulted == ()


def test_a_time_before_the_first_known_price_is_refused_with_that_time() -> None:
    with pytest.raises(NoPriceError) as refused:
        _choose(_row(1, "2.00"), as_of=OLD - timedelta(seconds=1))
    assert refused.value.code == "price-not-known-at"
    assert refused.value.field == "as_of"
    assert refused.value.accepted == {"first_known": OLD.isoformat()}
    assert _choose(_row(1, "2.00"), as_of=OLD).amount == Decimal("2.00")


def test_an_accelerator_without_prices_asks_for_an_amount() -> None:
    with pytest.raises(NoPriceError) as refused:
        _choose()
    assert refused.value.code == "price-not-found"
    assert set(refused.value.accepted) == {"amount", "currency"}


def test_an_own_amount_needs_a_currency_and_nothing_else() -> None:
    chosen = _choose(amount=Decimal("1.25"), currency="EUR")
    assert (chosen.amount, chosen.currency, chosen.row) == (Decimal("1.25"), "EUR", None)
    for wrong in ({"amount": Decimal(1)}, {"amount": Decimal(0), "currency": "EUR"},
                  {"amount": Decimal("Infinity"), "currency": "EUR"},
                  {"amount": Decimal(1), "currency": "EUR", "region": "eu"}):  # fmt: skip
        with pytest.raises(InvalidRequestError):
            _choose(**wrong)


def test_a_kept_choice_is_made_again_where_a_price_changes() -> None:
    change = NEW
    before = make_gpu_price(1, "3.00", valid_to=change)
    after = make_gpu_price(2, "2.00", valid_from=change)
    snapshot, chooser, asked = FakeSnapshot(all_gpu_prices=(before, after)), GpuPriceChooser(), PriceRequest()
    amounts = [
        chooser.choose(snapshot, asked, ("h100-sxm", when, None)).amount
        for when in (change - timedelta(days=1), change - timedelta(seconds=1), change, NOW)
    ]
    assert amounts == [Decimal("3.00"), Decimal("3.00"), Decimal("2.00"), Decimal("2.00")]


def test_an_older_revision_is_believed_where_asked() -> None:
    snapshot, chooser = FakeSnapshot(), GpuPriceChooser()
    amounts = {
        known: chooser.choose(snapshot, PriceRequest(provider="acme"), ("h100-sxm", NOW, known)).amount
        for known in (1, 2, 3, None)
    }
    assert amounts == {
        1: Decimal("2.99"), 2: Decimal("2.99"), 3: Decimal("2.49"), None: Decimal("2.49")
    }  # fmt: skip


def test_a_row_of_nothing_is_no_price() -> None:
    free, paid = make_gpu_price(1, "0", "gift"), make_gpu_price(2, "2.49")
    both = FakeSnapshot(all_gpu_prices=(free, paid))
    assert choose_gpu_price(both, PriceRequest(), "h100-sxm", NOW, None).amount == Decimal("2.49")
    with pytest.raises(InvalidRequestError, match="is 0") as refused:
        choose_gpu_price(both, PriceRequest(provider="gift"), "h100-sxm", NOW, None)
    assert (refused.value.field, refused.value.code) == ("price", "price-not-found")
