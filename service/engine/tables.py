"""What a compiled replica is made of: coefficients per rank, by operator and counter.

Every operator but the routed experts is linear in what a step carries. ``COUNTERS`` names what is
counted, ``OPERATORS`` who works; matrices of shape (9 operators, 7 counters) hold FLOP, bytes and
seconds per unit. All figures are PER RANK of one pipeline stage.
"""

from dataclasses import dataclass

from service.engine.spans import Array
from service.engine.types import PLAIN_DECODING, Layout, Span, Speculation

OPERATORS = (
    "projections",
    "feed_forward",
    "head",
    "experts",
    "attention_prefill",
    "attention_decode",
    "recurrent",
    "collectives",
    "host",
)
"""Order of the operator axis everywhere."""
(
    PROJECTIONS,
    FEED_FORWARD,
    HEAD,
    EXPERTS,
    ATTENTION_PREFILL,
    ATTENTION_DECODE,
    RECURRENT,
    COLLECTIVES,
    HOST,
) = range(9)
ROOFLINE_OPERATORS = 7
"""Operators before this one are rooflines; the rest only add time."""

COUNTERS = ("rank_tokens", "sampled", "decode", "chunk", "chunk_present", "group_tokens", "step")
"""Order of the counter axis: tokens on the rank, sampled positions, decoding sequences, prefill tokens,
1 where there is a chunk, tokens of the expert-parallel group, 1."""
RANK_TOKENS, SAMPLED, DECODE, CHUNK, CHUNK_PRESENT, GROUP_TOKENS, STEP = range(7)


@dataclass(frozen=True)
class ExpertTable:
    """Routed experts; arrays of shape (G, 1) over distinct (experts, top-k) configurations."""

    miss_probability: Array
    """1 - k / E: chance that one token leaves a given expert alone."""
    weight_bytes: Array
    """Of all experts this rank holds."""
    flop_per_token: Array
    """Of one token of the expert-parallel group, on the mean rank."""
    activation_bytes_per_token: Array
    tokens_per_expert: Array
    """k / E: tokens of the group that meet one expert, per token."""
    flop_per_second: float
    half_rate_tokens: float
    bytes_per_second: float
    imbalance: float


@dataclass(frozen=True)
class StreamTable:
    """What attention does with a key, summed over the streams of a span.

    Arrays of shape (G,), in the order of ``ReplicaTable.spans``.
    """

    flop_per_pair_prefill: Array
    flop_per_pair_decode: Array
    cache_bytes_per_key: Array
    """Read by one query pass on this rank."""
    expand_flop_per_key: Array


@dataclass(frozen=True)
class Exchange:
    """Dispatch and combine of one pass: what a second micro-batch can hide (equation S7)."""

    latency_seconds: float
    """Fixed part, of one micro-batch."""
    seconds_per_group_token: float


@dataclass(frozen=True)
class Rates:
    """Achievable rates of one operator class."""

    flop_per_second: float
    bytes_per_second: float


@dataclass(frozen=True)
class ReplicaTable:
    """Everything a steady state needs of a replica, whatever the mix."""

    layout: Layout
    spans: tuple[Span, ...]
    work: Array
    """FLOP and bytes, shape (2, 9, 7); attention rows are the mix's to fill."""
    seconds: Array
    """Compute and memory seconds, shape (2, 9, 7)."""
    experts: ExpertTable | None
    streams: StreamTable
    state_bytes_per_sequence: float
    """Recurrent state of one sequence."""
    attention_prefill: Rates
    attention_decode: Rates
    peak_flop_per_second: float
    """Of the format most GEMM FLOP use; MFU is measured against it."""
    peak_bytes_per_second: float
    weights_bytes: float
    """On the fullest accelerator."""
    workspace_bytes_per_token: float
    """Activations alive at once, per token of the budget."""
    memory_capacity_bytes: float
    layers: int = 1
    speculation: Speculation = PLAIN_DECODING
    exchange: Exchange | None = None
    """None where no rank sends tokens to another's experts."""
    overlaps: bool = False
    """Two micro-batches take turns: one computes while the other's tokens travel."""


@dataclass(frozen=True)
class StepCoefficients:
    """A replica under a mix: matrices with all rows filled."""

    work: Array
    seconds: Array
    experts: ExpertTable | None
    mean_uncached: float
    drafts_per_decode: float = 0.0
    """Drafted tokens that each sequence on the rank adds to the expert-parallel group."""
    scale: Array | None = None
    """Factors on compute and memory seconds by sample, shape (2, 9, N); steps are then a whole number of
    rounds over the samples."""
    overlapped: Exchange | None = None
    """``ReplicaTable.exchange`` where it overlaps with compute; None where a step runs as one batch."""
