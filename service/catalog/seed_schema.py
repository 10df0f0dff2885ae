"""What a seed file in ``hardware_catalog/`` may say. Unknown keys are errors; numbers are exact.

==========================  ===================================================================
file                        model of this module
==========================  ===================================================================
``sources.yaml``            :class:`SourcesFile`
``units.yaml``              :class:`UnitsFile` (units of figures and prices, and the meters)
``formats.yaml``            :class:`FormatsFile`
``accelerators/*.yaml``     :class:`AcceleratorSeed`, one accelerator a file, named after its id
``engines/*.yaml``          :class:`EngineSeed`, one serving engine a file
``gpu_prices/*.yaml``       :class:`GpuPricesFile`
``list_prices/*.yaml``      :class:`ListPricesFile`
``listings/*.yaml``         :class:`ListingsFile`
``calibration/*.yaml``      ``service.catalog.calibration_seed.CalibrationSeed``, one set a file
``models/*.yaml``           ``service.model_configs.schema.parse_model_document``, one model a file
==========================  ===================================================================

Lists are sorted by id (prices need not be) and ids are unique; the loader checks both, and that every
``source`` stands in ``sources.yaml`` and every unit in ``units.yaml``.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from service.application.ports import ListingRelation, SourceKind, ValidFromBasis
from service.billing.errors import AmountError
from service.billing.money import parse_amount

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=128)]
"""Public id (CONTRACT 7)."""
MeterId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_]*$", max_length=64)]
UnitId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_/]*$", max_length=64)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=4000, strip_whitespace=True)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=256, strip_whitespace=True)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


def _utc_midnight(value: object) -> object:
    """Read a bare date as its first instant in UTC; leave the rest to the datetime parser."""
    if isinstance(value, str) and len(value) == len("2024-05-13"):
        return datetime.combine(date.fromisoformat(value), datetime.min.time(), UTC)
    return value


def _aware_utc(value: object) -> object:
    moment = _utc_midnight(value)
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise ValueError("a time needs its offset, for example 2024-05-13T00:00:00Z, or be a bare date")
        return moment.astimezone(UTC)
    return moment


def _amount(value: object) -> Decimal:
    try:
        amount = parse_amount(value)
    except AmountError as error:
        raise ValueError(error.message) from error
    if amount < 0:
        raise ValueError(f"{amount} is negative; a price is zero or more")
    return amount


Instant = Annotated[datetime, BeforeValidator(_aware_utc)]
"""A date (its first instant in UTC) or a time with offset."""
Amount = Annotated[Decimal, BeforeValidator(_amount)]


class SeedModel(BaseModel):
    """Base of all seed models: closed and frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class SourceSeed(SeedModel):
    """Where figures come from."""

    id: Slug
    title: Name
    url: Annotated[str, StringConstraints(max_length=2000)] = ""
    """Address; empty only for a source without one (recalled)."""
    kind: Slug
    """``datasheet``, ``vendor_page``, ``peer_file``, ``recalled``, ``package``, ``price_page``, ..."""
    retrieved_on: date | None = None
    imported: bool = False
    """True where an importer also writes rows of this source: absence from the seeds then means nothing."""
    precedence: Annotated[int, Field(ge=0, le=1000)] | None = None
    """Of two sources that price a meter at a time, the one of higher precedence counts. None stands for
    50 of a package, whose rows give way to reviewed ones, and for 100 of every other kind."""
    note: str = ""


class SourcesFile(SeedModel):
    """``sources.yaml``."""

    sources: tuple[SourceSeed, ...]


class UnitSeed(SeedModel):
    """A unit with its exact factor to the dimension's base unit."""

    id: UnitId
    dimension: Slug
    """``byte``, ``byte-per-second``, ``flop-per-second``, ``watt``; ``gpu-second``, ``token`` for prices."""
    factor: Annotated[Decimal, Field(gt=0)]
    note: str = ""


class MeterSeed(SeedModel):
    """A quantity that providers charge for."""

    id: MeterId
    aliases: tuple[str, ...] = ()
    """Names that sources use for it."""
    dimension: Slug
    """Dimension of the units its prices may be stated in."""
    note: str = ""


class UnitsFile(SeedModel):
    """``units.yaml``."""

    units: tuple[UnitSeed, ...]
    meters: tuple[MeterSeed, ...]


class FormatSeed(SeedModel):
    """A storage format of weights or cache."""

    name: Slug
    aliases: tuple[str, ...] = ()
    bytes_per_element: Annotated[Decimal, Field(gt=0)]
    """Stored bytes of one element, its share of scales included."""
    compute_format: Slug
    source: Slug
    note: str = ""


class FormatsFile(SeedModel):
    """``formats.yaml``."""

    formats: tuple[FormatSeed, ...]


class FigureSeed(SeedModel):
    """One figure of a datasheet with its unit and source."""

    value: Annotated[Decimal, Field(gt=0)]
    unit: UnitId
    source: Slug | None = None
    """None takes the accelerator's ``source``."""
    source_kind: SourceKind | None = None
    """None takes the accelerator's ``source_kind``."""
    second_source: Slug | None = None
    second_value: Annotated[Decimal, Field(gt=0)] | None = None
    """What the second source says, in the same unit."""
    note: str = ""

    @model_validator(mode="after")
    def _second_value_has_a_source(self) -> Self:
        if (self.second_source is None) != (self.second_value is None):
            raise ValueError("second_source and second_value come together")
        return self


class ScaleUpSeed(SeedModel):
    """Links inside the scale-up domain."""

    bandwidth: FigureSeed
    """Per accelerator and direction."""
    domain_size: Annotated[int, Field(ge=1)]


