"""Rows as usage answers show them, and the digest of an answer."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Final

from service.application.render import render_datetime
from service.application.usage_answers import AdjustmentAnswer, ConvertedCharge, PriceUsed
from service.application.usage_requests import UsageRequest
from service.billing.charges import LineRate
from service.billing.decomposition import Quantity
from service.billing.money import format_amount
from service.billing.selectors import Selector


def price_used(rate: LineRate) -> PriceUsed:
    """Return the row of a rate."""
    row = rate.row
    return PriceUsed(
        row_id=row.row_id,
        revision_from=row.revision_from,
        source=row.source,
        amount=row.amount,
        currency=row.currency,
        per=row.per,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        valid_from_basis=rate.basis,
        selector=selector_texts(row.selector),
    )


_AXES: Final = tuple(field.name for field in fields(Selector))


@lru_cache(maxsize=4096)
def selector_texts(selector: Selector) -> Mapping[str, str]:
    """Return the axes that a selector binds."""
    bound = ((name, getattr(selector, name)) for name in _AXES)
    return {name: str(value) for name, value in bound if value is not None}


def quantity_text(quantity: Quantity) -> str:
    """Return a quantity in plain notation."""
    return str(quantity) if isinstance(quantity, int) else format_amount(quantity)


def digest_of(
    request: UsageRequest,
    model: str,
    usage: Mapping[str, str],
    outcome: tuple[Sequence[str], Sequence[AdjustmentAnswer], ConvertedCharge | None],
) -> str:
    """Return a digest over the record and the rows used, by their content and not by their numbers.

    ``outcome`` are the :func:`rate_text` of each line, adjustments and conversion.
    """
    rates, adjustments, converted = outcome
    parts = [request.provider, model, render_datetime(request.at), str(request.round_digits)]
    parts += [f"{meter} {quantity}" for meter, quantity in sorted(usage.items())]
    # Charges follow from quantities, rows and adjustments.
    parts += rates
    if adjustments:
        parts += [f"{item.name} {item.kind} {item.percent} {item.charge}" for item in adjustments]
    if converted is not None:
        parts += [f"{row.source} {row.base} {row.quote} {row.day} {row.rate}" for row in converted.rates]
        parts.append(f"{converted.total} {converted.currency}")
    return "sha256:" + hashlib.sha256("\n".join(parts).encode()).hexdigest()


def rate_text(meter: str, price: PriceUsed) -> str:
    """Return what a digest says of a line: its meter and the content of the row that priced it."""
    return (
        f"{meter} {price.source} {price.amount} {price.currency} {price.per} {price.valid_from} "
        f"{price.valid_from_basis} {sorted(price.selector.items())}"
    )
