"""A batch of prices as JSON text: between processes, and kept until a person looked at it."""

import json
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any

from service.application.ports import Price
from service.billing.selectors import selector_from_mapping
from service.catalog.drafts import (
    Draft,
    GpuPriceDraft,
    ImportBatch,
    ListPriceDraft,
    PriceDraft,
    RejectedDraft,
)


def batch_to_text(batch: ImportBatch) -> str:
    """Return a batch as text that :func:`batch_from_text` reads back.

    Raises
    ------
    TypeError
        Where it holds anything but prices.
    """
    values = {
        "name": batch.name,
        "observed_at": batch.observed_at,
        "content_digest": batch.content_digest,
        "drafts": [_draft_values(draft) for draft in batch.drafts],
        "rejected": [[rejected.origin, rejected.reason] for rejected in batch.rejected],
        "complete": sorted(batch.complete_sources),
    }
    return json.dumps(values, default=_plain)


def batch_from_text(text: str | bytes) -> ImportBatch:
    """Return the batch that a text holds."""
    values = json.loads(text, parse_float=Decimal)
    return ImportBatch(
        name=values["name"],
        observed_at=datetime.fromisoformat(values["observed_at"]),
        content_digest=values["content_digest"],
        drafts=tuple(_draft_from(draft) for draft in values["drafts"]),
        rejected=tuple(RejectedDraft(origin, reason) for origin, reason in values["rejected"]),
        complete_sources=frozenset(values["complete"]),
    )


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _draft_values(draft: Draft) -> dict[str, Any]:
    if not isinstance(draft, GpuPriceDraft | ListPriceDraft):
        raise TypeError(f"a batch as text holds prices, not {type(draft).__name__}")
    values = asdict(draft)
    if isinstance(draft, ListPriceDraft):
        values["selector"] = {name: item for name, item in values["selector"].items() if item is not None}
    return values


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
