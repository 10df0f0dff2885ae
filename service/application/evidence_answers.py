"""The part of an answer about what was measured near it."""

from dataclasses import dataclass

from service.application.ports import MeasuredPoint


@dataclass(frozen=True, slots=True)
class NearPoint:
    """A measured run with its distance from the estimate."""

    point: MeasuredPoint
    distance: float
    """Half the sum of |ln| of the ratios of prompt, output and requests in flight per accelerator, and fixed
    amounts for another accelerator family (2), engine (1), weight format (1) and model (0.25)."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Which measurements the calibration in force has near this estimate."""

    calibration: str
    level: str
    """fitted (this family with this engine), family, engine, vendor or general: which fallback was used."""
    extrapolates: bool
    """True where no measured run is within a distance of 2."""
    nearest: tuple[NearPoint, ...]
    """The nearest measured runs, nearest first; empty where the set ships none."""
