"""The answer of ``pertoken models inspect``."""

import json
from pathlib import Path

import pytest
import yaml

from service.application.inspect_model import inspect_model
from service.model_configs import parse_model_document

_MODELS = Path(__file__).parents[2] / "hardware_catalog" / "models"


def _inspect(model: str) -> dict[str, object]:
    document = parse_model_document(yaml.safe_load((_MODELS / f"{model}.yaml").read_text()))
    return inspect_model(document.spec, document.native_formats, document.assumptions)


@pytest.mark.parametrize("path", sorted(_MODELS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_seeded_model_can_be_inspected_and_written_as_json(path: Path) -> None:
    answer = _inspect(path.stem)
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer


def test_llama_70b_in_numbers() -> None:
    # arXiv 2407.21783, table 3: 80 layers, 8,192 wide, 64 heads of 128, 8 KV heads.
    answer = _inspect("llama-3.1-70b")
    assert answer["parameters_total"] == answer["parameters_active"] == 70_553_706_496
    assert answer["kv_cache_bytes_per_token"] == 327_680
    assert answer["flop_per_pair_prefill"] == answer["flop_per_pair_decode"] == 4 * 80 * 64 * 128
    assert answer["state_bytes_per_sequence"] == 0
    # 136,902,082,560 linear FLOP / 2,621,440 FLOP a pair = 52,224; the sum of n meets twice that, less one.
    assert answer["attention_crossover_tokens"] == {"per_token": 52_224, "cumulative": 104_447}


def test_deepseek_v3_has_two_values_per_pair() -> None:
    answer = _inspect("deepseek-v3")
    assert answer["flop_per_pair_prefill"] == 61 * 128 * 640
    assert answer["flop_per_pair_decode"] == 61 * 128 * 2176


def test_windowed_layers_write_a_cache_that_does_not_grow() -> None:
    # gpt-oss: every other of 36 layers sees 128 tokens.
    answer = _inspect("gpt-oss-120b")
    assert answer["kv_cache_bytes_per_token"] == 2 * 36 * 8 * 64 * 2
    assert answer["kv_cache_bytes_per_token_growing"] == 2 * 18 * 8 * 64 * 2
    assert answer["flop_per_pair_decode"] == 4 * 18 * 64 * 64


def test_groups_add_up_to_the_layers() -> None:
    answer = _inspect("qwen3.5-397b-a17b")
    groups = answer["layer_groups"]
    assert isinstance(groups, list)
    assert sum(group["count"] for group in groups) == answer["layers"] == 60
