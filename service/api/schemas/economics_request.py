"""Bodies of curves, tariffs and comparisons: those of estimates with fields of their own.

They mirror ``application.curve_requests``, ``tariff_requests`` and ``compare_requests`` field by field.
"""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from service.api.schemas.estimate_request import EstimateBody, SampleBody
from service.api.schemas.fields import (
    MAX_CURVE_POINTS,
    MAX_SAMPLES,
    REQUEST_CONFIG,
    Amount,
    Count,
    Currency,
    Name,
    Positive,
)

MAX_COUNTERFACTUALS: Final = 32
MAX_SHEETS: Final = 64
MAX_TIERS: Final = 16

Below1 = Annotated[float, Field(lt=1)]
NotNegative = Annotated[float, Field(ge=0)]


class CurveSpecBody(BaseModel):
    """One curve over one axis."""

    model_config = REQUEST_CONFIG

    axis: Literal[
        "position",
        "input_tokens",
        "output_tokens",
        "batch",
        "context",
        "cached_share",
        "input_to_output_ratio",
        "utilisation",
        "price",
    ]
    """`position` runs over the tokens of one request, `input_tokens` and `output_tokens` over its lengths;
    the others over what the whole workload shares, `context` over its mean prompt."""
    points: Annotated[int, Field(ge=2, le=MAX_CURVE_POINTS)] | None = None
    """2 to 20 000; 200 where left out."""
    start: float | None = None
    """First value of the axis; the least that has a meaning where left out."""
    stop: float | None = None
    """Last value of the axis; the most that has a meaning where left out."""
    spacing: Literal["linear", "log"] | None = None
    """What suits the axis where left out."""
    view: Literal["by_pass", "by_cause"] | None = None
    """Of `position`: who pays for reading cached keys, the token that reads or the one that is read;
    by_cause where left out."""
    request: SampleBody | None = None
    """The request of `position`, `input_tokens` and `output_tokens`; the mean one where left out."""


class CounterfactualBody(BaseModel):
    """The same workload on the same hardware, the model's cache changed."""

    model_config = REQUEST_CONFIG

    kind: Literal["no_kv_cache", "window", "eviction", "kv_format", "kv_heads", "sparse_attention"]
    """`no_kv_cache` runs the whole prefix again for every output token; `window` lets attention see the
    last tokens only; `eviction` keeps so many keys for decoding; `sparse_attention` reads so many that an
    indexer selects."""
    tokens: Count | None = None
    """Of `window`, `eviction` and `sparse_attention`: keys that are seen, kept or read."""
    kv_heads: Count | None = None
    """Of `kv_heads`: key and value heads of every layer."""
    format: Name | None = None
    """Of `kv_format`: a number format of the cache."""

    @model_validator(mode="after")
    def _own_figure(self) -> "CounterfactualBody":
        needs = {"no_kv_cache": None, "kv_heads": "kv_heads", "kv_format": "format"}.get(self.kind, "tokens")
        given = [name for name in ("tokens", "kv_heads", "format") if getattr(self, name) is not None]
        if given != ([] if needs is None else [needs]):
            wanted = "no figure" if needs is None else f"{needs} and nothing else"
            raise PydanticCustomError(
                "conflicting_fields", "{kind} takes {wanted}", {"kind": self.kind, "wanted": wanted}
            )
        return self


class CurveBody(EstimateBody):
    """A deployment under a workload, as POST /v1/estimates takes it, a curve of it, and what-ifs."""

    curve: CurveSpecBody
    """What is drawn."""
    counterfactuals: Annotated[list[CounterfactualBody], Field(max_length=MAX_COUNTERFACTUALS)] | None = None
    """What-ifs whose cost stands beside the curve."""


class TraceBody(BaseModel):
    """A trace of a real service instead of a workload."""

    model_config = REQUEST_CONFIG

    format: Literal["azure_csv", "mooncake_jsonl"]
    """The Azure LLM trace (CSV with ContextTokens and GeneratedTokens) or the Mooncake trace (JSON lines with
    input_length, output_length and hash_ids of prefix blocks)."""
    text: Annotated[str, StringConstraints(min_length=1)]
    """The whole file. Lines that cannot be used are left out and told; more than 1 % of them refuse it."""
    cache: Literal["none", "prefix"] | None = None
    """Whether prefixes seen before count as cached, where the format tells; `prefix` where left out."""
    cache_blocks: Count | None = None
    """Blocks of 512 tokens that the prefix cache holds; all where left out."""


