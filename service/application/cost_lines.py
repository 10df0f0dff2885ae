"""A resolved request at its operating point on every cost basis that its terms allow."""

from collections.abc import Mapping
from decimal import Decimal

from service.application.answers import Rate
from service.application.bases import Allocation, basis_line, hours_of, reserved_hour
from service.application.cost_answers import CostBasis
from service.application.resolve import Resolved
from service.economics.bases import Fleet, HourlyCost, Power
from service.economics.rates import Bill
from service.engine.attribution import Subject
from service.engine.energy import working_power


def hourly_cost(
    resolved: Resolved, subject: Subject, utilisation: float
) -> tuple[Decimal, Mapping[str, HourlyCost]]:
    """Return the cost of a paid accelerator-hour on the chosen basis, and all bases."""
    request, accelerator = resolved.request, resolved.deployment.accelerator.spec
    chosen = request.price.basis if request.price else None
    modelled = chosen in ("tco", "energy")
    rental = None if modelled else float(resolved.price.amount)
    if request.costs is None:
        return resolved.price.amount, hours_of(rental, None, Power(0.0, 0.0))
    watts = working_power(subject, accelerator, resolved.deployment.calibration)
    hours = hours_of(rental, request.costs, Power(watts, accelerator.idle_power_watts))
    if chosen is None or not modelled:
        return resolved.price.amount, hours
    return Decimal(f"{reserved_hour(hours[chosen], min(utilisation, 1.0)):.9f}"), hours


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
    # The bill is of paid time; idle time is in it as the utilisation says.
    paid = 1.0 if resolved.point.kind == "arrival_rate" else utilisation
    allocation = Allocation(
        accelerator_seconds=bill.accelerator_seconds_per_request * paid,
        utilisation=min(utilisation, 1.0),
        scaling=(0.0, 1.0) if day is None else (day.scaling_share, target or 1.0),
        utilisation_range=request.utilisation_range or (),
        per_bill={rate.kind: rate.per_million_tokens / bill.per_request for rate in rates},
    )
    currency = resolved.price.currency
    return tuple(basis_line(name, hour, currency, allocation) for name, hour in hours.items())
