"""What an accelerator-hour costs by basis, and what a fleet does with it over a day (METHOD 6).

- ``rental``: a price row. ``energy``: power alone. ``tco``: capital as an annuity at the cost of
  capital, network as a share of it, power, hosting, staff as a share of all that (equation C2).
- Each basis has two hourly costs: of an hour that works and of an hour that waits; they differ by power.
- ``reserved``: everything paid, over the requests served. ``active``: the working hours alone; the
  difference is idle. ``marginal``: what one more request adds to the spending (equation C3).

Money is in one currency throughout; the figures here do not know which.
"""

from dataclasses import dataclass
from math import expm1, log1p

import numpy as np
import numpy.typing as npt

from service.engine.errors import InfeasibleError, InvalidInputError
from service.engine.units import HOURS_PER_YEAR, KILO, SECONDS_PER_HOUR

Array = npt.NDArray[np.float64]
HOURS_OF_A_DAY = 24
MONTHS_PER_YEAR = 12


@dataclass(frozen=True, slots=True)
class Power:
    """Mean power of one accelerator and its share of the host, watts, before cooling."""

    working: float
    waiting: float


@dataclass(frozen=True, slots=True)
class OwnershipTerms:
    """What owning an accelerator costs. Defaults of the shares and the life are the caller's to choose."""

    capital: float
    """Purchase price of one accelerator with its share of the server, money."""
    life_years: float
    cost_of_capital: float
    """Yearly, as a share."""
    residual_share: float
    """Of the capital, at the end of life."""
    network_share: float
    """Network capital as a share of the accelerator's."""
    staff_share: float
    """Staff and software as a share of everything else."""
    hosting_per_kilowatt_month: float
    """Space and cooling plant, money per kW of working power and month."""


@dataclass(frozen=True, slots=True)
class PowerTerms:
    """What power costs."""

    electricity_per_kilowatt_hour: float
    effectiveness: float
    """Facility power over equipment power (PUE)."""


@dataclass(frozen=True)
class HourlyCost:
    """Cost of one accelerator-hour, money."""

    working: float
    waiting: float
    parts: dict[str, float]
    """Of a working hour."""


def annuity(capital: float, rate: float, years: float, residual_share: float = 0.0) -> float:
    """Return the yearly payment that returns capital with interest, the residual value given back.

    ``capital (1 - s v) r / (1 - v)`` with v = (1 + r)^-years; straight line at r = 0.

    Parameters
    ----------
    capital
        Money.
    rate
        Cost of capital a year, >= 0.
    years
        Life, > 0.
    residual_share
        s, 0 to 1.
    """
    if rate == 0.0:
        return capital * (1.0 - residual_share) / years
    # 1 - v by expm1 and log1p: at a rate near nothing the difference would be nothing itself.
    lost = -expm1(-years * log1p(rate))
    return capital * (1.0 - residual_share * (1.0 - lost)) * rate / lost


def rental_hour(price: float) -> HourlyCost:
    """Return the cost of an hour at a rental price: the same whether it works or waits."""
    return HourlyCost(price, price, {"rental": price})


def energy_hour(power: Power, terms: PowerTerms) -> HourlyCost:
    """Return the cost of the electricity of an hour."""
    factor = terms.effectiveness * terms.electricity_per_kilowatt_hour / KILO
    return HourlyCost(power.working * factor, power.waiting * factor, {"power": power.working * factor})


def ownership_hour(power: Power, terms: PowerTerms, owner: OwnershipTerms) -> HourlyCost:
    """Return the total cost of ownership of an hour (equation C2)."""
    energy = energy_hour(power, terms)
    capital = annuity(owner.capital, owner.cost_of_capital, owner.life_years, owner.residual_share)
    capital /= HOURS_PER_YEAR
    network = capital * owner.network_share
    hosting = owner.hosting_per_kilowatt_month * MONTHS_PER_YEAR / HOURS_PER_YEAR * power.working / KILO
    fixed = capital + network + hosting
    staff = (fixed + energy.working) * owner.staff_share
    return HourlyCost(
        working=fixed + energy.working + staff,
        # People and buildings are paid whether the accelerator works or waits; only power is saved.
        waiting=fixed + energy.waiting + staff,
        parts={
            "capital": capital,
            "network": network,
            "power": energy.working,
            "hosting": hosting,
            "staff": staff,
        },
    )


