"""An estimate names what was measured near it and says aloud when nothing was."""

from dataclasses import replace
from typing import Any

import pytest

from service.application.answers import EstimateAnswer
from service.application.estimate import estimate
from service.application.evidence import NEAREST
from service.application.measured_points import FAR, nearest_points
from service.application.ports import MeasuredPoint
from service.application.requests import OperatingPointRequest
from service.engine.types import Calibration
from tests.builders.estimates import NOW, ModelledSnapshot, make_estimate_request, workload
from tests.builders.operating_points import CALIBRATION

HERE = MeasuredPoint(
    model="llama-3.1-8b",
    accelerator="h100-sxm",
    family="hopper",
    engine="vllm",
    weight_format="bf16",
    input_tokens=3000,
    output_tokens=400,
    concurrency=32,
    accelerators=1,
    measured_tpot_seconds=0.0125,
    predicted_tpot_seconds=0.0130,
    measured_ttft_seconds=0.25,
    predicted_ttft_seconds=0.2,
)
POINTS = (
    replace(HERE, concurrency=64, accelerators=8),
    replace(HERE, model="qwen3-32b"),
    replace(HERE, input_tokens=6000),
    HERE,
    replace(HERE, family="blackwell", accelerator="b200-sxm"),
    replace(HERE, engine="sglang"),
    replace(HERE, weight_format="fp8"),
    replace(HERE, output_tokens=8000, concurrency=1),
)


def _calibrated(level: str, points: tuple[MeasuredPoint, ...] = POINTS) -> ModelledSnapshot:
    class Stated(ModelledSnapshot):
        def calibration(self, name: str | None, family: str, vendor: str, engine: str) -> Calibration:
            return replace(CALIBRATION, level=level, extra={"tpot_log_spread": 0.27})

    return Stated(all_points=points)


def _answer(snapshot: ModelledSnapshot, **changes: Any) -> EstimateAnswer:
    return estimate(make_estimate_request(**changes), snapshot, NOW)


def test_the_run_that_was_measured_is_at_no_distance() -> None:
    answer = _answer(_calibrated("fitted"))
    first = answer.evidence.nearest[0]
    assert first.point == HERE
    assert first.distance == pytest.approx(0.0, abs=1e-9)
    assert not answer.evidence.extrapolates
    assert answer.warnings == ()
    assert "12.5 ms a token measured, 13 ms predicted" in answer.explanation[-1]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"workload": workload((1, 900, 900, 0.2))},
        {"workload": workload((1, 30, 4000, 0.0), (2, 9000, 10, 0.5))},
        {"operating_point": OperatingPointRequest("concurrency", 200.0)},
        {"accelerator": "a100-sxm"},
    ],
)
def test_the_nearest_are_those_of_the_stated_distance(changes: dict[str, Any]) -> None:
    answer = _answer(_calibrated("fitted"), **changes)
    tokens = {rate.kind: rate.tokens_per_request for rate in answer.rates}
    like = replace(
        HERE,
        family="ampere" if "accelerator" in changes else "hopper",
        input_tokens=tokens["uncached_input"] + tokens["cached_input"],
        output_tokens=tokens["output"],
        concurrency=answer.operating_point.concurrency,
    )
    wanted = nearest_points(POINTS, like, NEAREST)
    found = [(near.point, near.distance) for near in answer.evidence.nearest]
    assert [point for point, _ in found] == [point for point, _ in wanted]
    assert [far for _, far in found] == pytest.approx([far for _, far in wanted], abs=1e-9)


def test_far_from_all_runs_it_says_that_it_extrapolates() -> None:
    answer = _answer(_calibrated("fitted"), workload=workload((1, 100_000, 4000, 0.0)))
    assert answer.evidence.nearest[0].distance > FAR
    assert answer.evidence.extrapolates
    assert any("extrapolates" in warning for warning in answer.warnings)


@pytest.mark.parametrize("level", ["family", "engine", "vendor", "general"])
def test_a_fallback_is_named_with_its_spread(level: str) -> None:
    answer = _answer(_calibrated(level))
    assert answer.evidence.level == level
    (warning,) = answer.warnings
    assert "No run of vllm on hopper was measured" in warning
    # A spread of 0.27 in ln TPOT; the 90 % point of a standard normal is 1.2816, and exp(0.346) = 1.41.
    assert "in 8 of 10 cases the time of an output token lies within x1.41" in warning


def test_a_set_without_runs_says_that_it_is_assumed() -> None:
    answer = _answer(_calibrated("general", ()))
    assert answer.evidence.nearest == ()
    assert answer.evidence.extrapolates
    (warning,) = answer.warnings
    assert "assumed" in warning
    assert "ships no measured run" in answer.explanation[-1]


def test_fewer_points_than_are_named_are_all_named() -> None:
    assert len(_answer(_calibrated("fitted", POINTS[:2])).evidence.nearest) == 2
    assert len(_answer(_calibrated("fitted")).evidence.nearest) == NEAREST
