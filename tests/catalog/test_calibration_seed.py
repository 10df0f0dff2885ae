"""Which entry of a calibration set applies."""

import pytest
from pydantic import ValidationError

from service.catalog.calibration_seed import CalibrationSeed

OPERATORS = ("gemm", "experts", "attention_prefill", "attention_decode", "recurrent", "head")
GENERAL = {
    "operators": {name: {"compute": 0.5, "memory": 0.6} for name in OPERATORS},
    "launch_seconds_per_layer": 0.00001,
    "host_seconds_per_step": 0.001,
    "host_seconds_per_sequence": 0.00001,
    "collective_latency_seconds": 0.00001,
    "scale_up_efficiency": 0.7,
    "scale_out_efficiency": 0.6,
    "expert_imbalance": 1.2,
    "source": "assumed",
}


def make(*entries: dict[str, object]) -> CalibrationSeed:
    return CalibrationSeed.model_validate(
        {"name": "set", "entries": [GENERAL, *entries], "source": "assumed"}
    )


def entry(compute: float, **scope: object) -> dict[str, object]:
    return {"operators": {"gemm": {"compute": compute, "memory": 0.8}}, "source": "assumed", **scope}


SET = make(
    entry(0.1, vendor="nvidia", host_seconds_per_step=0.002),
    entry(0.2, family="hopper"),
    entry(0.3, family="hopper", engine="vllm", basis="fitted"),
    entry(0.4, engine="trtllm", formats={"fp8": {"gemm": {"compute": 0.9, "memory": 0.9}}}),
)


@pytest.mark.parametrize(
    ("scope", "level", "compute", "host"),
    [
        (("hopper", "nvidia", "vllm"), "fitted", 0.3, 0.002),
        (("hopper", "nvidia", "sglang"), "family", 0.2, 0.002),
        (("ampere", "nvidia", "vllm"), "vendor", 0.1, 0.002),
        (("cdna3", "amd", "vllm"), "general", 0.5, 0.001),
        (("cdna3", "amd", "trtllm"), "engine", 0.4, 0.001),
    ],
)
def test_the_most_particular_entry_wins_and_inherits_the_rest(
    scope: tuple[str, str, str], level: str, compute: float, host: float
) -> None:
    found = SET.calibration(*scope)
    assert (found.level, found.operators["gemm"].compute, found.host_seconds_per_step) == (
        level,
        compute,
        host,
    )
    assert found.operators["head"].memory == 0.6
    assert {name.split("@")[0] for name in found.operators} == set(OPERATORS)


def test_a_narrower_operator_hides_the_formats_of_a_wider_one() -> None:
    wide, narrow = SET.calibration("cdna3", "amd", "trtllm"), SET.calibration("hopper", "nvidia", "trtllm")
    assert wide.operators["gemm@fp8"].compute == 0.9
    assert "gemm@fp8" not in narrow.operators


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ([entry(0.5, family="hopper")], "a general entry"),
        ([{**GENERAL, "expert_imbalance": None}], "lacks expert_imbalance"),
        ([{**GENERAL, "operators": {}}], "lacks operators.gemm"),
        ([GENERAL, GENERAL], "same family"),
        ([GENERAL, entry(0.5, family="hopper", vendor="nvidia")], "not for both"),
        ([GENERAL, entry(0.5, engine="vllm", vendor="nvidia")], "may name a family"),
        ([{**GENERAL, "scale_up_efficiency": 1.1}], "less than or equal to 1"),
    ],
)
def test_a_set_with_holes_or_doubles_is_refused(entries: list[object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        CalibrationSeed.model_validate({"name": "set", "entries": entries, "source": "assumed"})
