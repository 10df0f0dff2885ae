"""Cells of measured runs, as a CSV file has them."""

from typing import Final

ROW: Final = {
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "accelerator": "h100_sxm",
    "engine": "vllm",
    "precision": "bf16",
    "protocol": "fixed",
    "input_tokens": "1000",
    "output_tokens": "200",
    "concurrency": "16",
    "gpus": "1",
    "tp": "1",
}
POOLS: Final = {
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "accelerator": "h100_sxm",
    "engine": "vllm",
    "precision": "bf16",
    "input_tokens": "4000",
    "output_tokens": "500",
    "concurrency": "64",
    "prefill_num_workers": "2",
    "prefill_tp_size": "1",
    "decode_num_workers": "1",
    "decode_tp_size": "2",
}
CONFIG: Final = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "vocab_size": 128_256,
    "max_position_embeddings": 131_072,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
}
"""A ``config.json`` as a folder of models has it."""


def make_row(**cells: str) -> dict[str, str]:
    """Make a run of one replica that can be predicted."""
    return {**ROW, **cells}


def make_pools_row(**cells: str) -> dict[str, str]:
    """Make a run of separate pools that can be predicted."""
    return {**POOLS, **cells}
