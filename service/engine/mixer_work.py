"""Work of one mixer: GEMM parameters, cache streams, recurrent state (equations A1 to A8).

Every function takes a part and the hidden size and returns exact integers for ONE layer. A GEMM of an
m x n matrix on one token is 2*m*n FLOP; softmax, norms and activations are left out, as in Kaplan et al.
(arXiv 2001.08361, table 1).
"""

from dataclasses import dataclass
from typing import assert_never

from service.engine.parts import (
    Attention,
    CompressedAttention,
    GatedDeltaNet,
    KimiDelta,
    LatentAttention,
    Mamba2,
    Mixer,
    Selection,
    ShortConvolution,
)
from service.engine.types import AttentionStream, MixerKind, Span

_DELTA_RULE_FLOP = 7
"""FLOP per state element and token: decay 1, read for the error 2, rank-one update 2, read-out 2."""
_STATE_SPACE_FLOP = 5
"""FLOP per state element and token: decay 1, rank-one update 2, read-out 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MixerWork:
    """What one mixer of one layer costs; fields as in :class:`service.engine.types.LayerWork`."""

    kind: MixerKind
    query_heads: int
    kv_heads: int
    gemm_parameters: int
    other_parameters: int
    streams: tuple[AttentionStream, ...] = ()
    recurrent_flop_per_token: int = 0
    state_elements: int = 0
    conv_state_elements: int = 0


def mixer_work(mixer: Mixer, hidden_size: int) -> MixerWork:
    """Return the work of one mixer.

    Parameters
    ----------
    mixer
        A part of ``service.engine.parts``.
    hidden_size
        Elements of the residual stream.

    Returns
    -------
    MixerWork
        Exact counts of one layer.
    """
    match mixer:
        case Attention():
            return _attention(mixer, hidden_size)
        case LatentAttention():
            return _latent_attention(mixer, hidden_size)
        case CompressedAttention():
            return _compressed_attention(mixer, hidden_size)
        case GatedDeltaNet():
            return _gated_delta_net(mixer, hidden_size)
        case KimiDelta():
            return _kimi_delta(mixer, hidden_size)
        case Mamba2():
            return _mamba2(mixer, hidden_size)
        case ShortConvolution():
            return _short_convolution(mixer, hidden_size)
        case _:
            assert_never(mixer)


def _indexer_counts(selection: Selection | None, hidden_size: int) -> tuple[int, int]:
    """GEMM and other parameters of an indexer (A4): queries, one shared key head, head weights, two norms."""
    if selection is None or selection.indexer is None:
        return 0, 0
    indexer = selection.indexer
    query_input = indexer.query_rank if indexer.query_rank is not None else hidden_size
    gemm = query_input * indexer.heads * indexer.head_dim + hidden_size * indexer.head_dim
    if indexer.head_weights:
        gemm += hidden_size * indexer.heads
    return gemm, 2 * indexer.head_dim


def _indexer_streams(selection: Selection | None) -> tuple[AttentionStream, ...]:
    """Score every key with every indexer head: 2*heads*dim FLOP a pair (arXiv 2512.02556, eq. 1; A4)."""
    if selection is None or selection.indexer is None:
        return ()
    indexer = selection.indexer
    flop = 2 * indexer.heads * indexer.head_dim
    return (
        AttentionStream(
            role="indexer",
            span=Span(),
            flop_per_pair_prefill=flop,
            flop_per_pair_decode=flop,
            cache_elements_per_key=indexer.head_dim,
            cache_shards=1,
            cache_bytes_per_key_override=indexer.cache_bytes_per_key,
        ),
    )


def _selected_span(span: Span, selection: Selection | None) -> Span:
    return span if selection is None else Span(kind="top_k", limit_tokens=selection.limit_tokens)


def _attention(part: Attention, hidden_size: int) -> MixerWork:
    """Count softmax attention (A1, A2).

    FLOP of a pair = 2*heads*(d_qk + d_v): one dot product and one weighted sum per head (Vaswani et
    al., arXiv 1706.03762, eq. 1; grouped queries: Ainslie et al., arXiv 2305.13245).
    """
    query, value_out = part.query_heads * part.head_dim, part.query_heads * part.value_head_dim
    key = 0 if part.reuses_cache else part.kv_heads * part.head_dim
    value = 0 if part.reuses_cache or part.value_from_key else part.kv_heads * part.value_head_dim
    fused_gate = value_out if part.output_gate == "per_element" else 0
    gemm = hidden_size * (query + fused_gate + key + value + value_out)
    if part.output_gate == "per_head":
        gemm += hidden_size * part.query_heads
    other = part.other_parameters + (part.query_heads if part.sinks else 0)
    other += (query + fused_gate + key + value) if part.qkv_bias else 0
    other += hidden_size if part.output_bias else 0
    norms = {
        "none": 0,
        "weightless": 0,
        "per_head": part.head_dim * (1 if part.reuses_cache else 2),
        "per_head_own": query + key,
        "all_heads": query + key,
    }[part.query_key_norm]
    other += norms * (2 if part.norm_bias else 1)
    index_gemm, index_other = _indexer_counts(part.selection, hidden_size)
    flop = 2 * part.query_heads * (part.head_dim + part.value_head_dim)
    cached = 0 if part.reuses_cache else part.kv_heads * (part.head_dim + part.value_head_dim)
    main = AttentionStream(
        role="attention",
        span=_selected_span(part.span, part.selection),
        flop_per_pair_prefill=flop,
        flop_per_pair_decode=flop,
        cache_elements_per_key=cached,
        cache_shards=part.kv_heads,
    )
    return MixerWork(
        kind="attention",
        query_heads=part.query_heads,
        kv_heads=part.kv_heads,
        gemm_parameters=gemm + index_gemm,
        other_parameters=other + index_other,
        streams=(*_indexer_streams(part.selection), main),
    )


def _latent_attention(part: LatentAttention, hidden_size: int) -> MixerWork:
    """Count multi-head latent attention (A3; DeepSeek-V2, arXiv 2405.04434, eqs. 9 to 19 and appendix C).

    Prefill expands the latent: 2*heads*(d_nope + d_rope + d_v) a pair, after 2*r*heads*(d_nope + d_v)
    to expand a key. Decode absorbs both up-projections into queries and output:
    2*heads*((r + d_rope) + r). The up-projection's GEMM is applied once a token either way. With a
    selection, prefill is absorbed too, since every query reads other keys (DeepSeek-V3.2, arXiv
    2512.02556, section 2.1: DSA works in the MQA mode of MLA).
    """
    heads, rank = part.query_heads, part.kv_rank
    query_key = part.nope_head_dim + part.rope_head_dim
    value = heads * part.value_head_dim
    if part.query_rank is None:
        gemm = hidden_size * heads * query_key
    else:
        gemm = part.query_rank * (hidden_size + heads * query_key)
    gemm += hidden_size * (rank + part.rope_head_dim)
    up_projection = rank * heads * (part.nope_head_dim + part.value_head_dim)
    gemm += up_projection + value * hidden_size
    gemm += {"none": 0, "per_element": hidden_size * value, "per_head": hidden_size * heads}[part.output_gate]
    other = part.other_parameters + (part.query_rank or 0) + rank
    if part.bias:
        other += (part.query_rank or 0) + rank + part.rope_head_dim + hidden_size
    index_gemm, index_other = _indexer_counts(part.selection, hidden_size)
    absorbed = 2 * heads * (rank + part.rope_head_dim + rank)
    expanded = 2 * heads * (query_key + part.value_head_dim)
    main = AttentionStream(
        role="attention",
        span=_selected_span(Span(), part.selection),
        flop_per_pair_prefill=expanded if part.selection is None else absorbed,
        flop_per_pair_decode=absorbed,
        cache_elements_per_key=rank + part.rope_head_dim,
        cache_shards=1,
        expand_flop_per_key=2 * up_projection if part.selection is None else 0,
    )
    return MixerWork(
        kind="mla",
        query_heads=heads,
        kv_heads=1,
        gemm_parameters=gemm + index_gemm,
        other_parameters=other + index_other,
        streams=(*_indexer_streams(part.selection), main),
    )


def _compressed_attention(part: CompressedAttention, hidden_size: int) -> MixerWork:
    """Count DeepSeek-V4's compressed attention (A5; DeepSeek-V4 report, sections 2.3.1 and 2.3.2).

    One shared head is key and value at once, so a pair is 2*heads*2*d FLOP and a key d cached elements.
    The output passes a block-diagonal projection of ``output_groups`` groups, then a dense one.
    """
    heads, dim = part.query_heads, part.head_dim
    gemm = part.query_rank * (hidden_size + heads * dim) + hidden_size * dim
    gemm += heads * dim * part.output_rank + part.output_groups * part.output_rank * hidden_size
    other = part.query_rank + dim + heads
    flop = 2 * heads * 2 * dim

    def stream(span: Span, pair_flop: int, elements: int, *, indexer: bool = False) -> AttentionStream:
        return AttentionStream(
            role="indexer" if indexer else "attention",
            span=span,
            flop_per_pair_prefill=pair_flop,
            flop_per_pair_decode=pair_flop,
            cache_elements_per_key=elements,
            cache_shards=1,
        )

    streams = [stream(Span(kind="sliding", limit_tokens=part.window_tokens), flop, dim)]
    if part.ratio is not None:
        # Overlapping windows project two series per token (compressed sparse attention only).
        series = 2 if part.indexer_heads is not None else 1
        gemm += 2 * hidden_size * series * dim
        other += part.ratio * series * dim + dim
        if part.indexer_heads is not None and part.indexer_head_dim is not None:
            index_heads, index_dim = part.indexer_heads, part.indexer_head_dim
            gemm += 2 * hidden_size * series * index_dim
            gemm += part.query_rank * index_heads * index_dim + hidden_size * index_heads
            other += part.ratio * series * index_dim + index_dim
            span = Span(kind="full", stride=part.ratio)
            streams.append(stream(span, 2 * index_heads * index_dim, index_dim, indexer=True))
        compressed = Span(kind="full", stride=part.ratio)
        if part.limit_keys is not None:
            compressed = Span(kind="top_k", limit_tokens=part.limit_keys, stride=part.ratio)
        streams.append(stream(compressed, flop, dim))
    return MixerWork(
        kind="attention",
        query_heads=heads,
        kv_heads=1,
        gemm_parameters=gemm,
        other_parameters=other,
        streams=tuple(streams),
    )


def _gated_delta_net(part: GatedDeltaNet, hidden_size: int) -> MixerWork:
    """Count the gated delta rule (A6; Yang et al., arXiv 2412.06464, eq. 10).

    S <- a*S + (b*(v - (a*S) k)) k^T, read-out S q, per value head with a d_k x d_v state.
    """
    key = part.key_heads * part.key_head_dim
    value = part.value_heads * part.value_head_dim
    channels = 2 * key + value
    state = part.value_heads * part.key_head_dim * part.value_head_dim
    gemm = hidden_size * (channels + value + part.head_gates * part.value_heads) + value * hidden_size
    other = channels * part.conv_kernel + 2 * part.value_heads + part.value_head_dim
    return MixerWork(
        kind="linear",
        query_heads=part.value_heads,
        kv_heads=part.key_heads,
        gemm_parameters=gemm,
        other_parameters=other,
        recurrent_flop_per_token=2 * channels * part.conv_kernel + _DELTA_RULE_FLOP * state,
        state_elements=state,
        conv_state_elements=channels * (part.conv_kernel - 1),
    )


def _kimi_delta(part: KimiDelta, hidden_size: int) -> MixerWork:
    """Count Kimi Delta Attention (A7; Kimi Linear, arXiv 2510.26692, eq. 1): a decay per key channel."""
    inner = part.heads * part.head_dim
    state = inner * part.head_dim
    through_rank = part.gate_rank * (hidden_size + inner)
    gate = hidden_size * inner if part.output_gate_full else through_rank
    gemm = hidden_size * 3 * inner + through_rank + hidden_size * part.heads + gate + inner * hidden_size
    other = 3 * inner * part.conv_kernel + inner + part.heads + part.head_dim
    return MixerWork(
        kind="linear",
        query_heads=part.heads,
        kv_heads=part.heads,
        gemm_parameters=gemm,
        other_parameters=other,
        recurrent_flop_per_token=2 * 3 * inner * part.conv_kernel + _DELTA_RULE_FLOP * state,
        state_elements=state,
        conv_state_elements=3 * inner * (part.conv_kernel - 1),
    )


def _mamba2(part: Mamba2, hidden_size: int) -> MixerWork:
    """Count Mamba-2 (A8; Dao and Gu, arXiv 2405.21060, section 7): h <- a*h + (dt*x) B^T, y = C h + D x."""
    inner = part.heads * part.head_dim
    channels = inner + 2 * part.groups * part.state_size
    state = inner * part.state_size
    projected = inner + channels + part.heads
    other = channels * (part.conv_kernel + (1 if part.conv_bias else 0)) + 3 * part.heads
    other += inner if part.gated_norm else 0
    other += projected + hidden_size if part.projection_bias else 0
    return MixerWork(
        kind="state_space",
        query_heads=part.heads,
        kv_heads=part.groups,
        gemm_parameters=hidden_size * projected + inner * hidden_size,
        other_parameters=other,
        recurrent_flop_per_token=2 * channels * part.conv_kernel + _STATE_SPACE_FLOP * state + 2 * inner,
        state_elements=state,
        conv_state_elements=channels * (part.conv_kernel - 1),
    )


def _short_convolution(part: ShortConvolution, hidden_size: int) -> MixerWork:
    """Count a gated short convolution (A8; LFM2, arXiv 2511.23404, section 2)."""
    other = part.channels * part.conv_kernel
    other += part.channels + 3 * part.channels + hidden_size if part.bias else 0
    return MixerWork(
        kind="state_space",
        query_heads=0,
        kv_heads=0,
        gemm_parameters=hidden_size * 3 * part.channels + part.channels * hidden_size,
        other_parameters=other,
        recurrent_flop_per_token=2 * part.channels * part.conv_kernel + 2 * part.channels,
        conv_state_elements=part.channels * (part.conv_kernel - 1),
    )
