"""Reads ``hardware_catalog/`` into one import batch; every problem names its file and field."""

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

from pydantic import ValidationError

from service.application.ports import Price
from service.billing.errors import BillingError
from service.billing.selectors import Selector
from service.catalog import seed_schema as schema
from service.catalog.calibration_seed import CalibrationSeed
from service.catalog.drafts import (
    Draft,
    GpuPriceDraft,
    ImportBatch,
    ListingDraft,
    ListPriceDraft,
    ReferenceDraft,
    ReferenceKind,
)
from service.catalog.reference_records import FIGURE_DIMENSIONS
from service.catalog.yaml_reader import YamlError, read_yaml
from service.engine.errors import EngineError
from service.model_configs.schema import parse_model_document

BATCH_NAME: Final = "hardware_catalog"
READER_VERSION: Final = "1"
"""Part of the digest: raise it where the same files are read to something else."""

M = TypeVar("M", bound=schema.SeedModel)


class SeedError(ValueError):
    """The seed files are not usable; ``problems`` has one line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(slots=True)
class _Reading:
    """What has been read so far."""

    root: Path
    drafts: list[Draft] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    sources: dict[str, schema.SourceSeed] = field(default_factory=dict)
    units: dict[str, schema.UnitSeed] = field(default_factory=dict)

    def problem(self, path: Path, message: str) -> None:
        self.problems.append(f"{path.relative_to(self.root)}: {message}")

    def files(self, folder: str) -> list[Path]:
        return sorted((self.root / folder).glob("*.yaml"))

    def load(self, path: Path, model: type[M]) -> M | None:
        """Read and validate one file; note what is wrong with it."""
        try:
            return model.model_validate(read_yaml(path))
        except (YamlError, OSError) as error:
            self.problem(path, str(error))
        except ValidationError as error:
            for item in error.errors(include_url=False, include_input=False):
                where = ".".join(str(part) for part in item["loc"]) or "document"
                self.problem(path, f"{where}: {item['msg']}")
        return None

    def check_source(self, path: Path, where: str, source: str | None) -> None:
        if source is not None and source not in self.sources:
            self.problem(path, f"{where}: source {source!r} is not in sources.yaml")

    def check_order(self, path: Path, where: str, ids: Sequence[str]) -> None:
        for before, after in itertools.pairwise(ids):
            if before >= after:
                self.problem(path, f"{where}: {after!r} stands after {before!r}; ids are sorted and unique")
                return

    def check_name(self, path: Path, where: str, value: str) -> None:
        if path.stem != value:
            self.problem(path, f"{where}: {value!r} is not the file's name")

    def add_reference(self, kind: ReferenceKind, path: Path, seed: schema.SeedModel, row_id: str) -> None:
        document = seed.model_dump(mode="json", exclude_defaults=True)
        aliases = tuple(document.get("aliases", ()))
        source = document.get("source", "")
        origin = str(path.relative_to(self.root))
        self.drafts.append(ReferenceDraft(kind, row_id, aliases, document, source, f"{origin} {row_id}"))


def seed_digest(directory: Path) -> str:
    """Return the SHA-256 over the seed files' names and bytes."""
    digest = hashlib.sha256(READER_VERSION.encode())
    for path in sorted(directory.rglob("*.yaml")):
        content = path.read_bytes()
        digest.update(f"\0{path.relative_to(directory).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def read_seeds(directory: Path, observed_at: datetime) -> ImportBatch:
    """Read all seed files.

    The batch is complete for every source but those marked ``imported``, and for all reference rows:
    what is deleted from the files is withdrawn from the catalog.

    Raises
    ------
    SeedError
        With every problem found, each naming its file and field.
    """
    reading = _Reading(directory)
    for step in (_read_registries, _read_accelerators, _read_engines, _read_calibrations, _read_models):
        step(reading)
    for step in (_read_gpu_prices, _read_list_prices, _read_listings):
        step(reading)
    if reading.problems:
        raise SeedError(reading.problems)
    kinds: tuple[ReferenceKind, ...] = get_args(ReferenceKind)
    return ImportBatch(
        name=BATCH_NAME,
        observed_at=observed_at,
        content_digest=seed_digest(directory),
        drafts=tuple(reading.drafts),
        complete_sources=frozenset(source.id for source in reading.sources.values() if not source.imported),
        complete_kinds=frozenset(kinds),
    )


def _read_registries(reading: _Reading) -> None:
    path = reading.root / "sources.yaml"
    if sources := reading.load(path, schema.SourcesFile):
        reading.sources = {seed.id: seed for seed in sources.sources}
        reading.check_order(path, "sources", [seed.id for seed in sources.sources])
        for source in sources.sources:
            reading.add_reference("source", path, source, source.id)
    path = reading.root / "units.yaml"
    if units := reading.load(path, schema.UnitsFile):
        reading.units = {seed.id: seed for seed in units.units}
        reading.check_order(path, "units", [seed.id for seed in units.units])
        reading.check_order(path, "meters", [seed.id for seed in units.meters])
        for unit in units.units:
            reading.add_reference("unit", path, unit, unit.id)
        for meter in units.meters:
            reading.add_reference("meter", path, meter, meter.id)
    path = reading.root / "formats.yaml"
    if formats := reading.load(path, schema.FormatsFile):
        reading.check_order(path, "formats", [seed.name for seed in formats.formats])
        for storage in formats.formats:
            reading.check_source(path, f"formats.{storage.name}", storage.source)
            reading.add_reference("number_format", path, storage, storage.name)


def _read_accelerators(reading: _Reading) -> None:
    for path in reading.files("accelerators"):
        seed = reading.load(path, schema.AcceleratorSeed)
        if seed is None:
            continue
        reading.check_name(path, "id", seed.id)
        reading.check_source(path, "source", seed.source)
        for where, figure in seed.figures().items():
            reading.check_source(path, f"{where}.source", figure.source)
            reading.check_source(path, f"{where}.second_source", figure.second_source)
            unit = reading.units.get(figure.unit)
            dimension = FIGURE_DIMENSIONS[where.partition(".")[0]]
            if unit is None:
                reading.problem(path, f"{where}.unit: {figure.unit!r} is not in units.yaml")
            elif unit.dimension != dimension:
                reading.problem(path, f"{where}.unit: {figure.unit!r} does not measure {dimension}")
        reading.add_reference("accelerator", path, seed, seed.id)


def _read_engines(reading: _Reading) -> None:
    for path in reading.files("engines"):
        if seed := reading.load(path, schema.EngineSeed):
            reading.check_name(path, "name", seed.name)
            for release in seed.releases:
                reading.check_source(path, f"releases.{release.release}.source", release.source)
            reading.add_reference("engine_policy", path, seed, seed.name)
            # The policy's source column is that of its newest release; each release names its own.
            reading.drafts[-1] = _with_source(reading.drafts[-1], seed.releases[-1].source)


def _with_source(draft: Draft, source: str) -> ReferenceDraft:
    if not isinstance(draft, ReferenceDraft):
        raise TypeError("only a reference draft takes its source later")
    return ReferenceDraft(draft.kind, draft.id, draft.aliases, draft.document, source, draft.origin)


def _read_calibrations(reading: _Reading) -> None:
    defaults = 0
    for path in reading.files("calibration"):
        if seed := reading.load(path, CalibrationSeed):
            defaults += seed.default
            reading.check_name(path, "name", seed.name)
            reading.check_source(path, "source", seed.source)
            for index, entry in enumerate(seed.entries):
                reading.check_source(path, f"entries.{index}.source", entry.source)
            reading.add_reference("calibration", path, seed, seed.name)
    if defaults > 1:
        reading.problem(reading.root / "calibration", f"{defaults} sets are marked default; one is")


def _read_models(reading: _Reading) -> None:
    for path in reading.files("models"):
        try:
            document = read_yaml(path, exact=False)
            if not isinstance(document, dict):
                raise YamlError("the document is no mapping")
            model = parse_model_document(document)
        except (YamlError, OSError, EngineError) as error:
            reading.problem(path, str(error))
            continue
        reading.check_name(path, "id", model.id)
        origin = str(path.relative_to(reading.root))
        reading.drafts.append(
            ReferenceDraft("model", model.id, model.aliases, document, model.source.repository, origin)
        )


def _price(seed: Any) -> Price:
    return Price(seed.amount, seed.currency, seed.per, seed.source_value)


def _rows(
    reading: _Reading, folder: str, model: type[M], rows: Callable[[M], Iterable[Any]]
) -> Iterator[tuple[Path, str, Any]]:
    """Yield the rows of a folder's files with file and place, sources checked."""
    for path in reading.files(folder):
        if document := reading.load(path, model):
            for index, row in enumerate(rows(document)):
                where = f"{folder}.{index}"
                reading.check_source(path, where, row.source)
                yield path, f"{path.relative_to(reading.root)} row {index}", row


def _read_gpu_prices(reading: _Reading) -> None:
    for _, origin, row in _rows(reading, "gpu_prices", schema.GpuPricesFile, lambda file: file.prices):
        reading.drafts.append(
            GpuPriceDraft(
                source=row.source,
                provider=row.provider,
                accelerator=row.accelerator,
                region=row.region,
                commitment=row.commitment,
                gpus_per_instance=row.gpus_per_instance,
                price=_price(row),
                valid_from=row.valid_from,
                valid_to=row.valid_to,
                valid_from_basis=row.valid_from_basis,
                note=row.note,
                origin=origin,
            )
        )


def _read_list_prices(reading: _Reading) -> None:
    for path, origin, row in _rows(reading, "list_prices", schema.ListPricesFile, lambda file: file.prices):
        try:
            selector = Selector(**row.selector.model_dump())
        except BillingError as error:
            reading.problem(path, f"{origin}: selector: {error.message}")
            continue
        reading.drafts.append(
            ListPriceDraft(
                source=row.source,
                provider=row.provider,
                provider_model_id=row.provider_model_id,
                meter=row.meter,
                selector=selector,
                price=_price(row),
                valid_from=row.valid_from,
                valid_to=row.valid_to,
                valid_from_basis=row.valid_from_basis,
                note=row.note,
                origin=origin,
            )
        )


def _read_listings(reading: _Reading) -> None:
    for _, origin, row in _rows(reading, "listings", schema.ListingsFile, lambda file: file.listings):
        reading.drafts.append(
            ListingDraft(
                source=row.source,
                provider=row.provider,
                provider_model_id=row.provider_model_id,
                model=row.model,
                relation=row.relation,
                routed_from=row.routed_from,
                method=row.method,
                checked_on=row.checked_on,
                note=row.note,
                origin=origin,
            )
        )
