"""What an estimate answers, as frozen dataclasses of floats, exact Decimals and provenance.

Modelled figures are floats; prices from rows are exact Decimals. ``api`` turns these into JSON and
``cli`` into tables; neither computes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from service.application.cost_answers import (
    CostBasis,
    FleetDay,
    MarginalDetail,
    ResourcePrices,
    SplitRates,
)
from service.application.energy_answers import EnergyUse
from service.application.evidence_answers import Evidence
from service.application.render import INLINE
from service.application.requests import EstimateRequest
from service.application.uncertainty_answers import Uncertainty

TokenKind = Literal["uncached_input", "cached_input", "output"]


@dataclass(frozen=True, slots=True)
class Rate:
    """Modelled cost of one kind of token."""

    kind: TokenKind
    class_name: str | None
    """None for the whole mix."""
    per_million_tokens: float
    currency: str
    tokens_per_request: float
    """Mean tokens of this kind in one request; 0 where the mix has none and the rate is the limit."""
    cost_per_request: float
    accelerator_seconds_per_million_tokens: float
    share_by_resource: Mapping[str, float]
    """compute, memory, network, overhead; sums to 1."""
    share_by_component: Mapping[str, float]
    """attention, projections, feed_forward, experts, head, collectives, host; sums to 1."""


@dataclass(frozen=True, slots=True)
class Conservation:
    """The check that a split adds up: sum over kinds and classes of tokens x rate against the bill."""

    bill_per_request: float
    """What one request costs the payer: accelerators x price x time / utilisation."""
    sum_per_request: float
    relative_difference: float
    currency: str


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """The steady state that the estimate describes, of one replica; with `pools` of one decode worker."""

    kind: str
    batch: float
    """Mean sequences decoding together in one replica."""
    concurrency: float
    """Requests in flight, waiting and prefilling ones included."""
    requests_per_second: float
    replicas: int
    utilisation: float
    limited_by: str
    """What keeps the batch from growing: concurrency, tpot, ttft, memory, prefill, max_batch, arrivals,
    throughput; with `pools` also prefill_pool and transfer."""
    prefill_step_share: float
    """Share of steps that carry a prefill chunk."""
    chunk_tokens: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Times a user sees, seconds, steady state."""

    ttft_seconds: float
    ttft_waiting_seconds: float
    ttft_prefill_seconds: float
    ttft_p99_seconds: float
    tpot_seconds: float
    inter_token_mixed_step_seconds: float
    """Time of a step that also carries a prefill chunk: the tail of the inter-token latency."""
    decode_step_seconds: float
    end_to_end_seconds: float
    interactivity_tokens_per_second: float


@dataclass(frozen=True, slots=True)
class Throughput:
    """Tokens of one replica at the operating point, while it works; with `pools` of the whole deployment."""

    input_tokens_per_second: float
    cached_input_tokens_per_second: float
    output_tokens_per_second: float
    output_tokens_per_second_per_accelerator: float
    total_tokens_per_second_per_accelerator: float


@dataclass(frozen=True, slots=True)
class Bound:
    """What limits one kind of step."""

    step: Literal["decode", "mixed", "prefill"]
    """decode: sequences alone; mixed: with a prefill chunk; prefill: a chunk alone, in a pool of its own."""
    resource: str
    seconds: float
    share_by_resource: Mapping[str, float]
    mfu: float
    mbu: float
    flop: float
    """Of one accelerator."""
    memory_bytes: float
    flop_per_byte: float
    ridge_flop_per_byte: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on the fullest accelerator."""

    capacity_bytes: float
    usable_bytes: float
    weights_bytes: float
    activations_bytes: float
    cache_bytes_per_sequence: float
    cache_bytes: float
    max_batch: float
    """Sequences that fit in one replica."""


@dataclass(frozen=True, slots=True)
class OperatorTime:
    """One operator class in one step."""

    operator: str
    component: str
    decode_seconds: float
    mixed_seconds: float
    bound: str
    """What binds it in a step that carries a prompt: compute, memory, network or overhead."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What one provider lists for a model, whatever the cost beside it."""

    provider: str
    provider_model_id: str
    relation: str
    routed_from: str | None
    currency: str
    input_per_million: Decimal | None
    cached_input_per_million: Decimal | None
    cache_write_per_million: Decimal | None
    output_per_million: Decimal | None
    output_to_input_ratio: float | None
    valid_from: datetime
    valid_from_basis: str
    rows: tuple[int, ...]
    source: str


@dataclass(frozen=True, slots=True)
class ListPriceComparison:
    """One provider's list prices beside the modelled cost."""

    offer: Annotated[Offer, INLINE]
    price_per_request: Decimal | None
    """The list price of the mix's mean request; None where the currency or a meter is missing."""
    margin: float | None
    """1 - modelled cost / list price of the mix; None where currencies differ or the price is zero."""
    margin_by_kind: Mapping[str, float | None]
    breakeven_utilisation: float | None
    """Utilisation at which the margin is zero; above 1 it cannot be reached."""
    rank: int | None


