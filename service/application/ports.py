"""What the use cases need from outside, as records and Protocols.

The catalog implements these; ``application`` never imports it. Records are frozen and carry the
provenance (row, revision, source, dates) that every answer repeats.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, Protocol

from service.billing.selectors import Selector as Selector
from service.engine.types import Accelerator, Calibration, EnginePolicy, ModelWork, NumberFormat

ValidFromBasis = Literal["stated", "observed", "assumed"]
ListingRelation = Literal["same", "quantised", "fine_tune", "distilled", "unknown"]
SourceKind = Literal["datasheet", "vendor_page", "peer_file", "recalled"]


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """Where a figure comes from."""

    id: str
    title: str
    url: str
    kind: str
    retrieved_on: date | None
    note: str = ""
    precedence: int = 100
    """Of two sources that price a meter at a time, the one of higher precedence counts."""


@dataclass(frozen=True, slots=True)
class BitemporalStamp:
    """When a row holds (valid time) and when we believed it (revisions)."""

    row_id: int
    valid_from: datetime
    valid_to: datetime | None
    revision_from: int
    revision_to: int | None
    recorded_at: datetime
    valid_from_basis: ValidFromBasis


@dataclass(frozen=True, slots=True)
class Price:
    """An exact amount for one unit."""

    amount: Decimal
    currency: str
    per: str
    """Unit id of the registry, for example ``gpu_hour`` or ``million_tokens``."""
    source_value: str | None = None
    """The source's own digits where the amount was rounded to 15 of them."""


@dataclass(frozen=True, slots=True)
class GpuPriceRecord:
    """What one accelerator-hour costs somewhere."""

    stamp: BitemporalStamp
    source: str
    provider: str
    accelerator: str
    region: str
    commitment: str
    gpus_per_instance: int
    price: Price
    note: str = ""


@dataclass(frozen=True, slots=True)
class ListPriceRecord:
    """What a provider publishes for one meter of one listing."""

    stamp: BitemporalStamp
    source: str
    provider: str
    provider_model_id: str
    meter: str
    selector: Selector
    price: Price
    note: str = ""


