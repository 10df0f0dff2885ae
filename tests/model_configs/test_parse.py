"""What a configuration may say, and how what it may not say is refused."""

import copy
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from service.engine.errors import EngineError, InvalidInputError, UnsupportedError
from service.engine.parts import Attention, Experts, GatedDeltaNet, LatentAttention, Mamba2, ModelSpec
from service.model_configs import parse_config

_CONFIGS = Path(__file__).parent / "data" / "configs"
_FAMILIES: dict[str, Any] = json.loads((_CONFIGS.parent / "families.json").read_text())
_NAMES = sorted(path.stem for path in _CONFIGS.glob("*.json"))


def _config(name: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((_CONFIGS / f"{name}.json").read_text())
    return config


def _spec(name: str) -> ModelSpec:
    return parse_config(_config(name), name).spec


def _groups(spec: ModelSpec) -> dict[str, int]:
    return {group.name: group.count for group in spec.layer_groups}


_NEVER_SEEN: dict[str, Any] = {
    "model_type": "never_seen",
    "architectures": ["NeverSeenForCausalLM"],
    "hidden_size": 1024,
    "num_hidden_layers": 4,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "head_dim": 64,
    "intermediate_size": 4096,
    "vocab_size": 32_000,
    "max_position_embeddings": 8192,
    "hidden_act": "silu",
    "layer_types": ["full_attention"] * 4,
}


def _never_seen(**changes: object) -> dict[str, Any]:
    return {**_NEVER_SEEN, **changes}


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("gpt-oss", {"sliding attention + experts": 18, "full attention + experts": 18}),
        ("qwen3.5", {"gated delta net + experts": 45, "full attention + experts": 15}),
        ("nemotron-h", {"mamba-2": 54, "dense": 54, "full attention": 10}),
        ("deepseek-v3", {"latent attention + dense": 3, "latent attention + experts": 58}),
        ("minimax-m3", {"full attention + dense": 3, "sparse attention + experts": 57}),
        ("kimi-k3", {"kimi delta attention + dense": 1, "kimi delta attention + experts": 68}),
        ("llama4", {"chunked attention + dense": 24, "full attention + experts": 12}),
        ("gemma4-moe", {"sliding attention + dense + experts": 25, "full attention + dense + experts": 5}),
    ],
)
def test_equal_layers_are_merged_whatever_their_order(name: str, groups: dict[str, int]) -> None:
    assert groups.items() <= _groups(_spec(name)).items()


def test_both_spellings_of_deepseek_v4_give_the_same_model() -> None:
    first, second = _spec("deepseek-v4"), _spec("deepseek-v4-reference")
    assert first.layer_groups == second.layer_groups
    assert first.extras == second.extras


def test_absent_blocks_of_a_searched_model_take_their_norms_with_them() -> None:
    spec = _spec("nemotron-nas")
    alone = [group for group in spec.layer_groups if not group.mixers]
    assert alone
    assert all(group.norm_vectors == 1 for group in alone)


def test_layers_that_share_a_selection_have_no_indexer_of_their_own() -> None:
    latent = [
        (group.count, mixer)
        for group in _spec("glm-5.2").layer_groups
        for mixer in group.mixers
        if isinstance(mixer, LatentAttention)
    ]
    shared = sum(count for count, mixer in latent if mixer.selection and mixer.selection.indexer is None)
    own = sum(count for count, mixer in latent if mixer.selection and mixer.selection.indexer)
    stated = _config("glm-5.2")["indexer_types"]
    assert (own, shared) == (stated.count("full"), stated.count("shared"))


@pytest.mark.parametrize(
    ("name", "formats"),
    [
        ("llama", {"weights": "bf16", "experts": "bf16", "activations": "bf16", "kv_cache": "bf16"}),
        ("deepseek-v3", {"weights": "fp8_block", "experts": "fp8_block", "activations": "fp8"}),
        ("deepseek-v4", {"weights": "fp8_block", "experts": "mxfp4"}),
        ("gpt-oss", {"weights": "bf16", "experts": "mxfp4", "activations": "bf16"}),
        ("kimi-k2.5", {"weights": "bf16", "experts": "int4_wo"}),
        ("qwen3.6-nvfp4", {"experts": "nvfp4", "kv_cache": "fp8"}),
        ("minimax-m3", {"experts": "nvfp4", "kv_cache": "bf16"}),
    ],
)
def test_native_formats_follow_the_quantization_section(name: str, formats: dict[str, str]) -> None:
    found = parse_config(_config(name), name).native_formats
    assert {role: getattr(found, role) for role in formats} == formats


