"""The body of ``POST /v1/estimates``; mirrors ``application.requests`` field by field."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from service.api.schemas.cost_request import CostTermsBody, LoadProfileBody
from service.api.schemas.fields import (
    MAX_CLASSES,
    MAX_DEFAULTED,
    MAX_SAMPLES,
    REQUEST_CONFIG,
    AcceleratorCount,
    Amount,
    Count,
    CountOrZero,
    Currency,
    KnownAt,
    Moment,
    Name,
    Positive,
    PositiveShare,
    Share,
)


class SampleBody(BaseModel):
    """One observed request."""

    model_config = REQUEST_CONFIG

    input_tokens: Count
    """Prompt tokens, cached ones included."""
    output_tokens: Count
    """Generated tokens."""
    cached_tokens: CountOrZero = 0
    """Prompt tokens found in the prefix cache."""

    @model_validator(mode="after")
    def _cache_within_prompt(self) -> "SampleBody":
        if self.cached_tokens > self.input_tokens:
            raise PydanticCustomError("conflicting_fields", "cached_tokens is larger than input_tokens")
        return self


class WorkloadClassBody(BaseModel):
    """Requests of one kind: fixed lengths, or a sample that stands for their distribution."""

    model_config = REQUEST_CONFIG

    name: Name | None = None
    """Name of the class in the answer; `class-1`, `class-2`, ... where left out."""
    weight: Positive | None = None
    """Share of requests; weights need not sum to 1. 1 where left out."""
    input_tokens: Count | None = None
    """Prompt tokens of each request, cached ones included."""
    output_tokens: Count | None = None
    """Generated tokens of each request."""
    cached_share: Share | None = None
    """Share of the input tokens found in the prefix cache, 0 to 1."""
    sample: Annotated[list[SampleBody], Field(min_length=1, max_length=MAX_SAMPLES)] | None = None
    """Instead of fixed lengths: up to 4 096 observed requests of equal weight."""

    @model_validator(mode="after")
    def _lengths_or_sample(self) -> "WorkloadClassBody":
        fixed = (self.input_tokens, self.output_tokens, self.cached_share)
        if self.sample is not None and any(value is not None for value in fixed):
            raise PydanticCustomError(
                "conflicting_fields",
                "give either sample, or input_tokens, output_tokens and cached_share, not both",
            )
        return self


class WorkloadBody(BaseModel):
    """The mix of requests."""

    model_config = REQUEST_CONFIG

    classes: Annotated[list[WorkloadClassBody], Field(min_length=1, max_length=MAX_CLASSES)]
    """1 to 256 classes with distinct names."""


class LayoutBody(BaseModel):
    """Parallelism of one replica."""

    model_config = REQUEST_CONFIG

    tp: AcceleratorCount | None = None
    """Tensor-parallel ranks; must divide the attention heads."""
    pp: AcceleratorCount | None = None
    """Pipeline stages."""
    attention_dp: AcceleratorCount | None = None
    """Data-parallel attention ranks."""
    moe_ep: AcceleratorCount | None = None
    """Expert-parallel ranks; must divide tp x attention_dp."""


class ServingBody(BaseModel):
    """The serving engine, and what of its release's defaults is overridden."""

    model_config = REQUEST_CONFIG

    engine: Name | None = None
    """Serving engine, for example vllm, sglang or tensorrt-llm."""
    release: Name | None = None
    """Release whose defaults apply; the newest known where left out."""
    token_budget: Count | None = None
    """Most tokens of one step, prefill chunk and decodes together."""
    reserve: Literal["full", "grow"] | None = None
    """Cache reserved for a whole request at admission (full) or grown as it decodes (grow)."""
    memory_utilisation: PositiveShare | None = None
    """Share of accelerator memory the engine may use."""
    max_batch: Count | None = None
    """Most sequences in one replica's step per attention-DP rank."""
    draft_tokens: Annotated[int, Field(ge=0, le=16)] | None = None
    """Tokens that multi-token prediction drafts in a step (0 to 16); none where left out."""
    acceptance: Share | None = None
    """Chance that a draft is accepted where all before it were, 0 to 1; 0.75 where left out."""
    overlap: Literal["none", "two_batch"] | None = None
    """`two_batch`: one half of a step computes while the tokens of the other travel between experts, wherever
    that is quicker; `none` where left out."""