class PriceSheetBody(BaseModel):
    """Prices to be tried on the mix, per million tokens."""

    model_config = REQUEST_CONFIG

    name: Name
    """Name of the sheet in the answer."""
    currency: Currency
    """The same as the cost's."""
    input: Amount
    """Per million uncached input tokens."""
    output: Amount
    """Per million output tokens."""
    cached_input: Amount | None = None
    """Per million cached input tokens; the input price where left out."""


class TierBody(BaseModel):
    """A place to keep prefixes outside the accelerators; its price has no default."""

    model_config = REQUEST_CONFIG

    name: Name
    """For example host or disk."""
    currency: Currency
    """The same as the cost's."""
    per_gigabyte_hour: Amount
    """Price of holding 10^9 bytes for an hour."""
    bytes_per_second: Positive
    """Read back into the accelerators of one replica."""


class PrefixBody(BaseModel):
    """A prefix to be kept for later requests."""

    model_config = REQUEST_CONFIG

    tokens: Count
    """Length of the prefix."""
    seconds: Positive | None = None
    """For how long it is kept; costs are by the hour only where left out."""
    tiers: Annotated[list[TierBody], Field(max_length=MAX_TIERS)] = Field(default_factory=list)
    """Host memory, disk; accelerator memory is always in the answer."""


class SubscriptionBody(BaseModel):
    """A flat plan and how much its subscribers use."""

    model_config = REQUEST_CONFIG

    price: Amount
    """Of a period."""
    currency: Currency
    """The same as the cost's."""
    requests: Annotated[list[NotNegative], Field(min_length=1, max_length=MAX_SAMPLES)] | None = None
    """Requests a period of up to 4 096 subscribers that count alike; or a lognormal by the next two."""
    median_requests: Positive | None = None
    """Requests a period that half of the subscribers exceed."""
    p90_requests: Positive | None = None
    """Requests a period that one subscriber in ten exceeds."""
    target_margin: Below1 | None = None
    """Wanted share of the price, for the cap; 0 where left out."""

    @model_validator(mode="after")
    def _one_distribution(self) -> "SubscriptionBody":
        quantiles = (self.median_requests is not None) + (self.p90_requests is not None)
        if (self.requests is None) != (quantiles == 2) or (self.requests is not None and quantiles):
            raise PydanticCustomError(
                "conflicting_fields", "give either requests, or median_requests and p90_requests"
            )
        return self


class TariffBody(EstimateBody):
    """A deployment, as POST /v1/estimates takes it, its mix, and what is to be known of prices for it."""

    trace: TraceBody | None = None
    """The mix as a trace, in the place of `workload`; the body may then have 32 MiB."""
    prices: Annotated[list[PriceSheetBody], Field(max_length=MAX_SHEETS)] = Field(default_factory=list)
    """Prices to be tried on the mix beside the fair ones and those that providers list."""
    long_output_tokens: Count | None = None
    """Output tokens of a product with long outputs; 65 536, where the model takes them, if left out."""
    prefix: PrefixBody | None = None
    """A prefix to be kept."""
    subscription: SubscriptionBody | None = None
    """A flat plan on requests of this mix."""

    @model_validator(mode="after")
    def _one_mix(self) -> "TariffBody":
        if self.trace is not None and self.workload is not None:
            raise PydanticCustomError("conflicting_fields", "give either workload or trace, not both")
        return self


class PricedAsBody(BaseModel):
    """The listing that a configuration of the caller's is compared with: a closed model's."""

    model_config = REQUEST_CONFIG

    provider: Name
    """As GET /v1/list-prices names it."""
    provider_model_id: Name
    """The provider's model id, letter by letter."""


class CompareBody(EstimateBody):
    """A deployment, as POST /v1/estimates takes it, to be set beside list prices."""

    priced_as: PricedAsBody | None = None
    """Compare with this listing; the architecture is then taken for an assumption, and the answer says so."""
    target_margin: Below1 | None = None
    """Wanted share of the price; 0.3 where left out."""
    across_models: bool | None = None
    """Also model every model of the catalog on the accelerator and compare output:input ratios."""
