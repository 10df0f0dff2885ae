"""Exact money (CONTRACT 1): decimals in, decimals out, no rounding that nobody asked for."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact, InvalidOperation, Overflow, localcontext

from service.billing.errors import AmountError

MAX_INTEGER_DIGITS = 12
MAX_FRACTION_DIGITS = 18
MAX_JSON_NUMBER_DIGITS = 15
"""A binary double carries 15 significant decimal digits faithfully, no more."""

SOURCE_RATE_DIGITS = 15
_EXACT_DIGITS = 120
"""Widest product charged: two 30-digit amounts over a unit of at most 18 digits, summed 10**12 times."""

_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_EXACT = Context(prec=_EXACT_DIGITS, rounding=ROUND_HALF_EVEN, traps=[Inexact, InvalidOperation, Overflow])
_ROUNDING = Context(prec=_EXACT_DIGITS, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, Overflow])


def parse_amount(value: object) -> Decimal:
    """Read an exact amount.

    Parameters
    ----------
    value
        A plain decimal string, an integer, or a JSON number (float or Decimal) of at most 15
        significant digits.

    Returns
    -------
    Decimal
        The amount; negative zero becomes zero.

    Raises
    ------
    AmountError
        If the value is another type, has an exponent, is not finite, or has more than 12 integer
        or 18 fraction digits.
    """
    text = _plain_text(value)
    if not _PLAIN.fullmatch(text):
        raise AmountError(
            f"{_shown(value)} is not a plain decimal.", accepted={"format": "decimal", "example": "0.25"}
        )
    whole, _, fraction = text.lstrip("-").partition(".")
    if len(whole) > MAX_INTEGER_DIGITS or len(fraction) > MAX_FRACTION_DIGITS:
        raise AmountError(
            f"{_shown(value)} has more than {MAX_INTEGER_DIGITS} integer or {MAX_FRACTION_DIGITS} "
            "fraction digits.",
            accepted={"integer_digits": MAX_INTEGER_DIGITS, "fraction_digits": MAX_FRACTION_DIGITS},
        )
    amount = Decimal(text)
    return amount if amount else Decimal(0)


def parse_currency(value: object) -> str:
    """Return a currency code of the ISO 4217 shape: three capital letters.

    Raises
    ------
    AmountError
        If it is not.
    """
    if not isinstance(value, str) or not _CURRENCY.fullmatch(value):
        raise AmountError(f"{_shown(value)} is not a currency code such as USD.")
    return value


def format_amount(amount: Decimal) -> str:
    """Return the canonical text: plain notation, no trailing zeros, no exponent, no negative zero.

    Raises
    ------
    AmountError
        If the amount is not finite.
    """
    if not amount.is_finite():
        raise AmountError(f"{amount} is not a finite amount.")
    text = format(amount, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


@dataclass(frozen=True, slots=True)
class SourceRate:
    """A rate as it enters the catalog."""

    amount: Decimal
    source_value: str | None
    """The source's own digits where the amount was rounded."""


def rate_from_source(value: Decimal) -> SourceRate:
    """Round a source's rate to 15 significant digits, half-even, keeping what it was.

    Sources that computed in binary carry digits nobody meant (1.0399999999999998).

    Raises
    ------
    AmountError
        If the value is negative, not finite, or outside the limits of :func:`parse_amount`.
    """
    if not value.is_finite() or value < 0:
        raise AmountError(f"A rate must be finite and not negative, got {value}.")
    rounded = value
    if significant_digits(value) > SOURCE_RATE_DIGITS:
        rounded = Context(prec=SOURCE_RATE_DIGITS, rounding=ROUND_HALF_EVEN).plus(value)
    amount = parse_amount(format_amount(rounded))
    return SourceRate(amount, format_amount(value) if amount != value else None)


def significant_digits(value: Decimal) -> int:
    """Return how many digits a finite number needs, leading and trailing zeros aside."""
    return len("".join(map(str, value.as_tuple().digits)).strip("0"))