class FormatsBody(BaseModel):
    """Storage formats by role; `precision` is a recipe that sets those left out."""

    model_config = REQUEST_CONFIG

    precision: Name | None = None
    """Recipe, for example bf16, fp8, nvfp4 or mxfp4."""
    weights: Name | None = None
    """Format of every weight but routed experts."""
    experts: Name | None = None
    """Format of the routed experts' weights."""
    activations: Name | None = None
    """Format of activations in matrix products."""
    kv_cache: Name | None = None
    """Format of cached keys and values."""


class ConcurrencyBody(BaseModel):
    """So many requests are always in flight on one replica."""

    model_config = REQUEST_CONFIG

    kind: Literal["concurrency"]
    concurrency: Positive
    """Requests in flight on one replica, waiting and prefilling ones included."""
    replicas: AcceleratorCount | None = None
    """Replicas that work alike; changes no rate."""


class ArrivalRateBody(BaseModel):
    """Requests arrive at a given rate; utilisation follows and may not be given."""

    model_config = REQUEST_CONFIG

    kind: Literal["arrival_rate"]
    requests_per_second: Positive
    """Requests per second over all replicas."""
    replicas: AcceleratorCount | None = None
    """Replicas that share the load; 1 where left out."""


class CheapestBody(BaseModel):
    """Most throughput within limits on latency."""

    model_config = REQUEST_CONFIG

    kind: Literal["cheapest"]
    max_ttft_seconds: Positive | None = None
    """Limit on the time to first token."""
    max_tpot_seconds: Positive | None = None
    """Limit on the time per output token."""
    statistic: Literal["mean", "p50", "p90", "p95", "p99"] | None = None
    """What of the latency the limits hold for; the mean where left out."""
    replicas: AcceleratorCount | None = None
    """Replicas that work alike; changes no rate."""


OperatingPointBody = Annotated[ConcurrencyBody | ArrivalRateBody | CheapestBody, Field(discriminator="kind")]


class PriceBody(BaseModel):
    """What an accelerator-hour costs: an amount of the caller's, or which catalog row to take."""

    model_config = REQUEST_CONFIG

    basis: Literal["rental", "tco", "energy"] | None = None
    """What the price covers; `tco` and `energy` follow from `costs`."""
    amount: Amount | None = None
    """Price of one accelerator-hour, exact; needs `currency`."""
    currency: Currency | None = None
    """Three-letter code; nothing is USD by default."""
    provider: Name | None = None
    """Take a catalog row of this provider."""
    region: Name | None = None
    """Take a catalog row of this region."""
    commitment: Name | None = None
    """Take a catalog row of this commitment, for example on_demand, spot or reserved_1y."""
    gpus_per_instance: Count | None = None
    """Take a catalog row of instances of this size."""
    source: Name | None = None
    """Take a catalog row of this source."""

    @model_validator(mode="after")
    def _amount_has_currency(self) -> "PriceBody":
        if self.amount is not None and self.currency is None:
            raise PydanticCustomError(
                "conflicting_fields", "amount needs currency beside it; nothing is USD by default"
            )
        return self


class UncertaintyBody(BaseModel):
    """Intervals beside the figures: P10, P50 and P90 from calibration residuals, prices and utilisation."""

    model_config = REQUEST_CONFIG

    samples: Annotated[int, Field(ge=16, le=MAX_SAMPLES)] | None = None
    """Evaluations of the operating point; 256 where left out."""
    seed: CountOrZero | None = None
    """The same seed gives the same intervals; 0 where left out."""
    utilisation_low: PositiveShare | None = None
    """Utilisation lies evenly between this and `utilisation_high`. Left out: the ends of
    `utilisation_range`, else `utilisation` itself, else 0.3 to 0.7."""
    utilisation_high: PositiveShare | None = None
    """The other end."""


