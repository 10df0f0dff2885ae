"""Spellings of configuration fields, and which unknown names may carry structure."""

import re
from typing import Final

SPELLINGS: Final[dict[str, tuple[str, ...]]] = {
    "hidden": ("hidden_size", "n_embd", "d_model"),
    "layers": ("num_hidden_layers", "n_layer", "num_layers", "n_layers"),
    "heads": ("num_attention_heads", "n_head", "n_heads"),
    "kv_heads": ("num_key_value_heads", "num_attention_groups", "num_kv_heads", "n_head_kv"),
    "head_dim": ("head_dim", "attention_head_dim"),
    "intermediate": ("intermediate_size", "ffn_hidden_size", "n_inner"),
    "context": (
        "max_position_embeddings",
        "model_max_length",
        "max_seq_len",
        "max_sequence_length",
        "n_positions",
        "seq_length",
    ),
    "activation": ("hidden_act", "hidden_activation", "mlp_hidden_act", "activation_function"),
    "experts": ("num_experts", "n_routed_experts", "num_local_experts", "moe_num_experts"),
    "experts_per_token": (
        "num_experts_per_tok",
        "num_experts_per_token",
        "top_k_experts",
        "experts_per_token",
        "moe_topk",
        "moe_top_k",
        "moe_k",
    ),
    "expert_intermediate": (
        "moe_intermediate_size",
        "expert_intermediate_size",
        "expert_ffn_hidden_size",
        "moe_ffn_hidden_size",
    ),
    "expert_latent": ("moe_latent_size", "routed_expert_hidden_size"),
    "shared_experts": ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts"),
    "shared_intermediate": (
        "shared_expert_intermediate_size",
        "shared_intermediate_size",
        "moe_shared_expert_intermediate_size",
        "share_expert_dim",
        "share_expert_dims",
        "moe_shared_expert_intermediate_dim",
    ),
    "first_dense": ("first_k_dense_replace", "num_dense_layers"),
    "layer_types": ("layer_types", "layers_block_type"),
    "mtp_layers": ("num_nextn_predict_layers", "num_mtp_modules", "mtp_num_hidden_layers", "num_mtp_layers"),
    "mtp_types": ("mtp_layers_block_type", "mtp_layer_types"),
    "sliding_pattern": ("sliding_window_pattern", "_sliding_window_pattern"),
    "qk_norm": ("use_qk_norm", "qk_layernorm", "use_qk_layernorm"),
    "output_gate": ("attn_output_gate", "attention_output_gate"),
    "mamba_heads": ("mamba_num_heads", "mamba_n_heads"),
    "mamba_head_dim": ("mamba_head_dim", "mamba_d_head"),
    "mamba_state": ("ssm_state_size", "mamba_d_state"),
    "mamba_groups": ("n_groups", "mamba_n_groups"),
    "mamba_kernel": ("conv_kernel", "mamba_d_conv"),
    "mamba_conv_bias": ("use_conv_bias", "mamba_conv_bias"),
    "state_format": ("mamba_ssm_dtype", "mamba_ssm_cache_dtype"),
}
"""Our name of a field -> how configurations spell it; a name absent here is spelt as it is."""

