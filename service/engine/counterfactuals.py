"""The same model with another cache: what windows, eviction, sparse reads or other heads would change.

Each function returns a model reduced to other work (METHOD 1); it may not exist, and its answers would
differ. Layers without a growing cache stay as they are.
"""

from collections.abc import Callable
from dataclasses import replace

from service.engine.errors import InvalidInputError
from service.engine.types import AttentionStream, LayerWork, ModelWork, Span

INDEXER_HEADS = 64
INDEXER_DIMENSION = 128
INDEXER_BYTES_PER_KEY = 132
"""As in DeepSeek-V3.2 (arXiv 2512.02556): FP8 elements and one scale."""

Change = Callable[[AttentionStream], tuple[AttentionStream, ...]]


def with_window(work: ModelWork, window_tokens: int) -> ModelWork:
    """Let every growing attention see the last ``window_tokens`` keys only."""
    span = Span("sliding", window_tokens)
    return _changed(work, lambda stream: (replace(stream, span=span),))


def with_eviction(work: ModelWork, budget_tokens: int) -> ModelWork:
    """Compute prompts in full, then keep ``budget_tokens`` keys for decoding (H2O, arXiv 2306.14048)."""

    def split(stream: AttentionStream) -> tuple[AttentionStream, ...]:
        prompt = replace(
            stream,
            flop_per_pair_decode=0,
            cache_elements_per_key=0,
            cache_bytes_per_key_override=None,
            expand_flop_per_key=0,
        )
        kept = replace(stream, span=Span("sliding", budget_tokens), flop_per_pair_prefill=0)
        return prompt, kept

    return _changed(work, split)


def with_sparse_attention(work: ModelWork, selected_tokens: int) -> ModelWork:
    """Let an indexer score all keys and attention read ``selected_tokens`` of them (equation A4)."""
    flop = 2 * INDEXER_HEADS * INDEXER_DIMENSION
    indexer = AttentionStream(
        role="indexer",
        span=Span(),
        flop_per_pair_prefill=flop,
        flop_per_pair_decode=flop,
        cache_elements_per_key=INDEXER_DIMENSION,
        cache_shards=1,
        cache_bytes_per_key_override=INDEXER_BYTES_PER_KEY,
    )
    span = Span("top_k", selected_tokens)
    return _changed(work, lambda stream: (replace(stream, span=span), indexer))


def with_kv_heads(work: ModelWork, kv_heads: int) -> ModelWork:
    """Give every attention layer ``kv_heads`` key/value heads and the projections that they need.

    Raises
    ------
    InvalidInputError
        Where the heads do not divide the query heads, or the cache is a latent without heads.
    """
    return replace(work, layers=tuple(_heads(layer, kv_heads, work.hidden_size) for layer in work.layers))


def _heads(layer: LayerWork, kv_heads: int, hidden_size: int) -> LayerWork:
    if layer.mixer_kind != "attention" or not layer.kv_heads:
        if layer.mixer_kind == "mla":
            raise InvalidInputError(
                f"{layer.name} caches one latent for all heads; its KV heads cannot be changed.",
                field="counterfactuals",
                code="invalid-counterfactual",
            )
        return layer
    if layer.query_heads % kv_heads:
        raise InvalidInputError(
            f"{kv_heads} KV heads do not divide the {layer.query_heads} query heads of {layer.name}.",
            field="counterfactuals",
            code="invalid-counterfactual",
            accepted={"kv_heads": [n for n in range(1, layer.query_heads + 1) if layer.query_heads % n == 0]},
        )
    streams, added = [], 0
    for stream in layer.streams:
        elements = stream.cache_elements_per_key * kv_heads // layer.kv_heads
        added += hidden_size * (elements - stream.cache_elements_per_key)
        streams.append(replace(stream, cache_elements_per_key=elements, cache_shards=kv_heads))
    return replace(
        layer,
        kv_heads=kv_heads,
        streams=tuple(streams),
        mixer_gemm_parameters=layer.mixer_gemm_parameters + added,
    )


def _changed(work: ModelWork, change: Change) -> ModelWork:
    """Apply a change to every stream that reads all keys."""
    layers = []
    for layer in work.layers:
        streams = tuple(
            new
            for stream in layer.streams
            for new in (change(stream) if stream.span.kind == "full" else (stream,))
        )
        layers.append(replace(layer, streams=streams))
    return replace(work, layers=tuple(layers))
