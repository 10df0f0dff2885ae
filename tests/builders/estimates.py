"""A catalog in memory with real models, formats and engines, and estimates on it: no database."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from service.application.answers import EstimateAnswer
from service.application.errors import UnknownIdError
from service.application.estimate import Estimator
from service.application.ports import AcceleratorRecord, ModelRecord
from service.application.requests import EstimateRequest, OperatingPointRequest, PriceRequest, WorkloadClass
from service.engine.architecture import derive_work
from service.engine.types import Calibration, EnginePolicy, NumberFormat
from service.model_configs import parse_model_document
from tests.builders.catalog import FakeSnapshot, make_accelerator, make_model
from tests.builders.known_models import H100
from tests.builders.operating_points import CALIBRATION, POLICY

_CATALOG = Path(__file__).parents[2] / "hardware_catalog"
NOW = datetime(2026, 2, 1, tzinfo=UTC)
MODELS = ("llama-3.1-70b", "llama-3.1-8b", "gpt-oss-120b", "deepseek-v3", "qwen3.5-35b-a3b", "qwen3-0.6b")
POLICIES = (
    replace(POLICY, release="0.9.0", kv_cache_format_by_precision={"fp8": "fp8"}),
    replace(
        POLICY,
        name="trtllm",
        release="1.0.0",
        token_budget_covers_prompt=True,
        reserve="full",
        vendors=("nvidia",),
    ),
)


@cache
def model_record(name: str) -> ModelRecord:
    """Return a model of the seed catalog."""
    parsed = parse_model_document(yaml.safe_load((_CATALOG / "models" / f"{name}.yaml").read_text()))
    return replace(
        make_model(name, parsed.aliases), work=derive_work(parsed.spec), native_formats=parsed.native_formats
    )


@cache
def number_formats() -> dict[str, NumberFormat]:
    """Return the storage formats of the seed catalog by name."""
    rows = yaml.safe_load((_CATALOG / "formats.yaml").read_text())["formats"]
    return {
        row["name"]: NumberFormat(row["name"], float(row["bytes_per_element"]), row["compute_format"])
        for row in rows
    }


def accelerator_records() -> tuple[AcceleratorRecord, ...]:
    """Return an H100, an H200 and an A100."""
    h100 = make_accelerator()
    ampere = {"bf16": 312e12, "int8": 624e12}
    return (
        replace(h100, spec=H100),
        replace(make_accelerator("h200-sxm"), spec=replace(H100, name="h200-sxm", memory_bytes=141e9)),
        replace(
            make_accelerator("a100-sxm", "ampere"),
            spec=replace(H100, name="a100-sxm", family="ampere", peak_flop_per_second=ampere),
        ),
    )


@dataclass(frozen=True)
class ModelledSnapshot(FakeSnapshot):
    """The tiny catalog, with what an estimate needs."""

    all_models: Sequence[ModelRecord] = field(default_factory=lambda: tuple(map(model_record, MODELS)))
    all_accelerators: Sequence[AcceleratorRecord] = field(default_factory=accelerator_records)

    def number_format(self, name: str) -> NumberFormat:
        try:
            return number_formats()[name]
        except KeyError:
            raise UnknownIdError("number format", name, (), field="formats") from None

    def number_formats(self) -> Sequence[NumberFormat]:
        return tuple(number_formats().values())

    def engine_policy(self, name: str, release: str | None = None) -> EnginePolicy:
        for policy in POLICIES:
            if policy.name == name and release in (None, policy.release):
                return policy
        raise UnknownIdError("engine", name, [policy.name for policy in POLICIES], field="serving.engine")

    def calibration(self, name: str | None, family: str, vendor: str, engine: str) -> Calibration:
        if name not in (None, CALIBRATION.name):
            raise UnknownIdError("calibration", str(name), [CALIBRATION.name], field="calibration")
        return CALIBRATION


SNAPSHOT = ModelledSnapshot()
_ESTIMATOR = Estimator()


def make_estimate_request(**changes: Any) -> EstimateRequest:
    """Ask for Llama-3.1-8B on one H100 at USD 2, 32 chat requests in flight, always at work."""
    request = EstimateRequest(
        accelerator="h100-sxm",
        model="llama-3.1-8b",
        workload=(WorkloadClass("chat", 1.0, 3000, 400),),
        operating_point=OperatingPointRequest(kind="concurrency", concurrency=32.0),
        utilisation=1.0,
        price=PriceRequest(amount=Decimal(2), currency="USD"),
    )
    return replace(request, **changes)


def make_estimate(**changes: Any) -> EstimateAnswer:
    return _ESTIMATOR.estimate(make_estimate_request(**changes), SNAPSHOT, NOW)


def workload(*rows: tuple[float, int, int, float]) -> tuple[WorkloadClass, ...]:
    """Make classes of (weight, input, output, cached share)."""
    return tuple(
        WorkloadClass(f"class-{number}", weight, prompt, output, cached)
        for number, (weight, prompt, output, cached) in enumerate(rows)
    )
