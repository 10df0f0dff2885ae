"""Exact decimals: the limits first, then published invoices to the digit."""

from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.billing.errors import AmountError
from service.billing.money import (
    SourceRate,
    charge,
    charge_or_round,
    format_amount,
    parse_amount,
    parse_currency,
    rate_from_source,
    round_lines,
    significant_digits,
    total,
)

MILLION = 1_000_000
amounts = st.decimals(
    min_value=Decimal("-999999999999"),
    max_value=Decimal("999999999999"),
    allow_nan=False,
    allow_infinity=False,
    places=18,
)


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("-0.000", "0"),
        ("0.10", "0.1"),
        ("999999999999.999999999999999999", "999999999999.999999999999999999"),  # both limits at once
        ("-1.5", "-1.5"),
        (0, "0"),
        (999_999_999_999, "999999999999"),
        (0.1, "0.1"),  # a JSON number is its shortest decimal, not its binary value
        (123456789012.345, "123456789012.345"),  # 15 significant digits
        (1e-7, "0.0000001"),  # the digits count, not how Python prints them
        (Decimal("2.50"), "2.5"),
    ],
)
def test_an_amount_within_the_limits_is_read_exactly(value: object, amount: str) -> None:
    assert format_amount(parse_amount(value)) == amount


@pytest.mark.parametrize(
    "value",
    [
        "1e3",
        "1E-2",
        "+1",
        "01",
        ".5",
        "5.",
        "",
        " 1",
        "1_000",
        "NaN",
        "Infinity",
        "\u0661",  # a digit elsewhere (Arabic), not here
        "1000000000000",  # 13 integer digits
        "0.1234567890123456789",  # 19 fraction digits
        1_000_000_000_000,
        pytest.param(10**5000, id="huge"),
        -(10**12),
        1.0399999999999998,  # 17 significant digits in a JSON number
        float("nan"),
        float("inf"),
        1e300,
        1e-19,
        Decimal("sNaN"),
        True,
        None,
        [1],
    ],
)
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(AmountError):
        parse_amount(value)


@given(amounts)
def test_formatting_and_parsing_are_inverse(amount: Decimal) -> None:
    text = format_amount(amount)
    assert parse_amount(text) == amount
    assert format_amount(parse_amount(text)) == text
    assert "e" not in text.lower()
    assert text == "0" or not (text.endswith("0") and "." in text)


def test_equal_amounts_have_one_text() -> None:
    assert {format_amount(Decimal(text)) for text in ("1E+2", "100", "100.0", "1.00E2")} == {"100"}


@pytest.mark.parametrize("amount", [Decimal("NaN"), Decimal("-Infinity")])
def test_what_is_not_finite_has_no_text(amount: Decimal) -> None:
    with pytest.raises(AmountError, match="not a finite amount"):
        format_amount(amount)


@pytest.mark.parametrize("code", ["usd", "US", "USDT", "", None, 840, "ÜSD"])
def test_a_currency_is_three_capital_letters(code: object) -> None:
    assert parse_currency("EUR") == "EUR"
    with pytest.raises(AmountError, match="currency"):
        parse_currency(code)


@pytest.mark.parametrize(
    ("source", "rate"),
    [
        # binary residue of a source (genai-prices 0.2.3) goes, its digits stay on record
        ("1.0399999999999998", SourceRate(Decimal("1.04"), "1.0399999999999998")),
        ("0.08333333333333334", SourceRate(Decimal("0.0833333333333333"), "0.08333333333333334")),
        ("0.123456789012345", SourceRate(Decimal("0.123456789012345"), None)),  # 15 digits stay
        ("2.50", SourceRate(Decimal("2.5"), None)),
        ("0", SourceRate(Decimal(0), None)),
    ],
)
def test_a_source_rate_keeps_fifteen_significant_digits(source: str, rate: SourceRate) -> None:
    assert rate_from_source(Decimal(source)) == rate


@pytest.mark.parametrize("source", ["-0.1", "NaN", "Infinity", "1e12", "1e-19"])
def test_a_source_rate_outside_the_limits_is_refused(source: str) -> None:
    with pytest.raises(AmountError):
        rate_from_source(Decimal(source))


@pytest.mark.parametrize(
    ("text", "digits"), [("0", 0), ("100", 1), ("0.0010", 1), ("1.2300", 3), ("1E+30", 1), ("10.01", 4)]
)
def test_zeros_at_either_end_are_not_significant(text: str, digits: int) -> None:
    assert significant_digits(Decimal(text)) == digits


def test_nothing_used_costs_nothing() -> None:
    assert charge(0, Decimal("5"), MILLION) == 0
    assert charge(7, Decimal(0), MILLION) == 0


def test_the_smallest_charge_is_exact() -> None:
    assert charge(1, Decimal("0.000000000000000001"), 10**9) == Decimal("1E-27")


