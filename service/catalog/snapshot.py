"""An immutable view of the catalog in memory; implements ``application.ports.CatalogSnapshot``."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Self

from service.application.ports import (
    AcceleratorRecord,
    CalibrationRecord,
    CatalogInfo,
    CatalogPart,
    FxRateRecord,
    GpuPriceRecord,
    ListingRecord,
    ListPriceRecord,
    MeasuredPoint,
    ModelRecord,
    SourceRecord,
)
from service.catalog.content import CatalogContent, VersionedDocument, VersionedListing
from service.catalog.price_index import GPU_PRICES, LIST_PRICES, P, PriceIndex
from service.catalog.reference_records import calibration_record
from service.catalog.references import ParsedReferences, parse_references
from service.catalog.seed_schema import MeterSeed, UnitSeed
from service.engine.types import Calibration, EnginePolicy, NumberFormat


class Snapshot:
    """One state of the catalog, both time axes included; no I/O behind any method.

    >>> snapshot = Snapshot.of(CatalogContent())
    >>> snapshot.info.revision
    0
    """

    def __init__(
        self,
        content: CatalogContent,
        references: ParsedReferences,
        loaded_at: datetime,
        before: "Snapshot | None" = None,
    ) -> None:
        self._content = content
        self._references = references
        self._info = CatalogInfo(content.revision, content.digest, loaded_at)
        self._gpu: PriceIndex[GpuPriceRecord] = PriceIndex(
            content.gpu_prices, GPU_PRICES, None if before is None else before._gpu
        )
        self._list: PriceIndex[ListPriceRecord] = PriceIndex(
            content.list_prices, LIST_PRICES, None if before is None else before._list
        )
        self._fx_rates: Sequence[FxRateRecord] = (
            before._fx_rates
            if before is not None and before._content.fx_rates is content.fx_rates
            else sorted(content.fx_rates.values(), key=_fx_order)
        )
        self._listings: Mapping[str, Sequence[ListingRecord]] = (
            before._listings
            if before is not None and before._content.listings is content.listings
            else _listings_by_model(content.listings.values())
        )

    @classmethod
    def of(cls, content: CatalogContent, before: "Snapshot | None" = None) -> Self:
        """Build a snapshot, taking over from an earlier one what did not change."""
        references = parse_references(content, None if before is None else before._references)
        return cls(content, references, datetime.now(UTC), before)

    @property
    def content(self) -> CatalogContent:
        """All rows, for the next reload."""
        return self._content

    @property
    def info(self) -> CatalogInfo:
        """Revision, digest and the time of loading."""
        return self._info

    def state_of(self, part: CatalogPart) -> object:
        """Return an object that stays the same from snapshot to snapshot for as long as a part does."""
        return self._references if part == "references" else self._content.gpu_prices

    def model(self, id_or_alias: str) -> ModelRecord:
        """Return one model; raises UnknownIdError with near matches."""
        return self._references.models[self._references.find("model", id_or_alias)]

    def models(self) -> Sequence[ModelRecord]:
        """Return all models by id."""
        return tuple(self._references.models.values())

    def accelerator(self, id_or_alias: str) -> AcceleratorRecord:
        """Return one accelerator; raises UnknownIdError with near matches."""
        return self._references.accelerators[self._references.find("accelerator", id_or_alias)]

    def accelerators(self) -> Sequence[AcceleratorRecord]:
        """Return all accelerators by id."""
        return tuple(self._references.accelerators.values())

    def number_format(self, name: str) -> NumberFormat:
        """Return a storage format; raises UnknownIdError with near matches."""
        return self._references.formats[self._references.find("number_format", name)]

    def number_formats(self) -> Sequence[NumberFormat]:
        """Return all storage formats by name."""
        return tuple(self._references.formats.values())

    def engine_policy(self, name: str, release: str | None = None) -> EnginePolicy:
        """Return the defaults of a serving engine's release (the newest known where None)."""
        return self._references.policy(name, release)

    def calibration(self, name: str | None, family: str, vendor: str, engine: str) -> Calibration:
        """Return the calibration for a family and engine from a named set (the default where None)."""
        return self._references.calibration(name, family, vendor, engine)

    def measured_points(self, name: str | None) -> Sequence[MeasuredPoint]:
        """Return the measured runs that ship with a calibration set (the default where None)."""
        return self._references.measured_points(name)

    def calibrations(self) -> Sequence[CalibrationRecord]:
        """Return all calibration sets by id."""
        documents = self.documents("calibration")
        return tuple(calibration_record(documents[name].document) for name in sorted(documents))

    def sources(self) -> Mapping[str, SourceRecord]:
        """Return all sources by id."""
        return dict(self._references.sources)

    def units(self) -> Mapping[str, UnitSeed]:
        """Return the unit registry by id."""
        return dict(self._references.units)

    def unit_sizes(self) -> Mapping[str, Decimal]:
        """Return by unit id how many of its dimension's base unit one is, exactly."""
        return {unit.id: unit.factor for unit in self._references.units.values()}

    def meters(self) -> Mapping[str, MeterSeed]:
        """Return the meter registry by id."""
        return dict(self._references.meters)

    def gpu_prices(
        self, accelerator: str | None, as_of: datetime | None, known_at: int | None
    ) -> Sequence[GpuPriceRecord]:
        """Return GPU price rows in a fixed order; all valid times where ``as_of`` is None."""
        rows: Iterable[GpuPriceRecord] = self._gpu
        if accelerator is not None:
            rows = self._gpu.of(self._references.find("accelerator", accelerator))
        return _in_force(rows, as_of, known_at)

    def list_prices(
        self,
        provider: str | None,
        provider_model_id: str | None,
        as_of: datetime | None,
        known_at: int | None,
    ) -> Sequence[ListPriceRecord]:
        """Return list price rows in a fixed order; all valid times where ``as_of`` is None."""
        rows: Iterable[ListPriceRecord] = self._list
        if provider is not None and provider_model_id is not None:
            rows = self._list.of(provider, provider_model_id)
        elif provider is not None or provider_model_id is not None:
            rows = (
                row
                for row in rows
                if provider in (None, row.provider) and provider_model_id in (None, row.provider_model_id)
            )
        return _in_force(rows, as_of, known_at)

    def listings(self, model: str | None = None) -> Sequence[ListingRecord]:
        """Return the reviewed listings, of one model where named."""
        if model is None:
            return [row for _, group in sorted(self._listings.items()) for row in group]
        return tuple(self._listings.get(self._references.find("model", model), ()))

    def fx_rates(self, known_at: int | None = None) -> Sequence[FxRateRecord]:
        """Return exchange rates by pair and day, as believed at a revision."""
        return [row for row in self._fx_rates if _believed(row.revision_from, row.revision_to, known_at)]

    def documents(self, kind: str, known_at: int | None = None) -> Mapping[str, VersionedDocument]:
        """Return the reference rows of a kind as believed at a revision, by id."""
        return {
            row.id: row
            for (of_kind, _), row in self._content.documents.items()
            if of_kind == kind and _believed(row.revision_from, row.revision_to, known_at)
        }

    def revision_at(self, moment: datetime) -> int:
        """Return the last revision recorded at or before a time; 0 before the first."""
        return bisect_right(self._content.recorded_at, moment)


def _listings_by_model(listings: Iterable[VersionedListing]) -> dict[str, list[ListingRecord]]:
    found: dict[str, list[ListingRecord]] = defaultdict(list)
    for listing in sorted(
        (row.record for row in listings if row.revision_to is None),
        key=lambda record: (record.provider, record.provider_model_id),
    ):
        found[listing.model].append(listing)
    return found


def _fx_order(row: FxRateRecord) -> tuple[str | date | int, ...]:
    return (row.base, row.quote, row.day, row.source, row.row_id)


def _believed(revision_from: int, revision_to: int | None, known_at: int | None) -> bool:
    if known_at is None:
        return revision_to is None
    return revision_from <= known_at and (revision_to is None or known_at < revision_to)


def _in_force(rows: Iterable[P], as_of: datetime | None, known_at: int | None) -> list[P]:
    """Keep rows that were believed at a revision and hold at a time."""
    return [
        row
        for row in rows
        if _believed(row.stamp.revision_from, row.stamp.revision_to, known_at)
        and (
            as_of is None
            or (row.stamp.valid_from <= as_of and (row.stamp.valid_to is None or as_of < row.stamp.valid_to))
        )
    ]
