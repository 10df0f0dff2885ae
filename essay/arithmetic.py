"""Figures that hold whatever the hardware: FLOP and bytes of requests and of positions."""

from typing import Any

from essay.workshop import CONCURRENCY, INPUT_TOKENS, LLAMA, OUTPUT_TOKENS, Workshop
from service.engine.architecture import (
    active_parameters,
    head_flop_per_token,
    kv_cache_bytes_per_token,
    linear_flop_per_token,
    total_parameters,
)
from service.engine.crossover import attention_crossover
from service.engine.request_flop import attention_flop_at, request_flop
from service.engine.types import ModelWork

Figures = dict[str, Any]
CROSSOVER_MODELS = (
    "llama-3.1-8b",
    "llama-3.1-70b",
    "llama-3.1-405b",
    "qwen3-30b-a3b",
    "gpt-oss-120b",
    "deepseek-r1",
)


def arithmetic_figures(workshop: Workshop) -> Figures:
    """Return the figures of the sections on arithmetic."""
    llama = workshop.work("llama-3.1-70b")
    cache = workshop.snapshot.number_format("fp8")
    linear = linear_flop_per_token(llama)
    token_bytes = kv_cache_bytes_per_token(llama, cache)
    return {
        "llama": _model(llama),
        "llama8": _model(workshop.work("llama-3.1-8b")),
        "deepseek": _model(workshop.work("deepseek-r1")),
        "pair_prefill": _pair_flop(workshop.work("deepseek-r1"), "prefill"),
        "pair_decode": _pair_flop(workshop.work("deepseek-r1"), "decode"),
        "next_token": {
            "cache_bytes_each": token_bytes,
            "cache_bytes": 1_000 * token_bytes,
            "attention_over_linear": attention_flop_at(llama, 1_001) / linear,
        },
        "envelope": _envelope(workshop, linear, token_bytes),
        "attention_share": {n: _attention_share(llama, n) for n in (4_000, 10_000, 100_000)},
        "cache_intensity": attention_flop_at(llama, 1) / token_bytes,
        "no_cache_over_cache": _without_cache(llama),
        "crossovers": [_crossover(workshop.work(name), name) for name in CROSSOVER_MODELS],
    }


def _envelope(workshop: Workshop, linear: float, token_bytes: float) -> Figures:
    """Return the two times that anybody can work out: peaks reached, nothing but weights, cache and FLOP."""
    spec = workshop.snapshot.accelerator(LLAMA.accelerator).spec
    count = (LLAMA.layout.tp if LLAMA.layout else None) or 1
    weights = workshop.estimate(LLAMA).memory.weights_bytes * count
    cache = (INPUT_TOKENS + OUTPUT_TOKENS / 2) * token_bytes
    bandwidth = spec.memory_bandwidth_bytes_per_second * count
    peak = spec.peak_flop_per_second["fp8"] * count
    output, fresh = (weights / CONCURRENCY + cache) / bandwidth, linear / peak
    return {
        "cache": cache,
        "bandwidth": bandwidth,
        "peak": peak,
        "output_seconds": output,
        "input_seconds": fresh,
        "ratio": output / fresh,
    }


def _model(work: ModelWork) -> Figures:
    there, back = request_flop(work, 100, 900), request_flop(work, 900, 100)
    pairs = (there.attention_prefill + there.attention_decode) - (
        back.attention_prefill + back.attention_decode
    )
    return {
        "parameters": total_parameters(work),
        "active": active_parameters(work),
        "linear": linear_flop_per_token(work),
        "head": head_flop_per_token(work),
        "out_900": there.total,
        "out_100": back.total,
        "more": there.total - back.total,
        "more_share": there.total / back.total - 1.0,
        "head_share": (there.head - back.head) / back.total,
        "pairs": pairs,
        "pairs_share": pairs / back.total,
        "linear_difference": there.linear - back.linear,
    }


def _pair_flop(work: ModelWork, phase: str) -> int:
    """Return FLOP of one pair in one head of the first layer."""
    layer = work.layers[0]
    stream = layer.streams[0]
    flop = stream.flop_per_pair_prefill if phase == "prefill" else stream.flop_per_pair_decode
    return flop // layer.query_heads


def _attention_share(work: ModelWork, length: int) -> float:
    """Return the share of a prompt's FLOP that are attention."""
    flop = request_flop(work, length, 1)
    return flop.attention_prefill / (flop.attention_prefill + flop.linear)


def _without_cache(work: ModelWork) -> float:
    """Return FLOP of a request whose output tokens each run the whole prefix again, over those it takes."""
    again = sum(request_flop(work, INPUT_TOKENS + done, 1).total for done in range(OUTPUT_TOKENS))
    return again / request_flop(work, INPUT_TOKENS, OUTPUT_TOKENS).total


def _crossover(work: ModelWork, name: str) -> Figures:
    found = attention_crossover(work)
    return {
        "model": name,
        "per_token": found.per_token,
        "cumulative": found.cumulative,
        "context": work.max_context_tokens,
    }
