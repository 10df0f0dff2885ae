"""Flat plans: what a fixed price per period earns when subscribers differ in use (equation T4)."""

from dataclasses import dataclass
from math import erf, sqrt

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
QUANTILE_POINTS = 4_001
FARTHEST = 8.0
"""Standard deviations at which the normal distribution is cut."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A flat plan under a distribution of use."""

    break_even_requests: float
    """Requests a period at which a subscriber's cost is the price."""
    mean_requests: float
    share_at_loss: float
    margin: float
    """1 - cost / price over all subscribers."""
    cap_for_target: float | None
    """Requests a period beyond which use must be cut to reach the target margin; None where it is
    reached without a cap."""
    share_capped: float
    """Subscribers whom that cap touches."""


def flat_plan(price: float, cost_per_request: float, use: Array, target_margin: float) -> Plan:
    """Return what a plan earns.

    Parameters
    ----------
    price
        Of a period, money, > 0.
    cost_per_request
        Money, > 0.
    use
        Requests a period of subscribers that count alike, shape (N,).
    target_margin
        Below 1.
    """
    ordered = np.sort(use)
    even = price / cost_per_request
    margin = 1.0 - float(ordered.mean()) * cost_per_request / price
    cap, capped = None, 0.0
    if margin < target_margin:
        cap = cap_for_mean(ordered, even * (1.0 - target_margin))
        capped = float((ordered > cap).mean())
    return Plan(even, float(ordered.mean()), float((ordered > even).mean()), margin, cap, capped)


def cap_for_mean(ordered: Array, wanted: float) -> float:
    """Return the cap c with mean(min(use, c)) = wanted, below the uncapped mean; use sorted.

    The mean is piecewise linear in c: exact on the piece that holds the answer.
    """
    count = ordered.size
    below = np.concatenate(([0.0], np.cumsum(ordered)[:-1]))
    # Mean use with the cap at each subscriber's own use.
    means = (below + ordered * (count - np.arange(count))) / count
    index = int(np.searchsorted(means, wanted))
    return float((wanted * count - below[index]) / (count - index))


def lognormal_use(median: float, p90: float) -> Array:
    """Return 4 001 equally likely values of a lognormal with this median and 90th percentile."""
    z = np.linspace(-FARTHEST, FARTHEST, 16_001)
    distribution = np.array([0.5 * (1.0 + erf(value / sqrt(2.0))) for value in z])
    probability = (np.arange(QUANTILE_POINTS) + 0.5) / QUANTILE_POINTS
    normal = np.interp(probability, distribution, z)
    ninetieth = float(np.interp(0.9, distribution, z))
    spread = np.log(p90 / median) / ninetieth
    use: Array = median * np.exp(spread * normal)
    return use
