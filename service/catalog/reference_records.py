"""Reference documents (as stored) to the records and engine types that the use cases take."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Final

from service.application.ports import (
    AcceleratorRecord,
    CalibrationRecord,
    ModelRecord,
    SourceKind,
    SourceRecord,
)
from service.catalog.seed_schema import (
    AcceleratorSeed,
    EngineReleaseSeed,
    EngineSeed,
    FigureSeed,
    FormatSeed,
    SourceSeed,
)
from service.engine.architecture import derive_work
from service.engine.types import Accelerator, EnginePolicy, NumberFormat
from service.model_configs.schema import parse_model_document

_WEAKEST_FIRST: Final[tuple[SourceKind, ...]] = ("recalled", "peer_file", "vendor_page", "datasheet")
FIGURE_DIMENSIONS: Final[Mapping[str, str]] = {
    "memory_bytes": "byte",
    "memory_bandwidth": "byte-per-second",
    "peak_flop_per_second": "flop-per-second",
    "scale_up": "byte-per-second",
    "scale_out": "byte-per-second",
    "idle_power": "watt",
    "max_power": "watt",
}
"""Dimension of a figure by the first part of its path."""

UnitFactors = Mapping[str, Decimal]

_REVIEWED_PRECEDENCE: Final = 100
_PACKAGE_PRECEDENCE: Final = 50
"""Own rows override a package where it is shown wrong (CONTRACT 3)."""


def source_record(document: Mapping[str, object]) -> SourceRecord:
    """Return a source."""
    seed = SourceSeed.model_validate(document)
    precedence = seed.precedence
    if precedence is None:
        precedence = _PACKAGE_PRECEDENCE if seed.kind == "package" else _REVIEWED_PRECEDENCE
    return SourceRecord(seed.id, seed.title, seed.url, seed.kind, seed.retrieved_on, seed.note, precedence)


def number_format(document: Mapping[str, object]) -> NumberFormat:
    """Return a storage format."""
    seed = FormatSeed.model_validate(document)
    return NumberFormat(seed.name, float(seed.bytes_per_element), seed.compute_format)


def calibration_record(document: Mapping[str, object]) -> CalibrationRecord:
    """Return a calibration set as it is shown."""
    points, entries = document.get("points"), document.get("entries")
    digest = document.get("data_digest")
    return CalibrationRecord(
        id=str(document["name"]),
        default=bool(document.get("default")),
        source=str(document.get("source", "")),
        note=str(document.get("note", "")),
        data_digest=None if digest is None else str(digest),
        measured_runs=len(points) if isinstance(points, list) else 0,
        entries=tuple(entries) if isinstance(entries, list) else (),
    )


def engine_policy(engine: EngineSeed, release: EngineReleaseSeed) -> EnginePolicy:
    """Return the defaults of one release."""
    return EnginePolicy(
        name=engine.name,
        token_budget=release.token_budget,
        token_budget_covers_prompt=release.token_budget_covers_prompt,
        reserve=release.reserve,
        memory_utilisation=float(release.memory_utilisation),
        preemption_margin=float(release.preemption_margin),
        max_batch=release.max_batch,
        kv_cache_format_by_precision=release.kv_cache_format_by_precision,
        release=release.release,
        vendors=engine.vendors,
    )


def model_record(document: Mapping[str, object]) -> ModelRecord:
    """Return a model with its work derived."""
    parsed = parse_model_document(document)
    spec = document["spec"]
    return ModelRecord(
        id=parsed.id,
        aliases=parsed.aliases,
        display_name=parsed.display_name,
        organisation=parsed.organisation,
        released_on=parsed.released_on,
        source=f"{parsed.source.repository} ({parsed.source.file})",
        spec=spec if isinstance(spec, Mapping) else {},
        work=derive_work(parsed.spec),
        native_formats=parsed.native_formats,
    )


def accelerator_record(document: Mapping[str, object], factors: UnitFactors) -> AcceleratorRecord:
    """Return an accelerator in SI units with the provenance of its figures.

    The record's source is that of the memory bandwidth, which decides decoding; its kind is the
    weakest of all figures.
    """
    seed = AcceleratorSeed.model_validate(document)
    figures = seed.figures()

    def si(path: str) -> float:
        figure = figures[path]
        return float(figure.value * factors[figure.unit])

    spec = Accelerator(
        name=seed.id,
        family=seed.family,
        vendor=seed.vendor,
        memory_bytes=si("memory_bytes"),
        memory_bandwidth_bytes_per_second=si("memory_bandwidth"),
        peak_flop_per_second={
            name: si(f"peak_flop_per_second.{name}") for name in sorted(seed.peak_flop_per_second)
        },
        scale_up_bandwidth_bytes_per_second=si("scale_up.bandwidth"),
        scale_up_domain=seed.scale_up.domain_size,
        scale_out_bandwidth_bytes_per_second=si("scale_out.bandwidth"),
        idle_power_watts=si("idle_power"),
        max_power_watts=si("max_power"),
    )
    kinds = {figure.source_kind or seed.source_kind for figure in figures.values()}
    bandwidth = seed.memory_bandwidth
    return AcceleratorRecord(
        id=seed.id,
        aliases=seed.aliases,
        display_name=seed.display_name,
        spec=spec,
        source=bandwidth.source or seed.source or "",
        source_kind=next(kind for kind in _WEAKEST_FIRST if kind in kinds),
        second_source=bandwidth.second_source,
        facts=_facts(seed, figures),
    )


def _facts(seed: AcceleratorSeed, figures: Mapping[str, FigureSeed]) -> dict[str, object]:
    return {
        "released_on": _iso(seed.released_on),
        "note": seed.note,
        "figures": {
            path: {
                "value": str(figure.value),
                "unit": figure.unit,
                "source": figure.source or seed.source,
                "source_kind": figure.source_kind or seed.source_kind,
                "second_source": figure.second_source,
                "second_value": None if figure.second_value is None else str(figure.second_value),
                "relative_difference": _relative_difference(figure),
                "note": figure.note,
            }
            for path, figure in figures.items()
        },
    }


def _relative_difference(figure: FigureSeed) -> float | None:
    """Return how far the second source is from the first, as a share of the first."""
    if figure.second_value is None:
        return None
    return float((figure.second_value - figure.value) / figure.value)


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
