"""Rows of measured runs resolved in the shipped catalog: names, releases, formats as served."""

from pathlib import Path

import orjson
import pytest

from service import bootstrap
from service.application.cases import Case, CaseBuilder
from service.application.errors import UnknownIdError
from service.application.ports import CatalogSnapshot
from service.calibration.measured import read_row
from service.cli.measured_files import config_reader
from service.settings import Settings
from tests.builders.measured_rows import CONFIG, make_row


@pytest.fixture(scope="module")
def snapshot(seeded_database_url: str) -> CatalogSnapshot:
    return bootstrap.read_snapshot(Settings(database_url=seeded_database_url))


def _case(snapshot: CatalogSnapshot, **cells: str) -> Case:
    return CaseBuilder(snapshot).build(read_row(make_row(**cells)))


@pytest.mark.parametrize(
    "name",
    [
        "llama-3.1-70b",
        "meta-llama/Llama-3.1-70B",
        "meta-llama/Meta-Llama-3.1-70B",
        "someone/Llama-3.1-70B",
        "LLAMA-3.1-70b",
    ],
)
def test_a_model_goes_by_id_by_alias_and_by_its_unique_last_part(
    snapshot: CatalogSnapshot, name: str
) -> None:
    assert _case(snapshot, model=name, gpus="8", tp="8").model_id == "llama-3.1-70b"


def test_an_unknown_model_is_refused_by_name(snapshot: CatalogSnapshot) -> None:
    with pytest.raises(UnknownIdError, match="Unheard-9000B"):
        _case(snapshot, model="acme/Unheard-9000B")


@pytest.mark.parametrize("name", ["h100_sxm", "h100-sxm"])
def test_an_accelerator_goes_by_id_and_by_alias(snapshot: CatalogSnapshot, name: str) -> None:
    assert _case(snapshot, accelerator=name).accelerator.id == "h100-sxm"


@pytest.mark.parametrize(
    "name",
    ["a100_sxm", "h200_sxm", "b200_sxm", "b300_sxm", "gb200", "gb300", "mi300x", "mi325x", "mi355x", "l40s"],
)
def test_accelerators_go_by_the_names_of_measured_files(snapshot: CatalogSnapshot, name: str) -> None:
    assert _case(snapshot, accelerator=name, precision="bf16").accelerator.spec.memory_bytes > 0


def test_a_configuration_file_comes_before_the_catalog(snapshot: CatalogSnapshot, tmp_path: Path) -> None:
    (tmp_path / "acme--Tiny-1B.json").write_bytes(orjson.dumps(CONFIG))
    builder = CaseBuilder(snapshot, config_reader(tmp_path))
    for name in ("acme/Tiny-1B", "tiny-1b", "other/Tiny-1B"):
        case = builder.build(read_row(make_row(model=name)))
        assert (case.work.hidden_size, case.model_id) == (2048, name)
    # What the folder has not is looked up in the catalog.
    assert builder.build(read_row(make_row(model="llama-3.1-8b"))).model_id == "llama-3.1-8b"


def test_two_files_of_one_last_part_are_told_apart_by_their_organisation(
    snapshot: CatalogSnapshot, tmp_path: Path
) -> None:
    (tmp_path / "acme--Tiny-1B.json").write_bytes(orjson.dumps(CONFIG))
    (tmp_path / "other--Tiny-1B.json").write_bytes(orjson.dumps(CONFIG | {"hidden_size": 4096}))
    builder = CaseBuilder(snapshot, config_reader(tmp_path))
    assert builder.build(read_row(make_row(model="other/Tiny-1B"))).work.hidden_size == 4096
    with pytest.raises(UnknownIdError, match="Tiny-1B"):
        builder.build(read_row(make_row(model="third/Tiny-1B")))


def test_models_of_one_shape_are_one_architecture(snapshot: CatalogSnapshot) -> None:
    deepseek = {"gpus": "8", "tp": "8", "precision": "fp8"}
    first, second = (
        _case(snapshot, model=name, **deepseek)
        for name in ("deepseek-ai/DeepSeek-V3", "deepseek-ai/DeepSeek-R1")
    )
    assert first.architecture == second.architecture
    assert _case(snapshot, model="llama-3.1-8b").architecture != first.architecture


def test_a_release_takes_the_defaults_of_the_last_known_one_before_it(snapshot: CatalogSnapshot) -> None:
    newest = _case(snapshot)
    assert _case(snapshot, engine_version="v99.0.1").policy.release == newest.policy.release
    assert _case(snapshot, engine_version="nightly").policy.release == newest.policy.release
    exact = _case(snapshot, engine_version=newest.policy.release)
    assert exact.policy == newest.policy
    post = _case(snapshot, engine_version=f"{newest.policy.release}.post1")
    assert post.policy == newest.policy


@pytest.mark.parametrize(
    ("cells", "weights", "experts"),
    [
        ({"precision": "bf16"}, "bf16", "bf16"),
        ({"precision": "fp16"}, "bf16", "bf16"),
        ({"precision": "fp8"}, "fp8", "fp8"),
        ({"precision": "awq"}, "int4_wo", "int4_wo"),
        # Published with MXFP4 experts and bf16 around them, whatever the source guessed.
        (
            {"model": "openai/gpt-oss-120b", "precision": "fp4", "gemm_quant": "nvfp4", "moe_quant": "nvfp4"},
            "bf16",
            "mxfp4",
        ),
    ],
)
def test_formats_are_the_recipes_but_where_the_checkpoint_decides(
    snapshot: CatalogSnapshot, cells: dict[str, str], weights: str, experts: str
) -> None:
    formats = _case(snapshot, **cells).formats
    assert (formats.weights.name, formats.experts.name) == (weights, experts)


def test_a_calibration_set_that_is_not_there_is_refused(snapshot: CatalogSnapshot) -> None:
    builder = CaseBuilder(snapshot, calibration="unheard")
    with pytest.raises(UnknownIdError, match="unheard"):
        builder.build(read_row(make_row()))
