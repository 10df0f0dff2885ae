"""What billing charges with and what comes out: price rows, the facts of a request, lines, a charge."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from service.billing.decomposition import Quantity
from service.billing.selectors import Selector

Basis = Literal["stated", "observed", "assumed"]


@dataclass(frozen=True, slots=True)
class PriceRow:
    """A list price as billing needs it."""

    row_id: int
    revision_from: int
    source: str
    precedence: int
    """Of two sources that price a meter at a time, the one of higher precedence counts."""
    meter: str
    selector: Selector
    amount: Decimal
    currency: str
    per: str
    """Id of the unit."""
    unit_size: Decimal
    """Single units (tokens, seconds, pages) in one ``per``."""
    valid_from: datetime
    valid_to: datetime | None
    basis: Basis

    def in_force(self, at: datetime) -> bool:
        """Return whether the row is valid at a time."""
        return self.valid_from <= at and (self.valid_to is None or at < self.valid_to)


@dataclass(slots=True)  # not frozen: a million are made, at half the price
class ChargeFacts:
    """What of a request decides which rows apply."""

    at: datetime
    """Start of the request, with offset."""
    service_tier: str | None = None
    region: str | None = None
    variant: str | None = None
    backdate: bool = False
    """Whether a price first seen after the request may be assumed to have held before."""


@dataclass(frozen=True, slots=True)
class LineRate:
    """How a meter is priced: the same for every request of one plan."""

    meter: str
    priced_as: tuple[str, ...]
    """The meter and the fallbacks tried, ending in the one whose row prices it."""
    row: PriceRow
    basis: Basis
    """``assumed`` where the row is backdated."""


@dataclass(slots=True)  # not frozen: a million are made, at half the price
class ChargeLine:
    """One quantity, the row that prices it and the charge."""

    rate: LineRate
    quantity: Quantity
    charge: Decimal
    exact: bool = True
    """False where the unit does not divide evenly and 18 fraction digits were kept."""


@dataclass(slots=True)  # not frozen: a million are made, at half the price
class Charge:
    """What one request is charged."""

    lines: tuple[ChargeLine, ...]
    total: Decimal
    folded: tuple[tuple[str, str], ...] = ()
    """Reported meters without a price of their own, and the meter in which they are charged."""
