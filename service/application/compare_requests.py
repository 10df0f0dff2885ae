"""What may be asked of comparisons."""

from dataclasses import dataclass

from service.application.requests import EstimateRequest


@dataclass(frozen=True, slots=True)
class PricedAs:
    """The listing whose prices a configuration is compared with: a closed model's."""

    provider: str
    provider_model_id: str


@dataclass(frozen=True, slots=True)
class CompareRequest:
    """A deployment beside list prices."""

    estimate: EstimateRequest
    priced_as: PricedAs | None = None
    """Compare with this listing; the configuration is then taken for an assumption."""
    target_margin: float | None = None
    """0.3 where None."""
    across_models: bool | None = None
    """Also model every model of the catalog on the accelerator and compare ratios."""
