"""Measured points that ship with a set, and which of them are nearest to an estimate."""

from collections.abc import Sequence
from math import log
from typing import Any, Final

import numpy as np

from service.application.calibrate import Fitted
from service.application.cases import Case
from service.application.ports import MeasuredPoint
from service.calibration.rounds import predicted
from service.engine.spans import Array

POINTS_PER_CELL: Final = 3
"""Of one model on one accelerator by one engine in one precision and with one pair of lengths."""
_OTHER_FAMILY: Final = 2.0
_OTHER_ENGINE: Final = 1.0
_OTHER_FORMAT: Final = 1.0
_OTHER_MODEL: Final = 0.25
FAR: Final = 2.0
"""Beyond this distance an estimate is an extrapolation: a factor of about 50 in one length or in the load, or
another family of accelerators."""


def choose_points(fitted: Fitted) -> list[dict[str, Any]]:
    """Return the points to ship: of every cell the runs of least, middle and most load."""
    tpot, ttft = predicted(fitted.last, fitted.fit)
    cells: dict[tuple[object, ...], list[int]] = {}
    for place, case in enumerate(fitted.cases):
        if case.row.speculative != "mtp":
            cells.setdefault(_cell(case), []).append(place)
    chosen = []
    for _, places in sorted(cells.items(), key=lambda item: str(item[0])):
        ordered = sorted(places, key=lambda place: _load(fitted.cases[place]))
        spread = np.unique(np.linspace(0, len(ordered) - 1, POINTS_PER_CELL).round().astype(int))
        chosen += [ordered[index] for index in spread.tolist()]
    return [_point(fitted.cases[place], (tpot, ttft), place) for place in chosen]


def nearest_points(
    points: Sequence[MeasuredPoint], like: MeasuredPoint, count: int = 3
) -> list[tuple[MeasuredPoint, float]]:
    """Return the nearest points with their distances, nearest first.

    The distance adds |ln| of the ratios of prompt, output and requests per accelerator to fixed amounts
    for another accelerator family, engine and weight format.
    """
    rated = sorted(((distance(point, like), place) for place, point in enumerate(points)))
    return [(points[place], far) for far, place in rated[:count]]


def distance(point: MeasuredPoint, like: MeasuredPoint) -> float:
    """Return how far a measured point is from an estimate."""
    far = abs(log(point.input_tokens / max(like.input_tokens, 1.0)))
    far += abs(log(point.output_tokens / max(like.output_tokens, 1.0)))
    far += abs(log(point.concurrency_per_accelerator / max(like.concurrency_per_accelerator, 1e-6)))
    scope = (like.family, like.engine, like.weight_format)
    return far / 2.0 + fixed_distance(point, scope, point.model == like.model)


def fixed_distance(point: MeasuredPoint, scope: tuple[str, str, str], same_model: bool) -> float:
    """Return what another accelerator family, engine, weight format or model adds to a distance."""
    family, engine, weight_format = scope
    far = _OTHER_FAMILY * (point.family != family)
    far += _OTHER_ENGINE * (point.engine != engine)
    far += _OTHER_FORMAT * (point.weight_format != weight_format)
    return far + (0.0 if same_model else _OTHER_MODEL)


def _cell(case: Case) -> tuple[object, ...]:
    row = case.row
    return (
        case.architecture,
        case.accelerator.id,
        case.policy.name,
        case.precision,
        row.input_tokens,
        row.output_tokens,
    )


def _load(case: Case) -> float:
    return case.row.concurrency / case.row.accelerators


def _point(case: Case, seconds: tuple[Array, Array], place: int) -> dict[str, Any]:
    row = case.row
    point: dict[str, Any] = {
        "model": case.model_id.rsplit("/", 1)[-1].lower(),
        "accelerator": case.accelerator.id,
        "family": case.accelerator.spec.family,
        "engine": case.policy.name,
        "weight_format": case.formats.experts.name,
        "input_tokens": int(row.input_tokens),
        "output_tokens": int(row.output_tokens),
        "concurrency": int(row.concurrency),
        "accelerators": row.accelerators,
        "measured_tpot_seconds": _rounded(row.tpot_seconds),
        "predicted_tpot_seconds": _rounded(float(seconds[0][place])),
    }
    if row.ttft_seconds is not None:
        point["measured_ttft_seconds"] = _rounded(row.ttft_seconds)
        point["predicted_ttft_seconds"] = _rounded(float(seconds[1][place]))
    return point


def _rounded(value: float | None) -> float:
    return float(f"{value or 0.0:.4g}")
