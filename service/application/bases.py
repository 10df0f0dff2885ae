"""Cost bases of an estimate: the caller's terms and load become hourly costs and lines of an answer."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

import numpy as np

from service.application.cost_answers import CostBasis, FleetDay
from service.application.cost_requests import CostTermsRequest, LoadProfileRequest
from service.application.errors import InvalidRequestError, LimitExceededError
from service.economics.bases import (
    Fleet,
    HourlyCost,
    LoadProfile,
    OwnershipTerms,
    Power,
    PowerTerms,
    energy_hour,
    fleet_of,
    ownership_hour,
    rental_hour,
    request_cost,
)

DEFAULT_TERMS: Final[Mapping[str, float]] = {
    "life_years": 5.0,
    "cost_of_capital": 0.08,
    "residual_share": 0.0,
    "network_share": 0.15,
    "staff_share": 0.1,
    "power_usage_effectiveness": 1.3,
    "host_power_watts": 150.0,
}
"""Assumptions, no measurements: customary in published cost models, to be replaced by the caller's own."""
MAX_REPLICAS: Final = 65_536
LEAST_UTILISATION: Final = 1e-6
"""One working second in eleven days; below it the cost of a token says nothing, and soon overflows."""
LEAST_REQUESTS_PER_SECOND: Final = 1e-9
DEFAULT_PROFILE: Final[Mapping[str, float | int]] = {
    "target_utilisation": 1.0,
    "minimum_replicas": 1,
    "spare_replicas": 0,
}


def resolve_terms(
    asked: CostTermsRequest | None, currency: str
) -> tuple[CostTermsRequest | None, tuple[str, ...]]:
    """Fill in cost terms; return them and the paths of what was chosen.

    Raises
    ------
    InvalidRequestError
        Another currency than the price's, no electricity price, or a figure out of range.
    """
    if asked is None:
        return None, ()
    if asked.currency != currency:
        raise InvalidRequestError(
            f"costs.currency is {asked.currency}, the price is in {currency}; give both in one currency.",
            field="costs.currency",
            code="currency-mismatch",
            accepted={"currency": currency},
        )
    if asked.electricity_per_kilowatt_hour is None:
        raise InvalidRequestError(
            "costs.electricity_per_kilowatt_hour is missing; there is no default price of electricity.",
            field="costs.electricity_per_kilowatt_hour",
        )
    chosen = {name: value for name, value in DEFAULT_TERMS.items() if getattr(asked, name) is None}
    filled = replace(asked, **chosen)  # type: ignore[arg-type]  # names and types of the table above
    names = list(chosen)
    if asked.hosting_per_kilowatt_month is None:
        filled = replace(filled, hosting_per_kilowatt_month=Decimal(0))
        names.append("hosting_per_kilowatt_month")
    _check_terms(filled)
    return filled, tuple(f"costs.{name}" for name in names)


def _check_terms(terms: CostTermsRequest) -> None:
    least = {"life_years": 0.1, "power_usage_effectiveness": 1.0}
    for name in DEFAULT_TERMS:
        value = float(getattr(terms, name))
        if not np.isfinite(value) or value < least.get(name, 0.0):
            raise InvalidRequestError(
                f"costs.{name} is {value}; it must be at least {least.get(name, 0.0)}.",
                field=f"costs.{name}",
                accepted={"minimum": least.get(name, 0.0)},
            )
    if terms.residual_share is not None and terms.residual_share > 1:
        raise InvalidRequestError(
            f"costs.residual_share is {terms.residual_share}; it must be at most 1.",
            field="costs.residual_share",
        )


def resolve_profile(
    asked: LoadProfileRequest | None,
) -> tuple[LoadProfileRequest | None, tuple[str, ...]]:
    """Fill in a load profile; return it and the paths of what was chosen."""
    if asked is None:
        return None, ()
    chosen = {name: value for name, value in DEFAULT_PROFILE.items() if getattr(asked, name) is None}
    filled = replace(asked, **chosen)  # type: ignore[arg-type]  # names and types of the table above
    target = filled.target_utilisation or 0.0
    if not LEAST_UTILISATION <= target <= 1:
        raise InvalidRequestError(
            f"load_profile.target_utilisation is {target}; it must be from {LEAST_UTILISATION:g} to 1.",
            field="load_profile.target_utilisation",
        )
    if 0 < sum(filled.requests_per_second) < LEAST_REQUESTS_PER_SECOND:
        raise InvalidRequestError(
            f"load_profile.requests_per_second sums to {sum(filled.requests_per_second)}; at least "
            f"{LEAST_REQUESTS_PER_SECOND:g}, one request in thirty years, can be reckoned with.",
            field="load_profile.requests_per_second",
            accepted={"minimum_sum": LEAST_REQUESTS_PER_SECOND},
        )
    if filled.maximum_replicas is not None and filled.maximum_replicas < (filled.minimum_replicas or 1):
        raise InvalidRequestError(
            f"load_profile.maximum_replicas is {filled.maximum_replicas}, below the minimum of "
            f"{filled.minimum_replicas}.",
            field="load_profile.maximum_replicas",
        )
    return filled, tuple(f"load_profile.{name}" for name in chosen)


