"""Work of known models against figures that can be derived from their papers."""

from pathlib import Path

import pytest
import yaml

from service.engine.architecture import (
    active_parameters,
    derive_work,
    head_flop_per_token,
    kv_cache_bytes_per_token,
    linear_flop_per_token,
    state_bytes_per_sequence,
    total_parameters,
)
from service.engine.parts import (
    Attention,
    Dense,
    Experts,
    GatedDeltaNet,
    KimiDelta,
    LatentAttention,
    LayerGroup,
    Mamba2,
    Mixer,
    ModelSpec,
)
from service.engine.types import ModelWork, NumberFormat
from service.model_configs import parse_model_document

_MODELS = Path(__file__).parents[2] / "hardware_catalog" / "models"
_BF16 = NumberFormat(name="bf16", bytes_per_element=2.0, compute_format="bf16")
_FP32 = NumberFormat(name="fp32", bytes_per_element=4.0, compute_format="fp32")


def _work(model: str) -> ModelWork:
    return derive_work(parse_model_document(yaml.safe_load((_MODELS / f"{model}.yaml").read_text())).spec)


def _one_layer(mixer: Mixer, *, hidden: int = 64) -> ModelWork:
    group = LayerGroup(name="layer", count=1, mixers=(mixer,))
    return derive_work(
        ModelSpec(
            name="toy",
            hidden_size=hidden,
            vocab_size=100,
            max_context_tokens=1000,
            tied_embeddings=False,
            layer_groups=(group,),
        )
    )


def test_latent_attention_costs_640_flop_a_pair_and_head_in_prefill_and_2176_in_decode() -> None:
    # DeepSeek-V3 (arXiv 2412.19437, section 4.2): 128 heads, d_nope 128, d_rope 64, d_v 128, rank 512:
    # 2*(128+64+128) = 640 and 2*((512+64)+512) = 2176.
    (stream,) = _work("deepseek-v3").layers[0].streams
    assert stream.flop_per_pair_prefill == 128 * 640
    assert stream.flop_per_pair_decode == 128 * 2176


def test_selected_latent_attention_is_absorbed_in_prefill_too() -> None:
    # DeepSeek-V3.2 (arXiv 2512.02556, section 2.1): sparse attention in the MQA mode of MLA.
    indexer, attention = _work("deepseek-v3.2").layers[0].streams
    assert (indexer.role, attention.role) == ("indexer", "attention")
    assert attention.flop_per_pair_prefill == attention.flop_per_pair_decode == 128 * 2176
    assert attention.span.kind == "top_k"
    assert attention.span.limit_tokens == 2048
    assert indexer.flop_per_pair_decode == 2 * 64 * 128


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        # 2 (K and V) x layers x KV heads x head size x 2 bytes.
        ("llama-3.1-8b", 2 * 32 * 8 * 128 * 2),  # 131,072; arXiv 2407.21783, table 3
        ("llama-3.1-70b", 327_680),  # 2 * 80 * 8 * 128 * 2; arXiv 2407.21783, table 3
        ("llama-3.1-405b", 516_096),  # 2 * 126 * 8 * 128 * 2; arXiv 2407.21783, table 3
        # DeepSeek-V3: (512 + 64) x 61 x 2 = 70.272 KB a token (arXiv 2505.09343, table 1).
        ("deepseek-v3", 70_272),
        ("kimi-k2", 70_272),
        ("mixtral-8x7b", 2 * 32 * 8 * 128 * 2),  # arXiv 2401.04088, table 1
        ("qwen3-235b-a22b", 2 * 94 * 4 * 128 * 2),  # arXiv 2505.09388, table 2
        ("gpt-oss-120b", 2 * 36 * 8 * 64 * 2),  # arXiv 2508.10925, section 2: all layers, windowed ones too
        ("qwen3.5-397b-a17b", 2 * 15 * 2 * 256 * 2),  # 15 of 60 layers keep a cache
        ("nemotron-h-56b", 2 * 10 * 8 * 128 * 2),  # arXiv 2504.03624, table 1: 10 attention layers
    ],
)
def test_cache_bytes_per_token_follow_from_the_papers_sizes(model: str, expected: int) -> None:
    assert kv_cache_bytes_per_token(_work(model), _BF16) == expected


