"""What may be asked of curves."""

from dataclasses import dataclass
from typing import Literal

from service.application.requests import EstimateRequest, KvView, SampleRequest

CurveAxis = Literal[
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
Spacing = Literal["linear", "log"]
CounterfactualKind = Literal["no_kv_cache", "window", "eviction", "kv_format", "kv_heads", "sparse_attention"]


@dataclass(frozen=True, slots=True)
class CurveSpec:
    """One curve over one axis."""

    axis: CurveAxis
    points: int | None = None
    """2 to 20 000; 200 where None."""
    start: float | None = None
    """First value of the axis."""
    stop: float | None = None
    """Last value of the axis."""
    spacing: Spacing | None = None
    """Linear or logarithmic; what suits the axis where None."""
    view: KvView | None = None
    """Whom reads of the cache belong to, for ``position``; by_cause where None."""
    request: SampleRequest | None = None
    """The request of ``position``, ``input_tokens`` and ``output_tokens``; the mean one where None."""


@dataclass(frozen=True, slots=True)
class CounterfactualSpec:
    """The same deployment with another cache."""

    kind: CounterfactualKind
    tokens: int | None = None
    """Window, eviction budget or selection size."""
    kv_heads: int | None = None
    format: str | None = None


@dataclass(frozen=True, slots=True)
class CurveRequest:
    """A deployment under a workload, a curve of it, and what-ifs."""

    estimate: EstimateRequest
    curve: CurveSpec
    counterfactuals: tuple[CounterfactualSpec, ...] = ()
