"""Which architecture a configuration is of, and where its language model is described."""

from collections.abc import Mapping
from typing import Final

from service.model_configs.families import FAMILIES
from service.model_configs.reader import invalid, unsupported
from service.model_configs.vocabulary import SPELLINGS

_TEXT_SECTIONS = ("text_config", "llm_config", "language_config")
_INHERITED = ("tie_word_embeddings", "quantization_config")
MODEL_TYPES: Final[dict[str, str]] = {
    "qwen3_vl": "qwen3_vl_text",
    "qwen3_vl_moe": "qwen3_vl_moe_text",
    "qwen2_vl": "qwen2_vl_text",
    "qwen2_5_vl": "qwen2_5_vl_text",
    "qwen3_5": "qwen3_5_text",
    "qwen3_5_moe": "qwen3_5_moe_text",
    "gemma3": "gemma3_text",
    "gemma4": "gemma4_text",
    "llama4": "llama4_text",
    "minimax_m3_vl": "minimax_m3_vl_text",
    "minimax_m3": "minimax_m3_vl_text",
    "step3p7": "step3p5",
    "step3p6": "step3p5",
    "deepseek_ref": "deepseek_v4",
    "kimi_k25": "deepseek_v3",
}
"""Other spellings of a model type -> the one whose conventions hold for its language model."""

ARCHITECTURES: Final[dict[str, str]] = {
    "DeepseekV4ForCausalLM": "deepseek_v4",
    "DeepseekV32ForCausalLM": "deepseek_v32",
    "DeciLMForCausalLM": "nemotron-nas",
    "KimiK3ForConditionalGeneration": "kimi_k3",
}
"""Classes that decide the family whatever ``model_type`` says."""

UNSUPPORTED: Final = frozenset(
    {
        "bert",
        "roberta",
        "xlm-roberta",
        "deberta",
        "deberta-v2",
        "electra",
        "albert",
        "distilbert",
        "modernbert",
    }
    | {
        "t5",
        "mt5",
        "umt5",
        "bart",
        "mbart",
        "pegasus",
        "marian",
        "whisper",
        "switch_transformers",
        "nllb-moe",
    }
    | {"gpt2", "gpt_neo", "gpt_neox", "gptj", "gpt_bigcode", "opt", "bloom", "mpt", "codegen", "falcon"}
    | {"modernbert", "nllb-moe"}
    | {"rwkv", "mamba", "mamba2", "falcon_mamba", "xlstm", "recurrent_gemma", "jamba", "zamba", "zamba2"}
    | {"minimax", "minimax_text_01", "longcat_flash", "bailing_hybrid", "gemma3n", "gemma3n_text", "lfm2"}
    | {"lfm2_moe", "stablelm", "persimmon", "dbrx", "arctic", "mllama", "retnet", "hyena", "clip", "vit"}
)
"""Known architectures with parts or conventions that this schema does not cover."""

_NAMED_PARTS = (
    *SPELLINGS["layer_types"],
    *SPELLINGS["experts"],
    "hybrid_override_pattern",
    "block_configs",
    "kv_lora_rank",
    "linear_num_value_heads",
    "linear_attn_config",
)
"""Fields of which an architecture never seen states at least one, so that its layers are no guess."""


def language_part(config: Mapping[str, object]) -> tuple[Mapping[str, object], str]:
    """Find the language model's section; fields that the outer document states for it are kept."""
    for section in _TEXT_SECTIONS:
        nested = config.get(section)
        if nested is None:
            continue
        if not isinstance(nested, Mapping):
            raise invalid(section, "a mapping is expected", type="object")
        outer = {key: config[key] for key in _INHERITED if key in config and key not in nested}
        return {**nested, **outer}, section
    return config, ""


def family_name_of(config: Mapping[str, object], values: Mapping[str, object]) -> str:
    """Name the architecture: by its class where that decides, else by the language part's model type.

    Raises
    ------
    UnsupportedError
        For an architecture that is known not to be covered, or one never seen that names none of its parts.
    """
    architectures = config.get("architectures")
    for item in architectures if isinstance(architectures, list) else ():
        if isinstance(item, str) and item in ARCHITECTURES:
            return ARCHITECTURES[item]
    for holder in (values, config):
        stated = holder.get("model_type")
        if stated is not None and not isinstance(stated, str):
            raise invalid("model_type", "a string is expected", type="string")
        if stated is None:
            continue
        known = MODEL_TYPES.get(stated, stated)
        if known in FAMILIES:
            return known
        if known in UNSUPPORTED:
            raise unsupported("model_type", f"{stated!r:.60} is not covered", one_of=sorted(FAMILIES))
    if config.get("is_encoder_decoder") is True:
        raise unsupported("is_encoder_decoder", "only decoders are covered", one_of=[False])
    if not any(values.get(name) for name in _NAMED_PARTS):
        stated = config.get("model_type")
        raise unsupported(
            "model_type",
            f"{'is missing' if stated is None else f'{stated!r:.60} is not known'}, "
            "and no field names the parts of its layers",
            one_of=sorted(FAMILIES),
            or_any_of=list(_NAMED_PARTS),
        )
    return "generic"
