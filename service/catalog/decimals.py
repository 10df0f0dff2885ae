"""The one written form of an exact decimal, and the limits of an amount (CONTRACT 1)."""

import re
from decimal import Decimal
from typing import Final

MAX_INTEGER_DIGITS: Final = 12
MAX_FRACTION_DIGITS: Final = 18
_PLAIN: Final = re.compile(r"-?\d+(\.\d+)?")


def canonical_text(value: Decimal) -> str:
    """Return plain notation without leading or trailing zeros; one text per value.

    Raises
    ------
    ValueError
        For NaN and infinities, which have no place in the catalog.
    """
    if not value.is_finite():
        raise ValueError(f"{value} is not a finite number")
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def checked_amount(value: str | int | Decimal) -> Decimal:
    """Return a price amount in canonical form.

    Raises
    ------
    ValueError
        Where the text is no plain decimal (exponents included), the amount is negative, or it has more
        than 12 integer or 18 fraction digits.
    """
    text = str(value) if not isinstance(value, Decimal) else canonical_text(value)
    if not _PLAIN.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a plain decimal; write digits with at most one point")
    amount = Decimal(canonical_text(Decimal(text)))
    integer, _, fraction = canonical_text(amount).partition(".")
    if amount < 0:
        raise ValueError(f"{text} is negative; a price is zero or more")
    if len(integer) > MAX_INTEGER_DIGITS or len(fraction) > MAX_FRACTION_DIGITS:
        raise ValueError(
            f"{text[:60]} has more than {MAX_INTEGER_DIGITS} integer or {MAX_FRACTION_DIGITS} fraction digits"
        )
    return amount
