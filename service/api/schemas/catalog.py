"""Catalog rows as the API shows them, and the envelope of a list."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, create_model

from service.api.schemas.from_dataclass import model_of
from service.application.ports import (
    AcceleratorRecord,
    CalibrationRecord,
    GpuPriceRecord,
    ListingRecord,
    ListPriceRecord,
    ModelRecord,
    Price,
    Selector,
)


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """A model of the catalog."""

    id: str
    aliases: tuple[str, ...]
    """Other names that are understood wherever the id is, Hugging Face's among them."""
    display_name: str
    organisation: str
    released_on: date | None
    source: str
    """Id of the source of the specification."""
    native_formats: Mapping[str, str]
    """Format by role, as the checkpoint is published."""


@dataclass(frozen=True, slots=True)
class ModelDetail:
    """A model of the catalog with its specification."""

    id: str
    aliases: tuple[str, ...]
    display_name: str
    organisation: str
    released_on: date | None
    source: str
    native_formats: Mapping[str, str]
    spec: Mapping[str, object]
    """The specification in the catalog's own schema."""


@dataclass(frozen=True, slots=True)
class AcceleratorView:
    """An accelerator of the catalog; SI units."""

    id: str
    aliases: tuple[str, ...]
    display_name: str
    vendor: str
    family: str
    memory_bytes: float
    memory_bandwidth_bytes_per_second: float
    peak_flop_per_second: Mapping[str, float]
    """Dense peak by number format; a format that is absent is not computed in."""
    scale_up_bandwidth_bytes_per_second: float
    """Per accelerator and direction inside the scale-up domain."""
    scale_up_domain: int
    """Accelerators in one scale-up domain."""
    scale_out_bandwidth_bytes_per_second: float
    idle_power_watts: float
    max_power_watts: float
    source: str
    source_kind: str
    second_source: str | None
    facts: Mapping[str, object]
    """The row as seeded, with the source of each figure."""


@dataclass(frozen=True, slots=True)
class CalibrationView:
    """A calibration set: what of their peaks and bandwidths engines reach, by scope."""

    id: str
    default: bool
    """What an estimate takes that names none."""
    source: str
    note: str
    data_digest: str | None
    """Of the measurements that the set was fitted to; null for one that was not."""
    measured_runs: int
    """Runs that ship with the set as evidence."""
    entries: tuple[Mapping[str, object], ...]
    """What is known of each scope, the general one first: efficiencies by operator class and weight format,
    launch and host times in seconds, efficiency of links, each with its source."""


@dataclass(frozen=True, slots=True)
class GpuPrice:
    """What one accelerator-hour costs somewhere, as one row of the price history."""

    id: int
    provider: str
    accelerator: str
    region: str
    commitment: str
    gpus_per_instance: int
    amount: Decimal
    """Exact."""
    currency: str
    per: str
    """Unit of the amount."""
    source_value: str | None
    """The source's own digits where the amount was rounded to 15 of them."""
    valid_from: datetime
    valid_to: datetime | None
    """Excluded; null is open."""
    valid_from_basis: str
    """`stated` by the source, `observed` on the day it was read, or `assumed`."""
    revision_from: int
    """First catalog revision that believed the row."""
    revision_to: int | None
    """First revision that no longer did; null is believed now."""
    recorded_at: datetime
    source: str
    note: str


@dataclass(frozen=True, slots=True)
class ListPrice:
    """What a provider publishes for one meter of one listing, as one row of the price history."""

    id: int
    provider: str
    provider_model_id: str
    meter: str
    selector: Selector
    """Axes that the price is bound to; null matches everything."""
    amount: Decimal
    """Exact."""
    currency: str
    per: str
    """Unit of the amount."""
    source_value: str | None
    """The source's own digits where the amount was rounded to 15 of them."""
    valid_from: datetime
    valid_to: datetime | None
    """Excluded; null is open."""
    valid_from_basis: str
    """`stated` by the source, `observed` on the day of its release, or `assumed`."""
    revision_from: int
    """First catalog revision that believed the row."""
    revision_to: int | None
    """First revision that no longer did; null is believed now."""
    recorded_at: datetime
    source: str
    note: str