@dataclass(frozen=True, slots=True)
class FxRateRecord:
    """How many units of ``quote`` one unit of ``base`` costs on a UTC day, as a row of the history."""

    row_id: int
    source: str
    base: str
    quote: str
    day: date
    rate: Decimal
    revision_from: int
    revision_to: int | None
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class ListingRecord:
    """Reviewed tie between a provider's model id and a catalog model (CONTRACT 4)."""

    provider: str
    provider_model_id: str
    model: str
    relation: ListingRelation
    routed_from: str | None
    method: str
    checked_on: date
    note: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A catalog model: identity and the work derived from its specification."""

    id: str
    aliases: tuple[str, ...]
    display_name: str
    organisation: str
    released_on: date | None
    source: str
    spec: Mapping[str, object]
    """The specification in our own schema, as JSON values."""
    work: ModelWork
    native_formats: Mapping[str, str]
    """Format name by role, as the checkpoint is published."""


@dataclass(frozen=True, slots=True)
class AcceleratorRecord:
    """A catalog accelerator with its provenance."""

    id: str
    aliases: tuple[str, ...]
    display_name: str
    spec: Accelerator
    source: str
    source_kind: SourceKind
    second_source: str | None
    facts: Mapping[str, object]
    """The row as seeded, with the source of each figure and the comparison with a second source."""


@dataclass(frozen=True, slots=True)
class CalibrationRecord:
    """A calibration set with its provenance."""

    id: str
    default: bool
    """What an estimate takes that names none."""
    source: str
    note: str
    data_digest: str | None
    """Of the measurements that the set was fitted to; None for one that was not."""
    measured_runs: int
    """Runs that ship with the set as evidence."""
    entries: Sequence[Mapping[str, object]]
    """What is known of each scope, from the general one to a family under an engine, as seeded."""


@dataclass(frozen=True, slots=True)
class MeasuredPoint:
    """One measured run that a calibration set rests on; seconds and tokens."""

    model: str
    accelerator: str
    family: str
    engine: str
    weight_format: str
    """Of routed experts where the model has them, else of all weights."""
    input_tokens: float
    output_tokens: float
    concurrency: float
    accelerators: int
    measured_tpot_seconds: float
    predicted_tpot_seconds: float
    measured_ttft_seconds: float | None = None
    predicted_ttft_seconds: float | None = None

    @property
    def concurrency_per_accelerator(self) -> float:
        """Requests in flight on one accelerator."""
        return self.concurrency / self.accelerators


@dataclass(frozen=True, slots=True)
class CatalogInfo:
    """Which state of the catalog answered."""

    revision: int
    digest: str
    loaded_at: datetime
    """When this snapshot was read, UTC."""


CatalogPart = Literal["references", "gpu_prices"]
"""References: models, accelerators, formats, engines, calibrations, sources, units and meters."""


class CatalogSnapshot(Protocol):
    """An immutable view of the whole catalog, both time axes included; no I/O behind any method.

    Look-ups by id take an id or an alias and raise ``application.errors.UnknownIdError`` with near
    matches. ``known_at`` is a revision number; None means now.
    """

    @property
    def info(self) -> CatalogInfo:
        """Revision, digest and age."""
        ...

    def state_of(self, part: CatalogPart) -> object:
        """Return an object that stays the same from snapshot to snapshot for as long as a part does.

        What was made of the part alone may be kept under it.
        """
        ...

    def model(self, id_or_alias: str) -> ModelRecord:
        """Return one model."""
        ...

    def models(self) -> Sequence[ModelRecord]:
        """Return all models by id."""
        ...

    def accelerator(self, id_or_alias: str) -> AcceleratorRecord:
        """Return one accelerator."""
        ...

    def accelerators(self) -> Sequence[AcceleratorRecord]:
        """Return all accelerators by id."""
        ...

    def number_format(self, name: str) -> NumberFormat:
        """Return a storage format."""
        ...

    def number_formats(self) -> Sequence[NumberFormat]:
        """Return all storage formats by name."""
        ...

    def engine_policy(self, name: str, release: str | None = None) -> EnginePolicy:
        """Return the defaults of a serving engine's release (the newest known where None)."""
        ...

    def calibration(self, name: str | None, family: str, vendor: str, engine: str) -> Calibration:
        """Return the calibration for a family and engine from a named set (the default where None)."""
        ...

    def measured_points(self, name: str | None) -> Sequence[MeasuredPoint]:
        """Return the measured runs that ship with a calibration set (the default where None)."""
        ...

    def calibrations(self) -> Sequence[CalibrationRecord]:
        """Return all calibration sets by id."""
        ...

    def gpu_prices(
        self, accelerator: str | None, as_of: datetime | None, known_at: int | None
    ) -> Sequence[GpuPriceRecord]:
        """Return GPU price rows; all valid times where ``as_of`` is None."""
        ...

    def list_prices(
        self,
        provider: str | None,
        provider_model_id: str | None,
        as_of: datetime | None,
        known_at: int | None,
    ) -> Sequence[ListPriceRecord]:
        """Return list price rows; all valid times where ``as_of`` is None."""
        ...

    def listings(self, model: str | None = None) -> Sequence[ListingRecord]:
        """Return the reviewed listings, of one model where named."""
        ...

    def fx_rates(self, known_at: int | None = None) -> Sequence[FxRateRecord]:
        """Return exchange rates by pair and day."""
        ...

    def sources(self) -> Mapping[str, SourceRecord]:
        """Return all sources by id."""
        ...

    def unit_sizes(self) -> Mapping[str, Decimal]:
        """Return by unit id how many of its dimension's base unit one is, exactly."""
        ...

    def revision_at(self, moment: datetime) -> int:
        """Return the last revision recorded at or before a time."""
        ...


@dataclass(frozen=True, slots=True)
class ExtractedUsage:
    """What a provider's own usage object says."""

    model: str | None
    """The provider's model id where the object is a whole response."""
    service_tier: str | None
    quantities: Mapping[str, int | Decimal]
    """By meter; wholes include their parts."""


class UsageReader(Protocol):
    """Reads providers' usage objects."""

    def read(
        self, response: Mapping[str, object] | Sequence[object], provider: str, api_flavor: str | None
    ) -> ExtractedUsage:
        """Return what a response, its usage object, or the events of a stream report.

        Raises InvalidRequestError where they hold no usage that the provider's extractors can read.
        """
        ...


class SnapshotSource(Protocol):
    """Hands out the current snapshot; swaps it in the background."""

    def current(self) -> CatalogSnapshot:
        """Return the snapshot now in force; a request keeps the one it began with."""
        ...
