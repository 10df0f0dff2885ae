"""Bodies and answers of writes: prices, corrections, withdrawals, exchange rates."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from service.api.schemas.catalog import GpuPrice, ListPrice
from service.api.schemas.fields import REQUEST_CONFIG, AcceleratorCount, Amount, CountOrZero, Currency, Moment
from service.application.ports import FxRateRecord

OPERATOR_SOURCE = "operator"
"""Source of what is entered by hand; it outranks every other."""
MAX_RATES = 1000

# PostgreSQL keeps no NUL, and a control character in a name is nobody's intention.
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Note = Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
Slug = Annotated[str, StringConstraints(max_length=100, pattern=r"^[a-z0-9][a-z0-9._-]*$")]


def _read_day(value: object) -> object:
    if isinstance(value, str) and len(value) == len("2026-01-31"):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass  # refused below like any other text
    raise PydanticCustomError("invalid_time", "a date such as 2026-01-31 is expected")


Day = Annotated[
    date, BeforeValidator(_read_day), WithJsonSchema({"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"})
]


class _Statement(BaseModel):
    """What every price says."""

    model_config = REQUEST_CONFIG

    amount: Amount
    """Exact; a string is safest."""
    currency: Currency
    """Nothing is USD by default."""
    valid_from: Moment | None = None
    """From when it holds; from now on where left out."""
    valid_to: Moment | None = None
    """Until when, excluded; up to the next change already known, else open, where left out."""
    source: Slug = OPERATOR_SOURCE
    """Id of a source of the catalog."""
    provider: Slug
    note: Note = ""
    """Kept with the row."""
    reason: Note = ""
    """Why; kept in the audit log."""


class GpuPriceBody(_Statement):
    """A price of an accelerator-hour from a time on."""

    accelerator: Text
    """Id or alias."""
    region: Text = "any"
    """`any` for one price in all regions."""
    commitment: Slug = "on_demand"
    """on_demand, spot, reserved_1y, ..."""
    gpus_per_instance: AcceleratorCount = 1
    per: Slug = "gpu_hour"
    """Unit of the amount."""


class SelectorBody(BaseModel):
    """Axes that a price is bound to; what is left out matches everything."""

    model_config = REQUEST_CONFIG

    service_tier: Text | None = None
    region: Text | None = None
    weekdays: Text | None = None
    """ISO weekday digits in order, 12345 for Monday to Friday."""
    start_time: Text | None = None
    """HH:MM, included."""
    end_time: Text | None = None
    """HH:MM, excluded."""
    time_zone: Text | None = None
    """IANA name."""
    context_measure: Text | None = None
    context_from: CountOrZero | None = None
    context_to: CountOrZero | None = None
    """Excluded."""
    context_mode: Literal["whole_request", "excess"] | None = None
    cache_lifetime: Text | None = None
    variant: Text | None = None


class ListPriceBody(_Statement):
    """A provider's price of one meter from a time on."""

    provider_model_id: Text
    """The provider's own id."""
    meter: Slug
    """input, cache_read, output, ..."""
    selector: SelectorBody = SelectorBody()
    per: Slug = "million_tokens"
    """Unit of the amount."""


class CorrectionBody(BaseModel):
    """What was wrong about a row; what is left out was right."""

    model_config = REQUEST_CONFIG

    amount: Amount | None = None
    currency: Currency | None = None
    per: Slug | None = None
    valid_from: Moment | None = None
    valid_to: Moment | None = None
    """Null: the price has no end."""
    note: Note | None = None
    reason: Note = ""
    """Why; kept in the audit log."""

    @model_validator(mode="after")
    def _says_something(self) -> "CorrectionBody":
        if not self.model_fields_set - {"reason"}:
            raise PydanticCustomError("conflicting_fields", "a correction says what was wrong")
        return self


class WithdrawalBody(BaseModel):
    """From when a price no longer holds."""

    model_config = REQUEST_CONFIG

    at: Moment | None = None
    """The row ends here; now where left out."""
    reason: Note = ""
    """Why; kept in the audit log."""


class FxRateBody(BaseModel):
    """An exchange rate of one day."""

    model_config = REQUEST_CONFIG

    base: Currency
    quote: Currency
    """One unit of `base` costs `rate` units of `quote`."""
    day: Day
    """UTC."""
    rate: Amount

    @model_validator(mode="after")
    def _is_a_rate(self) -> "FxRateBody":
        if self.base == self.quote:
            raise PydanticCustomError("conflicting_fields", "base and quote are the same currency")
        if self.rate == 0:
            raise PydanticCustomError("greater_than", "a rate is above zero", {"gt": 0})
        return self


class FxRatesBody(BaseModel):
    """Exchange rates of one source."""

    model_config = REQUEST_CONFIG

    source: Slug = OPERATOR_SOURCE
    rates: Annotated[list[FxRateBody], Field(min_length=1, max_length=MAX_RATES)]
    reason: Note = ""
    """Why; kept in the audit log."""

    @model_validator(mode="after")
    def _once_each(self) -> "FxRatesBody":
        keys = {(rate.base, rate.quote, rate.day) for rate in self.rates}
        if len(keys) < len(self.rates):
            raise PydanticCustomError("conflicting_fields", "a pair has two rates on one day")
        return self


@dataclass(frozen=True, slots=True)
class GpuPricesWritten:
    """What a write did."""

    catalog_revision: int
    retired: tuple[int, ...]
    """Numbers of the rows that are no longer believed."""
    rows: tuple[GpuPrice, ...]
    """The rows that took their place; none where everything was so already."""


@dataclass(frozen=True, slots=True)
class ListPricesWritten:
    """What a write did."""

    catalog_revision: int
    retired: tuple[int, ...]
    """Numbers of the rows that are no longer believed."""
    rows: tuple[ListPrice, ...]
    """The rows that took their place; none where everything was so already."""


@dataclass(frozen=True, slots=True)
class FxRate:
    """An exchange rate of one day."""

    id: int
    base: str
    quote: str
    """One unit of `base` costs `rate` units of `quote`."""
    day: date
    rate: Decimal
    source: str
    revision_from: int
    """First catalog revision that believed the row."""
    revision_to: int | None
    """First revision that no longer did; null is believed now."""
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class FxRatesWritten:
    """What a write did."""

    catalog_revision: int
    retired: tuple[int, ...]
    rows: tuple[FxRate, ...]


def view_fx_rate(record: FxRateRecord) -> FxRate:
    """Return an exchange rate as it is shown."""
    return FxRate(
        id=record.row_id,
        base=record.base,
        quote=record.quote,
        day=record.day,
        rate=record.rate,
        source=record.source,
        revision_from=record.revision_from,
        revision_to=record.revision_to,
        recorded_at=record.recorded_at,
    )


WRITE_BODIES: tuple[type[BaseModel], ...] = (
    GpuPriceBody,
    ListPriceBody,
    CorrectionBody,
    WithdrawalBody,
    FxRatesBody,
)
