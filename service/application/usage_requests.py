"""What a caller may ask of usage pricing, as frozen dataclasses; field names are those of the HTTP body."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from service.application.requests import EstimateRequest
from service.billing.adjustments import AdjustmentKind

Backdate = Literal["earliest"]


@dataclass(frozen=True, slots=True)
class AdjustmentRequest:
    """A named percentage: a negotiated discount, a reseller's margin, a markup."""

    name: str
    kind: AdjustmentKind
    percent: Decimal
    meters: tuple[str, ...] | None = None


@dataclass(slots=True)  # not frozen: a million are made, at half the price
class UsageRequest:
    """One usage record: what was used, when, of which listing."""

    provider: str
    at: datetime
    """Start of the request, UTC."""
    model: str | None = None
    """The provider's model id; that of ``response`` where None."""
    usage: Mapping[str, int | Decimal] | None = None
    """Quantities by meter in single units; a whole includes its parts. One of this and ``response``."""
    response: Mapping[str, object] | Sequence[object] | None = None
    """The provider's usage object, its whole response, or the events of its stream."""
    response_format: str | None = None
    """Provider whose shape ``response`` has; ``provider`` where None."""
    api_flavor: str | None = None
    """Flavor of that provider's API; the first that reads the response where None."""
    service_tier: str | None = None
    region: str | None = None
    variant: str | None = None
    currency: str | None = None
    """Needed only where the listing is priced in several."""
    convert_to: str | None = None
    """Currency in which the total is stated as well."""
    known_at: int | None = None
    """Catalog revision to believe; the newest where None."""
    backdate: Backdate | None = None
    """Assume that a price held before it was first seen."""
    adjustments: tuple[AdjustmentRequest, ...] = ()
    round_digits: int | None = None
    """Fraction digits to which lines are rounded half-even before they are summed; exact where None."""
    deployment: EstimateRequest | None = None
    """An own deployment whose modelled cost of the same usage is set against the charge."""
    reference: str | None = None
    """The caller's own id of the record, repeated in the answer."""
