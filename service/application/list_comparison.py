"""A modelled cost beside the list prices of the same model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from service.application.answers import ListPriceComparison, Rate, TokenKind
from service.application.list_prices import ListedPrices, ListedRate

COMPARED_RELATIONS = frozenset({"same", "quantised"})
PRICE_DIGITS = 18
"""Fraction digits of a price (CONTRACT 1)."""


@dataclass(frozen=True, slots=True)
class ModelledCost:
    """The modelled side of a comparison."""

    rates: tuple[Rate, ...]
    cost_per_request: float
    currency: str
    utilisation: float


def compare_with_list(listed: Sequence[ListedPrices], cost: ModelledCost) -> tuple[ListPriceComparison, ...]:
    """Return one comparison for each listing of the model itself, cheapest ranked first.

    Listings of the same model rank; quantised ones and routers beside their origin follow unranked.
    Fine-tunes and distillations are other models and stay out (CONTRACT 4).
    The list price of a request is its mean tokens by kind at the listing's rates; a margin is
    ``1 - modelled / listed``; break-even utilisation is where that margin is zero, because the modelled
    cost is inverse in utilisation.
    """
    tokens = {rate.kind: Decimal(f"{rate.tokens_per_request:.6f}") for rate in cost.rates}
    modelled = {rate.kind: rate.per_million_tokens for rate in cost.rates}
    rows = [
        (prices, _price_of_request(prices, tokens))
        for prices in listed
        if prices.listing.relation in COMPARED_RELATIONS
    ]
    ranked = sorted(
        (total, prices.listing.provider, prices.listing.provider_model_id)
        for prices, total in rows
        if total is not None and prices.unranked_because is None and _currency(prices) == cost.currency
    )
    rank = {(provider, listing): place + 1 for place, (_, provider, listing) in enumerate(ranked)}
    compared = [_compare(prices, total, cost, modelled, rank) for prices, total in rows]
    compared.sort(key=lambda row: (row.rank is None, row.rank or 0, row.provider, row.provider_model_id))
    return tuple(compared)


def _price_of_request(prices: ListedPrices, tokens: Mapping[TokenKind, Decimal]) -> Decimal | None:
    fresh, output = prices.input, prices.output
    if fresh is None or output is None:
        return None
    cached = prices.cache_read or fresh
    total = (
        tokens["uncached_input"] * fresh.per_million
        + tokens["cached_input"] * cached.per_million
        + tokens["output"] * output.per_million
    )
    return round(total.scaleb(-6), PRICE_DIGITS).normalize()


def _compare(
    prices: ListedPrices,
    total: Decimal | None,
    cost: ModelledCost,
    modelled: Mapping[TokenKind, float],
    rank: dict[tuple[str, str], int],
) -> ListPriceComparison:
    listing = prices.listing
    same_currency = _currency(prices) == cost.currency
    priced = float(total) if total is not None and same_currency and total > 0 else None
    margin = 1.0 - cost.cost_per_request / priced if priced else None
    rows = prices.rows
    newest = max(rows, key=lambda row: row.stamp.valid_from)
    return ListPriceComparison(
        provider=listing.provider,
        provider_model_id=listing.provider_model_id,
        relation=listing.relation,
        routed_from=listing.routed_from,
        currency=_currency(prices),
        input_per_million=_amount(prices.input),
        cached_input_per_million=_amount(prices.cache_read),
        cache_write_per_million=_amount(prices.cache_write),
        output_per_million=_amount(prices.output),
        output_to_input_ratio=_ratio(prices.output, prices.input),
        price_per_request=total,
        margin=margin,
        margin_by_kind={
            "uncached_input": _margin(prices.input, modelled["uncached_input"], same_currency),
            "cached_input": _margin(prices.cache_read, modelled["cached_input"], same_currency),
            "output": _margin(prices.output, modelled["output"], same_currency),
        },
        breakeven_utilisation=cost.cost_per_request * cost.utilisation / priced if priced else None,
        rank=rank.get((listing.provider, listing.provider_model_id)),
        valid_from=newest.stamp.valid_from,
        valid_from_basis=newest.stamp.valid_from_basis,
        rows=tuple(row.stamp.row_id for row in rows),
        source=newest.source,
    )


def _currency(prices: ListedPrices) -> str:
    return prices.rows[0].price.currency


def _amount(rate: ListedRate | None) -> Decimal | None:
    return None if rate is None else rate.per_million


def _ratio(output: ListedRate | None, fresh: ListedRate | None) -> float | None:
    if output is None or fresh is None or fresh.per_million == 0:
        return None
    return float(output.per_million / fresh.per_million)


def _margin(rate: ListedRate | None, modelled: float, same_currency: bool) -> float | None:
    if rate is None or rate.per_million == 0 or not same_currency:
        return None
    return 1.0 - modelled / float(rate.per_million)
