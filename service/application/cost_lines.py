"""A resolved request at its operating point on every cost basis that its terms allow."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from service.application.answers import Rate
from service.application.bases import Allocation, basis_line, hours_of, reserved_hour
from service.application.cost_answers import CostBasis
from service.application.errors import InvalidRequestError
from service.application.resolve import Resolved
from service.economics.bases import Fleet, HourlyCost, Power
from service.economics.rates import Bill
from service.engine.attribution import Subject
from service.engine.energy import working_power

LEAST_HOUR: Final = 1e-9
MOST_HOUR: Final = 1e12
"""An amount has at most 12 integer digits (CONTRACT 1)."""


def hourly_cost(
    resolved: Resolved, subject: Subject, utilisation: float
) -> tuple[Decimal, Mapping[str, HourlyCost]]:
    """Return the cost of a paid accelerator-hour on the chosen basis, and all bases.

    Raises
    ------
    InvalidRequestError
        Terms by which an hour costs nothing on the chosen basis, or more than an amount can say.
    """
    request, accelerator = resolved.request, resolved.deployment.accelerator.spec
    chosen = request.price.basis if request.price else None
    modelled = chosen in ("tco", "energy")
    rental = None if modelled else float(resolved.price.amount)
    if request.costs is None:
        return resolved.price.amount, hours_of(rental, None, Power(0.0, 0.0))
    watts = working_power(subject, accelerator, resolved.deployment.calibration)
    hours = hours_of(rental, request.costs, Power(watts, accelerator.idle_power_watts))
    for name, hour in hours.items():
        _check_hour(name, max(hour.working, hour.waiting))
    if chosen is None or not modelled:
        return resolved.price.amount, hours
    price = reserved_hour(hours[chosen], min(utilisation, 1.0))
    if price < LEAST_HOUR:
        raise InvalidRequestError(
            f"By costs an accelerator-hour is {price:.3g} on the basis {chosen}; there is nothing to share.",
            field="costs",
            code="out-of-range",
        )
    return Decimal(f"{price:.9g}"), hours


def _check_hour(name: str, price: float) -> None:
    if not price < MOST_HOUR:
        raise InvalidRequestError(
            f"By costs an accelerator-hour costs {price:.3g} on the basis {name}; amounts are below "
            f"{MOST_HOUR:.0e}.",
            field="costs",
            code="out-of-range",
            accepted={"below": MOST_HOUR},
        )


def cost_bases(
    resolved: Resolved,
    hours: Mapping[str, HourlyCost],
    fleet: tuple[Fleet | None, float],
    billed: tuple[tuple[Rate, ...], Bill],
) -> tuple[CostBasis, ...]:
    """Return the bill on every basis that the terms allow.

    Parameters
    ----------
    resolved
        The request.
    hours
        Cost of an accelerator-hour by basis.
    fleet
        What the load profile does, and the utilisation.
    billed
        Rates of the mix, and the bill that they divide.
    """
    day, utilisation = fleet
    rates, bill = billed
    request = resolved.request
    target = request.load_profile.target_utilisation if request.load_profile else None
    # The bill is of paid time, whatever set it; idle time is in it as the utilisation says.
    share = min(utilisation, 1.0)
    allocation = Allocation(
        accelerator_seconds=bill.accelerator_seconds_per_request * share,
        utilisation=share,
        scaling=(0.0, 1.0) if day is None else (day.scaling_share, target or 1.0),
        utilisation_range=request.utilisation_range or (),
        per_bill={rate.kind: rate.per_million_tokens / bill.per_request for rate in rates},
    )
    currency = resolved.price.currency
    return tuple(basis_line(name, hour, currency, allocation) for name, hour in hours.items())
