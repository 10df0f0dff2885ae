"""What usage pricing answers, as frozen dataclasses of exact Decimals and provenance."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal


@dataclass(frozen=True, slots=True)
class PriceUsed:
    """The catalog row that priced a line."""

    row_id: int
    revision_from: int
    """The catalog revision from which the row is believed."""
    source: str
    amount: Decimal
    currency: str
    per: str
    valid_from: datetime
    valid_to: datetime | None
    valid_from_basis: Literal["stated", "observed", "assumed"]
    """`stated` by the source, `observed` on that day, or `assumed`: the request is older than the row, and
    `backdate` said to assume that its price held before."""
    selector: Mapping[str, str]
    """The axes that the row is bound to; empty where it holds for every request."""


@dataclass(slots=True)  # not frozen: a million are made, at half the price
class UsageLine:
    """One meter's quantity and its charge."""

    meter: str
    priced_as: tuple[str, ...]
    """The meter and the fallbacks tried; the last one's row prices the line."""
    price: PriceUsed
    quantity: Decimal
    """In single units: tokens, seconds, pages."""
    charge: Decimal
    exact: bool
    """False where the unit does not divide evenly and 18 fraction digits were kept."""


@dataclass(frozen=True, slots=True)
class AdjustmentAnswer:
    """What a named adjustment adds to the total or takes off it."""

    name: str
    kind: Literal["discount", "margin", "markup"]
    percent: Decimal
    base: Decimal
    """Sum of the lines that it scales, earlier adjustments included."""
    charge: Decimal
    exact: bool


@dataclass(frozen=True, slots=True)
class RateUsed:
    """The exchange rate row of a step of a conversion."""

    row_id: int
    source: str
    base: str
    quote: str
    day: date
    rate: Decimal
    """Units of `quote` for one of `base`; a step the other way divides by it."""


@dataclass(frozen=True, slots=True)
class ConvertedCharge:
    """The total in another currency; the only inexact step, to 18 fraction digits or those asked for."""

    currency: str
    total: Decimal
    rates: tuple[RateUsed, ...]
    """One row, or two through the pivot EUR; none where the currencies are the same."""


@dataclass(frozen=True, slots=True)
class ModelledUsage:
    """The modelled cost of the same usage on an own deployment, and the margin that the charge leaves."""

    model: str
    accelerator: str
    currency: str
    cost: float
    cost_by_kind: Mapping[str, float]
    """By uncached_input, cached_input and output."""
    margin: float | None
    """1 - cost / total, or / converted total where that is in the currency of the cost; null where neither
    is, or the total is zero."""
    estimate_digest: str
    """Digest of the estimate whose rates were used."""


@dataclass(slots=True)  # not frozen: a million are made, at half the price
class UsageAnswer:
    """The exact charge of one usage record."""

    reference: str | None
    """The caller's own id of the record."""
    provider: str
    model: str
    at: datetime
    """Start of the request: the time at which prices, windows and validity are read."""
    service_tier: str | None
    usage: Mapping[str, str]
    """Quantities by meter as read; a whole includes its parts."""
    currency: str
    lines: tuple[UsageLine, ...]
    adjustments: tuple[AdjustmentAnswer, ...]
    folded: Mapping[str, str]
    """Reported meters without a price of their own, and the meter in whose line they are charged."""
    total: Decimal
    """Sum of lines and adjustments."""
    rounded_to_digits: int | None
    converted: ConvertedCharge | None
    """The total in the currency of `convert_to`."""
    deployment: ModelledUsage | None
    known_at: str
    """The catalog revision believed."""
    catalog_revision: int
    catalog_age_seconds: float
    """For how long the database has not confirmed the catalog; 0 while it does."""
    digest: str
    """Of the record and of the rows that priced it, wherever they are stored."""