def fleet_for(profile: LoadProfileRequest, capacity: float) -> Fleet:
    """Return the fleet of a resolved profile for replicas of a capacity, requests per second.

    Raises
    ------
    LimitExceededError
        More than 65 536 replicas.
    InvalidInputError, InfeasibleError
        As ``economics.bases.fleet_of``.
    """
    fleet = fleet_of(
        LoadProfile(
            requests_per_second=np.asarray(profile.requests_per_second, dtype=np.float64),
            target_utilisation=profile.target_utilisation or 1.0,
            minimum_replicas=profile.minimum_replicas or 1,
            maximum_replicas=profile.maximum_replicas,
            spare_replicas=profile.spare_replicas or 0,
        ),
        capacity,
    )
    most = float(fleet.replicas.max())
    if most > MAX_REPLICAS:
        raise LimitExceededError(
            f"The load profile leads to {most:.4g} replicas; at most {MAX_REPLICAS} are accepted. Send less "
            "load, or aim at a higher utilisation.",
            field="load_profile",
            accepted={"maximum_replicas": MAX_REPLICAS},
        )
    return fleet


def fleet_day(fleet: Fleet | None) -> FleetDay | None:
    """Return the fleet as stated in an answer."""
    if fleet is None:
        return None
    return FleetDay(
        tuple(fleet.replicas.tolist()), fleet.utilisation, fleet.peak_utilisation, fleet.scaling_share
    )


def hours_of(rental: float | None, terms: CostTermsRequest | None, power: Power) -> dict[str, HourlyCost]:
    """Return the cost of an accelerator-hour on every basis that the terms allow.

    Parameters
    ----------
    rental
        Price of an accelerator-hour; None where there is none.
    terms
        Resolved.
    power
        Of one accelerator, without its host.
    """
    hours = {} if rental is None else {"rental": rental_hour(rental)}
    if terms is None:
        return hours
    host = terms.host_power_watts or 0.0
    drawn = Power(power.working + host, power.waiting + host)
    electricity = PowerTerms(
        float(terms.electricity_per_kilowatt_hour or 0), terms.power_usage_effectiveness or 1.0
    )
    if terms.capital_per_accelerator is not None:
        owner = OwnershipTerms(
            capital=float(terms.capital_per_accelerator),
            life_years=terms.life_years or DEFAULT_TERMS["life_years"],
            cost_of_capital=terms.cost_of_capital or 0.0,
            residual_share=terms.residual_share or 0.0,
            network_share=terms.network_share or 0.0,
            staff_share=terms.staff_share or 0.0,
            hosting_per_kilowatt_month=float(terms.hosting_per_kilowatt_month or 0),
        )
        hours["tco"] = ownership_hour(drawn, electricity, owner)
    hours["energy"] = energy_hour(drawn, electricity)
    return hours


@dataclass(frozen=True, slots=True)
class Allocation:
    """How an hour's cost falls on requests and kinds of tokens."""

    accelerator_seconds: float
    """Working accelerator time of a request."""
    utilisation: float
    scaling: tuple[float, float]
    """As ``economics.bases.request_cost`` takes it."""
    utilisation_range: tuple[float, ...]
    per_bill: Mapping[str, float]
    """Rate of each kind per million tokens, over the bill of a request."""


def basis_line(name: str, hour: HourlyCost, currency: str, allocation: Allocation) -> CostBasis:
    """Return one basis as a line of the answer."""
    seconds, scaling = allocation.accelerator_seconds, allocation.scaling
    cost = request_cost(hour, seconds, allocation.utilisation, scaling)
    return CostBasis(
        basis=name,
        currency=currency,
        per_working_accelerator_hour=hour.working,
        per_waiting_accelerator_hour=hour.waiting,
        parts=hour.parts,
        utilisation=allocation.utilisation,
        reserved_per_request=cost.reserved,
        active_per_request=cost.active,
        idle_per_request=cost.idle,
        marginal_per_request=cost.marginal,
        per_million_tokens={kind: rate * cost.reserved for kind, rate in allocation.per_bill.items()},
        reserved_per_request_at={
            f"{share:g}": request_cost(hour, seconds, share, scaling).reserved
            for share in allocation.utilisation_range
        },
    )


def reserved_hour(hour: HourlyCost, utilisation: float) -> float:
    """Return what a paid accelerator-hour costs on average, working or waiting."""
    return hour.working * utilisation + hour.waiting * (1.0 - utilisation)