@dataclass(frozen=True, slots=True)
class Listing:
    """Reviewed tie between a provider's model id and a catalog model."""

    provider: str
    provider_model_id: str
    model: str
    relation: str
    """same, quantised, fine_tune, distilled or unknown."""
    routed_from: str | None
    """Provider whose offer a router passes on."""
    method: str
    checked_on: date
    note: str


def view_model(record: ModelRecord) -> ModelSummary:
    """Return a row of the list of models."""
    return ModelSummary(
        id=record.id,
        aliases=record.aliases,
        display_name=record.display_name,
        organisation=record.organisation,
        released_on=record.released_on,
        source=record.source,
        native_formats=record.native_formats,
    )


def view_model_detail(record: ModelRecord) -> ModelDetail:
    """Return one model with its specification."""
    return ModelDetail(
        id=record.id,
        aliases=record.aliases,
        display_name=record.display_name,
        organisation=record.organisation,
        released_on=record.released_on,
        source=record.source,
        native_formats=record.native_formats,
        spec=record.spec,
    )


def view_calibration(record: CalibrationRecord) -> CalibrationView:
    """Return a calibration set as it is shown."""
    return CalibrationView(
        id=record.id,
        default=record.default,
        source=record.source,
        note=record.note,
        data_digest=record.data_digest,
        measured_runs=record.measured_runs,
        entries=tuple(record.entries),
    )


def view_accelerator(record: AcceleratorRecord) -> AcceleratorView:
    """Return an accelerator with the figures of its specification beside its name."""
    spec = record.spec
    return AcceleratorView(
        id=record.id,
        aliases=record.aliases,
        display_name=record.display_name,
        vendor=spec.vendor,
        family=spec.family,
        memory_bytes=spec.memory_bytes,
        memory_bandwidth_bytes_per_second=spec.memory_bandwidth_bytes_per_second,
        peak_flop_per_second=spec.peak_flop_per_second,
        scale_up_bandwidth_bytes_per_second=spec.scale_up_bandwidth_bytes_per_second,
        scale_up_domain=spec.scale_up_domain,
        scale_out_bandwidth_bytes_per_second=spec.scale_out_bandwidth_bytes_per_second,
        idle_power_watts=spec.idle_power_watts,
        max_power_watts=spec.max_power_watts,
        source=record.source,
        source_kind=record.source_kind,
        second_source=record.second_source,
        facts=record.facts,
    )


def view_gpu_price(record: GpuPriceRecord) -> GpuPrice:
    """Return a GPU price row."""
    return GpuPrice(
        provider=record.provider,
        accelerator=record.accelerator,
        region=record.region,
        commitment=record.commitment,
        gpus_per_instance=record.gpus_per_instance,
        **_row(record, record.price),
    )


def view_list_price(record: ListPriceRecord) -> ListPrice:
    """Return a list price row."""
    return ListPrice(
        provider=record.provider,
        provider_model_id=record.provider_model_id,
        meter=record.meter,
        selector=record.selector,
        **_row(record, record.price),
    )


def view_listing(record: ListingRecord) -> Listing:
    """Return a listing."""
    return Listing(
        provider=record.provider,
        provider_model_id=record.provider_model_id,
        model=record.model,
        relation=record.relation,
        routed_from=record.routed_from,
        method=record.method,
        checked_on=record.checked_on,
        note=record.note,
    )


def _row(record: GpuPriceRecord | ListPriceRecord, price: Price) -> dict[str, Any]:
    """Return what price rows of both kinds share."""
    stamp = record.stamp
    return {
        "id": stamp.row_id,
        "amount": price.amount,
        "currency": price.currency,
        "per": price.per,
        "source_value": price.source_value,
        "valid_from": stamp.valid_from,
        "valid_to": stamp.valid_to,
        "valid_from_basis": stamp.valid_from_basis,
        "revision_from": stamp.revision_from,
        "revision_to": stamp.revision_to,
        "recorded_at": stamp.recorded_at,
        "source": record.source,
        "note": record.note,
    }


def page_model(view: type[Any]) -> type[BaseModel]:
    """Return the response model of a list of views."""
    members: dict[str, Any] = {
        "data": (list[model_of(view)], ...),  # type: ignore[misc]  # built at run time
        "next_cursor": (str | None, ...),
        "catalog_revision": (int, ...),
    }
    model: type[BaseModel] = create_model(
        f"{view.__name__}Page", __doc__="One page of a list, pinned to a catalog revision.", **members
    )
    return model
