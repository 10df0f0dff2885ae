"""What a model is, in numbers: the answer of ``pertoken models inspect``."""

from collections.abc import Mapping

from service.engine.architecture import (
    active_parameters,
    derive_work,
    head_flop_per_token,
    kv_cache_bytes_per_token,
    layer_bytes_per_token,
    layer_parameters,
    linear_flop_per_token,
    state_bytes_per_sequence,
    stream_bytes_per_token,
    total_parameters,
)
from service.engine.crossover import Crossover, attention_crossover
from service.engine.parts import ModelSpec
from service.engine.types import AttentionStream, LayerWork, ModelWork, NumberFormat

_CACHE = NumberFormat(name="bf16", bytes_per_element=2.0, compute_format="bf16")
_STATE = {
    "fp32": NumberFormat(name="fp32", bytes_per_element=4.0, compute_format="fp32"),
    "bf16": _CACHE,
}


def inspect_model(
    spec: ModelSpec, native_formats: Mapping[str, str], assumptions: tuple[str, ...] = ()
) -> dict[str, object]:
    """Describe a model: parameters, FLOP, cache, state, crossover and layer groups.

    Parameters
    ----------
    spec
        A checked specification.
    native_formats
        Format name by role, as the checkpoint is published.
    assumptions
        What the specification took from elsewhere than the configuration.

    Returns
    -------
    dict
        JSON values. FLOP and bytes are exact; totals of FLOP per pair run over the streams that grow
        with the context, so windows and selected keys are in the layer groups only.
    """
    work = derive_work(spec)
    growing = [
        (layer.count, stream)
        for layer in work.layers
        for stream in layer.streams
        if stream.span.kind == "full"
    ]
    return {
        "name": spec.name,
        "hidden_size": spec.hidden_size,
        "vocab_size": spec.vocab_size,
        "max_context_tokens": spec.max_context_tokens,
        "layers": sum(layer.count for layer in work.layers),
        "tied_embeddings": spec.tied_embeddings,
        "native_formats": dict(native_formats),
        "parameters_total": total_parameters(work),
        "parameters_active": active_parameters(work),
        "parameters_mtp": work.mtp_parameters,
        "kv_cache_format": _CACHE.name,
        "kv_cache_bytes_per_token": _plain(kv_cache_bytes_per_token(work, _CACHE)),
        "kv_cache_bytes_per_token_growing": _plain(_growing_bytes(work)),
        "state_format": spec.state_format,
        "state_bytes_per_sequence": _plain(state_bytes_per_sequence(work, _STATE[spec.state_format], _CACHE)),
        "flop_per_token_linear": linear_flop_per_token(work),
        "flop_per_token_head": head_flop_per_token(work),
        "flop_per_pair_prefill": _pair_flop(growing, "prefill"),
        "flop_per_pair_decode": _pair_flop(growing, "decode"),
        "attention_crossover_tokens": _crossover(attention_crossover(work)),
        "attention_crossover_tokens_decode": _crossover(attention_crossover(work, "decode")),
        "layer_groups": [_layer_group(layer) for layer in work.layers],
        "assumptions": list(assumptions),
    }


def _plain(value: float) -> int | float:
    """Give whole numbers as integers."""
    return int(value) if float(value).is_integer() else value


def _growing_bytes(work: ModelWork) -> float:
    """Sum cache bytes that one more token adds for good: a window or chunk only replaces what it held."""
    return sum(
        layer.count * stream_bytes_per_token(stream, _CACHE)
        for layer in work.layers
        for stream in layer.streams
        if stream.span.kind in ("full", "top_k")
    )


def _pair_flop(streams: list[tuple[int, AttentionStream]], phase: str) -> int | float:
    total = 0.0
    for count, stream in streams:
        total += count * getattr(stream, f"flop_per_pair_{phase}") / stream.span.stride
    return _plain(total)


def _crossover(found: Crossover) -> dict[str, int | None]:
    return {"per_token": found.per_token, "cumulative": found.cumulative}


def _layer_group(layer: LayerWork) -> dict[str, object]:
    return {
        "name": layer.name,
        "count": layer.count,
        "mixer": layer.mixer_kind,
        "query_heads": layer.query_heads,
        "kv_heads": layer.kv_heads,
        "experts": layer.experts,
        "experts_per_token": layer.experts_per_token,
        "parameters_per_layer": layer_parameters(layer),
        "kv_cache_bytes_per_token_per_layer": _plain(layer_bytes_per_token(layer, _CACHE)),
        "state_elements_per_sequence_per_layer": layer.state_elements_per_sequence,
        "conv_state_elements_per_sequence_per_layer": layer.conv_state_elements_per_sequence,
        "recurrent_flop_per_token_per_layer": layer.recurrent_flop_per_token,
        "streams": [_stream(stream) for stream in layer.streams],
    }


def _stream(stream: AttentionStream) -> dict[str, object]:
    return {
        "role": stream.role,
        "span": stream.span.kind,
        "limit_tokens": stream.span.limit_tokens,
        "tokens_per_key": stream.span.stride,
        "flop_per_pair_prefill": stream.flop_per_pair_prefill,
        "flop_per_pair_decode": stream.flop_per_pair_decode,
        "cache_elements_per_key": stream.cache_elements_per_key,
    }
