"""A modelled cost beside the list prices of the same model."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from service.application.answers import ListPriceComparison, Rate
from service.application.list_prices import ListedPrices

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


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a comparison needs of one listing, read once."""

    prices: ListedPrices
    currency: str
    amounts: tuple[Decimal | None, Decimal | None, Decimal | None, Decimal | None]
    """Input, cached input, cache write, output per million."""
    by_request: tuple[Decimal, Decimal, Decimal] | None
    """Input, cached input (or input), output per million; None where a request has no price."""
    by_kind: tuple[float | None, float | None, float | None]
    ratio: float | None
    rows: tuple[int, ...]
    valid_from: datetime
    valid_from_basis: str
    source: str


def prepare(listed: Sequence[ListedPrices]) -> tuple[Prepared, ...]:
    """Return what comparisons need of the listings of the model itself.

    Fine-tunes and distillations are other models and stay out (CONTRACT 4).
    """
    return tuple(_prepare(prices) for prices in listed if prices.listing.relation in COMPARED_RELATIONS)


def compare_with_list(listed: Sequence[Prepared], cost: ModelledCost) -> tuple[ListPriceComparison, ...]:
    """Return one comparison for each listing, cheapest ranked first, unranked ones after.

    The list price of a request is its mean tokens by kind at the listing's rates; a margin is
    ``1 - modelled / listed``; break-even utilisation is where that margin is zero, because the modelled
    cost is inverse in utilisation.
    """
    fresh, cached, output = (Decimal(f"{rate.tokens_per_request:.6f}") for rate in cost.rates)
    totals = [
        None
        if one.by_request is None
        else (fresh * one.by_request[0] + cached * one.by_request[1] + output * one.by_request[2]).scaleb(-6)
        for one in listed
    ]
    ranked = sorted(
        (total, place)
        for place, (one, total) in enumerate(zip(listed, totals, strict=True))
        if total is not None and one.prices.unranked_because is None and one.currency == cost.currency
    )
    rank = {place: number + 1 for number, (_, place) in enumerate(ranked)}
    order = [place for _, place in ranked] + [place for place in range(len(listed)) if place not in rank]
    return tuple(_compare(listed[place], totals[place], cost, rank.get(place)) for place in order)


def _prepare(prices: ListedPrices) -> Prepared:
    rates = (prices.input, prices.cache_read, prices.cache_write, prices.output)
    amounts = tuple(None if rate is None else rate.per_million for rate in rates)
    fresh, cached, write, output = amounts
    whole = fresh is not None and output is not None
    rows = prices.rows
    newest = max(rows, key=lambda row: row.stamp.valid_from)
    return Prepared(
        prices=prices,
        currency=rows[0].price.currency,
        amounts=(fresh, cached, write, output),
        by_request=(fresh, fresh if cached is None else cached, output)
        if fresh is not None and output is not None
        else None,
        by_kind=(_positive(fresh), _positive(cached), _positive(output)),
        ratio=float(output / fresh) if whole and fresh and output is not None else None,
        rows=tuple(row.stamp.row_id for row in rows),
        valid_from=newest.stamp.valid_from,
        valid_from_basis=newest.stamp.valid_from_basis,
        source=newest.source,
    )


def _positive(amount: Decimal | None) -> float | None:
    return float(amount) if amount else None


def _compare(
    one: Prepared, total: Decimal | None, cost: ModelledCost, rank: int | None
) -> ListPriceComparison:
    same_currency = one.currency == cost.currency
    priced = float(total) if total is not None and same_currency and total > 0 else None
    margins = [
        None if listed is None or not same_currency else 1.0 - rate.per_million_tokens / listed
        for listed, rate in zip(one.by_kind, cost.rates, strict=True)
    ]
    listing, amounts = one.prices.listing, one.amounts
    return ListPriceComparison(
        provider=listing.provider,
        provider_model_id=listing.provider_model_id,
        relation=listing.relation,
        routed_from=listing.routed_from,
        currency=one.currency,
        input_per_million=amounts[0],
        cached_input_per_million=amounts[1],
        cache_write_per_million=amounts[2],
        output_per_million=amounts[3],
        output_to_input_ratio=one.ratio,
        price_per_request=None if total is None else round(total, PRICE_DIGITS).normalize(),
        margin=None if priced is None else 1.0 - cost.cost_per_request / priced,
        margin_by_kind={rate.kind: margin for rate, margin in zip(cost.rates, margins, strict=True)},
        breakeven_utilisation=None if priced is None else cost.cost_per_request * cost.utilisation / priced,
        rank=rank,
        valid_from=one.valid_from,
        valid_from_basis=one.valid_from_basis,
        rows=one.rows,
        source=one.source,
    )
