"""What each known architecture does that its configuration does not say.

A configuration names sizes; whether queries are normalised or a projection has a bias is often left to
the class that reads it. These conventions are facts of the classes in ``transformers`` 5.23, checked by
instantiating them (``tests/model_configs/data``). An architecture that is absent here is read by its
fields alone, with the conventions of ``GENERIC``.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal

from service.engine.parts import OutputGate, QueryKeyNorm

Bias = bool | Literal["attention_bias", "qkv_bias", "use_bias", "mlp_bias", "attention_out_bias"]
LayerRule = Literal[
    "all_full",
    "window_everywhere",
    "window_flag",
    "alternate",
    "every_fourth_full",
    "every_sixth_full",
    "pattern",
    "chunked_nope",
    "mimo",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Conventions of one architecture."""

    attention: Literal["softmax", "latent", "compressed"] = "softmax"
    query_key_norm: QueryKeyNorm = "none"
    query_key_norm_if: QueryKeyNorm = "per_head"
    """Kind of norm where the configuration's flag asks for one."""
    query_key_norm_bias: bool = False
    qkv_bias: Bias = "attention_bias"
    output_bias: Bias = "attention_bias"
    mlp_bias: Bias = "mlp_bias"
    gated: bool | None = None
    """None: by the activation (``relu2`` feeds a plain two-matrix feed-forward)."""
    norm_vectors: int = 2
    full_norm_vectors: int | None = None
    """Norms of a layer with growing attention, where they differ."""
    final_norm_vectors: int = 1
    output_gate: OutputGate = "none"
    sinks: bool = False
    expert_bias: bool = False
    router_bias: bool = False
    router_vector: bool = False
    """A learned value per expert that is a parameter, not a buffer."""
    shared_gate: bool = False
    shares_expert_size: bool = False
    """One shared expert as wide as a routed one, whatever the configuration says (Llama 4)."""
    layer_rule: LayerRule = "window_everywhere"
    tied: bool = False
    head_bias: bool = False
    generic: bool = False
    parallel_mamba: bool = False
    """Every layer has a Mamba-2 mixer beside its attention (Falcon-H1)."""
    local_kv_multiple: int = 1
    """KV heads of a windowed layer over those of a full one, where the configuration is silent."""
    mtp_dense: bool = False
    """Multi-token-prediction layers are dense though the model's last layer has experts (Step 3.5)."""
    class_vocabulary: int | None = None
    """Vocabulary of the class where it reads none from a file of one level (Step 3.7): see ``parse``."""
    one_part_per_layer: bool = False
    """A layer is a mixer or a feed-forward, not both (Nemotron-H)."""
    assumptions: tuple[str, ...] = ()
    """What neither the configuration nor a public class says and was taken from elsewhere."""
    ignored: tuple[str, ...] = ()
    """Fields that the class reads for nothing that changes structure."""


GENERIC: Final = Family(generic=True, layer_rule="pattern")

_LLAMA = Family(layer_rule="all_full")
_QWEN2 = Family(qkv_bias=True, output_bias=False, mlp_bias=False, layer_rule="window_flag")
_QWEN3 = replace(_QWEN2, qkv_bias="attention_bias", output_bias="attention_bias", query_key_norm="per_head")
_QWEN3_NEXT = replace(_QWEN3, output_gate="per_element", shared_gate=True, layer_rule="pattern")
_GEMMA = Family(tied=True, layer_rule="all_full", mlp_bias=False)
_DEEPSEEK = Family(attention="latent", layer_rule="all_full", ignored=("kv_heads", "head_dim"))
_MISTRAL = Family(qkv_bias=False, output_bias=False, mlp_bias=False)
_LAYER_NORM = 4
"""Two LayerNorms with weight and bias."""
_GRANITE = replace(_LLAMA, mlp_bias=False)

