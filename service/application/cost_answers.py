"""Parts of an answer about money: cost bases, splits side by side, prices of resources."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CostBasis:
    """What a request and its tokens cost on one basis."""

    basis: str
    """rental, tco or energy."""
    currency: str
    per_working_accelerator_hour: float
    per_waiting_accelerator_hour: float
    parts: Mapping[str, float]
    """Of a working accelerator-hour."""
    utilisation: float
    reserved_per_request: float
    """Everything paid over the requests served: active and idle."""
    active_per_request: float
    """The working hours alone."""
    idle_per_request: float
    marginal_per_request: float
    """What one more request adds to the spending: power on capacity that is there, capacity where the
    load profile says that it is added."""
    per_million_tokens: Mapping[str, float]
    """Reserved cost by kind of token, by the split of the estimate."""
    reserved_per_request_at: Mapping[str, float]
    """At the ends of the utilisation range asked for, by utilisation; empty where none was."""


@dataclass(frozen=True, slots=True)
class FleetDay:
    """What a load profile does to the fleet."""

    replicas: tuple[float, ...]
    """By hour."""
    utilisation: float
    peak_utilisation: float
    scaling_share: float
    """Share of requests that arrive while one more request adds capacity."""


@dataclass(frozen=True, slots=True)
class MarginalDetail:
    """What one more token costs, and why the sum over tokens is not the bill."""

    closure: str
    held: str
    """What stays as it is while tokens are added: batch, tpot, ttft, memory or prefill."""
    sum_over_cost: float
    """Sum of tokens x marginal cost over cost."""
    from_attention: float
    """Part of sum_over_cost - 1 due to attention and the cache, which grow with the square of length."""
    from_request_terms: float
    """Part due to what a request needs once: its first token, the last chunk, the head."""
    from_kinks: float


@dataclass(frozen=True, slots=True)
class SplitRates:
    """One rule's rates, beside others."""

    rule: str
    """shapley, phase or marginal."""
    variant: str
    """by_pass or by_cause; increment_over_decode or increment_over_prefill; the closure."""
    per_million_tokens: Mapping[str, float]
    output_to_input_ratio: float | None
    sum_over_bill: float
    """Sum of tokens x rate over the bill; 1 where the rule conserves."""
    marginal: MarginalDetail | None
    """Why a marginal split does not add up to the bill; None for the other rules."""


@dataclass(frozen=True, slots=True)
class ResourcePrice:
    """One resource at the operating point."""

    resource: str
    unit: str
    per_unit: float | None
    """Paid share of the bill over what is used; None where nothing is used."""
    units_per_request: float
    share_of_bill: float


@dataclass(frozen=True, slots=True)
class ResourcePrices:
    """What resources cost at the operating point and which constraint binds."""

    currency: str
    prices: tuple[ResourcePrice, ...]
    kv_cache_shadow_per_gigabyte_second: float
    """Worth of a GB of cache for a second where memory limits the batch, 0 elsewhere; not added to the
    bill, because memory takes no time."""
    kv_cache_gigabyte_seconds_per_request: float
    batch_elasticity: float
    """d ln(cost per request) / d ln(batch) at the point."""
    limited_by: str
    decode_bound: str
    mixed_bound: str