class PrefillPoolBody(BaseModel):
    """Workers that only prefill: what differs from the top level, which describes those that decode."""

    model_config = REQUEST_CONFIG

    accelerator: Name | None = None
    """Id or alias; that of the top level where left out."""
    layout: LayoutBody | None = None
    """Parallelism of one prefill worker."""
    formats: FormatsBody | None = None
    """Storage formats; `kv_cache` has to be that of the decode workers."""
    serving: ServingBody | None = None
    """The serving engine; drafts are made by decode workers alone."""
    price: PriceBody | None = None
    """What an accelerator-hour costs, in the currency of the top level. Left out: the price of the top level
    for the same accelerator, else a catalog row of the other one."""
    workers: AcceleratorCount | None = None
    """Prefill workers, together with `decode.workers`; left out, the pool is planned."""
    load: Annotated[float, Field(ge=0.01, le=0.99)] | None = None
    """Largest share of its capacity at which the pool works, 0.01 to 0.99: 0.9 where left out. An output
    where workers are given and the operating point is not `cheapest`."""


class DecodePoolBody(BaseModel):
    """Workers that only decode; the top level describes them."""

    model_config = REQUEST_CONFIG

    workers: AcceleratorCount | None = None
    """Decode workers, together with `prefill.workers`."""


class PoolsBody(BaseModel):
    """Prefill and decode by workers of their own.

    With `workers` of both pools these are what there is, and `concurrency` counts requests over all of them.
    With none the prefill pool is planned: a fraction of workers beside one decode worker, for which
    `concurrency` then counts; under an arrival rate the fewest whole workers that carry it.
    """

    model_config = REQUEST_CONFIG

    prefill: PrefillPoolBody | None = None
    """What prefill workers have of their own."""
    decode: DecodePoolBody | None = None
    """How many decode workers there are."""


class EstimateBody(BaseModel):
    """One estimate. `model` and `accelerator` alone are enough; the answer's `resolved` names the rest."""

    model_config = REQUEST_CONFIG

    accelerator: Name
    """Id or alias of an accelerator of the catalog."""
    model: Name | None = None
    """Id or alias of a model of the catalog; exactly one of `model` and `config` is given."""
    config: dict[str, Any] | None = None
    """A Hugging Face config.json as an object; no code that comes with it is executed."""
    layout: LayoutBody | None = None
    """Parallelism of one replica; the smallest that fits where left out."""
    serving: ServingBody | None = None
    """The serving engine."""
    formats: FormatsBody | None = None
    """Storage formats; those of the published checkpoint where left out."""
    workload: WorkloadBody | None = None
    """The mix of requests."""
    operating_point: OperatingPointBody | None = None
    """Where on its throughput curve the replica works."""
    utilisation: PositiveShare | None = None
    """Share of paid time in which replicas work, above 0 and up to 1."""
    price: PriceBody | None = None
    """What an accelerator-hour costs."""
    split: Literal["shapley", "phase", "marginal"] | None = None
    """How joint cost is shared between token kinds; `marginal` does not add up to the bill and says why."""
    kv_view: Literal["by_pass", "by_cause"] | None = None
    """Who pays for reading cached keys: the step that reads, or the token that is read."""
    calibration: Name | None = None
    """Name of a calibration set."""
    as_of: Moment | None = None
    """Prices valid at this time; now where left out."""
    known_at: KnownAt | None = None
    """What the catalog believed at this revision or time; the newest where left out."""
    closure: Literal["fixed_batch", "tpot_limit", "tpot_and_ttft_limits"] | None = None
    """What is held while tokens are added, for the split `marginal`."""
    include: Annotated[list[Literal["splits", "resource_prices"]], Field(max_length=2)] | None = None
    """Parts of the answer that take extra time: all splits side by side; prices of resources."""
    costs: CostTermsBody | None = None
    """What owning and powering an accelerator costs; adds the bases `tco` and `energy`."""
    load_profile: LoadProfileBody | None = None
    """A day of arrivals; utilisation then follows and may not be given."""
    utilisation_range: Annotated[list[PositiveShare], Field(min_length=1, max_length=16)] | None = None
    """Further utilisations at which cost bases are stated."""
    uncertainty: UncertaintyBody | None = None
    """Intervals of the headline figures; left out, none are computed."""
    pools: PoolsBody | None = None
    """Separate workers for prefill; the top level then describes those that decode. Of estimates alone."""
    defaulted: Annotated[list[Name], Field(max_length=MAX_DEFAULTED)] | None = None
    """Paths that an earlier answer chose; carried through so that `resolved` can be posted back."""

    @model_validator(mode="after")
    def _one_model(self) -> "EstimateBody":
        if (self.model is None) == (self.config is None):
            raise PydanticCustomError("conflicting_fields", "give exactly one of model and config")
        return self
