"""Examples and bodies of curves, tariffs and comparisons in the OpenAPI document."""

from typing import Any

import orjson

from service.api.documentation import CONCURRENCY, SMALLEST

POSITION_CURVE: dict[str, Any] = {
    **CONCURRENCY,
    "curve": {
        "axis": "position",
        "points": 100,
        "request": {"input_tokens": 60_000, "output_tokens": 4_000},
    },
}

BATCH_CURVE: dict[str, Any] = {
    **CONCURRENCY,
    "curve": {"axis": "batch", "points": 50},
    "counterfactuals": [
        {"kind": "no_kv_cache"},
        {"kind": "window", "tokens": 4096},
        {"kind": "eviction", "tokens": 1024},
        {"kind": "sparse_attention", "tokens": 2048},
        {"kind": "kv_heads", "kv_heads": 64},
        {"kind": "kv_format", "format": "bf16"},
    ],
}

CLASSES_TARIFF: dict[str, Any] = {
    **CONCURRENCY,
    "workload": {
        "classes": [
            {"name": "chat", "weight": 3, "input_tokens": 2000, "output_tokens": 500, "cached_share": 0.5},
            {"name": "summary", "weight": 1, "input_tokens": 30000, "output_tokens": 300},
            {"name": "reasoning", "weight": 1, "input_tokens": 1000, "output_tokens": 8000},
        ]
    },
    "prices": [
        {"name": "mine", "currency": "USD", "input": "0.60", "cached_input": "0.06", "output": "1.80"}
    ],
    "prefix": {
        "tokens": 8000,
        "seconds": 300,
        "tiers": [
            {
                "name": "host",
                "currency": "USD",
                "per_gigabyte_hour": "0.002",
                "bytes_per_second": 50_000_000_000,
            },
            {
                "name": "disk",
                "currency": "USD",
                "per_gigabyte_hour": "0.0001",
                "bytes_per_second": 5_000_000_000,
            },
        ],
    },
    "subscription": {
        "price": "20",
        "currency": "USD",
        "median_requests": 300,
        "p90_requests": 3000,
        "target_margin": 0.2,
    },
}

TRACE_TARIFF: dict[str, Any] = {
    **CONCURRENCY,
    "trace": {
        "format": "azure_csv",
        "text": "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:15:46.6805900,374,44\n"
        "2023-11-16 18:15:50.9951690,396,109\n"
        "2023-11-16 18:15:51.2224670,879,55\n",
    },
}

ACROSS: dict[str, Any] = {**CONCURRENCY, "target_margin": 0.3, "across_models": True}

CLOSED: dict[str, Any] = {
    "accelerator": "h200-sxm",
    "config": {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 8192,
        "intermediate_size": 28672,
        "num_hidden_layers": 80,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
        "max_position_embeddings": 131072,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    },
    "priced_as": {"provider": "openai", "provider_model_id": "gpt-4o"},
}


def _body(model: str, **examples: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    named = {name: {"summary": summary, "value": value} for name, (summary, value) in examples.items()}
    schema = {"$ref": f"#/components/schemas/{model}"}
    return {"required": True, "content": {"application/json": {"schema": schema, "examples": named}}}


def _batch_body(route: str, *examples: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "string", "description": f"One body a line, each as POST {route} takes it."}
    text = "".join(orjson.dumps(one).decode() + "\n" for one in examples)
    return {"required": True, "content": {"application/x-ndjson": {"schema": schema, "example": text}}}


CURVE_BODY = _body(
    "CurveBody",
    position=("Every token of a long request", POSITION_CURVE),
    batch=("Rates over the batch, and what other caches would change", BATCH_CURVE),
)
CURVE_BATCH_BODY = _batch_body("/v1/curves", POSITION_CURVE, BATCH_CURVE)
TARIFF_BODY = _body(
    "TariffBody",
    classes=("Three classes, own prices, a kept prefix and a flat plan", CLASSES_TARIFF),
    trace=("The mix as a trace", TRACE_TARIFF),
)
TARIFF_BATCH_BODY = _batch_body("/v1/tariffs", CLASSES_TARIFF, TRACE_TARIFF)
COMPARISON_BODY = _body(
    "CompareBody",
    smallest=("One model beside its list prices", SMALLEST),
    across=("Every model of the catalog: listed against modelled ratios", ACROSS),
    closed=("A closed model under an assumed architecture", CLOSED),
)
COMPARISON_BATCH_BODY = _batch_body("/v1/comparisons", SMALLEST, CLOSED)
