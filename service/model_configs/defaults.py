"""What a configuration's class takes where a field is absent.

Facts of the configuration classes in ``transformers`` 5.23 (Apache-2.0), read with
``dataclasses.fields(CONFIG_MAPPING[model_type])``. Sizes that every published configuration states
(hidden size, layers, heads, vocabulary) are left out, so that their absence is an error and no guess;
Gemma 3 and 4 leave some of them to their classes, so theirs are kept.
"""

import functools
from collections.abc import Mapping

_TABLE = """\
mistral: num_key_value_heads=8 sliding_window=4096
mixtral: num_key_value_heads=8 num_experts_per_tok=2 num_local_experts=8
ministral3: num_key_value_heads=8 head_dim=128
llama4_text: intermediate_size_mlp=16384 num_key_value_heads=8 head_dim=128 num_experts_per_tok=1
  num_local_experts=16 interleave_moe_layer_step=1 use_qk_norm=true no_rope_layer_interval=4
  attention_chunk_size=8192
qwen2: num_key_value_heads=32 sliding_window=4096 max_window_layers=28
qwen2_vl_text: num_key_value_heads=8 sliding_window=4096 max_window_layers=80
qwen2_5_vl_text: num_key_value_heads=8 sliding_window=4096 max_window_layers=80
qwen2_moe: num_key_value_heads=16 sliding_window=4096 max_window_layers=28 decoder_sparse_step=1
  moe_intermediate_size=1408 shared_expert_intermediate_size=5632 num_experts_per_tok=4 num_experts=60
  qkv_bias=true
qwen3: num_key_value_heads=32 head_dim=128 sliding_window=4096 max_window_layers=28
qwen3_moe: num_key_value_heads=4 sliding_window=4096 decoder_sparse_step=1 moe_intermediate_size=768
  num_experts_per_tok=8 num_experts=128
qwen3_vl_text: num_key_value_heads=32 head_dim=128
qwen3_vl_moe_text: num_key_value_heads=16 tie_word_embeddings=true decoder_sparse_step=1
  moe_intermediate_size=1408 num_experts_per_tok=4 num_experts=60
qwen3_next: num_key_value_heads=2 head_dim=256 linear_conv_kernel_dim=4 linear_key_head_dim=128
  linear_value_head_dim=128 linear_num_key_heads=16 linear_num_value_heads=32 decoder_sparse_step=1
  moe_intermediate_size=512 shared_expert_intermediate_size=512 num_experts_per_tok=10 num_experts=512
qwen3_5_text: num_key_value_heads=4 head_dim=256 linear_conv_kernel_dim=4 linear_key_head_dim=128
  linear_value_head_dim=128 linear_num_key_heads=16 linear_num_value_heads=32
qwen3_5_moe_text: num_key_value_heads=2 head_dim=256 linear_conv_kernel_dim=4 linear_key_head_dim=128
  linear_value_head_dim=128 linear_num_key_heads=16 linear_num_value_heads=32 moe_intermediate_size=512
  shared_expert_intermediate_size=512 num_experts_per_tok=8 num_experts=256
gemma: num_key_value_heads=16 head_dim=256 tie_word_embeddings=true
gemma2: num_key_value_heads=4 head_dim=256 tie_word_embeddings=true sliding_window=4096
gemma3_text: vocab_size=262208 intermediate_size=9216 num_attention_heads=8 num_key_value_heads=4
  head_dim=256 max_position_embeddings=131072 tie_word_embeddings=true sliding_window=4096
gemma4_text: vocab_size=262144 intermediate_size=9216 num_attention_heads=8 num_key_value_heads=4
  head_dim=256 max_position_embeddings=131072 tie_word_embeddings=true sliding_window=512
  global_head_dim=512 vocab_size_per_layer_input=262144 hidden_size_per_layer_input=256
phimoe: num_key_value_heads=8 num_experts_per_tok=2 num_local_experts=16
glm: num_key_value_heads=2 head_dim=128 attention_bias=true
glm4: num_key_value_heads=2 head_dim=128 attention_bias=true
glm4_moe: num_key_value_heads=8 moe_intermediate_size=1408 num_experts_per_tok=8 n_shared_experts=1
  n_routed_experts=128 first_k_dense_replace=1
glm4_moe_lite: moe_intermediate_size=1536 num_key_value_heads=20 n_shared_experts=1 n_routed_experts=64
  kv_lora_rank=512 q_lora_rank=768 qk_rope_head_dim=64 v_head_dim=256 qk_nope_head_dim=192
  num_experts_per_tok=4
glm_moe_dsa: moe_intermediate_size=2048 num_key_value_heads=64 n_shared_experts=1 n_routed_experts=256
  kv_lora_rank=512 q_lora_rank=2048 qk_rope_head_dim=64 v_head_dim=256 qk_nope_head_dim=192
  num_experts_per_tok=8 index_topk=2048 index_head_dim=128 index_n_heads=32 head_dim=64
  first_k_dense_replace=3
deepseek_v2: kv_lora_rank=512 q_lora_rank=1536 n_routed_experts=64 n_shared_experts=2 qk_nope_head_dim=128
  qk_rope_head_dim=64 v_head_dim=128 moe_intermediate_size=1407
deepseek_v3: moe_intermediate_size=2048 num_key_value_heads=128 n_shared_experts=1 n_routed_experts=256
  kv_lora_rank=512 q_lora_rank=1536 qk_rope_head_dim=64 v_head_dim=128 qk_nope_head_dim=128
  num_experts_per_tok=8 first_k_dense_replace=3
deepseek_v32: moe_intermediate_size=2048 num_key_value_heads=128 n_shared_experts=1 n_routed_experts=256
  kv_lora_rank=512 q_lora_rank=1536 qk_rope_head_dim=64 v_head_dim=128 qk_nope_head_dim=128
  num_experts_per_tok=8 index_topk=2048 index_head_dim=128 index_n_heads=64 head_dim=64
  first_k_dense_replace=3
deepseek_v4: moe_intermediate_size=2048 num_key_value_heads=1 head_dim=512 q_lora_rank=1024
  num_experts_per_tok=6 n_routed_experts=256 n_shared_experts=1 hc_mult=4 sliding_window=128 o_groups=8
  o_lora_rank=1024 index_n_heads=64 index_head_dim=128 index_topk=512
kimi_linear: moe_intermediate_size=1024 num_key_value_heads=32 n_shared_experts=1 kv_lora_rank=512
  qk_rope_head_dim=64 v_head_dim=128 qk_nope_head_dim=128 num_experts_per_tok=8 num_local_experts=256
  linear_head_dim=128 linear_num_heads=32 linear_conv_kernel_dim=4
olmo3: sliding_window=4096
olmoe: num_experts_per_tok=8 num_experts=64
olmo_hybrid: linear_conv_kernel_dim=4
gpt_oss: num_local_experts=128 head_dim=64 num_key_value_heads=8 sliding_window=128 num_experts_per_tok=4
  attention_bias=true
granitemoe: num_local_experts=8 num_experts_per_tok=2
granitemoeshared: num_local_experts=8 num_experts_per_tok=2
granitemoehybrid: num_local_experts=8 num_experts_per_tok=2 shared_intermediate_size=1024 mamba_n_heads=128
  mamba_n_groups=1 mamba_d_state=256 mamba_d_conv=4 mamba_expand=2 mamba_conv_bias=true
falcon_h1: num_key_value_heads=8 mamba_d_ssm=1024 mamba_n_heads=128 mamba_n_groups=1
  mamba_d_state=256 mamba_d_conv=4 mamba_expand=2 mamba_conv_bias=true
cohere: tie_word_embeddings=true
cohere2: tie_word_embeddings=true sliding_window=4096
nemotron_h: num_key_value_heads=8 head_dim=128 ssm_state_size=128 mamba_num_heads=128 mamba_head_dim=64
  n_groups=8 conv_kernel=4 expand=2 use_conv_bias=true n_routed_experts=8
  n_shared_experts=1 moe_intermediate_size=7688 moe_shared_expert_intermediate_size=7688
  num_experts_per_tok=2
mimo_v2_flash: first_k_dense_replace=1 num_key_value_heads=4 moe_intermediate_size=2048 num_experts_per_tok=8
  n_routed_experts=256 head_dim=192 v_head_dim=128 sliding_window=129
minimax_m2: num_key_value_heads=8 head_dim=128 num_experts_per_tok=8 num_local_experts=256
minimax_m3_vl_text: num_key_value_heads=4 head_dim=128 num_experts_per_tok=4 num_local_experts=128
  dense_intermediate_size=12288 shared_intermediate_size=3072 index_n_heads=4 index_head_dim=128
  index_block_size=128 index_topk_blocks=16 index_local_blocks=1
step3p5: num_key_value_heads=8 head_dim=128 num_experts_per_tok=8 num_local_experts=128
  moe_intermediate_size=1280 n_routed_experts=288 share_expert_dim=1280
ernie4_5: num_key_value_heads=2 tie_word_embeddings=true head_dim=128
ernie4_5_moe: num_key_value_heads=4 tie_word_embeddings=true moe_intermediate_size=1536 moe_k=6
  moe_num_experts=64 moe_num_shared_experts=2 moe_layer_start_index=1 moe_layer_end_index=-1
  moe_layer_interval=1
smollm3: num_key_value_heads=4 no_rope_layer_interval=4 tie_word_embeddings=true
seed_oss: num_key_value_heads=8 attention_bias=true head_dim=128
exaone4: num_key_value_heads=32 sliding_window=4096 sliding_window_pattern=4
starcoder2: num_key_value_heads=2 use_bias=true tie_word_embeddings=true
dots1: moe_intermediate_size=1408 num_key_value_heads=32 sliding_window=4096 max_window_layers=62
afmoe: moe_intermediate_size=1408 num_dense_layers=1 head_dim=128 num_experts=64 num_experts_per_tok=6
  num_shared_experts=2 global_attn_every_n_layers=4 sliding_window=1024
solar_open: num_key_value_heads=8 moe_intermediate_size=1280 num_experts_per_tok=8 n_shared_experts=1
  n_routed_experts=128 head_dim=128
"""


@functools.cache
def _parsed() -> Mapping[str, Mapping[str, object]]:
    found: dict[str, dict[str, object]] = {}
    family = ""
    for word in _TABLE.split():
        if word.endswith(":"):
            family = word[:-1]
            found[family] = {}
        else:
            name, _, value = word.partition("=")
            found[family][name] = True if value == "true" else int(value)
    return found


def class_defaults(family: str) -> Mapping[str, object]:
    """Return the defaults of a family's configuration class; empty where it has none."""
    return _parsed().get(family, {})