@pytest.mark.parametrize(
    ("model", "published_billions", "tolerance"),
    [
        ("deepseek-v3", 37.0, 0.02),  # arXiv 2412.19437, abstract: 37B activated
        ("mixtral-8x7b", 13.0, 0.02),  # arXiv 2401.04088, abstract: 13B active
        ("mixtral-8x22b", 39.0, 0.01),  # Mistral AI: 39B active
        ("qwen3-235b-a22b", 22.0, 0.02),  # arXiv 2505.09388: 22B activated
        ("kimi-k2", 32.6, 0.02),  # arXiv 2507.20534, table 2: 32.6B activated
        ("llama-4-scout", 17.0, 0.02),
        ("llama-4-maverick", 17.0, 0.02),
    ],
)
def test_active_parameters_agree_with_published_ones(
    model: str, published_billions: float, tolerance: float
) -> None:
    assert active_parameters(_work(model)) / 1e9 == pytest.approx(published_billions, rel=tolerance)


def test_active_parameters_of_gpt_oss_are_published_without_the_input_table() -> None:
    # arXiv 2508.10925, table 1: 5.13B active of 116.83B, "unembedding counted, embedding not".
    work = _work("gpt-oss-120b")
    assert (active_parameters(work) - work.embedding_parameters) / 1e9 == pytest.approx(5.13, abs=0.005)
    assert total_parameters(work) / 1e9 == pytest.approx(116.83, abs=0.005)


def test_deepseek_v3s_prediction_module_is_apart_and_has_its_published_size() -> None:
    # README_WEIGHTS of deepseek-ai/DeepSeek-V3: 11.5B unique parameters, embedding and head shared.
    assert _work("deepseek-v3").mtp_parameters / 1e9 == pytest.approx(11.5, rel=0.02)


def test_linear_flop_of_a_dense_model_are_twice_its_matrices() -> None:
    # Llama-3.1-70B: 80 layers of 8192 x (8192 + 1024 + 1024 + 8192) + 3 x 8192 x 28672.
    work = _work("llama-3.1-70b")
    layer = 8192 * (8192 + 1024 + 1024 + 8192) + 3 * 8192 * 28672
    assert linear_flop_per_token(work) == 2 * 80 * layer
    assert head_flop_per_token(work) == 2 * 8192 * 128_256


def test_all_matrices_norms_and_tables_add_up_to_the_total() -> None:
    work = _work("llama-3.1-70b")
    norms = (2 * 80 + 1) * 8192
    matrices = linear_flop_per_token(work) // 2
    assert total_parameters(work) == matrices + norms + 2 * 8192 * 128_256


def test_only_chosen_experts_count_as_active_and_as_work() -> None:
    experts = Experts(experts=8, experts_per_token=2, intermediate_size=32)
    group = LayerGroup(name="layer", count=3, feed_forwards=(experts,))
    work = derive_work(
        ModelSpec(
            name="toy",
            hidden_size=16,
            vocab_size=10,
            max_context_tokens=10,
            tied_embeddings=True,
            layer_groups=(group,),
        )
    )
    one = 3 * 16 * 32
    assert total_parameters(work) - active_parameters(work) == 3 * 6 * one
    assert linear_flop_per_token(work) == 2 * 3 * (2 * one + 16 * 8)


def test_experts_on_a_latent_add_two_shared_projections() -> None:
    # Nemotron 3 Ultra: routed experts work on 2,048 of 8,192 elements.
    layer = next(layer for layer in _work("nemotron-3-ultra-550b-a55b").layers if layer.experts)
    assert layer.expert_gemm_parameters == 2 * 2048 * 5120
    assert layer.shared_expert_gemm_parameters == 2 * 8192 * 10_240 + 2 * 8192 * 2048


