"""Parts of a body about money and time of day; mirror ``application.cost_requests`` field by field."""

from typing import Annotated

from pydantic import BaseModel, Field

from service.api.schemas.fields import REQUEST_CONFIG, Amount, Currency, Positive, PositiveShare, Share

HOURS_OF_A_DAY = 24
MAX_REPLICAS = 65_536

NotNegative = Annotated[float, Field(ge=0)]
Replicas = Annotated[int, Field(ge=1, le=MAX_REPLICAS)]
SpareReplicas = Annotated[int, Field(ge=0, le=MAX_REPLICAS)]


class CostTermsBody(BaseModel):
    """What owning and powering an accelerator costs. Capital and electricity have no default."""

    model_config = REQUEST_CONFIG

    currency: Currency
    """Of every amount here; the same as the price's."""
    electricity_per_kilowatt_hour: Amount | None = None
    """Price of electricity; there is no default."""
    capital_per_accelerator: Amount | None = None
    """Purchase price with its share of the server; without it there is no total cost of ownership."""
    life_years: Positive | None = None
    """Years until written off; 5 where left out, an assumption."""
    cost_of_capital: Share | None = None
    """Yearly share; 0.08 where left out, an assumption."""
    residual_share: Share | None = None
    """Of the capital at the end of life; 0 where left out."""
    network_share: NotNegative | None = None
    """Network capital as a share of the accelerator's; 0.15 where left out, an assumption."""
    staff_share: NotNegative | None = None
    """Staff and software as a share of everything else; 0.1 where left out, an assumption."""
    hosting_per_kilowatt_month: Amount | None = None
    """Space and cooling plant; 0 where left out."""
    power_usage_effectiveness: Annotated[float, Field(ge=1)] | None = None
    """Facility power over equipment power; 1.3 where left out, an assumption."""
    host_power_watts: NotNegative | None = None
    """Of the server and network, for one accelerator; 150 where left out, an assumption."""


class LoadProfileBody(BaseModel):
    """A day of arrivals and what the fleet may do about them; utilisation follows."""

    model_config = REQUEST_CONFIG

    requests_per_second: Annotated[
        list[NotNegative], Field(min_length=HOURS_OF_A_DAY, max_length=HOURS_OF_A_DAY)
    ]
    """24 hourly rates over all replicas."""
    target_utilisation: PositiveShare | None = None
    """At which the scaler aims; 1 where left out."""
    minimum_replicas: Replicas | None = None
    """1 where left out."""
    maximum_replicas: Replicas | None = None
    """No limit where left out."""
    spare_replicas: SpareReplicas | None = None
    """Replicas kept beyond what the load asks for; 0 where left out."""
