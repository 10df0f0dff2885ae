"""What curves answer."""

from collections.abc import Mapping
from dataclasses import dataclass

from service.application.answers import Conservation, OperatingPoint, Provenance
from service.application.render import Figures


@dataclass(frozen=True, slots=True)
class Crossover:
    """Where two things meet."""

    name: str
    at: float | None
    """Tokens or sequences; None where they never meet within what the model takes."""
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """The same workload on the same hardware with another cache."""

    kind: str
    value: str
    cost_per_request: float | None
    cost_over_actual: float | None
    per_million_tokens: Mapping[str, float]
    output_to_input_ratio: float | None
    batch: float | None
    kv_cache_bytes_per_sequence: float | None
    """On one accelerator, of a mean decoding sequence."""
    infeasible: str | None
    """Why there is no figure; None where there is."""


@dataclass(frozen=True, slots=True)
class CurveShape:
    """The request whose positions or lengths the curve runs over."""

    input_tokens: float
    cached_tokens: float
    output_tokens: float


@dataclass(frozen=True, slots=True)
class CurveAnswer:
    """A curve: one row of figures for the axis and one for each series, all of one length."""

    model: str
    accelerator: str
    currency: str
    axis: str
    axis_unit: str
    view: str | None
    request: CurveShape | None
    x: Figures
    series: Mapping[str, Figures]
    units: Mapping[str, str]
    """Unit of each series."""
    solved_points: int
    """Points at which an operating point was solved; between them figures are interpolated in logarithms.
    Equal to the points asked for where every point is exact."""
    left_out: int
    """Solved points without a feasible operating point; the axis covers the others."""
    conservation: Conservation | None
    """Of a position curve: the integral over all positions beside the cost of the request."""
    operating_point: OperatingPoint
    crossovers: tuple[Crossover, ...]
    counterfactuals: tuple[Counterfactual, ...]
    explanation: tuple[str, ...]
    warnings: tuple[str, ...]
    provenance: Provenance
    resolved: Mapping[str, object]
    digest: str