def charge(quantity: Decimal | int, rate: Decimal, unit: int) -> Decimal:
    """Return quantity x rate / unit, exactly.

    Parameters
    ----------
    quantity
        How much was used, in single units (tokens, seconds, pages).
    rate
        Price of ``unit`` single units.
    unit
        Size of the priced unit, for example 1 000 000 for a price per million tokens.

    Raises
    ------
    AmountError
        If the quantity is negative, the unit not positive, or the quotient has no finite decimal
        expansion (a price per hour over 7 seconds); :func:`charge_or_round` gives that one rounded.
    """
    _check_charge(quantity, unit)
    with localcontext(_EXACT):
        try:
            return rate * quantity / unit
        except Inexact as error:
            raise AmountError(
                f"{quantity} x {rate} / {unit} has no exact decimal; charge in units that divide evenly."
            ) from error


def charge_or_round(quantity: Decimal | int, rate: Decimal, unit: int) -> tuple[Decimal, bool]:
    """Return the charge and whether it is exact.

    Only units with a prime factor other than 2 and 5 (3 600 seconds an hour) can be inexact; those
    are rounded half-even to 18 fraction digits.

    Raises
    ------
    AmountError
        If the quantity is negative or the unit not positive.
    """
    _check_charge(quantity, unit)
    with localcontext(_ROUNDING) as context:
        value = rate * quantity / unit
        if not context.flags[Inexact]:
            return value, True
        return value.quantize(Decimal(1).scaleb(-MAX_FRACTION_DIGITS)), False


def total(lines: Iterable[Decimal]) -> Decimal:
    """Return the exact sum of lines.

    Raises
    ------
    AmountError
        If the sum needs more than 120 digits.
    """
    result = Decimal(0)
    with localcontext(_EXACT):
        try:
            for line in lines:
                result += line
        except Inexact as error:
            raise AmountError(f"The lines do not sum within {_EXACT_DIGITS} digits.") from error
    return result


def round_lines(lines: Sequence[Decimal], fraction_digits: int) -> tuple[tuple[Decimal, ...], Decimal]:
    """Round each line half-even, then sum, so that the total is the sum of what is shown.

    Raises
    ------
    AmountError
        If ``fraction_digits`` is not between 0 and 18.
    """
    if not 0 <= fraction_digits <= MAX_FRACTION_DIGITS:
        raise AmountError(
            f"Rounding to {fraction_digits} digits; 0 to {MAX_FRACTION_DIGITS} are accepted.",
            accepted={"minimum": 0, "maximum": MAX_FRACTION_DIGITS},
        )
    step = Decimal(1).scaleb(-fraction_digits)
    with localcontext(_ROUNDING):
        rounded = tuple(line.quantize(step) for line in lines)
    return rounded, total(rounded)


def _check_charge(quantity: Decimal | int, unit: int) -> None:
    if quantity < 0:
        raise AmountError(f"The quantity is {quantity}; it cannot be negative.")
    if unit <= 0:
        raise AmountError(f"The unit is {unit}; it must be positive.")


def _plain_text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise AmountError(f"{_shown(value)} is not a decimal string, an integer or a number.")
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return _integer_text(value)
    number = Decimal(repr(value)) if isinstance(value, float) else value
    if not number.is_finite():
        raise AmountError(f"{_shown(value)} is not finite.")
    if significant_digits(number) > MAX_JSON_NUMBER_DIGITS:
        raise AmountError(
            f"{_shown(value)} has more than {MAX_JSON_NUMBER_DIGITS} significant digits; send a string."
        )
    if number.adjusted() >= MAX_INTEGER_DIGITS:
        raise AmountError(f"{_shown(value)} has more than {MAX_INTEGER_DIGITS} integer digits.")
    return format_amount(number)


def _integer_text(value: int) -> str:
    if abs(value) >= 10**MAX_INTEGER_DIGITS:
        # str() of a huge integer is quadratic and limited by the interpreter.
        raise AmountError(f"An integer has more than {MAX_INTEGER_DIGITS} digits.")
    return str(value)


def _shown(value: object) -> str:
    return (str(value) if isinstance(value, Decimal) else repr(value))[:60]
