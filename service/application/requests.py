"""What a caller may ask, as frozen dataclasses; None means "choose the default and say so".

The field names are those of the HTTP body, so an error's ``field`` path reads the same everywhere.
``resolved`` in an answer is one of these with nothing left None that has a default.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from service.application.cost_requests import (
    CostBasisName,
    CostTermsRequest,
    Extra,
    LoadProfileRequest,
    MarginalClosure,
)

OperatingPointKind = Literal["concurrency", "arrival_rate", "cheapest"]
SplitRule = Literal["shapley", "phase", "marginal"]
KvView = Literal["by_pass", "by_cause"]
Overlap = Literal["none", "two_batch"]
LimitStatistic = Literal["mean", "p50", "p90", "p95", "p99"]


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """One observed request of a class given as a sample."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class WorkloadClass:
    """Requests of one kind: fixed lengths, or a sample that stands for their distribution."""

    name: str
    weight: float
    """Share of requests; weights need not sum to 1."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_share: float | None = None
    """Share of the input tokens found in the prefix cache, 0 to 1."""
    sample: tuple[SampleRequest, ...] | None = None
    """Instead of fixed lengths: up to 4 096 observed requests of equal weight."""


@dataclass(frozen=True, slots=True)
class LayoutRequest:
    """Parallelism of one replica."""

    tp: int | None = None
    pp: int | None = None
    attention_dp: int | None = None
    moe_ep: int | None = None


@dataclass(frozen=True, slots=True)
class ServingRequest:
    """The serving engine and what of its release's defaults is overridden."""

    engine: str | None = None
    release: str | None = None
    token_budget: int | None = None
    reserve: Literal["full", "grow"] | None = None
    memory_utilisation: float | None = None
    max_batch: int | None = None
    draft_tokens: int | None = None
    """Tokens drafted in a step by multi-token prediction; 0 is plain decoding."""
    acceptance: float | None = None
    """Chance that a draft is accepted where all before it were."""
    overlap: Overlap | None = None
    """``two_batch``: one half of a step computes while the tokens of the other travel between experts."""


@dataclass(frozen=True, slots=True)
class FormatsRequest:
    """Storage formats by role; ``precision`` is a recipe that sets those left out."""

    precision: str | None = None
    weights: str | None = None
    experts: str | None = None
    activations: str | None = None
    kv_cache: str | None = None


@dataclass(frozen=True, slots=True)
class OperatingPointRequest:
    """Where on its throughput curve the replica works.

    ``concurrency``: requests in flight on one replica. ``arrival_rate``: requests per second over all
    replicas; utilisation then follows and may not be given. ``cheapest``: most throughput within limits.
    """

    kind: OperatingPointKind
    concurrency: float | None = None
    requests_per_second: float | None = None
    replicas: int | None = None
    max_ttft_seconds: float | None = None
    max_tpot_seconds: float | None = None
    statistic: LimitStatistic | None = None


@dataclass(frozen=True, slots=True)
class PriceRequest:
    """What an accelerator-hour costs: an amount of the caller's, or which catalog row to take."""

    basis: CostBasisName | None = None
    """``tco`` and ``energy`` follow from ``costs``; ``rental`` is a price row or the amount."""
    amount: Decimal | None = None
    currency: str | None = None
    provider: str | None = None
    region: str | None = None
    commitment: str | None = None
    gpus_per_instance: int | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class UncertaintyRequest:
    """Intervals beside the figures of an estimate."""

    samples: int | None = None
    """Evaluations of the operating point, 16 to 4 096."""
    seed: int | None = None
    """The same seed gives the same intervals."""
    utilisation_low: float | None = None
    utilisation_high: float | None = None
    """Utilisation lies evenly between the two."""


@dataclass(frozen=True, slots=True)
class PrefillPoolRequest:
    """Workers that only prefill: what differs from the top level, which describes those that decode."""

    accelerator: str | None = None
    layout: LayoutRequest | None = None
    formats: FormatsRequest | None = None
    serving: ServingRequest | None = None
    price: PriceRequest | None = None
    workers: int | None = None
    load: float | None = None
    """Largest share of its capacity at which the pool works where workers are left to be planned."""


@dataclass(frozen=True, slots=True)
class DecodePoolRequest:
    """Workers that only decode; the top level describes them."""

    workers: int | None = None


@dataclass(frozen=True, slots=True)
class PoolsRequest:
    """Prefill and decode by workers of their own. Both numbers of workers are given, or none is."""

    prefill: PrefillPoolRequest | None = None
    decode: DecodePoolRequest | None = None


@dataclass(frozen=True, slots=True)
class EstimateRequest:
    """One estimate. ``model`` and ``accelerator`` alone are enough."""

    accelerator: str
    model: str | None = None
    """Catalog id or alias; exactly one of ``model`` and ``config`` is given."""
    config: Mapping[str, object] | None = None
    """A Hugging Face ``config.json`` as an object; nothing that comes with it is executed."""
    layout: LayoutRequest | None = None
    serving: ServingRequest | None = None
    formats: FormatsRequest | None = None
    workload: tuple[WorkloadClass, ...] | None = None
    operating_point: OperatingPointRequest | None = None
    utilisation: float | None = None
    """Share of paid time in which replicas work, 0 exclusive to 1."""
    price: PriceRequest | None = None
    split: SplitRule | None = None
    kv_view: KvView | None = None
    calibration: str | None = None
    """Name of a calibration set."""
    as_of: datetime | None = None
    """Prices valid at this time; now where None."""
    known_at: int | None = None
    """Catalog revision to believe; the newest where None."""
    closure: MarginalClosure | None = None
    """What is held while tokens are added, for the ``marginal`` split."""
    include: tuple[Extra, ...] | None = None
    """Parts of the answer that take extra time."""
    costs: CostTermsRequest | None = None
    load_profile: LoadProfileRequest | None = None
    utilisation_range: tuple[float, ...] | None = None
    """Further utilisations at which cost bases are stated."""
    uncertainty: UncertaintyRequest | None = None
    """Intervals of the headline figures, where asked for."""
    pools: PoolsRequest | None = None
    """Separate workers for prefill; the top level then describes those that decode."""
    defaulted: tuple[str, ...] = ()
    """Dotted paths that an earlier answer chose; carried through so that ``resolved`` can be posted back."""
