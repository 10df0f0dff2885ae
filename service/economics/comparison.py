"""Modelled cost against prices: what a margin implies, and which prices stand apart (equation K1)."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
OUTLIER_SCORE = 3.5
"""Modified z-score beyond which a price is an outlier (Iglewicz and Hoaglin 1993)."""
NORMAL_CONSISTENCY = 0.6745
"""Scales the median absolute deviation to the standard deviation of a normal distribution."""


def implied_utilisation(cost: float, utilisation: float, price: float, margin: float) -> float:
    """Return the utilisation at which a price leaves a margin; the cost is inverse in utilisation.

    Parameters
    ----------
    cost
        Of a request at ``utilisation``, money.
    utilisation
        Above 0.
    price
        Of the same request, money, > 0.
    margin
        Wanted share of the price, below 1.
    """
    return cost * utilisation / (price * (1.0 - margin))


def outlier_scores(prices: Array) -> Array:
    """Return modified z-scores of ln(price): 0.6745 (x - median) / MAD; 0 where prices do not spread.

    Parameters
    ----------
    prices
        Money, > 0, shape (N,).
    """
    logs = np.log(prices)
    centre = np.median(logs)
    deviation = np.median(np.abs(logs - centre))
    if deviation == 0.0:
        return np.zeros_like(logs)
    scores: Array = NORMAL_CONSISTENCY * (logs - centre) / deviation
    return scores


def rank_correlation(left: Array, right: Array) -> float:
    """Return Spearman's rank correlation; 0 where one side does not vary.

    Parameters
    ----------
    left, right
        Shape (N,), N >= 2.
    """
    ranks = [_ranks(values) for values in (left, right)]
    if min(float(np.std(rank)) for rank in ranks) == 0.0:
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: Array) -> Array:
    """Return ranks, ties sharing their mean."""
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    means: Array = (last - (counts - 1) / 2.0)[index]
    return means
