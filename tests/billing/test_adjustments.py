"""Discounts, margins and markups: each its own line, in order, exact where a decimal can be."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from service.billing.adjustments import Adjustment, adjust
from service.billing.charges import ChargeFacts, ChargeLine
from service.billing.errors import AdjustmentError
from service.billing.price_book import PriceBook
from tests.builders.price_rows import price_row


@pytest.fixture
def two_lines() -> tuple[ChargeLine, ...]:
    """Input for 2, output for 8."""
    book = PriceBook.of([price_row("input", "2"), price_row("output", "8")])
    usage = {"input": 10**6, "output": 10**6}
    return book.charge(usage, ChargeFacts(datetime(2026, 6, 1, tzinfo=UTC))).lines


def test_a_discount_scales_the_components_it_names(two_lines: tuple[ChargeLine, ...]) -> None:
    (line,) = adjust(two_lines, [Adjustment("agreement", "discount", Decimal("12.5"), ("output",))])
    assert (line.base, line.amount, line.exact) == (8, -1, True)


def test_a_later_adjustment_scales_what_earlier_ones_left(two_lines: tuple[ChargeLine, ...]) -> None:
    wanted = [
        Adjustment("agreement", "discount", Decimal(50), ("output",)),
        Adjustment("reseller", "markup", Decimal(10)),
    ]
    first, second = adjust(two_lines, wanted)
    assert (first.amount, second.base, second.amount) == (-4, 6, Decimal("0.6"))


def test_a_margin_is_a_share_of_the_price_that_results(two_lines: tuple[ChargeLine, ...]) -> None:
    (line,) = adjust(two_lines, [Adjustment("margin", "margin", Decimal(20))])
    assert line.amount == Decimal("2.5")
    assert line.amount / (line.base + line.amount) == Decimal("0.2")


def test_a_margin_without_a_finite_decimal_says_so(two_lines: tuple[ChargeLine, ...]) -> None:
    (line,) = adjust(two_lines, [Adjustment("margin", "margin", Decimal(70), ("input",))])
    assert (line.amount, line.exact) == (Decimal("4.666666666666666667"), False)


def test_an_adjustment_of_a_meter_that_was_not_used_is_nothing(two_lines: tuple[ChargeLine, ...]) -> None:
    (line,) = adjust(two_lines, [Adjustment("cache", "discount", Decimal(5), ("cache_read",))])
    assert (line.base, line.amount) == (0, 0)


@pytest.mark.parametrize(
    ("kind", "percent"), [("discount", "100.1"), ("margin", "100"), ("markup", "-1"), ("markup", "NaN")]
)
def test_what_leaves_no_price_is_refused(two_lines: tuple[ChargeLine, ...], kind: str, percent: str) -> None:
    with pytest.raises(AdjustmentError):
        adjust(two_lines, [Adjustment("x", kind, Decimal(percent))])  # type: ignore[arg-type]
