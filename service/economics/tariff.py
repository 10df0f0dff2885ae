"""Linear rates for costs that are not linear: the fairest ones, and what they leave (equations T1 to T3).

A tariff is one rate for each kind of token. The fair one recovers the cost of a mix exactly and, among
those that do, leaves the least variance of margin per request:

    min sum w (n . r - c)^2   with   sum w n . r = sum w c,  r >= 0                (T1)

It is found by its Karush-Kuhn-Tucker equations on each of the seven sets of kinds that may have a
positive rate. Where requests are too alike to tell the kinds apart, the rates nearest to a given start
are taken.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
QUANTILES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
KINDS = 3
NEGLIGIBLE = 1e-12
"""Share of all tokens up to which a kind is as good as absent and keeps the rate it began with."""
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Ledger:
    """Requests of a mix: what they use and what they cost."""

    tokens: Array
    """Uncached input, cached input, output; shape (N, 3)."""
    cost: Array
    """Money, shape (N,)."""
    weight: Array
    """Share of requests, shape (N,), sums to 1."""

    @property
    def mean_tokens(self) -> Array:
        """Return the mean request's tokens by kind, shape (3,)."""
        means: Array = np.einsum("n,nk->k", self.weight, self.tokens)
        return means

    @property
    def mean_cost(self) -> float:
        """Return the mean request's cost."""
        return _mean(self.weight, self.cost)


def fair_tariff(ledger: Ledger, start: Array) -> Array:
    """Return the fair linear rates, money per token by kind, shape (3,).

    Parameters
    ----------
    ledger
        The mix.
    start
        Rates that recover the cost, shape (3,); kept for kinds without tokens, and the point of
        departure where the mix does not determine the rates.
    """
    means = ledger.mean_tokens
    there = means > NEGLIGIBLE * means.sum()
    used = [kind for kind in range(KINDS) if there[kind]]
    best, least = start, np.inf
    for size in range(len(used), 0, -1):
        for support in combinations(used, size):
            rates = _on_support(ledger, start, list(support))
            spread = margin_variance(ledger, rates)
            if rates.min() >= 0 and spread < least * (1.0 - _TOLERANCE):
                best, least = rates, spread
    elsewhere = float(means[~there] @ start[~there])
    scale = (ledger.mean_cost - elsewhere) / float(means[there] @ best[there])
    recovered: Array = np.where(there, best * scale, start)
    return recovered


def _on_support(ledger: Ledger, start: Array, support: list[int]) -> Array:
    """Solve T1 with rates on some kinds only, by least squares in tokens scaled to their means."""
    means = ledger.mean_tokens[support]
    scaled = ledger.tokens[:, support] / means
    weighted = scaled * ledger.weight[:, None]
    begin = start[support] * means
    gap = ledger.cost - _revenue(scaled, begin)
    size = len(support)
    system = np.zeros((size + 1, size + 1))
    system[:size, :size] = np.einsum("nj,nk->jk", weighted, scaled)
    system[:size, size] = system[size, :size] = 1.0
    right = np.append(np.einsum("nk,n->k", weighted, gap), _mean(ledger.weight, gap))
    step = np.linalg.lstsq(system, right, rcond=1e-11)[0][:size]
    rates = np.zeros(KINDS)
    found = (begin + step) / means
    # Rates that are nil up to rounding are nil.
    rates[support] = np.where(np.abs(found) < 1e-12 * np.abs(found).max(initial=0.0), 0.0, found)
    return rates


def margin_variance(ledger: Ledger, rates: Array) -> float:
    """Return the variance of revenue less cost over requests, money squared."""
    left = _revenue(ledger.tokens, rates) - ledger.cost
    return _mean(ledger.weight, (left - _mean(ledger.weight, left)) ** 2)


def _revenue(tokens: Array, rates: Array) -> Array:
    revenue: Array = np.einsum("nk,k->n", tokens, rates)
    return revenue


