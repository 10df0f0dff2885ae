"""Error tree of exact money; nothing here knows HTTP.

::

    BillingError
    +-- AmountError            a number breaks the rules of CONTRACT 1
    +-- SelectorError          a selector is malformed
    +-- AmbiguousPriceError    two rows match and neither binds a superset of the other's axes
    +-- NoMatchingPriceError   no row matches and no fallback meter has one
    +-- UnknownTierError       the request names a service tier that the listing does not have
    +-- FxError                no exchange rate within seven days, direct or through one pivot
    +-- UsageError             the usage contradicts itself: cached tokens beyond the input
    +-- PriceNotKnownError     prices exist, but none is known for the time of the request
    +-- AdjustmentError        a discount or margin that leaves no price
"""

from collections.abc import Mapping


class BillingError(Exception):
    """A charge could not be computed exactly; told with the value, the rule and the way out.

    Parameters
    ----------
    message
        One sentence for a person.
    accepted
        What would be accepted, as plain JSON values.
    """

    code = "billing-error"
    field = ""
    """Of a usage record or a price row, what is at fault; empty where only the caller knows."""

    def __init__(self, message: str, *, accepted: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.accepted: Mapping[str, object] = accepted or {}


class AmountError(BillingError):
    """A number is not an exact decimal within the limits."""

    code = "invalid-amount"


class SelectorError(BillingError):
    """A selector names half an axis, an unknown zone, an empty band, ..."""

    code = "invalid-selector"
    field = "selector"


class AmbiguousPriceError(BillingError):
    """Several rows match a request and none of them is the most specific."""

    code = "ambiguous-price"
    field = "usage"


class NoMatchingPriceError(BillingError):
    """No row prices the meter under the request's circumstances."""

    code = "no-matching-price"
    field = "usage"


class UnknownTierError(BillingError):
    """The request's service tier is not one the listing publishes."""

    code = "unknown-service-tier"
    field = "service_tier"


class FxError(BillingError):
    """No admissible exchange rate."""

    code = "no-exchange-rate"
    field = "convert_to"


class UsageError(BillingError):
    """A usage record contradicts itself."""

    code = "inconsistent-usage"
    field = "usage"


class PriceNotKnownError(BillingError):
    """Prices of the meter exist, but none is known for the time of the request."""

    code = "price-not-known-at"
    field = "at"


class AdjustmentError(BillingError):
    """An adjustment is no percentage that leaves a price."""

    code = "invalid-adjustment"
    field = "adjustments"