@dataclass(frozen=True, slots=True)
class RowUsed:
    """A catalog row that the answer rests on."""

    kind: str
    key: str
    row_id: int | None
    revision_from: int | None
    valid_from: datetime | None
    valid_to: datetime | None
    valid_from_basis: str | None
    source: str
    value: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """What the answer used: rows, calibration, equations, versions."""

    engine_version: str
    catalog_revision: int
    catalog_digest: str
    catalog_age_seconds: float
    calibration: str
    calibration_level: str
    rows: tuple[RowUsed, ...]
    equations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WorkerLayout:
    """Parallelism of one worker."""

    tp: int
    pp: int
    attention_dp: int
    moe_ep: int


@dataclass(frozen=True, slots=True)
class PoolUse:
    """One of two pools, at the operating point."""

    accelerator: str
    layout: WorkerLayout
    workers: float
    """Whole where the request gives them or arrivals are to be carried; else beside one decode worker."""
    accelerators: float
    """Of all workers of the pool."""
    cost_per_accelerator_hour: Decimal
    price: RowUsed | None
    """The catalog row behind it; null where the request gives an amount."""
    utilisation: float
    """Requests per second over what the pool could carry, while the deployment works."""
    requests_per_second_capacity: float
    """Prefill: working all the time. Decode: within the limits, if it never waited for prefill."""
    cost_per_request: float
    idle_cost_per_request: float
    """The part of it that is paid while the pool waits: for the other pool, or for requests."""
    accelerator_seconds_per_request: float
    """Paid, idle time included."""
    cost_by_kind: Mapping[str, float]
    """Of a request, by kind of token, under the split of the estimate; idle time included."""
    bounds: tuple[Bound, ...]
    """prefill: of its one kind of step; decode: as at the top level."""
    mfu: float
    mbu: float
    memory: Memory


@dataclass(frozen=True, slots=True)
class PoolTransfer:
    """A mean prompt's cache on its way from a prefill to a decode worker."""

    bytes_per_request: float
    """The whole prompt's, its cached part too, over all ranks that hold a part of a sequence."""
    seconds: float
    """Over the links of the slower side; part of the time to first token, no accelerator's time."""
    link_bytes_per_second: float
    """Of the slower side's ranks together."""
    sequences_in_transfer: float
    """Per decode worker, on average: they hold memory there and do not decode yet."""


@dataclass(frozen=True, slots=True)
class Pools:
    """Separate workers for prefill and decode."""

    prefill: PoolUse
    decode: PoolUse
    transfer: PoolTransfer
    limited_by: Literal["prefill", "decode"]
    """The pool nearer to its capacity."""
    prefill_workers_per_decode_worker: float
    requests_per_second: float
    """Of the whole deployment, while it works."""
    concurrency: float
    """Requests in flight over the whole deployment, waiting, prefilling and in transfer."""


@dataclass(frozen=True, slots=True)
class EstimateAnswer:
    """The whole answer of one estimate."""

    model: str
    accelerator: str
    accelerators_per_replica: int
    rates: tuple[Rate, ...]
    """Of the mix, one of each kind: uncached_input, cached_input, output."""
    rates_by_class: tuple[Rate, ...]
    cost_per_request: float
    cost_per_accelerator_hour: Decimal
    currency: str
    output_to_input_ratio: float
    split: str
    phase_increments: Mapping[str, Mapping[str, float]]
    """Under split ``phase``: per-million rates by kind for both increments, else empty."""
    conservation: Conservation
    operating_point: OperatingPoint
    ttft_seconds: float
    tpot_seconds: float
    latency: Latency
    throughput: Throughput
    energy: EnergyUse
    bounds: tuple[Bound, ...]
    mfu: float
    """Achieved share of peak FLOP/s over the steady state, model FLOP only."""
    mbu: float
    memory: Memory
    operators: tuple[OperatorTime, ...]
    list_prices: tuple[ListPriceComparison, ...]
    explanation: tuple[str, ...]
    warnings: tuple[str, ...]
    evidence: Evidence
    provenance: Provenance
    resolved: EstimateRequest
    digest: str
    cost_bases: tuple[CostBasis, ...] = ()
    """Rental, total cost of ownership and energy, as far as the terms are given; idle on its own line."""
    fleet: FleetDay | None = None
    """What the load profile does to the fleet; None without one."""
    marginal: MarginalDetail | None = None
    """Under split ``marginal``; None else."""
    splits: tuple[SplitRates, ...] = ()
    """All rules side by side where ``include`` asks for ``splits``."""
    resource_prices: ResourcePrices | None = None
    """Where ``include`` asks for ``resource_prices``."""
    uncertainty: Uncertainty | None = None
    """Intervals of the headline figures where `uncertainty` asks for them."""
    pools: Pools | None = None
    """Where prefill has workers of its own; None else. Then `rates`, costs, times, `throughput`, `energy` and
    `conservation` are of both pools; what else describes one replica describes one decode worker."""
