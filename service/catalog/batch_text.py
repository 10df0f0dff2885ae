"""A batch of prices as JSON text: between processes, and kept until a person looked at it."""

import json
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from service.application.ports import Price
from service.billing.selectors import Selector, selector_from_mapping
from service.catalog.drafts import (
    Draft,
    GpuPriceDraft,
    ImportBatch,
    ListPriceDraft,
    PriceDraft,
    RejectedDraft,
)


def batch_to_text(batch: ImportBatch) -> str:
    """Return a batch as text that :func:`batch_from_text` reads back: a line of its own for each row.

    A whole batch parsed in one call would keep the interpreter from every other thread meanwhile.

    Raises
    ------
    TypeError
        Where it holds anything but prices.
    """
    head = {
        "name": batch.name,
        "observed_at": batch.observed_at,
        "content_digest": batch.content_digest,
        "rejected": [[rejected.origin, rejected.reason] for rejected in batch.rejected],
        "complete": sorted(batch.complete_sources),
    }
    return "\n".join((_ENCODER.encode(head), *(_ENCODER.encode(_draft_values(row)) for row in batch.drafts)))


def batch_from_text(text: str | bytes) -> ImportBatch:
    """Return the batch that a text holds."""
    lines = iter(text.splitlines() if isinstance(text, str) else text.decode().splitlines())
    head = json.loads(next(lines))
    return ImportBatch(
        name=head["name"],
        observed_at=datetime.fromisoformat(head["observed_at"]),
        content_digest=head["content_digest"],
        drafts=tuple(_draft_from(json.loads(line)) for line in lines),
        rejected=tuple(RejectedDraft(origin, reason) for origin, reason in head["rejected"]),
        complete_sources=frozenset(head["complete"]),
    )


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


_ENCODER: Final = json.JSONEncoder(default=_plain)


def _draft_values(draft: Draft) -> dict[str, Any]:
    if not isinstance(draft, GpuPriceDraft | ListPriceDraft):
        raise TypeError(f"a batch as text holds prices, not {type(draft).__name__}")
    values = _fields(draft)
    values["price"] = _fields(draft.price)
    if isinstance(draft, ListPriceDraft):
        values["selector"] = {
            name: item for name, item in _fields(draft.selector).items() if item is not None
        }
    return values


def _fields(value: PriceDraft | Price | Selector) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _draft_from(values: dict[str, Any]) -> PriceDraft:
    price = values.pop("price")
    known = {
        **values,
        "price": Price(**{**price, "amount": Decimal(price["amount"])}),
        "valid_from": datetime.fromisoformat(values["valid_from"]),
        "valid_to": None if values["valid_to"] is None else datetime.fromisoformat(values["valid_to"]),
    }
    if "selector" in known:
        return ListPriceDraft(**{**known, "selector": selector_from_mapping(known["selector"])})
    return GpuPriceDraft(**known)
