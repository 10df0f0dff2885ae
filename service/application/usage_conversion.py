"""The charge of a usage record in another currency, at dated exchange rates (CONTRACT 1)."""

from datetime import datetime
from decimal import Decimal
from typing import Final

from service.application.kept import Kept
from service.application.ports import CatalogSnapshot, FxRateRecord
from service.application.usage_answers import ConvertedCharge, RateUsed
from service.billing.fx import FxRate, FxTable
from service.billing.money import format_amount, round_lines

PIVOT: Final = "EUR"
"""The currency through which two others are converted: central banks publish their rates against it."""
_KEPT_TABLES: Final = 8


class ChargeConverter:
    """Converts charges; keeps the table of rates of a snapshot."""

    def __init__(self) -> None:
        self._tables: Kept[FxTable] = Kept(_KEPT_TABLES)

    def convert(
        self,
        amount: Decimal,
        currencies: tuple[str, str],
        at: datetime,
        digits: int | None,
        believed: tuple[CatalogSnapshot, int | None],
    ) -> ConvertedCharge:
        """Return a charge in another currency, with the rows that converted it.

        Parameters
        ----------
        amount
            In the first currency.
        currencies
            From which, to which.
        at
            Time of the request: the last rate at or before its UTC day counts, at most 7 days old.
        digits
            Fraction digits to which the result is rounded half-even; 18 where None.
        believed
            The catalog, and the revision to believe.

        Raises
        ------
        FxError
            Where no such rate is known, direct or through the pivot.
        """
        snapshot, known_at = believed
        table = self._tables.get(snapshot, known_at, lambda: _table(snapshot, known_at))
        found = table.convert(amount, *currencies, at)
        total = found.amount if digits is None else round_lines([found.amount], digits)[1]
        rates = tuple(
            RateUsed(row.row_id, row.source, row.base, row.quote, row.day, row.rate) for row in found.used
        )
        # Without the zeros of the 18 digits, so that the record and its digest have one form.
        total = Decimal(format_amount(total))
        return ConvertedCharge(found.currency, total, rates)


def _table(snapshot: CatalogSnapshot, known_at: int | None) -> FxTable:
    precedence = {source.id: source.precedence for source in snapshot.sources().values()}

    def rank(row: FxRateRecord) -> tuple[int, str]:
        return -precedence.get(row.source, 0), row.source

    # Of two sources on one day the table takes the first.
    rows = sorted(snapshot.fx_rates(known_at), key=rank)
    return FxTable(
        (FxRate(row.base, row.quote, row.day, row.rate, row.row_id, row.source) for row in rows), PIVOT
    )
