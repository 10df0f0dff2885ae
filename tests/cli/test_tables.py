"""Figures in plain notation, columns that line up."""

from decimal import Decimal

import pytest

from service.cli.tables import amount, duration, figure, gigabytes, pairs, percent, table


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1.23456, "1.235"),
        (0.000012345, "0.00001234"),
        (123456.0, "123500"),
        (0.0, "0"),
        (5.0, "5"),
        (None, "-"),
        (Decimal("0.30"), "0.30"),
    ],
)
def test_figures_never_show_an_exponent(value: float | None, shown: str) -> None:
    assert figure(value) == shown


@pytest.mark.parametrize(("value", "shown"), [("2.10", "2.1"), ("100", "100"), ("0.000", "0"), (None, "-")])
def test_amounts_keep_their_digits(value: str | None, shown: str) -> None:
    assert amount(None if value is None else Decimal(value)) == shown


def test_units_are_named() -> None:
    assert (percent(0.256), gigabytes(8e10), duration(2.5), duration(0.0125)) == (
        "26 %",
        "80 GB",
        "2.5 s",
        "12.5 ms",
    )


def test_columns_of_numbers_stand_to_the_right() -> None:
    assert table(("name", "n"), [("a", "1"), ("bcdef", "100"), ("x", "-")]).splitlines() == [
        "name     n",
        "-----  ---",
        "a        1",
        "bcdef  100",
        "x        -",
    ]


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        table(("a", "b"), [("1",)])


def test_pairs_line_up() -> None:
    assert pairs([("a", "1"), ("long", "2")]) == "  a     1\n  long  2"