@dataclass(frozen=True)
class LoadProfile:
    """Arrivals over a day and what the fleet may do about them."""

    requests_per_second: Array
    """By hour, shape (24,), over all replicas."""
    target_utilisation: float
    """At which the scaler aims, above 0 and at most 1."""
    minimum_replicas: int
    maximum_replicas: int | None
    spare_replicas: int


@dataclass(frozen=True)
class Fleet:
    """What a day of a load profile does to a fleet."""

    replicas: Array
    """By hour, shape (24,)."""
    utilisation: float
    """Work done over capacity paid."""
    scaling_share: float
    """Share of requests that arrive in hours in which one more request adds capacity."""
    peak_utilisation: float


def fleet_of(profile: LoadProfile, capacity: float) -> Fleet:
    """Return the fleet that a profile leads to.

    Parameters
    ----------
    profile
        The day.
    capacity
        Requests per second of one replica while it works.

    Raises
    ------
    InvalidInputError
        Not 24 hours, a negative rate, or a day without requests.
    InfeasibleError
        More arrives in an hour than the most replicas can serve.
    """
    load = profile.requests_per_second
    if load.shape != (HOURS_OF_A_DAY,) or not np.isfinite(load).all() or load.min() < 0 or load.sum() <= 0:
        raise InvalidInputError(
            "A load profile has 24 hourly rates, none negative and at least one positive.",
            field="load_profile.requests_per_second",
            code="invalid-load-profile",
        )
    wanted = np.ceil(load / (capacity * profile.target_utilisation) - 1e-9) + profile.spare_replicas
    most = np.inf if profile.maximum_replicas is None else float(profile.maximum_replicas)
    replicas = np.clip(wanted, max(profile.minimum_replicas, 1), most)
    busy = load / (replicas * capacity)
    if busy.max() > 1.0 + 1e-9:
        hour = int(np.argmax(busy))
        raise InfeasibleError(
            f"In hour {hour} {load[hour]:.4g} requests/s arrive; {replicas[hour]:.0f} replicas serve "
            f"{replicas[hour] * capacity:.4g}. Allow more replicas or send less.",
            field="load_profile.maximum_replicas",
            code="arrival-rate-too-high",
            accepted={"replicas_needed": float(np.ceil(load[hour] / capacity))},
        )
    follows = (wanted >= max(profile.minimum_replicas, 1)) & (wanted < most)
    return Fleet(
        replicas=replicas,
        utilisation=float(load.sum() / (replicas.sum() * capacity)),
        scaling_share=float(load[follows].sum() / load.sum()),
        peak_utilisation=float(busy.max()),
    )


@dataclass(frozen=True, slots=True)
class RequestCost:
    """One request's cost on every basis of allocation, money."""

    reserved: float
    active: float
    idle: float
    """Reserved less active."""
    marginal: float


def request_cost(
    hour: HourlyCost, accelerator_seconds: float, utilisation: float, scaling: tuple[float, float]
) -> RequestCost:
    """Return what a request costs (equation C3).

    Parameters
    ----------
    hour
        Cost of an accelerator-hour.
    accelerator_seconds
        Working accelerator time of one request.
    utilisation
        Share of paid time that works.
    scaling
        Share of requests whose arrival adds capacity, and the utilisation at which it is added; (0, 1)
        for a fleet that stays as it is.
    """
    hours = accelerator_seconds / SECONDS_PER_HOUR
    active = hours * hour.working
    idle = hours * (1.0 / utilisation - 1.0) * hour.waiting
    share, target = scaling
    # On capacity that is there anyway a request adds the power of working over waiting.
    added = hours * (hour.working + (1.0 / target - 1.0) * hour.waiting)
    marginal = share * added + (1.0 - share) * hours * (hour.working - hour.waiting)
    return RequestCost(reserved=active + idle, active=active, idle=idle, marginal=marginal)
