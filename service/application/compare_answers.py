"""What comparisons answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from service.application.answers import ListPriceComparison, OperatingPoint, Provenance, Rate


@dataclass(frozen=True, slots=True)
class ComparedListing:
    """One listing beside the modelled cost."""

    listing: ListPriceComparison
    utilisation_at_target_margin: float | None
    """Utilisation at which the target margin is left; above 1 it cannot be reached."""
    price_over_median: float | None
    """Price of the mix over the median of the ranked listings."""
    outlier: str | None
    """dear or cheap where the price stands apart from the others (modified z-score above 3.5)."""


@dataclass(frozen=True, slots=True)
class ListedRatio:
    """One model of the catalog: its modelled output:input ratio beside the listed ones."""

    model: str
    modelled_ratio: float | None
    listed_ratio_median: float | None
    listed_ratio_least: float | None
    listed_ratio_most: float | None
    listings: int
    """Ranked listings with input and output prices."""
    cost_per_request: float | None
    price_per_request_median: Decimal | None
    margin_at_median: float | None
    per_million_tokens: Mapping[str, float]
    accelerators: int | None
    infeasible: str | None
    """Why there is no modelled figure; None where there is."""


@dataclass(frozen=True, slots=True)
class AcrossModels:
    """Listed against modelled ratios over the catalog."""

    models: tuple[ListedRatio, ...]
    compared: int
    """Models with both ratios."""
    modelled_ratio_median: float | None
    listed_ratio_median: float | None
    listed_over_modelled_median: float | None
    rank_correlation: float | None
    """Spearman's, between listed and modelled ratios."""


@dataclass(frozen=True, slots=True)
class CompareAnswer:
    """Modelled cost beside what providers charge."""

    model: str
    accelerator: str
    currency: str
    architecture_assumed: bool
    """The architecture is the caller's assumption for a model whose own is not public."""
    rates: tuple[Rate, ...]
    cost_per_request: float
    utilisation: float
    target_margin: float
    modelled_output_to_input_ratio: float | None
    listed_output_to_input_ratio_median: float | None
    gpu_price_valid_from: datetime | None
    """The modelled side's date; list prices carry their own."""
    listings: tuple[ComparedListing, ...]
    across_models: AcrossModels | None
    operating_point: OperatingPoint
    explanation: tuple[str, ...]
    warnings: tuple[str, ...]
    provenance: Provenance
    resolved: Mapping[str, object]
    digest: str