class ScaleOutSeed(SeedModel):
    """Links across domains."""

    bandwidth: FigureSeed
    """Per accelerator and direction."""


class AcceleratorSeed(SeedModel):
    """One accelerator."""

    id: Slug
    aliases: tuple[str, ...] = ()
    display_name: Name
    vendor: Slug
    family: Slug
    """Calibration family, for example ``hopper``."""
    released_on: date | None = None
    source: Slug | None = None
    """Default of the figures that name none."""
    source_kind: SourceKind | None = None
    memory_bytes: FigureSeed
    memory_bandwidth: FigureSeed
    peak_flop_per_second: Annotated[dict[Slug, FigureSeed], Field(min_length=1)]
    """Dense peak by compute format."""
    scale_up: ScaleUpSeed
    scale_out: ScaleOutSeed
    idle_power: FigureSeed
    max_power: FigureSeed
    note: str = ""

    def figures(self) -> dict[str, FigureSeed]:
        """Return all figures by their path in the document."""
        peaks = {f"peak_flop_per_second.{name}": peak for name, peak in self.peak_flop_per_second.items()}
        return {
            "memory_bytes": self.memory_bytes,
            "memory_bandwidth": self.memory_bandwidth,
            **peaks,
            "scale_up.bandwidth": self.scale_up.bandwidth,
            "scale_out.bandwidth": self.scale_out.bandwidth,
            "idle_power": self.idle_power,
            "max_power": self.max_power,
        }

    @model_validator(mode="after")
    def _every_figure_has_a_source(self) -> Self:
        for path, figure in self.figures().items():
            if figure.source is None and self.source is None:
                raise ValueError(f"{path} names no source and the accelerator has no default source")
            if figure.source_kind is None and self.source_kind is None:
                raise ValueError(f"{path} names no source_kind and the accelerator has no default")
        return self


class EngineReleaseSeed(SeedModel):
    """Defaults of one release of a serving engine; fields as ``engine.types.EnginePolicy``."""

    release: Name
    since: date
    token_budget: Annotated[int, Field(ge=1)]
    token_budget_covers_prompt: bool
    reserve: Literal["full", "grow"]
    memory_utilisation: Annotated[Decimal, Field(gt=0, le=1)]
    preemption_margin: Annotated[Decimal, Field(ge=0, lt=1)]
    max_batch: Annotated[int, Field(ge=1)]
    kv_cache_format_by_precision: dict[Slug, Slug] = Field(default_factory=dict)
    source: Slug
    note: str = ""


class EngineSeed(SeedModel):
    """A serving engine; releases from oldest to newest."""

    name: Slug
    aliases: tuple[str, ...] = ()
    display_name: Name | None = None
    vendors: tuple[Slug, ...] = ()
    """Of the accelerators that it runs on; empty where no source says."""
    vendors_source: Slug | None = None
    releases: Annotated[tuple[EngineReleaseSeed, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _vendors_have_a_source(self) -> Self:
        if self.vendors and self.vendors_source is None:
            raise ValueError("vendors need vendors_source")
        return self

    @model_validator(mode="after")
    def _releases_are_in_order(self) -> Self:
        days = [release.since for release in self.releases]
        names = [release.release for release in self.releases]
        if days != sorted(days) or len(set(names)) != len(names):
            raise ValueError("releases are unique and go from oldest to newest")
        return self


class _PriceSeed(SeedModel):
    """What every price row says beside its key."""

    source: Slug
    amount: Amount
    currency: Currency
    per: UnitId
    valid_from: Instant
    valid_to: Instant | None = None
    valid_from_basis: ValidFromBasis
    source_value: str | None = None
    note: str = ""


class GpuPriceSeed(_PriceSeed):
    """What one accelerator-hour costs somewhere."""

    provider: Slug
    accelerator: Slug
    region: Name
    """``any`` where one price holds everywhere."""
    commitment: MeterId
    """``on_demand``, ``spot``, ``reserved_1y``..."""
    gpus_per_instance: Annotated[int, Field(ge=1)]


class GpuPricesFile(SeedModel):
    """``gpu_prices/*.yaml``."""

    prices: tuple[GpuPriceSeed, ...]


class SelectorSeed(SeedModel):
    """Axes a list price is bound to; an absent one matches everything."""

    service_tier: Name | None = None
    region: Name | None = None
    weekdays: Annotated[str, StringConstraints(pattern=r"^1?2?3?4?5?6?7?$", min_length=1)] | None = None
    start_time: Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] | None = None
    end_time: Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-4]):[0-5]\d$")] | None = None
    time_zone: Name | None = None
    context_measure: Name | None = None
    context_from: Annotated[int, Field(ge=0)] | None = None
    context_to: Annotated[int, Field(ge=1)] | None = None
    context_mode: Literal["whole_request", "excess"] | None = None
    cache_lifetime: Name | None = None
    variant: Name | None = None


class ListPriceSeed(_PriceSeed):
    """What a provider publishes for one meter of one of its models."""

    provider: Slug
    provider_model_id: Name
    meter: MeterId
    selector: SelectorSeed = SelectorSeed()


class ListPricesFile(SeedModel):
    """``list_prices/*.yaml``."""

    prices: tuple[ListPriceSeed, ...]


class ListingSeed(SeedModel):
    """A reviewed tie between a provider's model id and a catalog model."""

    source: Slug
    provider: Slug
    provider_model_id: Name
    model: Slug
    relation: ListingRelation
    routed_from: Slug | None = None
    method: Name
    checked_on: date
    note: str = ""


class ListingsFile(SeedModel):
    """``listings/*.yaml``."""

    listings: tuple[ListingSeed, ...]
