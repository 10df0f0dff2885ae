"""Coefficients of a replica against sums over parameters, published cache sizes and hand-made shards."""

from dataclasses import replace

import numpy as np
import pytest

from service.engine.architecture import (
    head_flop_per_token,
    kv_cache_bytes_per_token,
    linear_flop_per_token,
    state_bytes_per_sequence,
    total_parameters,
)
from service.engine.errors import InvalidInputError, UnsupportedError
from service.engine.replica import compile_replica, distinct_spans, weights_bytes
from service.engine.tables import (
    CHUNK_PRESENT,
    DECODE,
    FEED_FORWARD,
    HEAD,
    HOST,
    PROJECTIONS,
    RANK_TOKENS,
    RECURRENT,
    SAMPLED,
    STEP,
    ReplicaTable,
)
from service.engine.types import Accelerator, Calibration, Efficiency, Formats, Layout, ModelWork, Span
from tests.builders.known_models import FP8_FORMATS, H100, IDEAL, endless, known_work
from tests.builders.operating_points import BF16, FORMATS, FP32, make_layer, make_stream, make_work

FAMILIES = [
    "llama-3.1-8b",  # dense, grouped queries
    "qwen3-0.6b",  # tied embeddings
    "mixtral-8x7b",  # experts
    "gpt-oss-120b",  # sliding windows, experts with biases
    "deepseek-v3",  # latent attention, first layers dense, shared expert
    "deepseek-v3.2",  # selection by an indexer
    "llama-4-scout",  # chunked attention
    "gemma-4-31b-nvfp4",  # windows, tied
    "qwen3.5-35b-a3b",  # linear attention beside attention
    "nemotron-h-56b",  # state space, layers without mixer
    "llama-3.3-nemotron-super-49b",  # layers without attention
]


def _table(
    work: ModelWork,
    layout: Layout | None = None,
    formats: Formats = FORMATS,
    calibration: Calibration = IDEAL,
    accelerator: Accelerator | None = None,
) -> ReplicaTable:
    return compile_replica(work, accelerator or endless(), layout or Layout(), formats, calibration)


@pytest.mark.parametrize("name", FAMILIES)
def test_weights_in_bf16_weigh_two_bytes_a_parameter(name: str) -> None:
    work = known_work(name)
    assert weights_bytes(work, Layout(), FORMATS) == pytest.approx(2 * total_parameters(work), rel=1e-12)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_token_costs_the_linear_flop_of_its_architecture(name: str) -> None:
    work = known_work(name)
    table = _table(work)
    flop = table.work[0, :, RANK_TOKENS].sum()
    if table.experts is not None:
        flop += table.experts.flop_per_token.sum()
    assert flop == pytest.approx(linear_flop_per_token(work), rel=1e-12)
    assert table.work[0, HEAD, SAMPLED] == head_flop_per_token(work)


@pytest.mark.parametrize("name", FAMILIES)
def test_ranks_and_stages_share_the_flop_of_a_token(name: str) -> None:
    work = known_work(name)
    one, many = _table(work), _table(work, Layout(tp=2, pp=2))
    np.testing.assert_allclose(
        4 * many.work[0, [PROJECTIONS, FEED_FORWARD, RECURRENT], RANK_TOKENS],
        one.work[0, [PROJECTIONS, FEED_FORWARD, RECURRENT], RANK_TOKENS],
    )
    # The head lies on the last stage alone, which the others wait for.
    assert 2 * many.work[0, HEAD, SAMPLED] == one.work[0, HEAD, SAMPLED]
    if one.experts is not None and many.experts is not None:
        np.testing.assert_allclose(4 * many.experts.flop_per_token, one.experts.flop_per_token)


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in ("deepseek-v3.2",)])
def test_a_key_weighs_what_the_architecture_says(name: str) -> None:
    work = known_work(name)
    assert _table(work).streams.cache_bytes_per_key.sum() == kv_cache_bytes_per_token(work, BF16)


@pytest.mark.parametrize(("tp", "shards"), [(1, 1), (4, 4), (8, 8), (16, 8), (64, 8)])
def test_the_cache_divides_by_kv_heads_at_most(tp: int, shards: int) -> None:
    # Llama-3.1-70B: 2 x 80 layers x 8 heads x 128 x 2 bytes = 327,680 bytes a token (arXiv 2407.21783).
    table = _table(known_work("llama-3.1-70b"), Layout(tp=tp))
    assert table.streams.cache_bytes_per_key.sum() == pytest.approx(327_680 / shards)
    assert table.streams.flop_per_pair_decode.sum() == pytest.approx(80 * 4 * 64 * 128 / tp)


def test_the_latent_lies_on_every_tensor_parallel_rank() -> None:
    # DeepSeek-V3: (512 + 64) x 61 x 2 = 70,272 bytes a token (arXiv 2505.09343, table 1).
    work = known_work("deepseek-v3")
    for layout in (Layout(), Layout(tp=8), Layout(tp=2, attention_dp=4)):
        assert _table(work, layout).streams.cache_bytes_per_key.sum() == 70_272
    assert _table(work, Layout(pp=2)).streams.cache_bytes_per_key.sum() == 70_272 / 2


def test_an_indexer_keeps_its_own_format_whatever_the_cache_has() -> None:
    work = known_work("deepseek-v3.2")
    narrow = _table(work, formats=replace(FORMATS, kv_cache=replace(BF16, bytes_per_element=1.0)))
    wide = _table(work)
    changed = dict(
        zip(
            wide.spans,
            (wide.streams.cache_bytes_per_key - narrow.streams.cache_bytes_per_key).tolist(),
            strict=True,
        )
    )
    # The indexer looks at all keys, attention at the 2 048 it selects.
    assert changed == {Span(): 0.0, Span("top_k", 2048): 61 * 576}


