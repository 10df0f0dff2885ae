"""Parsed reference rows of one state of the catalog: models, accelerators, formats, policies."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from service.application.errors import UnavailableError, UnknownIdError
from service.application.ports import AcceleratorRecord, MeasuredPoint, ModelRecord, SourceRecord
from service.catalog.calibration_seed import CalibrationSeed
from service.catalog.content import CatalogContent, VersionedDocument
from service.catalog.names import NameIndex
from service.catalog.reference_records import (
    accelerator_record,
    engine_policy,
    model_record,
    number_format,
    source_record,
)
from service.catalog.seed_schema import EngineSeed, MeterSeed, UnitSeed
from service.engine.types import Calibration, EnginePolicy, NumberFormat

_KIND_NAMES: Mapping[str, str] = {
    "number_format": "format",
    "engine_policy": "engine",
}
"""How a kind is called in messages, where that is not its table's name."""


@dataclass(slots=True)
class ParsedReferences:
    """Reference rows believed now, parsed; a later state takes over what did not change."""

    documents: Mapping[tuple[str, int], VersionedDocument] = field(default_factory=dict)
    """What was parsed."""
    sources: dict[str, SourceRecord] = field(default_factory=dict)
    units: dict[str, UnitSeed] = field(default_factory=dict)
    meters: dict[str, MeterSeed] = field(default_factory=dict)
    formats: dict[str, NumberFormat] = field(default_factory=dict)
    accelerators: dict[str, AcceleratorRecord] = field(default_factory=dict)
    engines: dict[str, EngineSeed] = field(default_factory=dict)
    models: dict[str, ModelRecord] = field(default_factory=dict)
    calibrations: dict[str, CalibrationSeed] = field(default_factory=dict)
    kept_calibrations: dict[tuple[str, str, str, str], Calibration] = field(default_factory=dict)
    """Calibrations already joined, so that equal requests meet the same object."""
    kept_points: dict[str, tuple[MeasuredPoint, ...]] = field(default_factory=dict)
    names: dict[str, NameIndex] = field(default_factory=dict)
    parsed: dict[tuple[str, int], Any] = field(default_factory=dict)
    """By kind and row id: rows never change, so neither does what they parse to."""

    def find(self, kind: str, name: str) -> str:
        """Return the id of a row by id or alias.

        Raises
        ------
        UnknownIdError
            With near matches.
        """
        return self.names[kind].resolve(name)

    def policy(self, name: str, release: str | None) -> EnginePolicy:
        """Return the defaults of an engine's release, the newest where None.

        Raises
        ------
        UnknownIdError
            For an engine or release that the catalog lacks.
        """
        engine = self.engines[self.find("engine_policy", name)]
        if release is None:
            return engine_policy(engine, engine.releases[-1])
        for known in engine.releases:
            if known.release == release:
                return engine_policy(engine, known)
        raise UnknownIdError("engine release", release, [known.release for known in engine.releases[::-1]])

    def calibration(self, name: str | None, family: str, vendor: str, engine: str) -> Calibration:
        """Return what a set says for a family and engine; the default set where None.

        Raises
        ------
        UnknownIdError
            For a set that the catalog lacks.
        UnavailableError
            Where the catalog has no default set.
        """
        if name is not None:
            chosen = self.calibrations[self.find("calibration", name)]
        else:
            chosen = self._default_calibration()
        key = (chosen.name, family, vendor, engine)
        kept = self.kept_calibrations.get(key)
        if kept is None:
            kept = self.kept_calibrations[key] = chosen.calibration(family, vendor, engine)
        return kept

    def measured_points(self, name: str | None) -> tuple[MeasuredPoint, ...]:
        """Return the measured runs of a set; the default set's where None.

        Raises
        ------
        UnknownIdError
            For a set that the catalog lacks.
        UnavailableError
            Where the catalog has no default set.
        """
        chosen = self._default_calibration() if name is None else None
        seed = chosen or self.calibrations[self.find("calibration", name or "")]
        kept = self.kept_points.get(seed.name)
        if kept is None:
            kept = self.kept_points[seed.name] = seed.measured_points()
        return kept

    def _default_calibration(self) -> CalibrationSeed:
        for seed in self.calibrations.values():
            if seed.default or len(self.calibrations) == 1:
                return seed
        raise UnavailableError("The catalog has no default calibration set; seed it with `pertoken seed`.")


def parse_references(content: CatalogContent, before: ParsedReferences | None = None) -> ParsedReferences:
    """Parse what is believed now; the earlier references where no document changed."""
    if before is not None and before.documents is content.documents:
        return before
    live = {key: row for key, row in content.documents.items() if row.revision_to is None}
    known = {} if before is None else before.parsed
    result = ParsedReferences(documents=content.documents)

    def rows(kind: str) -> Iterator[tuple[str, int, VersionedDocument]]:
        mine = sorted((row.id, row_id, row) for (of, row_id), row in live.items() if of == kind)
        yield from mine

    def take(kind: str, parse: Any) -> dict[str, Any]:
        found = {}
        for row_id, number, row in rows(kind):
            key = (kind, number)
            result.parsed[key] = known[key] if key in known else parse(row.document)
            found[row_id] = result.parsed[key]
        aliases = {row_id: _aliases(row.document) for row_id, _, row in rows(kind)}
        result.names[kind] = NameIndex(_KIND_NAMES.get(kind, kind), aliases)
        return found

    result.sources = take("source", source_record)
    result.units = take("unit", UnitSeed.model_validate)
    result.meters = take("meter", MeterSeed.model_validate)
    result.formats = take("number_format", number_format)
    result.engines = take("engine_policy", EngineSeed.model_validate)
    result.models = take("model", model_record)
    result.calibrations = take("calibration", CalibrationSeed.model_validate)
    factors: dict[str, Decimal] = {unit.id: unit.factor for unit in result.units.values()}
    if before is not None and {u.id: u.factor for u in before.units.values()} != factors:
        known = {}
    result.accelerators = take("accelerator", lambda document: accelerator_record(document, factors))
    return result


def _aliases(document: Mapping[str, object]) -> tuple[str, ...]:
    aliases = document.get("aliases", ())
    return tuple(str(alias) for alias in aliases) if isinstance(aliases, list | tuple) else ()
