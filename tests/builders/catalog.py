"""A tiny catalog in memory: an honest fake of the snapshot and of what holds it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from service.application.errors import UnavailableError, UnknownIdError
from service.application.ports import (
    AcceleratorRecord,
    BitemporalStamp,
    CalibrationRecord,
    CatalogInfo,
    CatalogPart,
    FxRateRecord,
    GpuPriceRecord,
    ListingRecord,
    ListPriceRecord,
    MeasuredPoint,
    ModelRecord,
    Price,
    Selector,
    SourceRecord,
)
from service.engine.types import Accelerator, Calibration, EnginePolicy, ModelWork, NumberFormat

MORNING = datetime(2026, 1, 1, tzinfo=UTC)
OLD, NEW = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 7, 1, tzinfo=UTC)


def make_stamp(
    row_id: int, revision_from: int = 1, revision_to: int | None = None, **changes: Any
) -> BitemporalStamp:
    stamp = BitemporalStamp(
        row_id=row_id,
        valid_from=OLD,
        valid_to=None,
        revision_from=revision_from,
        revision_to=revision_to,
        recorded_at=MORNING + timedelta(days=revision_from),
        valid_from_basis="stated",
    )
    return replace(stamp, **changes)


def make_model(
    id: str = "llama-3.1-70b", aliases: tuple[str, ...] = ("meta-llama/Llama-3.1-70B",)
) -> ModelRecord:
    work = ModelWork(
        name=id,
        hidden_size=8,
        vocab_size=16,
        max_context_tokens=4096,
        layers=(),
        embedding_parameters=128,
        head_parameters=128,
        tied_embeddings=False,
        other_parameters=8,
    )
    return ModelRecord(
        id=id,
        aliases=aliases,
        display_name=id.title(),
        organisation="meta",
        released_on=date(2024, 7, 23),
        source="hub",
        spec={"hidden_size": 8},
        work=work,
        native_formats={"weights": "bf16"},
    )


def make_accelerator(id: str = "h100-sxm", family: str = "hopper") -> AcceleratorRecord:
    spec = Accelerator(
        name=id,
        family=family,
        vendor="nvidia",
        memory_bytes=80e9,
        memory_bandwidth_bytes_per_second=3.35e12,
        peak_flop_per_second={"bf16": 989e12},
        scale_up_bandwidth_bytes_per_second=450e9,
        scale_up_domain=8,
        scale_out_bandwidth_bytes_per_second=50e9,
        idle_power_watts=100.0,
        max_power_watts=700.0,
    )
    return AcceleratorRecord(
        id=id,
        aliases=(id.replace("-", "_"),),
        display_name=id.upper(),
        spec=spec,
        source="datasheet",
        source_kind="datasheet",
        second_source=None,
        facts={"memory_bytes": {"value": 80e9, "source": "datasheet"}},
    )


def make_gpu_price(row_id: int, amount: str = "2.49", provider: str = "acme", **stamp: Any) -> GpuPriceRecord:
    return GpuPriceRecord(
        stamp=make_stamp(row_id, **stamp),
        source="prices",
        provider=provider,
        accelerator="h100-sxm",
        region="any",
        commitment="on_demand",
        gpus_per_instance=8,
        price=Price(Decimal(amount), "USD", "gpu_hour"),
    )


def make_list_price(row_id: int, meter: str = "input", amount: str = "0.60", **stamp: Any) -> ListPriceRecord:
    return ListPriceRecord(
        stamp=make_stamp(row_id, **stamp),
        source="genai-prices",
        provider="acme",
        provider_model_id="acme/llama-3.1-70b",
        meter=meter,
        selector=Selector(),
        price=Price(Decimal(amount), "USD", "million_tokens"),
    )


def make_listing(
    model: str = "llama-3.1-70b", provider: str = "acme", provider_model_id: str = ""
) -> ListingRecord:
    return ListingRecord(
        provider=provider,
        provider_model_id=provider_model_id or f"{provider}/{model}",
        model=model,
        relation="same",
        routed_from=None,
        method="reviewed",
        checked_on=date(2026, 1, 1),
    )


@dataclass(frozen=True)
class FakeSnapshot:
    """Everything that the port asks, from lists in memory."""

    revision: int = 3
    all_models: Sequence[ModelRecord] = (make_model(), make_model("gpt-oss-120b", ("openai/gpt-oss-120b",)))
    all_accelerators: Sequence[AcceleratorRecord] = (make_accelerator(), make_accelerator("h200-sxm"))
    all_gpu_prices: Sequence[GpuPriceRecord] = (
        # The first row was corrected in revision 3: retired there, the second inserted.
        make_gpu_price(1, "2.99", revision_from=1, revision_to=3),
        make_gpu_price(2, "2.49", revision_from=3),
        make_gpu_price(3, "1.99", "budget", revision_from=2, valid_from=NEW),
    )
    all_list_prices: Sequence[ListPriceRecord] = (make_list_price(11), make_list_price(12, "output", "1.80"))
    all_points: Sequence[MeasuredPoint] = ()
    all_listings: Sequence[ListingRecord] = (
        make_listing(),
        make_listing("gpt-oss-120b", "budget"),
        make_listing(provider="aws", provider_model_id="meta.llama3-1-70b-instruct-v1:0"),
    )

    all_fx_rates: Sequence[FxRateRecord] = (
        FxRateRecord(1, "bank", "EUR", "USD", date(2026, 1, 30), Decimal("1.19"), 1, None, MORNING),
    )

    @property
    def info(self) -> CatalogInfo:
        return CatalogInfo(revision=self.revision, digest="d" * 64, loaded_at=MORNING)

    def state_of(self, part: CatalogPart) -> object:
        return self

    def model(self, id_or_alias: str) -> ModelRecord:
        return _named(self.all_models, id_or_alias, "model")

    def models(self) -> Sequence[ModelRecord]:
        return self.all_models

    def accelerator(self, id_or_alias: str) -> AcceleratorRecord:
        return _named(self.all_accelerators, id_or_alias, "accelerator")

    def accelerators(self) -> Sequence[AcceleratorRecord]:
        return self.all_accelerators

    def number_format(self, name: str) -> NumberFormat:
        raise UnknownIdError("number format", name, ())

    def number_formats(self) -> Sequence[NumberFormat]:
        return ()

    def engine_policy(self, name: str, release: str | None = None) -> EnginePolicy:
        raise UnknownIdError("engine", name, ())

    def calibration(self, name: str | None, family: str, vendor: str, engine: str) -> Calibration:
        raise UnknownIdError("calibration", str(name), ())

    def measured_points(self, name: str | None) -> Sequence[MeasuredPoint]:
        return self.all_points

    def calibrations(self) -> Sequence[CalibrationRecord]:
        return (CalibrationRecord("default", True, "hub", "", None, 0, ({"basis": "assumed"},)),)

    def gpu_prices(
        self, accelerator: str | None, as_of: datetime | None, known_at: int | None
    ) -> Sequence[GpuPriceRecord]:
        rows = [row for row in self.all_gpu_prices if accelerator in (None, row.accelerator)]
        return [row for row in rows if self._holds(row.stamp, as_of, known_at)]

    def list_prices(
        self,
        provider: str | None,
        provider_model_id: str | None,
        as_of: datetime | None,
        known_at: int | None,
    ) -> Sequence[ListPriceRecord]:
        return [
            row
            for row in self.all_list_prices
            if provider in (None, row.provider)
            and provider_model_id in (None, row.provider_model_id)
            and self._holds(row.stamp, as_of, known_at)
        ]

    def listings(self, model: str | None = None) -> Sequence[ListingRecord]:
        return [row for row in self.all_listings if model in (None, row.model)]

    def fx_rates(self, known_at: int | None = None) -> Sequence[FxRateRecord]:
        return self.all_fx_rates

    def sources(self) -> Mapping[str, SourceRecord]:
        return {}

    def unit_sizes(self) -> Mapping[str, Decimal]:
        return {"million_tokens": Decimal(1_000_000), "gpu_hour": Decimal(3_600)}

    def revision_at(self, moment: datetime) -> int:
        return max(0, min(self.revision, (moment - MORNING).days))

    def _holds(self, stamp: BitemporalStamp, as_of: datetime | None, known_at: int | None) -> bool:
        revision = self.revision if known_at is None else known_at
        known = stamp.revision_from <= revision and (
            stamp.revision_to is None or revision < stamp.revision_to
        )
        valid = as_of is None or (
            stamp.valid_from <= as_of and (stamp.valid_to is None or as_of < stamp.valid_to)
        )
        return known and valid


@dataclass
class FakeCatalog:
    """Holds a snapshot; the database behind it can be switched off."""

    snapshot: FakeSnapshot | None = field(default_factory=FakeSnapshot)
    behind: FakeSnapshot | None = None
    """What the database has by now."""
    reachable: bool = True
    age: float = 0.5

    def current(self) -> FakeSnapshot:
        if self.snapshot is None:
            raise UnavailableError("No catalog is loaded yet.")
        return self.snapshot

    async def at_least(self, revision: int) -> FakeSnapshot:
        if self.behind is not None:
            self.snapshot, self.behind = self.behind, None
        return self.current()

    def age_seconds(self) -> float | None:
        return None if self.snapshot is None else self.age

    def database_reachable(self) -> bool:
        return self.reachable


def _named(rows: Sequence[Any], name: str, kind: str) -> Any:
    for row in rows:
        if name == row.id or name in row.aliases:
            return row
    raise UnknownIdError(kind, name, get_close_matches(name, [row.id for row in rows], n=3), field=kind)
