"""Prices between their three forms: draft (what a source says), interval (timeline), row (table)."""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Row, Table

from service.application.ports import (
    BitemporalStamp,
    FxRateRecord,
    GpuPriceRecord,
    ListPriceRecord,
    Price,
)
from service.application.write_ports.prices import PriceKind
from service.billing.selectors import selector_from_json, selector_to_json
from service.catalog import tables
from service.catalog.drafts import GpuPriceDraft, PriceDraft
from service.catalog.timeline import Interval

PriceKey = tuple[PriceKind, tuple[str | int, ...]]
"""Table and the values of its key columns, in their order."""

PRICE_TABLES: Final[Mapping[PriceKind, Table]] = {
    "gpu_price": tables.gpu_price,
    "list_price": tables.list_price,
}
KEY_COLUMNS: Final[Mapping[PriceKind, tuple[str, ...]]] = {
    "gpu_price": tables.GPU_PRICE_KEY,
    "list_price": tables.LIST_PRICE_KEY,
}
_KEY_OF: Final[Mapping[PriceKind, Callable[[Row[Any]], tuple[str | int, ...]]]] = {
    kind: attrgetter(*names) for kind, names in KEY_COLUMNS.items()
}


def draft_key(draft: PriceDraft) -> PriceKey:
    """Return the key of a draft."""
    if isinstance(draft, GpuPriceDraft):
        return "gpu_price", (
            draft.source,
            draft.provider,
            draft.accelerator,
            draft.region,
            draft.commitment,
            draft.gpus_per_instance,
            draft.price.currency,
        )
    return "list_price", (
        draft.source,
        draft.provider,
        draft.provider_model_id,
        draft.meter,
        draft.price.currency,
        selector_to_json(draft.selector),
    )


def draft_interval(draft: PriceDraft) -> Interval:
    """Return what a draft says about its key's timeline."""
    return Interval(
        valid_from=draft.valid_from,
        valid_to=draft.valid_to,
        amount=draft.price.amount,
        per=draft.price.per,
        source_value=draft.price.source_value,
        basis=draft.valid_from_basis,
        note=draft.note,
    )


def key_text(key: PriceKey) -> str:
    """Return a key for a person."""
    return f"{key[0]} {' / '.join(str(part) for part in key[1])}"


def row_key(kind: PriceKind, row: Row[Any]) -> PriceKey:
    """Return the key of a stored row."""
    return kind, _KEY_OF[kind](row)


def row_interval(row: Row[Any]) -> Interval:
    """Return a stored row as an interval of its key's timeline."""
    return Interval(
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        amount=row.amount,
        per=row.per,
        source_value=row.source_value,
        basis=row.valid_from_basis,
        note=row.note,
        row_id=row.id,
    )


def interval_values(key: PriceKey, interval: Interval) -> dict[str, object]:
    """Return the columns of a new row, its revision left out."""
    return {
        **dict(zip(KEY_COLUMNS[key[0]], key[1], strict=True)),
        "amount": interval.amount,
        "per": interval.per,
        "source_value": interval.source_value,
        "note": interval.note,
        "valid_from": interval.valid_from,
        "valid_to": interval.valid_to,
        "valid_from_basis": interval.basis,
    }


def _stamp(row: Row[Any]) -> BitemporalStamp:
    return BitemporalStamp(
        row_id=row.id,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        revision_from=row.revision_from,
        revision_to=row.revision_to,
        recorded_at=row.recorded_at,
        valid_from_basis=row.valid_from_basis,
    )


def gpu_price_record(row: Row[Any]) -> GpuPriceRecord:
    """Return a stored row as the use cases see it."""
    return GpuPriceRecord(
        stamp=_stamp(row),
        source=row.source,
        provider=row.provider,
        accelerator=row.accelerator,
        region=row.region,
        commitment=row.commitment,
        gpus_per_instance=row.gpus_per_instance,
        price=Price(row.amount, row.currency, row.per, row.source_value),
        note=row.note,
    )


def list_price_record(row: Row[Any]) -> ListPriceRecord:
    """Return a stored row as the use cases see it."""
    return ListPriceRecord(
        stamp=_stamp(row),
        source=row.source,
        provider=row.provider,
        provider_model_id=row.provider_model_id,
        meter=row.meter,
        selector=selector_from_json(row.selector),
        price=Price(row.amount, row.currency, row.per, row.source_value),
        note=row.note,
    )


def fx_rate_record(row: Row[Any]) -> FxRateRecord:
    """Return a stored exchange rate as the use cases see it."""
    return FxRateRecord(
        row_id=row.id,
        source=row.source,
        base=row.base_currency,
        quote=row.quote_currency,
        day=row.on_day,
        rate=row.rate,
        revision_from=row.revision_from,
        revision_to=row.revision_to,
        recorded_at=row.recorded_at,
    )
