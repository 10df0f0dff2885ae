"""Parameter counts against what ``transformers`` instantiates, to the parameter."""

import csv
import json
from pathlib import Path

import pytest
import yaml

from service.engine.architecture import derive_work, total_parameters
from service.model_configs import parse_config, parse_model_document

_DATA = Path(__file__).parent / "data"
_MODELS = Path(__file__).parents[2] / "hardware_catalog" / "models"


def _rows(name: str) -> list[dict[str, str]]:
    lines = [line for line in (_DATA / name).read_text().splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines))


@pytest.mark.parametrize("row", _rows("parameters.csv"), ids=lambda row: row["id"])
def test_a_seeded_model_has_exactly_the_parameters_of_its_reference_class(row: dict[str, str]) -> None:
    document = yaml.safe_load((_MODELS / f"{row['id']}.yaml").read_text())
    spec = parse_model_document(document).spec
    assert total_parameters(derive_work(spec)) == int(row["parameters"])


def test_every_reference_row_is_covered() -> None:
    assert len(_rows("parameters.csv")) == 54


_CONFIGS = json.loads((_DATA / "families.json").read_text())


@pytest.mark.parametrize("row", _rows("families.csv"), ids=lambda row: row["name"])
def test_a_config_of_another_model_of_a_family_has_exactly_its_reference_count(row: dict[str, str]) -> None:
    parsed = parse_config(_CONFIGS[row["name"]], row["name"])
    assert total_parameters(derive_work(parsed.spec)) == int(row["parameters"])


# config fixture -> model whose row in parameters.csv it stands for
_FIXTURES = {
    "llama": "llama-3.1-70b",
    "llama4": "llama-4-maverick",
    "mixtral": "mixtral-8x7b",
    "deepseek-v3": "deepseek-v3",
    "deepseek-v3.2": "deepseek-v3.2",
    "deepseek-v4": "deepseek-v4-pro",
    "deepseek-v4-reference": "deepseek-v4-pro",
    "gpt-oss": "gpt-oss-120b",
    "qwen3": "qwen3-0.6b",
    "qwen3-moe-fp8": "qwen3-235b-a22b-fp8",
    "qwen3-vl": "qwen3-vl-8b",
    "qwen3.5": "qwen3.5-397b-a17b",
    "qwen3.6-nvfp4": "qwen3.6-27b-nvfp4",
    "mimo-v2": "mimo-v2-flash",
    "minimax-m2": "minimax-m2.7",
    "minimax-m3": "minimax-m3-nvfp4",
    "kimi-k2.5": "kimi-k2.5",
    "gemma4-moe": "gemma-4-26b-a4b-nvfp4",
    "glm-5": "glm-5",
    "glm-5.2": "glm-5.2",
    "nemotron-3-ultra": "nemotron-3-ultra-550b-a55b",
    "nemotron-h": "nemotron-h-56b",
    "step-3.7": "step-3.7-flash-fp8",
}


@pytest.mark.parametrize(("fixture", "model"), _FIXTURES.items(), ids=list(_FIXTURES))
def test_a_config_file_of_each_family_has_exactly_its_reference_count(fixture: str, model: str) -> None:
    config = json.loads((_DATA / "configs" / f"{fixture}.json").read_text())
    expected = next(int(row["parameters"]) for row in _rows("parameters.csv") if row["id"] == model)
    assert total_parameters(derive_work(parse_config(config, model).spec)) == expected


# Published totals, rounded as their authors round them.
@pytest.mark.parametrize(
    ("fixture", "least", "most"),
    [
        ("nemotron-nas", 49.8e9, 50.0e9),  # model card: "49B"; weights of 99.7 GB in bf16
        ("mimo", 7.5e9, 7.9e9),  # MiMo report (arXiv 2505.07608): 7B
        ("kimi-k2", 1.02e12, 1.05e12),  # Kimi K2 report (arXiv 2507.20534), table 2: 1.04 T
    ],
)
def test_a_model_beyond_the_reference_library_has_its_published_size(
    fixture: str, least: float, most: float
) -> None:
    config = json.loads((_DATA / "configs" / f"{fixture}.json").read_text())
    assert least <= total_parameters(derive_work(parse_config(config, fixture).spec)) <= most
