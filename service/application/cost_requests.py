"""Parts of a request about money and time of day: what owning and powering cost, how load varies."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

CostBasisName = Literal["rental", "tco", "energy"]
Extra = Literal["splits", "resource_prices"]
MarginalClosure = Literal["fixed_batch", "tpot_limit", "tpot_and_ttft_limits"]


@dataclass(frozen=True, slots=True)
class CostTermsRequest:
    """What owning and powering an accelerator costs; figures left out are assumptions that `resolved` names.

    Capital and electricity have no default: they differ by buyer and place, and a guess would look like a
    price.
    """

    currency: str
    """Of every amount here; the same as the price's."""
    electricity_per_kilowatt_hour: Decimal | None = None
    capital_per_accelerator: Decimal | None = None
    """Purchase price with its share of the server; without it there is no total cost of ownership."""
    life_years: float | None = None
    """Years until written off; 5."""
    cost_of_capital: float | None = None
    """Yearly share; 0.08."""
    residual_share: float | None = None
    """Of the capital at the end of life; 0."""
    network_share: float | None = None
    """Network capital as a share of the accelerator's; 0.15."""
    staff_share: float | None = None
    """Staff and software as a share of everything else; 0.1."""
    hosting_per_kilowatt_month: Decimal | None = None
    """Space and cooling plant; 0."""
    power_usage_effectiveness: float | None = None
    """Facility power over equipment power; 1.3."""
    host_power_watts: float | None = None
    """Of the server and network, for one accelerator, whether it works or waits; 150."""


@dataclass(frozen=True, slots=True)
class LoadProfileRequest:
    """A day of arrivals and what the fleet may do about them; utilisation follows."""

    requests_per_second: tuple[float, ...]
    """24 hourly rates over all replicas."""
    target_utilisation: float | None = None
    """At which the scaler aims; 1."""
    minimum_replicas: int | None = None
    """1 where left out."""
    maximum_replicas: int | None = None
    """No limit where left out."""
    spare_replicas: int | None = None
    """Replicas kept beyond what the load asks for; 0."""
