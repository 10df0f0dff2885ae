"""A modelled cost beside the list prices of the same model."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from service.application.answers import ListPriceComparison, Offer, Rate, TokenKind
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

    offer: Offer
    by_request: tuple[Decimal, Decimal, Decimal] | None
    """Input, cached input (or input), output per million; None where a request has no price."""
    by_kind: tuple[float | None, float | None, float | None]
    ranks: bool
    """Takes part in a ranking."""


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
        if total is not None and one.ranks and one.offer.currency == cost.currency
    )
    rank = {place: number + 1 for number, (_, place) in enumerate(ranked)}
    order = [place for _, place in ranked] + [place for place in range(len(listed)) if place not in rank]
    modelled = [(rate.kind, rate.per_million_tokens) for rate in cost.rates]
    return tuple(
        _other_currency(listed[place].offer, totals[place], modelled)
        if listed[place].offer.currency != cost.currency
        else _compare(listed[place], totals[place], (cost, modelled), rank.get(place))
        for place in order
    )


def _prepare(prices: ListedPrices) -> Prepared:
    rates = (prices.input, prices.cache_read, prices.cache_write, prices.output)
    fresh, cached, write, output = (None if rate is None else rate.per_million for rate in rates)
    rows, listing = prices.rows, prices.listing
    newest = max(rows, key=lambda row: row.stamp.valid_from)
    offer = Offer(
        provider=listing.provider,
        provider_model_id=listing.provider_model_id,
        relation=listing.relation,
        routed_from=listing.routed_from,
        currency=rows[0].price.currency,
        input_per_million=fresh,
        cached_input_per_million=cached,
        cache_write_per_million=write,
        output_per_million=output,
        output_to_input_ratio=float(output / fresh) if fresh and output is not None else None,
        valid_from=newest.stamp.valid_from,
        valid_from_basis=newest.stamp.valid_from_basis,
        rows=tuple(row.stamp.row_id for row in rows),
        source=newest.source,
    )
    whole = None if fresh is None or output is None else (fresh, fresh if cached is None else cached, output)
    by_kind = (_positive(fresh), _positive(cached), _positive(output))
    return Prepared(offer, whole, by_kind, prices.unranked_because is None)


def _positive(amount: Decimal | None) -> float | None:
    return float(amount) if amount else None


_Modelled = Sequence[tuple[TokenKind, float]]
"""Modelled cost of each kind of token, per million."""


def _compare(
    one: Prepared, total: Decimal | None, modelled: tuple[ModelledCost, _Modelled], rank: int | None
) -> ListPriceComparison:
    cost, by_kind = modelled
    margin = breakeven = None
    if total is not None and total > 0:
        part = cost.cost_per_request / float(total)
        margin, breakeven = 1.0 - part, part * cost.utilisation
    return ListPriceComparison(
        offer=one.offer,
        price_per_request=_plain(total),
        margin=margin,
        margin_by_kind={
            kind: None if listed is None else 1.0 - rate / listed
            for (kind, rate), listed in zip(by_kind, one.by_kind, strict=True)
        },
        breakeven_utilisation=breakeven,
        rank=rank,
    )


def _other_currency(offer: Offer, total: Decimal | None, by_kind: _Modelled) -> ListPriceComparison:
    """Return a comparison without figures: amounts in different currencies do not compare."""
    return ListPriceComparison(offer, _plain(total), None, {kind: None for kind, _ in by_kind}, None, None)


def _plain(total: Decimal | None) -> Decimal | None:
    return None if total is None else round(total, PRICE_DIGITS).normalize()
