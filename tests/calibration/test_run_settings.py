"""What InferenceX's serving commands say, by engine and accelerator."""

from dataclasses import replace

import pytest

from service.calibration.measured import MeasuredRow, read_row
from service.calibration.run_settings import PLAIN_SETTINGS, RunSettings, run_settings
from service.engine.types import EnginePolicy
from tests.builders.operating_points import POLICY

SGLANG, TRTLLM = replace(POLICY, name="sglang"), replace(POLICY, name="trtllm")


def _row(**cells: str) -> MeasuredRow:
    stated = {"model": "m", "accelerator": "a", "engine": "e", "protocol": "inferencex"}
    lengths = {"input_tokens": "1024", "output_tokens": "1024", "concurrency": "64"}
    return read_row({**stated, **lengths, **cells})


@pytest.mark.parametrize("policy", [POLICY, SGLANG, TRTLLM])
@pytest.mark.parametrize("family", ["blackwell", "hopper", "cdna3"])
def test_runs_of_another_protocol_keep_the_engines_defaults(policy: EnginePolicy, family: str) -> None:
    row = _row(protocol="fixed", gpus="8", attention_dp="8", precision="fp4")
    assert run_settings(row, policy, family, dense=True) == PLAIN_SETTINGS


@pytest.mark.parametrize("family", ["blackwell", "hopper", "cdna3"])
def test_vllm_is_served_with_its_defaults(family: str) -> None:
    assert run_settings(_row(precision="fp8"), POLICY, family, dense=False) == PLAIN_SETTINGS


@pytest.mark.parametrize(
    ("cells", "family", "settings"),
    [
        # --scheduler-recv-interval 30 from 16 requests in flight on B200, 10 below.
        ({"precision": "fp8", "concurrency": "16"}, "blackwell", RunSettings(30, token_budget=32_768.0)),
        ({"precision": "fp8", "concurrency": "15"}, "blackwell", RunSettings(10, token_budget=32_768.0)),
        ({"precision": "fp4", "concurrency": "64"}, "blackwell", RunSettings(30, token_budget=16_384.0)),
        ({"precision": "nvfp4", "concurrency": "4"}, "blackwell", RunSettings(10, token_budget=16_384.0)),
        ({"precision": "fp8"}, "hopper", RunSettings(token_budget=32_768.0)),
        ({"precision": "fp8"}, "cdna3", RunSettings(4, token_budget=196_608.0)),
        ({"precision": "mxfp4"}, "cdna4", RunSettings(4, token_budget=196_608.0)),
    ],
)
def test_sglang_is_told_how_often_to_look_for_requests(
    cells: dict[str, str], family: str, settings: RunSettings
) -> None:
    assert run_settings(_row(**cells), SGLANG, family, dense=False) == settings


@pytest.mark.parametrize(
    ("cells", "dense", "settings"),
    [
        # Attention-DP ranks wait for each other.
        ({"gpus": "8", "attention_dp": "8"}, False, RunSettings(60, aligns_prefill=True)),
        ({"gpus": "8", "tp": "2", "attention_dp": "4"}, True, RunSettings(60, aligns_prefill=True)),
        # The dense model's script waits for company on short prompts, on fewer than eight accelerators.
        ({"gpus": "4", "tp": "4"}, True, RunSettings(hold_steps=20, hold_budget_share=0.9)),
        ({"gpus": "8", "tp": "8"}, True, PLAIN_SETTINGS),
        ({"gpus": "4", "tp": "4"}, False, PLAIN_SETTINGS),
        ({"gpus": "4", "tp": "4", "input_tokens": "8192"}, True, PLAIN_SETTINGS),
        ({"gpus": "4", "tp": "4", "output_tokens": "8192"}, True, PLAIN_SETTINGS),
    ],
)
def test_tensorrt_llm_holds_prompts_back_where_its_scripts_say_so(
    cells: dict[str, str], dense: bool, settings: RunSettings
) -> None:
    assert run_settings(_row(**cells), TRTLLM, "hopper", dense=dense) == settings


def test_pools_have_no_settings_of_one_replica() -> None:
    pools = _row(prefill_num_workers="1", decode_attention_dp_size="8")
    assert run_settings(pools, TRTLLM, "blackwell", dense=False) == PLAIN_SETTINGS
