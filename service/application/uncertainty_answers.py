"""The part of an answer about how sure it is."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a figure lies: in 1 of 10 cases below ``p10``, in 5 below ``p50``, in 9 below ``p90``."""

    p10: float
    p50: float
    p90: float


@dataclass(frozen=True, slots=True)
class PriceSpread:
    """Prices of an accelerator-hour among which the request leaves a choice."""

    rows: int
    """Catalog rows that match what the request says; 1 where the price is fixed."""
    lowest: float
    highest: float
    currency: str


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Intervals of the headline figures, from calibration residuals, prices and utilisation."""

    samples: int
    seed: int
    figures: Mapping[str, Interval]
    """By path of the figure in the answer, for example `rates.output.per_million_tokens`."""
    tpot_log_spread: float
    """Standard deviation of ln(measured / predicted) of TPOT, of the calibration in force."""
    ttft_log_spread: float
    """The same of TTFT."""
    power_log_spread: float
    """Of the power above idle."""
    calibration_level: str
    """fitted (this family with this engine), family, engine, vendor or general, from more to less known."""
    price: PriceSpread
    utilisation_low: float | None
    utilisation_high: float | None
    """Utilisation is drawn evenly between the two; null where it follows from arrivals or a load profile."""
    overloaded_share: float
    """Share of samples that cannot serve the arrivals; their figures are those of a full replica."""
    prefill_price: PriceSpread | None = None
    """With `pools`: prices of an accelerator-hour of prefill workers; null where `price` is theirs too."""
    prefill_log_spread: float | None = None
    """With `pools`: standard deviation of ln(measured / predicted) of the time of a prefill step."""