def _four_bit_group(**changes: object) -> dict[str, Any]:
    weights = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 128}
    groups = {"group_0": {"targets": ["Linear"], "weights": weights}}
    return {"quant_method": "compressed-tensors", "config_groups": groups, **changes}


@pytest.mark.parametrize(
    ("section", "weights"),
    [
        # llm-compressor's W4A16 narrows every linear layer but the head; Kimi K2.5 spares attention too.
        (_four_bit_group(ignore=["lm_head"]), "int4_wo"),
        (_four_bit_group(ignore=["lm_head", "re:.*self_attn.*"]), "bf16"),
        ({"quant_method": "gptq", "bits": 4}, "int4_wo"),
        ({"quant_method": "gptq", "bits": 8}, "int8"),
        ({"quant_method": "awq", "w_bit": 4}, "int4_wo"),
    ],
)
def test_weight_only_sections_say_what_is_narrow(section: dict[str, Any], weights: str) -> None:
    found = parse_config(_never_seen(quantization_config=section), "x").native_formats
    assert (found.weights, found.activations) == (weights, "bf16")


def test_a_width_of_weights_that_is_not_covered_is_refused_by_its_field() -> None:
    with pytest.raises(UnsupportedError) as caught:
        parse_config(_never_seen(quantization_config={"quant_method": "gptq", "bits": 3}), "x")
    assert caught.value.field == "quantization_config.bits"


def test_an_unknown_quantization_method_is_refused_by_its_field() -> None:
    config = _never_seen(quantization_config={"quant_method": "sorcery"})
    with pytest.raises(UnsupportedError) as caught:
        parse_config(config, "x")
    assert caught.value.field == "quantization_config.quant_method"


def test_an_architecture_never_seen_is_read_by_its_list_of_layers() -> None:
    config = _never_seen(
        layer_types=["linear_attention", "sliding_attention", "mamba", "full_attention"],
        sliding_window=512,
        linear_num_key_heads=8,
        linear_num_value_heads=16,
        linear_key_head_dim=64,
        linear_value_head_dim=64,
        linear_conv_kernel_dim=4,
        mamba_num_heads=32,
        mamba_head_dim=64,
        ssm_state_size=64,
        n_groups=4,
        conv_kernel=4,
    )
    parsed = parse_config(config, "x")
    kinds = [type(group.mixers[0]) for group in parsed.spec.layer_groups]
    assert kinds == [GatedDeltaNet, Attention, Mamba2, Attention]
    assert parsed.family == "generic"
    assert parsed.assumptions


@pytest.mark.parametrize(
    ("config", "told"), [({}, "is missing"), ({"model_type": "zork"}, "'zork' is not known")]
)
def test_an_unknown_architecture_is_refused_by_its_field(config: dict[str, Any], told: str) -> None:
    with pytest.raises(UnsupportedError, match=f"model_type: {told}, and no field names") as caught:
        parse_config(config, "x")
    assert caught.value.field == "model_type"


def test_an_architecture_never_seen_says_whose_head_is_counted_where_it_is_silent() -> None:
    silent = {key: value for key, value in _never_seen().items() if key != "tie_word_embeddings"}
    assert any("tie_word_embeddings" in note for note in parse_config(silent, "x").assumptions)
    stated = parse_config({**silent, "tie_word_embeddings": False}, "x").assumptions
    assert not any("tie_word_embeddings" in note for note in stated)


def test_a_windowed_pattern_in_letters_is_its_period() -> None:
    # EXAONE 4.0 publishes "LLLG", which its configuration class documents as every fourth layer full.
    config = _FAMILIES["EXAONE-4.0-32B"]
    letters = {**config, "sliding_window_pattern": "LLLG"}
    assert parse_config(letters, "x").spec == parse_config(config, "x").spec
    listed = {**letters, "layer_types": ["sliding_attention"] * 3 + ["full_attention"]}
    assert parse_config({**listed, "num_hidden_layers": 4}, "x").spec.layer_groups[0].count == 3


