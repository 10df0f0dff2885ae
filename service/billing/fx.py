"""Exchange rates (CONTRACT 1): dated pair rows, the only inexact step of billing."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from service.billing.errors import FxError
from service.billing.money import MAX_FRACTION_DIGITS

MAX_RATE_AGE = timedelta(days=7)
_WORKING_DIGITS = 120


@dataclass(frozen=True, slots=True)
class FxRate:
    """How many units of ``quote`` one unit of ``base`` cost on a UTC day."""

    base: str
    quote: str
    day: date
    rate: Decimal
    row_id: int = 0
    source: str = ""


@dataclass(frozen=True, slots=True)
class Conversion:
    """A converted amount and the rows that converted it."""

    amount: Decimal
    currency: str
    used: tuple[FxRate, ...]
    """Empty where no conversion was needed, two rows where a pivot was."""


class FxTable:
    """Rates by pair and day; immutable once built.

    >>> table = FxTable([FxRate("EUR", "USD", date(2026, 11, 2), Decimal("1.1"))], pivot="USD")
    >>> table.convert(Decimal(2), "EUR", "USD", date(2026, 11, 4)).amount
    Decimal('2.200000000000000000')
    """

    def __init__(self, rates: Iterable[FxRate], pivot: str) -> None:
        self._pivot = pivot
        self._by_pair: dict[tuple[str, str], list[FxRate]] = {}
        for rate in sorted(rates, key=lambda row: row.day):
            if not rate.rate.is_finite() or rate.rate <= 0:
                raise FxError(
                    f"The rate {rate.base}/{rate.quote} of {rate.day} is {rate.rate}; not positive."
                )
            self._by_pair.setdefault((rate.base, rate.quote), []).append(rate)

    def convert(self, amount: Decimal, source: str, target: str, when: date | datetime) -> Conversion:
        """Convert an amount at the last rate at or before the UTC day, at most 7 days old.

        The result has 18 fraction digits, rounded half-even once, after all steps.

        Raises
        ------
        FxError
            If no admissible rate exists, direct (either way round) or through the pivot.
        """
        if source == target:
            return Conversion(amount, target, ())
        path = self._path(source, target, _utc_day(when))
        with localcontext() as context:
            context.prec = _WORKING_DIGITS
            context.rounding = ROUND_HALF_EVEN
            numerator, denominator = amount, Decimal(1)
            at = source
            for rate in path:
                if rate.base == at:
                    numerator, at = numerator * rate.rate, rate.quote
                else:
                    denominator, at = denominator * rate.rate, rate.base
            converted = (numerator / denominator).quantize(Decimal(1).scaleb(-MAX_FRACTION_DIGITS))
        return Conversion(converted, target, path)

    def _path(self, source: str, target: str, day: date) -> tuple[FxRate, ...]:
        direct = self._last(source, target, day)
        if direct is not None:
            return (direct,)
        if self._pivot not in (source, target):
            first = self._last(source, self._pivot, day)
            second = self._last(self._pivot, target, day)
            if first is not None and second is not None:
                return (first, second)
        raise FxError(
            f"No exchange rate from {source} to {target} on {day}, direct or through {self._pivot}, that "
            f"is at most {MAX_RATE_AGE.days} days old.",
            accepted={"pivot": self._pivot, "max_age_days": MAX_RATE_AGE.days},
        )

    def _last(self, one: str, other: str, day: date) -> FxRate | None:
        admissible = [
            rate
            for pair in ((one, other), (other, one))
            for rate in self._by_pair.get(pair, ())
            if timedelta(0) <= day - rate.day <= MAX_RATE_AGE
        ]
        # The pair as asked wins over its reverse on the same day.
        return max(admissible, key=lambda rate: (rate.day, rate.base == one), default=None)


def _utc_day(when: date | datetime) -> date:
    if not isinstance(when, datetime):
        return when
    if when.tzinfo is None:
        raise FxError(f"The time {when.isoformat()} has no offset.")
    return when.astimezone(UTC).date()
