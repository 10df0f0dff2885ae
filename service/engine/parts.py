"""The normalised model specification: layer groups built from parts.

A model is a list of layer groups; a group is so many equal layers, each with mixers (which carry a
token's context) and feed-forwards (which work on the token alone). Several mixers or feed-forwards in
one layer run side by side. The order of layers does not matter to cost, so equal layers are merged.

Sizes count elements, not bytes. Every part is exact: its parameters, GEMMs and cache follow from its
fields alone (``service.engine.architecture``; equations A1 to A12 in ``docs/equations.md``).
"""

from dataclasses import dataclass
from typing import Final, Literal

from service.engine.types import Span

QueryKeyNorm = Literal["none", "per_head", "per_head_own", "all_heads", "weightless"]
OutputGate = Literal["none", "per_element", "per_head"]

FULL_SPAN: Final = Span()


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexer:
    """The small attention that scores keys and picks those which the main attention reads.

    DeepSeek-V3.2 (arXiv 2512.02556, eq. 1) scores tokens; MiniMax-M3 pools the scores by block.
    """

    heads: int
    head_dim: int
    query_rank: int | None = None
    """Rank of the latent that queries are projected from; None projects from the hidden state."""
    head_weights: bool = True
    """One learned weight per head and query, projected from the hidden state."""
    cache_bytes_per_key: int | None = None
    """Fixed bytes of a cached key where serving engines fix its format (FP8 key and scale)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """At most ``limit_tokens`` keys per query; without an indexer of its own it reuses another layer's."""

    limit_tokens: int
    indexer: Indexer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """Softmax attention: multi-head, grouped-query or multi-query by its number of KV heads."""

    kind: Literal["attention"] = "attention"
    query_heads: int
    kv_heads: int
    head_dim: int
    """Elements of one query or key head."""
    value_head_dim: int
    span: Span = FULL_SPAN
    query_key_norm: QueryKeyNorm = "none"
    """``per_head`` shares one weight among heads, ``per_head_own`` has one each, ``all_heads`` spans them."""
    norm_bias: bool = False
    qkv_bias: bool = False
    output_bias: bool = False
    output_gate: OutputGate = "none"
    sinks: bool = False
    """One learned logit per query head."""
    value_from_key: bool = False
    """No value projection: values are the unrotated keys; both are cached."""
    reuses_cache: bool = False
    """Reads another layer's keys and values: no K/V projections and no cache of its own."""
    selection: Selection | None = None
    other_parameters: int = 0
    """Further parameters that are no GEMM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentAttention:
    """Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1)."""

    kind: Literal["latent_attention"] = "latent_attention"
    query_heads: int
    query_rank: int | None
    """Rank of the query latent; None projects queries directly."""
    kv_rank: int
    nope_head_dim: int
    rope_head_dim: int
    value_head_dim: int
    bias: bool = False
    """Biases on both down-projections and on the output."""
    output_gate: OutputGate = "none"
    selection: Selection | None = None
    other_parameters: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressedAttention:
    """DeepSeek-V4's attention: a window of plain keys beside keys that each stand for many tokens.

    With ``indexer_heads`` it is compressed sparse attention (overlapping windows, top-k of the
    compressed keys); without, heavily compressed attention; ratio None leaves the window alone.
    """

    kind: Literal["compressed_attention"] = "compressed_attention"
    query_heads: int
    head_dim: int
    """Keys are values: one shared head of this many elements."""
    query_rank: int
    output_rank: int
    output_groups: int
    window_tokens: int
    ratio: int | None = None
    """Tokens behind one compressed key."""
    indexer_heads: int | None = None
    indexer_head_dim: int | None = None
    limit_keys: int | None = None
    """Most compressed keys that a query reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedDeltaNet:
    """Gated delta rule (arXiv 2412.06464): a matrix state per value head, no growing cache."""

    kind: Literal["gated_delta_net"] = "gated_delta_net"
    key_heads: int
    value_heads: int
    key_head_dim: int
    value_head_dim: int
    conv_kernel: int
    head_gates: int = 2
    """Scalars per value head projected from the hidden state (decay and write strength)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KimiDelta:
    """Kimi Delta Attention (arXiv 2510.26692): the delta rule with a decay per channel."""

    kind: Literal["kimi_delta"] = "kimi_delta"
    heads: int
    head_dim: int
    conv_kernel: int
    gate_rank: int
    """Rank of the decay's and of the output gate's projections."""
    output_gate_full: bool = False
    """Output gate projected in one GEMM instead of through the rank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mamba2:
    """Mamba-2 state-space mixer (arXiv 2405.21060)."""

    kind: Literal["mamba2"] = "mamba2"
    heads: int
    head_dim: int
    state_size: int
    groups: int
    conv_kernel: int
    conv_bias: bool = True
    projection_bias: bool = False
    gated_norm: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortConvolution:
    """Gated short convolution (LFM2): three projections and a depthwise convolution."""

    kind: Literal["short_convolution"] = "short_convolution"
    channels: int
    conv_kernel: int
    bias: bool = False


Mixer = (
    Attention | LatentAttention | CompressedAttention | GatedDeltaNet | KimiDelta | Mamba2 | ShortConvolution
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense:
    """Feed-forward of two (plain) or three (gated) matrices."""

    kind: Literal["dense"] = "dense"
    intermediate_size: int
    gated: bool = True
    input_bias: bool = False
    output_bias: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Experts:
    """Routed experts, and those that every token passes beside them."""

    kind: Literal["experts"] = "experts"
    experts: int
    experts_per_token: int
    intermediate_size: int
    gated: bool = True
    bias: bool = False
    """Biases on each expert's matrices."""
    latent_size: int | None = None
    """Experts work on a projection of this size, shared by all of them; None: on the hidden state."""
    latent_norm: bool = False
    shared: Dense | None = None
    """The shared experts taken together as one dense feed-forward."""
    shared_gate: bool = False
    """One learned scalar gate on the shared experts."""
    router_bias: bool = False
    router_other_parameters: int = 0
    """Router parameters that are no GEMM (per-expert scales)."""


FeedForward = Dense | Experts


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """A named remainder of a layer or a model that no part covers."""

    name: str
    gemm_parameters: int = 0
    """m*n of GEMMs that every token passes."""
    table_parameters: int = 0
    """Rows that are looked up."""
    other_parameters: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerGroup:
    """So many equal layers."""

    name: str
    count: int
    mixers: tuple[Mixer, ...] = ()
    feed_forwards: tuple[FeedForward, ...] = ()
    norm_vectors: int = 2
    """Learned vectors of the hidden size in the layer's norms (a LayerNorm with bias has two)."""
    extras: tuple[Extra, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A language model as its configuration states it; vision and audio towers are left out."""

    name: str
    hidden_size: int
    vocab_size: int
    max_context_tokens: int
    tied_embeddings: bool
    layer_groups: tuple[LayerGroup, ...]
    final_norm_vectors: int = 1
    state_format: Literal["fp32", "bf16"] = "fp32"
    """Format of recurrent states; convolution states are kept in the activations' format."""
    extras: tuple[Extra, ...] = ()
    mtp_groups: tuple[LayerGroup, ...] = ()
    """Multi-token-prediction modules; they share the embedding and the head."""