@given(
    st.integers(min_value=0, max_value=2**53 - 1),
    amounts.map(abs),
    st.sampled_from([1, 1_000, MILLION, 1_000_000_000]),
)
def test_a_charge_equals_the_rational_product(quantity: int, rate: Decimal, unit: int) -> None:
    assert Fraction(charge(quantity, rate, unit)) == Fraction(quantity) * Fraction(rate) / unit


@pytest.mark.parametrize(("quantity", "unit"), [(-1, 1), (1, 0), (1, -5)])
def test_a_charge_needs_a_quantity_and_a_unit(quantity: int, unit: int) -> None:
    with pytest.raises(AmountError):
        charge(quantity, Decimal(1), unit)
    with pytest.raises(AmountError):
        charge_or_round(quantity, Decimal(1), unit)


def test_a_third_of_a_price_is_refused_rather_than_rounded_in_silence() -> None:
    with pytest.raises(AmountError, match="no exact decimal"):
        charge(1200, Decimal("0.10"), 3600)


def test_seconds_of_an_hourly_price_say_whether_they_were_rounded() -> None:
    assert charge_or_round(1800, Decimal("0.10"), 3600) == (Decimal("0.05"), True)
    assert charge_or_round(1200, Decimal("0.10"), 3600) == (Decimal("0.033333333333333333"), False)
    assert charge_or_round(2400, Decimal("0.10"), 3600) == (Decimal("0.066666666666666667"), False)


def test_no_lines_sum_to_zero_and_rounding_half_goes_to_even() -> None:
    assert total([]) == 0
    lines = [Decimal("0.125"), Decimal("0.135"), Decimal("-0.125")]
    assert round_lines(lines, 2) == ((Decimal("0.12"), Decimal("0.14"), Decimal("-0.12")), Decimal("0.14"))
    assert round_lines([Decimal("0.5"), Decimal("1.5")], 0)[1] == 2


def test_the_rounded_total_is_the_sum_of_the_rounded_lines_not_the_rounded_sum() -> None:
    lines = [Decimal("0.004")] * 3
    assert round_lines(lines, 2)[1] == 0
    assert total(lines) == Decimal("0.012")


@pytest.mark.parametrize("digits", [-1, 19])
def test_rounding_takes_zero_to_eighteen_digits(digits: int) -> None:
    with pytest.raises(AmountError, match="0 to 18"):
        round_lines([], digits)


def test_a_sum_wider_than_the_working_precision_is_refused() -> None:
    with pytest.raises(AmountError, match="do not sum"):
        total([Decimal("1E+100"), Decimal("1E-100")])


@given(st.lists(amounts, max_size=50), st.integers(min_value=0, max_value=18))
def test_lines_sum_to_their_total(lines: list[Decimal], digits: int) -> None:
    assert Fraction(total(lines)) == sum(map(Fraction, lines), Fraction(0))
    rounded, rounded_total = round_lines(lines, digits)
    assert Fraction(rounded_total) == sum(map(Fraction, rounded), Fraction(0))
    step = Fraction(1, 10**digits)
    assert all(abs(Fraction(a) - Fraction(b)) <= step / 2 for a, b in zip(lines, rounded, strict=True))


def test_invoice_of_litellm_issue_35127() -> None:
    """172 k input of which 155 k cache reads and 3 k writes at $5 / $0.50 / $6.25 a million."""
    lines = [
        charge(172_000 - 155_000 - 3_000, Decimal("5"), MILLION),
        charge(155_000, Decimal("0.50"), MILLION),
        charge(3_000, Decimal("6.25"), MILLION),
    ]
    assert format_amount(total(lines)) == "0.16625"


def test_invoice_of_litellm_issue_31714() -> None:
    """27,147 input of which 27,146 cached, 351 output, at $1.40 / $0.26 / $4.40 a million."""
    lines = [
        charge(27_147 - 27_146, Decimal("1.40"), MILLION),
        charge(27_146, Decimal("0.26"), MILLION),
        charge(351, Decimal("4.40"), MILLION),
    ]
    assert format_amount(total(lines)) == "0.00860376"


def test_the_ambient_decimal_context_changes_nothing() -> None:
    with localcontext() as context:
        context.prec = 3
        assert format_amount(charge(27_146, Decimal("0.26"), MILLION)) == "0.00705796"
        assert format_amount(total([Decimal("1000"), Decimal("0.0001")])) == "1000.0001"


def test_allocation_of_an_hour_in_the_opencost_document() -> None:
    """$3.20 for an hour, half of it prefill: 12 M prompt of which 0.8 M cached, and 3 M output tokens."""
    hour = Decimal("3.20")
    half = charge(600, hour, 1_200)
    blended = charge_or_round(1, hour, 12 + 3)[0]
    output = charge_or_round(1, half, 3)[0]
    effective_input = charge_or_round(10, half, 120 - 8)[0]
    assert round_lines([blended, output, effective_input], 3)[0] == (
        Decimal("0.213"),
        Decimal("0.533"),
        Decimal("0.143"),
    )