FAMILIES: Final[dict[str, Family]] = {
    "llama": _LLAMA,
    "mistral": _MISTRAL,
    "mixtral": _MISTRAL,
    "ministral3": _MISTRAL,
    "llama4_text": replace(
        _LLAMA,
        layer_rule="chunked_nope",
        query_key_norm_if="weightless",
        mlp_bias=False,
        shares_expert_size=True,
    ),
    "nemotron-nas": _LLAMA,
    "qwen2": _QWEN2,
    "qwen2_vl_text": _QWEN2,
    "qwen2_5_vl_text": _QWEN2,
    "qwen2_moe": replace(_QWEN2, qkv_bias="qkv_bias", shared_gate=True),
    "qwen3": _QWEN3,
    "qwen3_moe": _QWEN3,
    "qwen3_vl_text": _QWEN3,
    "qwen3_vl_moe_text": _QWEN3,
    "qwen3_next": _QWEN3_NEXT,
    "qwen3_5_text": _QWEN3_NEXT,
    "qwen3_5_moe_text": _QWEN3_NEXT,
    "gemma": _GEMMA,
    "gemma2": replace(_GEMMA, norm_vectors=4, layer_rule="alternate"),
    "gemma3_text": replace(_GEMMA, norm_vectors=4, query_key_norm="per_head", layer_rule="every_sixth_full"),
    "gemma4_text": replace(_GEMMA, norm_vectors=4, query_key_norm="per_head", layer_rule="every_sixth_full"),
    "phi3": _MISTRAL,
    "phi": Family(
        qkv_bias=True,
        output_bias=True,
        mlp_bias=True,
        gated=False,
        norm_vectors=2,
        final_norm_vectors=2,
        head_bias=True,
        layer_rule="all_full",
    ),
    "phimoe": replace(
        _MISTRAL,
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        norm_vectors=_LAYER_NORM,
        final_norm_vectors=2,
    ),
    "glm": replace(_LLAMA, output_bias=False, mlp_bias=False),
    "glm4": replace(_LLAMA, output_bias=False, mlp_bias=False, norm_vectors=4),
    "glm4_moe": replace(_LLAMA, output_bias=False, mlp_bias=False),
    "glm4_moe_lite": _DEEPSEEK,
    "glm_moe_dsa": _DEEPSEEK,
    "deepseek_v2": _DEEPSEEK,
    "deepseek_v3": _DEEPSEEK,
    "kimi_k2": _DEEPSEEK,
    "deepseek_v32": _DEEPSEEK,
    "deepseek_v4": Family(attention="compressed", mlp_bias=False, ignored=("kv_heads", "qk_rope_head_dim")),
    "kimi_linear": replace(_DEEPSEEK, layer_rule="pattern"),
    "kimi_k3": replace(
        _DEEPSEEK,
        layer_rule="pattern",
        assumptions=(
            "No public class reads this configuration: the output gate of latent attention is taken as one"
            " value per element, full-rank gates as one matrix, and attention residuals as free of GEMMs.",
        ),
    ),
    "olmo": replace(_LLAMA, norm_vectors=0, final_norm_vectors=0, mlp_bias=False),
    "olmo2": replace(_LLAMA, query_key_norm="all_heads", mlp_bias=False),
    "olmo3": replace(_LLAMA, query_key_norm="all_heads", mlp_bias=False, layer_rule="every_fourth_full"),
    "olmoe": replace(_LLAMA, query_key_norm="all_heads", mlp_bias=False),
    "olmo_hybrid": replace(_LLAMA, query_key_norm="all_heads", mlp_bias=False, layer_rule="pattern"),
    "gpt_oss": Family(sinks=True, expert_bias=True, router_bias=True, mlp_bias=False, layer_rule="alternate"),
    "granite": _LLAMA,
    "granitemoe": _GRANITE,
    "granitemoeshared": _GRANITE,
    "granitemoehybrid": replace(_GRANITE, layer_rule="pattern"),
    "falcon_h1": replace(_LLAMA, parallel_mamba=True),
    "cohere": replace(_LLAMA, norm_vectors=1, query_key_norm_if="per_head_own", mlp_bias=False, tied=True),
    "cohere2": replace(_LLAMA, norm_vectors=1, mlp_bias=False, tied=True, layer_rule="every_fourth_full"),
    "nemotron": replace(_LLAMA, gated=False, norm_vectors=_LAYER_NORM, final_norm_vectors=2),
    "nemotron_h": Family(
        qkv_bias=False, output_bias=False, gated=False, norm_vectors=1, one_part_per_layer=True
    ),
    "mimo": replace(_QWEN2, qkv_bias="attention_bias"),
    "mimo_v2_flash": Family(
        output_bias=False,
        mlp_bias=False,
        layer_rule="mimo",
        ignored=("attention_chunk_size",),
        local_kv_multiple=2,
    ),
    "minimax_m2": replace(_MISTRAL, query_key_norm_if="all_heads", query_key_norm="all_heads"),
    "minimax_m3_vl_text": replace(_MISTRAL, query_key_norm="per_head", layer_rule="all_full"),
    "step3p5": replace(
        _LLAMA,
        query_key_norm="per_head",
        output_gate="per_head",
        layer_rule="pattern",
        mtp_dense=True,
        class_vocabulary=128_815,
    ),
    "ernie4_5": replace(_LLAMA, qkv_bias="use_bias", output_bias="use_bias", mlp_bias="use_bias", tied=True),
    "ernie4_5_moe": replace(
        _LLAMA,
        qkv_bias="use_bias",
        output_bias="use_bias",
        mlp_bias="use_bias",
        tied=True,
        router_vector=True,
    ),
    "smollm3": replace(_LLAMA, tied=True, layer_rule="window_flag"),
    "seed_oss": replace(_LLAMA, output_bias="attention_out_bias"),
    "exaone4": replace(_MISTRAL, query_key_norm="per_head", layer_rule="pattern"),
    "starcoder2": Family(
        qkv_bias="use_bias",
        output_bias="use_bias",
        mlp_bias="use_bias",
        gated=False,
        norm_vectors=_LAYER_NORM,
        final_norm_vectors=2,
        tied=True,
    ),
    "dots1": replace(_LLAMA, query_key_norm="per_head", mlp_bias=False, layer_rule="window_flag"),
    "afmoe": replace(
        _LLAMA,
        query_key_norm="per_head",
        output_gate="per_element",
        norm_vectors=4,
        router_vector=True,
        layer_rule="pattern",
    ),
    "solar_open": replace(_LLAMA, mlp_bias=False),
}

WITH_EXPERTS: Final = frozenset(
    {"mixtral", "llama4_text", "qwen2_moe", "qwen3_moe", "qwen3_vl_moe_text", "qwen3_next"}
    | {"qwen3_5_moe_text", "gemma4_text", "phimoe", "glm4_moe", "glm4_moe_lite", "glm_moe_dsa"}
    | {"deepseek_v2", "deepseek_v3", "kimi_k2", "deepseek_v32", "deepseek_v4", "kimi_linear", "kimi_k3"}
    | {"olmoe", "gpt_oss", "granitemoe", "granitemoeshared", "granitemoehybrid", "nemotron_h"}
    | {"mimo_v2_flash", "minimax_m2", "minimax_m3_vl_text", "step3p5", "ernie4_5_moe", "dots1", "afmoe"}
    | {"solar_open"}
)
"""Known architectures whose class reads routed experts; the others would pass over them."""
