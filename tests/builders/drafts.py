"""Drafts and batches with defaults that fit together."""

from datetime import UTC, datetime
from decimal import Decimal

from service.application.ports import Price, Selector, ValidFromBasis
from service.catalog.drafts import Draft, GpuPriceDraft, ImportBatch, ListPriceDraft, ReferenceDraft

SOURCE = "price-page"


def day(text: str) -> datetime:
    """Return the first instant of a day, UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def gpu_price(
    amount: str,
    valid_from: str = "2025-01-01",
    valid_to: str | None = None,
    *,
    basis: ValidFromBasis = "stated",
    source: str = SOURCE,
    provider: str = "acme",
    region: str = "any",
    note: str = "",
) -> GpuPriceDraft:
    """Return a price of accelerator ``h100-sxm``."""
    return GpuPriceDraft(
        source=source,
        provider=provider,
        accelerator="h100-sxm",
        region=region,
        commitment="on_demand",
        gpus_per_instance=8,
        price=Price(Decimal(amount), "USD", "gpu_hour"),
        valid_from=day(valid_from),
        valid_from_basis=basis,
        valid_to=None if valid_to is None else day(valid_to),
        note=note,
    )


def list_price(
    amount: str,
    valid_from: str = "2025-01-01",
    valid_to: str | None = None,
    *,
    meter: str = "input",
    selector: Selector | None = None,
    basis: ValidFromBasis = "stated",
    source: str = SOURCE,
) -> ListPriceDraft:
    """Return a price of model ``m-1`` of provider ``acme``."""
    return ListPriceDraft(
        source=source,
        provider="acme",
        provider_model_id="m-1",
        meter=meter,
        selector=selector or Selector(),
        price=Price(Decimal(amount), "USD", "million_tokens"),
        valid_from=day(valid_from),
        valid_from_basis=basis,
        valid_to=None if valid_to is None else day(valid_to),
    )


def figure(value: str, unit: str) -> dict[str, object]:
    """Return one figure of an accelerator."""
    return {"value": value, "unit": unit}


def accelerator(row_id: str = "h100-sxm", aliases: tuple[str, ...] = ("h100_sxm",)) -> ReferenceDraft:
    """Return an accelerator with round figures."""
    document = {
        "id": row_id,
        "aliases": list(aliases),
        "display_name": row_id.upper(),
        "vendor": "nvidia",
        "family": "hopper",
        "source": SOURCE,
        "source_kind": "datasheet",
        "memory_bytes": figure("80", "GB"),
        "memory_bandwidth": figure("3.35", "TB/s"),
        "peak_flop_per_second": {"bf16": figure("989.5", "TFLOP/s")},
        "scale_up": {"bandwidth": figure("450", "GB/s"), "domain_size": 8},
        "scale_out": {"bandwidth": figure("50", "GB/s")},
        "idle_power": figure("70", "W"),
        "max_power": figure("0.7", "kW"),
    }
    return ReferenceDraft("accelerator", row_id, aliases, document, SOURCE)


def registries() -> tuple[ReferenceDraft, ...]:
    """Return the sources, units and meters that the other builders refer to."""
    units = {
        "GB": ("byte", "1000000000"),
        "GB/s": ("byte-per-second", "1000000000"),
        "TB/s": ("byte-per-second", "1000000000000"),
        "TFLOP/s": ("flop-per-second", "1000000000000"),
        "W": ("watt", "1"),
        "kW": ("watt", "1000"),
        "gpu_hour": ("gpu-second", "3600"),
        "million_tokens": ("token", "1000000"),
    }
    sources = (SOURCE, "other-page")
    return (
        *(ReferenceDraft("source", s, (), {"id": s, "title": s, "kind": "price_page"}, "") for s in sources),
        *(
            ReferenceDraft("unit", u, (), {"id": u, "dimension": dimension, "factor": factor}, "")
            for u, (dimension, factor) in units.items()
        ),
        *(
            ReferenceDraft("meter", m, (), {"id": m, "dimension": "token"}, "")
            for m in ("cache_read", "input", "output")
        ),
    )


def batch(
    *drafts: Draft,
    name: str = "test",
    digest: str = "1",
    observed_at: str = "2025-06-01",
    complete: tuple[str, ...] = (),
) -> ImportBatch:
    """Return a batch."""
    return ImportBatch(
        name=name,
        observed_at=day(observed_at),
        content_digest=digest,
        drafts=drafts,
        complete_sources=frozenset(complete),
    )


def foundation() -> ImportBatch:
    """Return the batch that the price batches stand on."""
    return batch(*registries(), accelerator(), name="foundation", digest="0")