def test_a_delta_rule_layer_has_constant_state_and_seven_flop_per_state_element() -> None:
    part = GatedDeltaNet(key_heads=2, value_heads=4, key_head_dim=8, value_head_dim=16, conv_kernel=4)
    (layer,) = _one_layer(part).layers
    state, channels = 4 * 8 * 16, 2 * 2 * 8 + 4 * 16
    assert layer.streams == ()
    assert layer.state_elements_per_sequence == state
    assert layer.conv_state_elements_per_sequence == 3 * channels
    assert layer.recurrent_flop_per_token == 7 * state + 2 * 4 * channels


def test_kimi_delta_attention_keeps_one_square_state_a_head() -> None:
    (layer,) = _one_layer(KimiDelta(heads=4, head_dim=16, conv_kernel=4, gate_rank=16)).layers
    assert layer.state_elements_per_sequence == 4 * 16 * 16


def test_a_state_space_layer_has_five_flop_per_state_element() -> None:
    part = Mamba2(heads=4, head_dim=8, state_size=16, groups=2, conv_kernel=4)
    (layer,) = _one_layer(part).layers
    inner, channels = 32, 32 + 2 * 2 * 16
    assert layer.state_elements_per_sequence == inner * 16
    assert layer.recurrent_flop_per_token == 5 * inner * 16 + 2 * 4 * channels + 2 * inner


def test_state_bytes_do_not_depend_on_context_and_keep_two_formats() -> None:
    # Qwen3.5-397B: 45 layers, 64 heads of 128 x 128 in FP32, 3 x 12,288 convolution elements in bf16.
    expected = 45 * (64 * 128 * 128 * 4 + 3 * (2 * 16 * 128 + 64 * 128) * 2)
    assert state_bytes_per_sequence(_work("qwen3.5-397b-a17b"), _FP32, _BF16) == expected


def test_grouped_queries_divide_the_cache_and_leave_the_flop() -> None:
    many = Attention(query_heads=8, kv_heads=8, head_dim=16, value_head_dim=16)
    few = Attention(query_heads=8, kv_heads=2, head_dim=16, value_head_dim=16)
    (many_stream,), (few_stream,) = (_one_layer(part).layers[0].streams for part in (many, few))
    assert many_stream.cache_elements_per_key == 4 * few_stream.cache_elements_per_key
    assert many_stream.flop_per_pair_decode == few_stream.flop_per_pair_decode == 2 * 8 * (16 + 16)
    assert (many_stream.cache_shards, few_stream.cache_shards) == (8, 2)


def test_a_layer_that_reuses_a_cache_adds_none_but_reads_it() -> None:
    part = Attention(query_heads=8, kv_heads=2, head_dim=16, value_head_dim=16, reuses_cache=True)
    (stream,) = _one_layer(part).layers[0].streams
    assert stream.cache_elements_per_key == 0
    assert stream.flop_per_pair_decode == 2 * 8 * 32


def test_absorbing_equals_expanding_when_the_latent_is_as_wide_as_the_heads() -> None:
    # One head, rank = d_nope = d_v: both orders of multiplication cost the same.
    part = LatentAttention(
        query_heads=1, query_rank=None, kv_rank=32, nope_head_dim=32, rope_head_dim=8, value_head_dim=32
    )
    (stream,) = _one_layer(part).layers[0].streams
    assert stream.flop_per_pair_prefill == stream.flop_per_pair_decode


def test_a_gate_makes_a_feed_forward_half_as_large_again() -> None:
    gated, plain = (
        derive_work(
            ModelSpec(
                name="toy",
                hidden_size=16,
                vocab_size=10,
                max_context_tokens=10,
                tied_embeddings=True,
                layer_groups=(LayerGroup(name="layer", count=1, feed_forwards=(part,)),),
            )
        )
        for part in (Dense(intermediate_size=64), Dense(intermediate_size=64, gated=False))
    )
    assert 2 * linear_flop_per_token(gated) == 3 * linear_flop_per_token(plain)


def test_tied_embeddings_are_counted_once_but_the_head_still_costs() -> None:
    work = _work("qwen3-0.6b")
    assert work.tied_embeddings
    assert head_flop_per_token(work) == 2 * 1024 * 151_936
