"""What may be asked of tariffs."""

from dataclasses import dataclass
from decimal import Decimal

from service.application.requests import EstimateRequest
from service.application.traces import CachePolicy, TraceFormat


@dataclass(frozen=True, slots=True)
class TraceRequest:
    """A trace instead of a workload."""

    format: TraceFormat
    text: str
    """The whole file."""
    cache: CachePolicy | None = None
    """Whether prefixes seen before count as cached (Mooncake traces tell); ``prefix`` where None."""
    cache_blocks: int | None = None
    """Blocks of 512 tokens that the prefix cache holds; all where None."""


@dataclass(frozen=True, slots=True)
class PriceSheet:
    """Prices to be tried on the mix, per million tokens."""

    name: str
    currency: str
    """The same as the cost's."""
    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    """The input price where None."""


@dataclass(frozen=True, slots=True)
class TierRequest:
    """A place to keep prefixes outside the accelerators."""

    name: str
    currency: str
    """The same as the cost's."""
    per_gigabyte_hour: Decimal
    bytes_per_second: float
    """Read back into the accelerators of one replica."""


@dataclass(frozen=True, slots=True)
class PrefixRequest:
    """A prefix to be kept."""

    tokens: int
    seconds: float | None = None
    """For how long it is kept; without it costs are stated by the hour only."""
    tiers: tuple[TierRequest, ...] = ()
    """Host memory, disk: prices have no default."""


@dataclass(frozen=True, slots=True)
class SubscriptionRequest:
    """A flat plan and how much its subscribers use."""

    price: Decimal
    """Of a period."""
    currency: str
    """The same as the cost's."""
    requests: tuple[float, ...] | None = None
    """Requests a period of subscribers that count alike; or a lognormal by the next two."""
    median_requests: float | None = None
    p90_requests: float | None = None
    target_margin: float | None = None
    """0 where None."""


@dataclass(frozen=True, slots=True)
class TariffRequest:
    """A deployment, a mix, and what is to be known of prices for it."""

    estimate: EstimateRequest
    trace: TraceRequest | None = None
    prices: tuple[PriceSheet, ...] = ()
    long_output_tokens: int | None = None
    """Length of a product with long outputs; 65 536 where None."""
    prefix: PrefixRequest | None = None
    subscription: SubscriptionRequest | None = None