def _mean(weight: Array, values: Array) -> float:
    """Return a weighted mean without BLAS, whose threads cost more than they save on one long vector."""
    return float(np.add.reduce(weight * values))


@dataclass(frozen=True)
class Margins:
    """How margin spreads over requests under a tariff."""

    total: float
    """1 - cost / revenue of the mix."""
    losing_share: float
    """Share of requests that cost more than they bring."""
    losing_cost_share: float
    """Their share of the cost."""
    quantiles: Array
    """Of 1 - cost / revenue per request, at ``QUANTILES``."""
    spread: float
    """Standard deviation of revenue less cost, over the mean cost."""
    moved: float
    """Share of the cost that changes payer against exact prices of the same total: half the sum of
    |revenue - cost|, revenue scaled to the cost."""


def margins_under(ledger: Ledger, rates: Array) -> Margins:
    """Return the spread of margins under rates, money per token by kind (equation T2)."""
    revenue = _revenue(ledger.tokens, rates)
    total, cost = _mean(ledger.weight, revenue), ledger.mean_cost
    margin = 1.0 - ledger.cost / np.maximum(revenue, 1e-300)
    # A request that breaks even up to rounding does not lose.
    losing = (ledger.cost > revenue * (1.0 + _TOLERANCE)).astype(np.float64)
    exact = revenue * (cost / total) if total > 0 else revenue
    return Margins(
        total=1.0 - cost / total if total > 0 else -np.inf,
        losing_share=_mean(ledger.weight, losing),
        losing_cost_share=_mean(ledger.weight, losing * ledger.cost) / cost,
        quantiles=weighted_quantiles(margin, ledger.weight, QUANTILES),
        spread=float(np.sqrt(margin_variance(ledger, rates))) / cost,
        moved=0.5 * _mean(ledger.weight, np.abs(exact - ledger.cost)) / cost,
    )


def weighted_quantiles(values: Array, weight: Array, at: tuple[float, ...]) -> Array:
    """Return the smallest values at which the cumulated weight reaches each probability."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weight[order])
    index = np.searchsorted(reached, np.asarray(at) * reached[-1] * (1.0 - 1e-12))
    found: Array = values[order][np.minimum(index, values.size - 1)]
    return found


@dataclass(frozen=True, slots=True)
class Transfer:
    """What a group of requests pays beside what it costs, shares of the whole mix."""

    share_of_requests: float
    share_of_cost: float
    share_of_revenue: float
    mean_tokens: tuple[float, float, float]


def transfers(ledger: Ledger, rates: Array, group: npt.NDArray[np.intp]) -> tuple[Transfer, ...]:
    """Return who pays for whom: revenue share less cost share is the subsidy given (equation T3).

    Parameters
    ----------
    ledger, rates
        The mix and its tariff.
    group
        Group of each request, 0 .. G - 1, shape (N,).
    """
    groups = int(group.max()) + 1
    paid = ledger.weight * _revenue(ledger.tokens, rates)
    cost = ledger.weight * ledger.cost

    def summed(values: Array) -> Array:
        return np.asarray(np.bincount(group, values, groups), dtype=np.float64)

    requests = summed(ledger.weight)
    tokens = [summed(ledger.weight * ledger.tokens[:, kind]) for kind in range(KINDS)]
    rows = []
    for index in range(groups):
        count = requests[index] if requests[index] > 0 else 1.0
        rows.append(
            Transfer(
                float(requests[index]),
                float(summed(cost)[index] / cost.sum()),
                float(summed(paid)[index] / paid.sum()),
                (
                    float(tokens[0][index] / count),
                    float(tokens[1][index] / count),
                    float(tokens[2][index] / count),
                ),
            )
        )
    return tuple(rows)


def bands(values: Array, weight: Array, count: int) -> tuple[npt.NDArray[np.intp], Array]:
    """Divide requests into bands of about equal weight; return each one's band and the upper edges."""
    edges = np.unique(weighted_quantiles(values, weight, tuple((i + 1) / count for i in range(count))))
    return np.searchsorted(edges, values, side="left"), edges
