"""The body of ``POST /v1/usage/price``; mirrors ``application.usage_requests`` field by field."""

from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    Field,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from service.api.schemas.estimate_request import EstimateBody
from service.api.schemas.fields import (
    MAX_INTEGER,
    REQUEST_CONFIG,
    Amount,
    Currency,
    KnownAt,
    Moment,
    Name,
    read_amount,
)

MAX_METERS: Final = 128
MAX_ADJUSTMENTS: Final = 32
MAX_EVENTS: Final = 4096


def read_quantity(value: object) -> int | Decimal:
    """Return a quantity: a count below 2^53 or an exact decimal, never negative."""
    if type(value) is int:
        if 0 <= value <= MAX_INTEGER:
            return value
        if value < 0:
            raise PydanticCustomError("greater_than_equal", "a quantity cannot be negative", {"ge": 0})
        raise PydanticCustomError("less_than_equal", "a quantity is below 2^53", {"le": MAX_INTEGER})
    return read_amount(value)


Meter = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_]*$", max_length=64)]
Quantity = Annotated[
    int | Decimal,
    PlainValidator(read_quantity),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": MAX_INTEGER},
                {"type": "string", "format": "decimal", "pattern": r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,18})?$"},
            ]
        }
    ),
]


def read_response(value: object) -> object:
    """Return a provider's response: an object, or a list of the events of a stream."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list) and value and all(isinstance(event, dict) for event in value):
        if len(value) > MAX_EVENTS:
            raise PydanticCustomError(
                "too_long", "a stream of more than 4096 events", {"max_length": MAX_EVENTS}
            )
        return value
    raise PydanticCustomError("response_type", "should be an object or a list of objects")


ProviderResponse = Annotated[
    dict[str, Any] | list[dict[str, Any]],
    PlainValidator(read_response),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "object"},
                {"type": "array", "minItems": 1, "maxItems": MAX_EVENTS, "items": {"type": "object"}},
            ]
        }
    ),
]


class AdjustmentBody(BaseModel):
    """A named percentage of the charge."""

    model_config = REQUEST_CONFIG

    name: Name
    """What the line is called, for example `enterprise agreement 2026`."""
    kind: Literal["discount", "margin", "markup"]
    """`discount` takes the percentage off, `markup` puts it on, `margin` makes it that share of the price
    that results."""
    percent: Amount
    """Zero or more; at most 100 for a discount, below 100 for a margin."""
    meters: Annotated[list[Meter], Field(min_length=1, max_length=MAX_METERS)] | None = None
    """The lines that it scales; all where left out."""


class UsageBody(BaseModel):
    """One usage record: what was used, when, of which listing."""

    model_config = REQUEST_CONFIG

    provider: Name
    """Provider whose list prices apply, as GET /v1/list-prices names it."""
    at: Moment
    """Start of the request: prices, daily windows and validity are read at this time."""
    model: Name | None = None
    """The provider's model id; that of `response` where left out."""
    usage: Annotated[dict[Meter, Quantity], Field(min_length=1, max_length=MAX_METERS)] | None = None
    """Quantities by meter in single units (tokens, seconds, pages); a whole includes its parts, so `input`
    counts cached tokens as well. Exactly one of `usage` and `response` is given."""
    response: ProviderResponse | None = None
    """The provider's usage object as it is, its whole response, or the events of its stream."""
    response_format: Name | None = None
    """Provider whose shape `response` has; `provider` where left out."""
    api_flavor: Name | None = None
    """Flavor of that provider's API, for example chat or responses; the first that reads the response."""
    service_tier: Name | None = None
    """Tier that served the request; standard where left out and where the response names none."""
    region: Name | None = None
    """Route or region, where prices depend on it."""
    variant: Name | None = None
    """Other condition that the provider's price names, as the selector of the row has it."""
    currency: Currency | None = None
    """Needed only where the listing is priced in several currencies."""
    convert_to: Currency | None = None
    """Currency in which the total is stated as well, at the last exchange rate at or before the day of `at`,
    at most 7 days old, direct or through EUR."""
    known_at: KnownAt | None = None
    """What the catalog believed at this revision or time; the newest where left out."""
    backdate: Literal["earliest"] | None = None
    """Assume that a price held before the day on which it was first seen; such lines are `assumed`."""
    adjustments: Annotated[list[AdjustmentBody], Field(max_length=MAX_ADJUSTMENTS)] | None = None
    """Negotiated discounts, margins and markups, applied in their order; each is a line of its own."""
    round_digits: Annotated[int, Field(ge=0, le=18)] | None = None
    """Fraction digits to which lines are rounded half-even before they are summed; exact where left out."""
    deployment: EstimateBody | None = None
    """An own deployment, as POST /v1/estimates takes it: its cost of the same usage, and the margin."""
    reference: Name | None = None
    """Your own id of the record, repeated in the answer."""

    @model_validator(mode="after")
    def _one_source(self) -> "UsageBody":
        if (self.usage is None) == (self.response is None):
            raise PydanticCustomError("conflicting_fields", "give exactly one of usage and response")
        if self.usage is not None and self.model is None:
            raise PydanticCustomError("conflicting_fields", "usage by meter needs model beside it")
        return self