@pytest.mark.parametrize("name", ["qwen3.5-35b-a3b", "nemotron-h-56b", "kimi-k3"])
def test_recurrent_state_is_read_and_written_once_a_decode_and_once_a_chunk(name: str) -> None:
    work = known_work(name)
    table = _table(work, Layout(tp=2))
    state = state_bytes_per_sequence(work, FP32, BF16) / 2
    assert state > 0
    assert table.state_bytes_per_sequence == pytest.approx(state)
    assert table.work[1, RECURRENT, DECODE] == pytest.approx(2 * state)
    assert table.work[1, RECURRENT, CHUNK_PRESENT] == pytest.approx(2 * state)


def test_weights_of_llama_70b_in_fp8_on_eight_accelerators_by_hand() -> None:
    # A layer: 2 x 8192 x 8192 (queries, output) + 2 x 8192 x 1024 (keys, values) + 3 x 8192 x 28672.
    layer = 2 * 8192**2 + 2 * 8192 * 1024 + 3 * 8192 * 28672
    tables = 2 * 128_256 * 8192 * 2  # embedding and head stay in bf16
    norms = (2 * 80 + 1) * 8192 * 2  # on every rank
    by_hand = 80 * layer / 8 + tables / 8 + norms
    assert weights_bytes(known_work("llama-3.1-70b"), Layout(tp=8), FP8_FORMATS) == pytest.approx(by_hand)


def test_experts_divide_by_all_ranks_of_a_stage_and_the_rest_by_tensor_parallelism() -> None:
    work = known_work("deepseek-v3")
    expert = 58 * 256 * 3 * 7168 * 2048
    by_tp, by_dp = (
        weights_bytes(work, layout, FP8_FORMATS)
        for layout in (Layout(tp=8, moe_ep=8), Layout(attention_dp=8, moe_ep=8))
    )
    assert weights_bytes(work, Layout(), FP8_FORMATS) > expert
    assert by_tp > expert / 8
    # Attention, shared experts and dense layers are copied to each of the data-parallel ranks.
    copied = (weights_bytes(work, Layout(), FP8_FORMATS) - expert) - (by_tp - expert / 8)
    assert by_dp - by_tp == pytest.approx(copied, rel=1e-9)


def test_ends_of_a_pipeline_hold_one_table_each_and_a_tied_one_is_held_once() -> None:
    untied, tied = known_work("llama-3.1-8b"), known_work("qwen3-0.6b")
    table = untied.embedding_parameters * 2
    whole, halved = (weights_bytes(untied, Layout(pp=pp), FORMATS) for pp in (1, 2))
    assert whole - 2 * table - untied.other_parameters * 2 == pytest.approx(
        2 * (halved - table - untied.other_parameters * 2)
    )
    assert weights_bytes(tied, Layout(), FORMATS) == pytest.approx(2 * total_parameters(tied))


def test_a_gemm_on_few_tokens_runs_at_its_share_of_the_full_rate() -> None:
    # n / (n + n_half) of the rate: n tokens take flop x (n + n_half) / rate.
    ramped = replace(IDEAL, operators={"gemm": Efficiency(1.0, 1.0, half_rate_tokens=48.0)})
    table = _table(known_work("llama-3.1-8b"), calibration=ramped)
    per_token, constant = table.seconds[0, FEED_FORWARD, [RANK_TOKENS, STEP]]
    assert constant == pytest.approx(48 * per_token)
    rate = table.work[0, FEED_FORWARD, RANK_TOKENS] * 48 / (48 * per_token + constant)
    assert rate == pytest.approx(989e12 / 2)


def test_layers_without_mixer_launch_and_move_less() -> None:
    launching = replace(IDEAL, launch_seconds_per_layer=1e-5)
    whole = _table(make_work(make_layer()), calibration=launching)
    half = _table(make_work(make_layer(streams=(), mixer_gemm_parameters=0)), calibration=launching)
    assert 0 < half.seconds[0, HOST, STEP] < whole.seconds[0, HOST, STEP]
    assert half.work[0, PROJECTIONS].sum() == 0


def test_equal_spans_are_reduced_once() -> None:
    spans = (Span(), Span("sliding", 128), Span())
    layers = make_layer(streams=tuple(make_stream(span) for span in spans))
    work = make_work(layers, layers)
    assert distinct_spans(work) == (Span(), Span("sliding", 128))
    table, alone = _table(work), _table(make_work(make_layer(streams=(make_stream(Span()),))))
    each = float(alone.streams.cache_bytes_per_key[0])
    assert table.streams.cache_bytes_per_key.tolist() == [4 * each, 2 * each]


def test_an_accelerator_without_the_arithmetic_is_refused_with_what_it_has() -> None:
    ampere = replace(H100, name="a100", peak_flop_per_second={"bf16": 312e12, "int8": 624e12})
    with pytest.raises(UnsupportedError) as refused:
        _table(known_work("llama-3.1-8b"), formats=FP8_FORMATS, accelerator=ampere)
    assert refused.value.code == "format-not-supported"
    assert refused.value.field == "formats.activations"
    assert refused.value.accepted == {"compute_formats": ["bf16", "int8"]}


def test_a_layout_the_model_does_not_allow_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        _table(known_work("llama-3.1-8b"), Layout(tp=3))
