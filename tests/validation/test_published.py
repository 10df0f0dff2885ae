"""Published systems: bounds that follow from arithmetic, and how far the model may be off."""

from collections.abc import Iterator
from math import exp, log
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.catalog import seeded_catalog
from benchmarks.published_systems import FOLDER, Compared, compare_all, service_rows, system_of
from service.application.ports import CatalogSnapshot
from service.bootstrap import read_snapshot
from service.engine.architecture import derive_work, total_parameters
from service.engine.parts import ModelSpec
from service.model_configs.codec import decode

PALM, LLAMA = "PaLM 540B on 64 TPU v4", "TensorRT-LLM, LLaMA-7B in fp16 on one A100"
OPT, DEEPSEEK = "FasterTransformer, 13B in fp16 on A100 40 GB", "DeepSeek-V3/R1 online service"
CHIPS, PEAK, BANDWIDTH = 64, 275e12, 1.2e12
"""TPU v4: bf16 and int8 FLOP/s, bytes/s (cloud.google.com/tpu/docs/v4)."""
PALM_PARAMETERS = 540e9


@pytest.fixture(scope="module")
def snapshot() -> Iterator[CatalogSnapshot]:
    with seeded_catalog() as settings:
        yield read_snapshot(settings)


@pytest.fixture(scope="module")
def found(snapshot: CatalogSnapshot) -> dict[tuple[str, str], Compared]:
    return {(row.system, row.case): row for row in compare_all(snapshot)}


def _document(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return document


def test_every_case_names_its_source() -> None:
    for path in Path(FOLDER).glob("*.yaml"):
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert document["source"], path.name
        assert "catalog" in document["model"] or document["model"]["source"], path.name


def test_palm_has_540_billion_parameters_and_its_padding_18_more() -> None:
    """PaLM (arXiv 2204.02311) table 1; Pope and others, section 4: heads padded to 64 at 18B parameters."""
    spec = decode(ModelSpec, _document("palm_540b")["model"]["spec"])
    padded = total_parameters(derive_work(spec))
    assert padded == pytest.approx(558e9, rel=0.005)
    per_head = 2 * 18432 * 256 * 118
    assert padded - 16 * per_head == pytest.approx(540.35e9, rel=0.001)


@pytest.mark.parametrize(
    ("name", "parameters"),
    # LLaMA (arXiv 2302.13971) table 2: 6.7B; OPT (arXiv 2205.01068) table 1: 13B, without positions, biases.
    [("tensorrt_llm_llama_7b", 6.738e9), ("fastertransformer_13b", 12.84e9)],
)
def test_other_specifications_have_their_published_size(name: str, parameters: float) -> None:
    spec = decode(ModelSpec, _document(name)["model"]["spec"])
    assert total_parameters(derive_work(spec)) == pytest.approx(parameters, rel=0.003)


FLOORS = {
    # Each weight is read once a step; each token costs two FLOP a parameter.
    (PALM, "decode, batch 64, int8 weights, context 2,048"): PALM_PARAMETERS / (CHIPS * BANDWIDTH),
    (PALM, "prefill, batch 1, 2,048 tokens, int8 weights"): 2 * PALM_PARAMETERS * 2048 / (CHIPS * PEAK),
    (PALM, "prefill, batch 512, 2,048 tokens, bf16"): 2 * PALM_PARAMETERS * 2048 * 512 / (CHIPS * PEAK),
    (PALM, "decode of 64 tokens, batch 512, bf16"): 64 * 2 * PALM_PARAMETERS / (CHIPS * BANDWIDTH),
    (OPT, "decode step on one GPU"): 2 * 12.58e9 / 1.555e12,
    (OPT, "decode step on two GPUs"): 2 * 12.58e9 / 2 / 1.555e12,
    (LLAMA, "first token of 2048"): 2 * 6.48e9 * 2048 / 312e12,
}


@pytest.mark.parametrize("case", FLOORS, ids=lambda case: case[1])
def test_nothing_is_faster_than_its_weights_and_its_arithmetic(
    found: dict[tuple[str, str], Compared], case: tuple[str, str]
) -> None:
    row = found[case]
    assert row.published > FLOORS[case], "the case is not what was measured"
    assert row.modelled > FLOORS[case]


def test_output_per_second_stays_below_what_reading_the_weights_allows(
    found: dict[tuple[str, str], Compared],
) -> None:
    # 32 sequences on 2.0 TB/s: at most 32 tokens for each read of 13.5 GB.
    for case, batch in (("batch 32, 128 in, 2,048 out", 32), ("batch 16, 2,048 in, 2,048 out", 16)):
        row = found[LLAMA, case]
        assert row.modelled < batch * 2.039e12 / (2 * 6.61e9)


def test_every_published_figure_is_met_within_a_factor_of_three(
    found: dict[tuple[str, str], Compared],
) -> None:
    assert len(found) == 19
    for row in found.values():
        assert 1 / 3 < row.ratio < 3, (row.system, row.case, row.ratio)


def test_dense_models_on_one_machine_are_met_far_better(found: dict[tuple[str, str], Compared]) -> None:
    ratios = [log(row.ratio) for row in found.values() if row.system in (OPT, LLAMA)]
    assert exp(sum(map(abs, ratios)) / len(ratios)) < 1.3


@pytest.mark.parametrize("pool", ["decode", "prefill, cache hits included"])
def test_deepseeks_pools_lie_between_none_and_all_communication_hidden(
    snapshot: CatalogSnapshot, found: dict[tuple[str, str], Compared], pool: str
) -> None:
    """Its two micro-batches take turns at computing and communicating (open-infra-index, day 6)."""
    document = _document("deepseek_online")
    rows = service_rows(system_of(document, snapshot), document, overlaps=False)
    serial = next(row[3] for row in rows if row[0] == pool)
    row = found[DEEPSEEK, pool]
    assert serial < row.published < row.without_communication
    assert serial < row.modelled < row.without_communication


def test_deepseeks_service_is_met_with_the_overlap_that_it_publishes(
    found: dict[tuple[str, str], Compared],
) -> None:
    """Within a quarter, each pool and the day's bill; nothing was fitted to it."""
    for row in found.values():
        if row.system == DEEPSEEK:
            assert abs(log(row.ratio)) < log(1.25), row.case


def test_hiding_communication_never_makes_a_system_slower(found: dict[tuple[str, str], Compared]) -> None:
    for row in found.values():
        slower = row.quantity.startswith(("seconds", "nodes", "USD"))
        better = (
            row.without_communication <= row.modelled if slower else row.without_communication >= row.modelled
        )
        assert better, (row.system, row.case)


def test_a_day_costs_nodes_times_hours_times_the_price(found: dict[tuple[str, str], Compared]) -> None:
    nodes, cost = (
        found[DEEPSEEK, name] for name in ("nodes over the day", "cost of the day at USD 2 per GPU-hour")
    )
    assert cost.modelled == pytest.approx(nodes.modelled * 8 * 24 * 2.0)
    # The published day: 226.75 nodes for USD 87,072.
    assert cost.published == pytest.approx(nodes.published * 8 * 24 * 2.0, rel=1e-3)


def test_redundant_experts_and_spread_caches_are_laid_out_as_stated(snapshot: CatalogSnapshot) -> None:
    deepseek = system_of(_document("deepseek_online"), snapshot).work
    assert {layer.experts for layer in deepseek.layers} == {0, 288}
    palm = system_of(_document("palm_540b"), snapshot).work
    assert {stream.cache_shards for layer in palm.layers for stream in layer.streams} == {64}