@pytest.mark.parametrize("letters", ["", "L", "LGL", "LLXG"])
def test_a_windowed_pattern_of_other_letters_is_refused_by_its_field(letters: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        parse_config({**_FAMILIES["EXAONE-4.0-32B"], "sliding_window_pattern": letters}, "x")
    assert caught.value.field == "sliding_window_pattern"


def test_an_architecture_never_seen_is_read_by_its_experts_section() -> None:
    config = _never_seen(
        num_experts=16,
        num_experts_per_tok=2,
        moe_intermediate_size=512,
        n_shared_experts=1,
        first_k_dense_replace=1,
    )
    del config["layer_types"]
    spec = parse_config(config, "x").spec
    assert _groups(spec) == {"full attention + dense": 1, "full attention + experts": 3}
    experts = spec.layer_groups[1].feed_forwards[0]
    assert isinstance(experts, Experts)
    assert experts.shared is not None
    assert (experts.experts, experts.experts_per_token, experts.shared.intermediate_size) == (16, 2, 512)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"layer_types": None}, "model_type"),  # names none of its parts
        ({"model_type": "rwkv"}, "model_type"),
        ({"model_type": "t5"}, "model_type"),
        ({"is_encoder_decoder": True, "layer_types": None}, "is_encoder_decoder"),
        ({"layer_types": ["full_attention", "retention"] * 2}, "layer_types[1]"),
        ({"num_memory_heads": 4}, "num_memory_heads"),
        ({"time_mix_extra_dim": 64}, "time_mix_extra_dim"),
        ({"hidden_act": "gelu"}, "hidden_act"),  # occurs gated and plain
        ({"layer_types": None, "num_experts": 4, "sliding_window": 64}, "layer_types"),  # which layers?
        ({"model_type": "llama", "num_experts": 8, "num_experts_per_tok": 2}, "num_experts"),
        ({"model_type": "llama", "layer_types": None, "sliding_window": 64}, "sliding_window"),
    ],
)
def test_structure_that_no_part_covers_is_refused_by_its_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        parse_config(_never_seen(**changes), "x")
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"hidden_size": None}, "hidden_size"),
        ({"num_attention_heads": None}, "num_attention_heads"),
        ({"num_hidden_layers": 0}, "num_hidden_layers"),
        ({"num_hidden_layers": 2049, "layer_types": None, "num_experts": 2}, "num_hidden_layers"),
        ({"num_hidden_layers": 10**9, "layer_types": None, "num_experts": 2}, "num_hidden_layers"),
        ({"hidden_size": True}, "hidden_size"),
        ({"hidden_size": "1024"}, "hidden_size"),
        ({"hidden_size": float("nan")}, "hidden_size"),
        ({"hidden_size": 2**53}, "hidden_size"),
        ({"vocab_size": -1}, "vocab_size"),
        ({"num_key_value_heads": 5}, "num_key_value_heads"),
        ({"head_dim": None, "num_attention_heads": 12}, "num_attention_heads"),
        ({"layer_types": ["full_attention"] * 3}, "layer_types"),
        ({"layer_types": "full_attention"}, "layer_types"),
        ({"layer_types": ["sliding_attention"] * 4}, "sliding_window"),
        ({"num_experts": 4, "num_experts_per_tok": 5}, "num_experts_per_tok"),
        ({"num_experts": 4, "n_routed_experts": 8, "num_experts_per_tok": 2}, "n_routed_experts"),
        ({"attention_bias": "yes"}, "attention_bias"),
        ({"model_type": 7}, "model_type"),
        ({"text_config": []}, "text_config"),
    ],
)
def test_a_value_that_breaks_a_rule_is_refused_by_its_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_config(_never_seen(**changes), "x")
    assert caught.value.field == field


def test_a_field_of_a_nested_language_model_is_named_with_its_path() -> None:
    config = _config("qwen3-vl")
    config["text_config"]["num_key_value_heads"] = 5
    with pytest.raises(InvalidInputError) as caught:
        parse_config(config, "x")
    assert caught.value.field == "text_config.num_key_value_heads"


def test_two_spellings_of_one_field_may_agree() -> None:
    config = _never_seen(num_experts=4, n_routed_experts=4, num_experts_per_tok=2)
    assert parse_config(config, "x").spec.layer_groups


def test_a_hostile_size_is_refused_before_anything_of_that_size_is_made() -> None:
    config = _config("llama")
    config["num_hidden_layers"] = 10**9
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInputError):
            parse_config(config, "x")
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most_bytes < 2**20


@pytest.mark.parametrize("name", _NAMES)
@pytest.mark.parametrize("value", [True, -1, 1.5, float("nan"), 10**30, "many", [1]], ids=str)
def test_no_size_of_any_family_may_be_something_else_than_a_count(name: str, value: object) -> None:
    config = _config(name)
    part = config.get("text_config", config)
    for field in ("hidden_size", "num_attention_heads", "vocab_size", "max_position_embeddings"):
        broken = copy.deepcopy(config)
        (broken["text_config"] if part is not config else broken)[field] = value
        with pytest.raises(EngineError) as caught:
            parse_config(broken, name)
        assert caught.value.field.endswith(field)


def test_what_the_class_decides_is_said() -> None:
    config = _config("mixtral")
    del config["num_experts_per_tok"]
    assert "num_experts_per_tok = 2" in " ".join(parse_config(config, "x").assumptions)
