"""Shares of a replica's time become rates per token; the engine's seconds become money here.

A replica on n accelerators at p per accelerator-second, working a share u of the time it is paid for and
completing X requests/s while it works, bills ``n p / (X u)`` per request. Whatever the split, the sum
over kinds and classes of tokens x rate is that bill (equation C1 of docs/equations.md).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bill:
    """What one request costs, and the time behind it."""

    per_request: float
    """Money, in the currency of the price."""
    accelerator_seconds_per_request: float
    """Paid accelerator time, idle time included."""


def bill(
    accelerators: float, price_per_accelerator_second: float, requests_per_second: float, utilisation: float
) -> Bill:
    """Return the bill of one request.

    Parameters
    ----------
    accelerators
        Of one replica.
    price_per_accelerator_second
        Money.
    requests_per_second
        Of one replica while it works.
    utilisation
        Share of paid time in which it works, above 0 and at most 1.
    """
    seconds = accelerators / (requests_per_second * utilisation)
    return Bill(seconds * price_per_accelerator_second, seconds)


def rates_per_token(shares: Array, tokens: Array, limits: Array, per_request: float) -> Array:
    """Return money per token of each kind.

    Parameters
    ----------
    shares
        Shares of the bill, any shape.
    tokens
        Tokens per request, same shape.
    limits
        Share of the bill that one token costs where ``tokens`` is 0 (the limit of an empty kind).
    per_request
        The bill.
    """
    paid = np.divide(shares, tokens, out=limits.copy(), where=tokens > 0)
    return per_request * paid


def sum_of_rates(rates: Array, tokens: Array) -> float:
    """Return sum(tokens x rate): the conservation check's other side."""
    return float((rates * tokens).sum())