_NO_INTEGERS: Final = frozenset(
    [
        "activation",
        "layer_types",
        "mtp_types",
        "qk_norm",
        "output_gate",
        "mamba_conv_bias",
        "sliding_pattern",
        "state_format",
    ]
)
INTEGER_FIELDS: Final = frozenset(
    spelling for name, spellings in SPELLINGS.items() if name not in _NO_INTEGERS for spelling in spellings
) | frozenset(
    [
        "vocab_size",
        "vocab_size_per_layer_input",
        "hidden_size_per_layer_input",
        "intermediate_size_mlp",
        "dense_intermediate_size",
        "v_head_dim",
        "qk_nope_head_dim",
        "qk_rope_head_dim",
        "qk_head_dim",
        "q_lora_rank",
        "kv_lora_rank",
        "o_lora_rank",
        "o_groups",
        "index_n_heads",
        "index_head_dim",
        "index_topk",
        "index_block_size",
        "index_topk_blocks",
        "index_topk_freq",
        "index_skip_topk_offset",
        "sliding_window",
        "sliding_window_size",
        "max_window_layers",
        "attention_chunk_size",
        "full_attention_interval",
        "no_rope_layer_interval",
        "global_attn_every_n_layers",
        "swa_num_attention_heads",
        "swa_num_key_value_heads",
        "swa_head_dim",
        "swa_v_head_dim",
        "num_sliding_attention_heads",
        "global_head_dim",
        "num_global_key_value_heads",
        "num_kv_shared_layers",
        "linear_num_key_heads",
        "linear_num_value_heads",
        "linear_key_head_dim",
        "linear_value_head_dim",
        "linear_conv_kernel_dim",
        "linear_num_heads",
        "linear_head_dim",
        "mamba_d_ssm",
        "decoder_sparse_step",
        "interleave_moe_layer_step",
        "moe_layer_start_index",
        "moe_layer_interval",
        "hc_mult",
        "num_hash_layers",
        "mtp_transformer_layers",
        "compress_rate_csa",
        "compress_rate_hca",
        "expand",
        "mamba_expand",
    ]
)
"""Fields that are non-negative integers or null wherever they occur, read or not."""

_STRUCTURE: Final = re.compile(
    r"(^|_)(num|n|size|sizes|dim|dims|rank|ranks|heads|head|layers|layer|experts|expert|window|chunk|kernel"
    r"|groups|group|latent|pattern|block|blocks|interval|freq|period|step|topk|top_k|intermediate|hidden"
    r"|vocab|sparse|compress|ratio|ratios|stride|share|shared|attn|attention|mlp|moe|ffn|norm|bias|conv"
    r"|mamba|ssm|linear|lora|gate|tie|embeddings|depth|width|expand)($|_)"
)

_HARMLESS: Final = re.compile(
    r"^(top_k|chunk_size|use_routing_bias|use_moe_router_bias|use_gemma_norm"
    r"|mamba_chunk_size|moe_layer_freq|moe_router_dtype|moe_renormalize|attn_res_block_size|hybrid_block_size)$"
    r"|(eps|epsilon|dropout|pdrop|coef|coeff|alpha|beta|scale|scaling|scaling_factor|multiplier|multipliers"
    r"|scalar|theta|token|token_id|token_ids|_id|_ids|_index|dtype|cap|capping|softcapping|softcap|limit"
    r"|limits|penalty|implementation|version|method|func|function|score|activation|act|std|range|noise"
    r"|weighting|loss|prob|fp32|float32|overlap|kernels|mscale|factor)$"
    r"|^(rope|rotary|mrope|mup|init|initializer|output_|use_cache|num_return|num_beam|num_beams|no_repeat"
    r"|generation|gradient|pretraining|image|video|audio|vision|vit|mm|projector|quant|time_step|max_length"
    r"|min_length|chunk_size_feed_forward|torch|tf_|_|id2label|label2id|bos|eos|pad|sep|unk|decoder_start"
    r"|forced|suppress|begin_suppress|auto_map|task|problem|finetuning|aux_|router_aux|router_jitter"
    r"|layernorm|attention_dropout|attn_pdrop|is_|add_cross|cross_attention|tokenizer|transformers|loss_"
    r"|num_labels|classifier|ignore|multimodal|media|img|position_embedding_type|partial_rotary|index_share"
    r"|norm_topk|num_logits|swiglu|seq_aux|ep_size|topk_|n_group$|num_expert_group$|use_grouped|indexer_rope"
    r"|linear_a_log|linear_dt|original_max_position|initial_context|query_pre_attn|hidden_dropout)"
)


def is_structural(name: str, value: object) -> bool:
    """Tell whether an unknown field may change the shape of a model.

    Names decide, not values: a name made of structural words that no harmless pattern covers.
    Strings other than layer patterns never do.
    """
    if isinstance(value, str) and "pattern" not in name:
        return False
    return bool(_STRUCTURE.search(name)) and not _HARMLESS.search(name)
