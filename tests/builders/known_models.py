"""Work of models of the seed catalog, and accelerators and calibrations to put them on."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import yaml

from service.engine.architecture import derive_work
from service.engine.types import Accelerator, Calibration, Efficiency, Formats, ModelWork, NumberFormat
from service.model_configs import parse_model_document
from tests.builders.operating_points import ACCELERATOR, BF16, FP32

_MODELS = Path(__file__).parents[2] / "hardware_catalog" / "models"
FP8 = NumberFormat("fp8", 1.0, "fp8")
FP8_FORMATS = Formats(FP8, FP8, FP8, FP8, BF16, BF16, FP32, BF16)
H100 = replace(ACCELERATOR, peak_flop_per_second={"bf16": 989e12, "fp8": 1979e12})
IDEAL = Calibration(
    name="ideal",
    level="general",
    operators={"gemm": Efficiency(1.0, 1.0)},
    launch_seconds_per_layer=0.0,
    host_seconds_per_step=0.0,
    host_seconds_per_sequence=0.0,
    collective_latency_seconds=0.0,
    scale_up_efficiency=1.0,
    scale_out_efficiency=1.0,
    expert_imbalance=1.0,
    extra={"activation_passes_per_sublayer": 0.0},
)
"""Peaks reached, no overheads: what is left is arithmetic."""


@cache
def known_work(name: str) -> ModelWork:
    """Return the work of a model of the seed catalog."""
    return derive_work(parse_model_document(yaml.safe_load((_MODELS / f"{name}.yaml").read_text())).spec)


def endless(accelerator: Accelerator = H100) -> Accelerator:
    """Return an accelerator of the same speed on which everything fits."""
    return replace(accelerator, memory_bytes=1e18)
