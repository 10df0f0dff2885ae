"""What the engine is told: a model reduced to work per layer, an accelerator, a layout, an engine policy.

Everything here is frozen, exact and free of money. Counts are integers; times are seconds, sizes
bytes, rates per second. Symbols: S prompt tokens, T output tokens, B sequences decoding together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

SpanKind = Literal["full", "sliding", "chunked", "top_k"]
MixerKind = Literal["attention", "mla", "linear", "state_space", "none"]


@dataclass(frozen=True, slots=True)
class Span:
    """Which keys a query at 1-based position n sees, and how many of them are kept.

    ========  =========================  ==================
    kind      keys seen                  keys kept
    ========  =========================  ==================
    full      n / stride                 n / stride
    sliding   min(n, limit)              min(n, limit)
    chunked   (n - 1) mod limit + 1      min(n, limit)
    top_k     min(n / stride, limit)     n / stride
    ========  =========================  ==================
    """

    kind: SpanKind = "full"
    limit_tokens: int | None = None
    """Window, chunk or selection size in keys; None for ``full``."""
    stride: int = 1
    """Prompt tokens behind one key (compressed attention keeps one key per ``stride`` tokens)."""


@dataclass(frozen=True, slots=True)
class AttentionStream:
    """One pass of queries over a growing cache, of one layer.

    A plain attention layer has one stream; sparse attention has two (the indexer over all keys, the
    attention over the selected ones).
    """

    role: Literal["attention", "indexer"]
    span: Span
    flop_per_pair_prefill: int
    """FLOP of one (query, key) pair in prefill, all heads."""
    flop_per_pair_decode: int
    """FLOP of one pair in decode; differs from prefill for absorbed MLA only."""
    cache_elements_per_key: int
    """Cached elements of one key, all KV heads, K and V together."""
    cache_shards: int
    """Most tensor-parallel ranks that can each hold a different part; 1 means replicated on every rank."""
    cache_bytes_per_key_override: int | None = None
    """Fixed bytes of one key where the format is not the KV cache's (an indexer's FP8 keys and scale)."""
    expand_flop_per_key: int = 0
    """FLOP to expand one cached key before prefill attention can use it (MLA's up-projection)."""


@dataclass(frozen=True, slots=True)
class LayerWork:
    """One group of equal layers as an engine step sees it; all figures are of ONE layer."""

    name: str
    count: int
    mixer_kind: MixerKind
    query_heads: int
    """Attention heads that tensor parallelism divides; 0 for a layer without a mixer."""
    kv_heads: int
    streams: tuple[AttentionStream, ...]
    mixer_gemm_parameters: int
    """Sum of m*n over the mixer's GEMMs that every token passes."""
    mixer_other_parameters: int
    """Norms, biases, convolution kernels, gates that are no GEMM."""
    recurrent_flop_per_token: int
    """Convolution and state update FLOP of one token; 0 for attention."""
    state_elements_per_sequence: int
    """Recurrent state elements held by one sequence."""
    conv_state_elements_per_sequence: int
    dense_gemm_parameters: int
    """Sum of m*n of a dense feed-forward; 0 where the layer has experts only."""
    router_gemm_parameters: int
    shared_expert_gemm_parameters: int
    experts: int
    """Routed experts; 0 for a dense layer."""
    experts_per_token: int
    expert_gemm_parameters: int
    """Sum of m*n of one routed expert."""
    feed_forward_other_parameters: int
    """Norms and biases of the feed-forward; biases of routed experts are in the next field."""
    expert_other_parameters: int = 0
    """Biases of one routed expert."""
    head_norm: bool = False
    """Queries and keys are normalised: one kernel more."""
    norm_spans_heads: bool = False
    """... over all heads together, so that tensor-parallel ranks must exchange the sums of squares."""


@dataclass(frozen=True, slots=True)
class ModelWork:
    """A language model reduced to work; derived from its specification, exact."""

    name: str
    hidden_size: int
    vocab_size: int
    max_context_tokens: int
    layers: tuple[LayerWork, ...]
    embedding_parameters: int
    """Rows of the input table; looked up, no FLOP."""
    head_parameters: int
    """m*n of the output head as a GEMM, also where it shares the embedding's table."""
    tied_embeddings: bool
    other_parameters: int
    """Final norm and whatever stands outside the layers."""
    mtp_parameters: int = 0
    """Multi-token-prediction layers, apart from the total."""
    other_gemm_parameters: int = 0
    """The part of ``other_parameters`` that are GEMMs which every token passes; the head is apart."""


FormatRole = Literal[
    "weights", "experts", "activations", "expert_activations", "kv_cache", "head", "state", "exchange"
]


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """A storage format. Scales are counted in the bytes."""

    name: str
    bytes_per_element: float
    """Stored bytes of one element, its share of scales included."""
    compute_format: str
    """Name under which an accelerator's dense peak is looked up when both operands are of this format."""


@dataclass(frozen=True, slots=True)
class Formats:
    """Formats in force for one deployment."""

    weights: NumberFormat
    """Every GEMM weight but routed experts and the head."""
    experts: NumberFormat
    activations: NumberFormat
    """Operand that meets ``weights`` in the GEMMs."""
    expert_activations: NumberFormat
    """Operand that meets ``experts``."""
    kv_cache: NumberFormat
    head: NumberFormat
    state: NumberFormat
    exchange: NumberFormat
    """What collectives and the residual stream carry."""


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One accelerator as its datasheet states it; SI units."""

    name: str
    family: str
    """Calibration family, for example ``hopper``; H100 and H200 share one."""
    vendor: str
    memory_bytes: float
    memory_bandwidth_bytes_per_second: float
    peak_flop_per_second: Mapping[str, float]
    """Dense peak by compute format (``bf16``, ``fp8``, ``int8``, ``fp4``); absent where unsupported."""
    scale_up_bandwidth_bytes_per_second: float
    """Per accelerator and direction inside the scale-up domain."""
    scale_up_domain: int
    """Accelerators in one scale-up domain."""
    scale_out_bandwidth_bytes_per_second: float
    """Per accelerator and direction across domains."""
    idle_power_watts: float
    max_power_watts: float


@dataclass(frozen=True, slots=True)
class Layout:
    """How one replica of the model lies on its accelerators.

    ``tp * attention_dp`` ranks a pipeline stage hold the experts as ``moe_tp * moe_ep``.
    """

    tp: int = 1
    pp: int = 1
    attention_dp: int = 1
    moe_ep: int = 1

    @property
    def stage_accelerators(self) -> int:
        """Accelerators of one pipeline stage."""
        return self.tp * self.attention_dp

    @property
    def accelerators(self) -> int:
        """Accelerators of one replica."""
        return self.pp * self.stage_accelerators

    @property
    def moe_tp(self) -> int:
        """Ranks that share one expert's matrices."""
        return self.stage_accelerators // self.moe_ep


@dataclass(frozen=True, slots=True)
class EnginePolicy:
    """What a serving engine's release decides; defaults by (engine, release), each overridable."""

    name: str
    token_budget: int
    """Most tokens of one step, prefill chunk and decodes together."""
    token_budget_covers_prompt: bool
    """True where the budget is at least ISL plus the batch (TensorRT-LLM)."""
    reserve: Literal["full", "grow"]
    """Cache reserved for a whole request at admission, or grown as it decodes."""
    memory_utilisation: float
    """Share of accelerator memory the engine may use."""
    preemption_margin: float
    """Share of the cache kept free under ``grow``."""
    max_batch: int
    """Most sequences in one replica's step per attention-DP rank."""
    kv_cache_format_by_precision: Mapping[str, str] = field(default_factory=dict)
    """Cache format that the engine picks for a precision recipe; bf16 where absent."""
    aligns_prefill: bool = False
    """True where attention-DP ranks hold prompts back to prefill together (TensorRT-LLM's balance)."""
    release: str = ""
    """Release whose defaults these are; ``name`` is the engine's."""
    vendors: tuple[str, ...] = ()
    """Of the accelerators that the engine runs on; empty where nothing is known of it."""


@dataclass(frozen=True, slots=True)
class Speculation:
    """How a deployment speculates (METHOD 2)."""

    draft_tokens: int
    """k, drafted in a step; 0 is plain decoding."""
    acceptance: float
    """Chance that a draft is accepted where all before it were, 0 to 1."""

    @property
    def tokens_per_step(self) -> float:
        """Accepted tokens of a step, the sure one included (equation V1)."""
        return float(sum(self.acceptance**place for place in range(self.draft_tokens + 1)))


PLAIN_DECODING = Speculation(0, 0.0)


@dataclass(frozen=True, slots=True)
class Efficiency:
    """Calibration of one operator class: what share of the peaks it reaches, and its spread."""

    compute: float
    """Share of dense peak FLOP/s at many tokens."""
    memory: float
    """Share of peak memory bandwidth."""
    half_rate_tokens: float = 0.0
    """Tokens per GEMM at which half of ``compute`` is reached (tile and wave quantisation)."""
    log_spread: float = 0.0
    """Standard deviation of ln(measured / predicted)."""


OperatorClass = Literal["gemm", "experts", "attention_prefill", "attention_decode", "recurrent", "head"]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Efficiencies in force for one (accelerator family, engine, formats)."""

    name: str
    level: str
    """Where the figures come from: ``fitted``, ``family``, ``vendor`` or ``general``."""
    operators: Mapping[str, Efficiency]
    """By OperatorClass, or ``class@format`` for weights stored in that format."""
    launch_seconds_per_layer: float
    """Kernel launch and dependency gaps of one layer, CUDA graphs included."""
    host_seconds_per_step: float
    """Scheduling, sampling and input preparation that the accelerator waits for."""
    host_seconds_per_sequence: float
    collective_latency_seconds: float
    """Fixed part of one collective on two ranks; grows with log2 of the ranks."""
    scale_up_efficiency: float
    scale_out_efficiency: float
    expert_imbalance: float
    """Fullest rank over mean rank in tokens (>= 1) at many tokens."""
    extra: Mapping[str, float] = field(default_factory=dict)
    """Further fitted figures, by documented name."""
