"""What tariffs answer."""

from collections.abc import Mapping
from dataclasses import dataclass

from service.application.answers import Conservation, OperatingPoint, Provenance


@dataclass(frozen=True, slots=True)
class MixSummary:
    """The mix that the tariff is for."""

    requests: int
    """Classes, samples or lines of the trace."""
    mean_input_tokens: float
    mean_cached_tokens: float
    mean_output_tokens: float
    cached_share: float
    bad_lines: int
    first_bad_lines: tuple[str, ...]
    """Line number and reason of those left out of a trace."""


@dataclass(frozen=True, slots=True)
class TransferRow:
    """A group of requests: what it costs and what it pays, as shares of the whole."""

    group: str
    share_of_requests: float
    share_of_cost: float
    share_of_revenue: float
    subsidy: float
    """Share of revenue less share of cost: positive where the group pays for others."""
    mean_input_tokens: float
    mean_output_tokens: float


@dataclass(frozen=True, slots=True)
class MarginSpread:
    """How margin spreads over requests under one set of prices."""

    name: str
    source: str
    """fair, shapley, stated, or a provider's list prices."""
    per_million_tokens: Mapping[str, float]
    margin: float
    """1 - cost / revenue of the mix."""
    losing_share: float
    losing_cost_share: float
    margin_quantiles: Mapping[str, float]
    spread_over_mean_cost: float
    moved_by_exact_prices: float
    """Share of the cost that would change payer under exact per-position prices of the same total."""
    transfers: tuple[TransferRow, ...]


@dataclass(frozen=True, slots=True)
class LongOutput:
    """A product whose requests have long outputs."""

    output_tokens: int
    cost_per_request: float | None
    charged_per_request: float | None
    """At the fair tariff of the mix."""
    surcharge_here: float | None
    """On the output rate, served among the requests of the mix; None where that rate is 0."""
    surcharge_alone: float | None
    """On the output rate, served by a deployment of its own."""
    cost_alone: float | None
    infeasible: str | None


@dataclass(frozen=True, slots=True)
class CachedPricing:
    """What a cached token costs and what a hit is worth, per million tokens."""

    uncached: float
    cached_by_pass: float
    """Read by the prompt that follows it."""
    cached_by_cause: float
    """Read by the prompt and by every output token after it."""
    saved_by_a_hit: float
    """What a request of the mix saves for each of its tokens found in the cache, at this point."""
    discount_by_pass: float
    discount_by_cause: float


@dataclass(frozen=True, slots=True)
class KeptPrefix:
    """Keeping a prefix in one place."""

    tier: str
    size_gigabytes: float
    per_hour: float
    cost_of_keeping: float | None
    """For the seconds asked for; None where none were."""
    break_even_seconds: float | None
    """Holding as long costs what one hit saves; None where holding costs nothing."""
    reload_seconds: float
    """Added to the time to the first token where reading back does not overlap with work."""
    note: str


@dataclass(frozen=True, slots=True)
class PrefixAnswer:
    """A prefix kept for later requests."""

    tokens: int
    seconds: float | None
    """For how long it is kept."""
    saved_by_a_hit: float
    """Of one later request that finds it."""
    tiers: tuple[KeptPrefix, ...]


@dataclass(frozen=True, slots=True)
class SubscriptionAnswer:
    """A flat plan under a distribution of use."""

    price: float
    cost_per_request: float
    break_even_requests: float
    mean_requests: float
    share_at_loss: float
    margin: float
    target_margin: float
    cap_for_target: float | None
    """Requests a period; None where the target is reached without a cap."""
    share_capped: float


@dataclass(frozen=True, slots=True)
class TariffAnswer:
    """The fair linear tariff of a mix and what it leaves."""

    model: str
    accelerator: str
    currency: str
    mix: MixSummary
    fair_per_million_tokens: Mapping[str, float]
    """The rates that recover the cost with least variance of margin per request."""
    output_to_input_ratio: float | None
    cost_per_request: float
    recovery: Conservation
    """Revenue of the fair tariff beside the cost of the mix."""
    spreads: tuple[MarginSpread, ...]
    long_output: LongOutput
    cached: CachedPricing
    prefix: PrefixAnswer | None
    subscription: SubscriptionAnswer | None
    operating_point: OperatingPoint
    explanation: tuple[str, ...]
    warnings: tuple[str, ...]
    provenance: Provenance
    resolved: Mapping[str, object]
    digest: str
