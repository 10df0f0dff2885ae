"""Exchange rates: same currency, age limits n-1, n, n+1, direct, reversed, through the pivot."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from service.billing.errors import FxError
from service.billing.fx import FxRate, FxTable

DAY = date(2026, 11, 2)


def make_table(*rates: tuple[str, str, date, str]) -> FxTable:
    return FxTable([FxRate(base, quote, day, Decimal(rate)) for base, quote, day, rate in rates], pivot="USD")


def test_the_same_currency_needs_no_rate_and_keeps_the_amount() -> None:
    conversion = make_table().convert(Decimal("0.1"), "EUR", "EUR", DAY)
    assert (conversion.amount, conversion.used) == (Decimal("0.1"), ())


@pytest.mark.parametrize(("days", "found"), [(-1, False), (0, True), (6, True), (7, True), (8, False)])
def test_a_rate_serves_its_own_day_and_seven_more(days: int, found: bool) -> None:
    table = make_table(("EUR", "USD", DAY, "1.25"))
    when = DAY + timedelta(days=days)
    if found:
        assert table.convert(Decimal(4), "EUR", "USD", when).amount == 5
    else:
        with pytest.raises(FxError, match="No exchange rate from EUR to USD"):
            table.convert(Decimal(4), "EUR", "USD", when)


def test_the_last_rate_at_or_before_the_day_serves() -> None:
    table = make_table(("EUR", "USD", DAY, "1.25"), ("EUR", "USD", DAY + timedelta(days=2), "2"))
    assert table.convert(Decimal(1), "EUR", "USD", DAY + timedelta(days=1)).amount == Decimal("1.25")
    assert table.convert(Decimal(1), "EUR", "USD", DAY + timedelta(days=2)).amount == 2


def test_the_day_is_the_utc_day_of_the_moment() -> None:
    table = make_table(("EUR", "USD", DAY, "1.25"), ("EUR", "USD", DAY + timedelta(days=1), "2"))
    late = datetime(2026, 11, 2, 23, 0, tzinfo=timezone(timedelta(hours=-5)))
    assert table.convert(Decimal(1), "EUR", "USD", late).amount == 2
    assert table.convert(Decimal(1), "EUR", "USD", datetime(2026, 11, 2, 23, tzinfo=UTC)).amount == Decimal(
        "1.25"
    )


def test_a_moment_without_offset_is_refused() -> None:
    with pytest.raises(FxError, match="no offset"):
        make_table().convert(Decimal(1), "EUR", "USD", datetime(2026, 11, 2))  # noqa: DTZ001


def test_a_pair_serves_both_ways_and_the_way_asked_wins() -> None:
    one_way = make_table(("USD", "JPY", DAY, "150"))
    assert one_way.convert(Decimal(300), "JPY", "USD", DAY).amount == 2
    both = make_table(("USD", "JPY", DAY, "150"), ("JPY", "USD", DAY, "0.01"))
    assert both.convert(Decimal(300), "JPY", "USD", DAY).amount == 3
    assert both.convert(Decimal(1), "USD", "JPY", DAY).amount == 150


def test_two_rates_meet_at_the_pivot_and_only_there() -> None:
    table = make_table(("EUR", "USD", DAY, "1.25"), ("USD", "CNY", DAY, "7.2"), ("EUR", "CHF", DAY, "0.9"))
    conversion = table.convert(Decimal(2), "EUR", "CNY", DAY)
    assert conversion.amount == 18
    assert [(rate.base, rate.quote) for rate in conversion.used] == [("EUR", "USD"), ("USD", "CNY")]
    with pytest.raises(FxError, match="through USD"):
        table.convert(Decimal(1), "CHF", "CNY", DAY)


def test_a_half_path_is_no_path() -> None:
    with pytest.raises(FxError):
        make_table(("EUR", "USD", DAY, "1.25")).convert(Decimal(1), "EUR", "CNY", DAY)


def test_the_result_has_eighteen_digits_rounded_once_half_even() -> None:
    table = make_table(("USD", "JPY", DAY, "3"), ("USD", "KRW", DAY, "3"))
    assert table.convert(Decimal(1), "JPY", "USD", DAY).amount == Decimal("0.333333333333333333")
    # Through the pivot 1/3 x 3 is one again: the middle of the way is not rounded.
    assert table.convert(Decimal(1), "JPY", "KRW", DAY).amount == 1
    tie = make_table(("EUR", "USD", DAY, "0.5"))
    assert tie.convert(Decimal("0.000000000000000001"), "EUR", "USD", DAY).amount == 0
    assert tie.convert(Decimal("0.000000000000000003"), "EUR", "USD", DAY).amount == Decimal("2E-18")


@pytest.mark.parametrize("rate", ["0", "-1", "NaN"])
def test_a_rate_that_is_not_positive_is_refused(rate: str) -> None:
    with pytest.raises(FxError, match="not positive"):
        make_table(("EUR", "USD", DAY, rate))
