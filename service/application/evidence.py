"""What was measured near an estimate, and whether anything was (METHOD 8).

The distance is that of ``measured_points``; here it is taken to all points of a set at once, from arrays
made once for a catalog state, a calibration and a deployment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Final

import numpy as np

from service.application.deployment import Deployment
from service.application.evidence_answers import Evidence, NearPoint
from service.application.kept import Kept
from service.application.measured_points import FAR, fixed_distance
from service.application.ports import CatalogSnapshot, MeasuredPoint
from service.application.spreads import factor_90, tpot_spread
from service.engine.spans import Array
from service.engine.units import MILLI

NEAREST: Final = 3
"""Points that an estimate names."""
KEPT_SCOPES: Final = 1_024


@dataclass(frozen=True)
class Scope:
    """Points of a set as one deployment sees them."""

    points: tuple[MeasuredPoint, ...]
    logs: Array
    """Of prompt, output and requests in flight per accelerator, shape (P, 3)."""
    apart: Array
    """What another family, engine, format or model adds to the distance, (P,)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Where an estimate stands among measured runs."""

    input_tokens: float
    output_tokens: float
    concurrency_per_accelerator: float


class EvidenceFinder:
    """Finds the points nearest to estimates; keeps what deployments share."""

    def __init__(self) -> None:
        self._scopes: Kept[Scope] = Kept(KEPT_SCOPES)

    def find(self, snapshot: CatalogSnapshot, deployment: Deployment, asked: Asked) -> Evidence:
        """Return the nearest measured points of the calibration in force, nearest first."""
        spec = deployment.accelerator.spec
        name, format_name = deployment.calibration.name, deployment.formats.experts.name
        key = (name, spec.family, deployment.policy.name, format_name, deployment.model_id)
        scope = self._scopes.get(
            snapshot.state_of("references"),
            key,
            lambda: scope_of(snapshot.measured_points(name), deployment),
        )
        near = nearest(scope, asked)
        return Evidence(
            calibration=name,
            level=deployment.calibration.level,
            extrapolates=not near or near[0].distance > FAR,
            nearest=near,
        )


def scope_of(points: Sequence[MeasuredPoint], deployment: Deployment) -> Scope:
    """Return the arrays of a set's points for a deployment."""
    names = _names_of(deployment)
    spec, stored = deployment.accelerator.spec, deployment.formats.experts.name
    apart = [
        fixed_distance(point, (spec.family, deployment.policy.name, stored), point.model in names)
        for point in points
    ]
    logs = [
        (log(point.input_tokens), log(point.output_tokens), log(point.concurrency_per_accelerator))
        for point in points
    ]
    return Scope(tuple(points), np.array(logs).reshape(-1, 3), np.array(apart))


def nearest(scope: Scope, asked: Asked) -> tuple[NearPoint, ...]:
    """Return the nearest points, nearest first; of equals the earlier one."""
    if not scope.points:
        return ()
    here = (
        log(max(asked.input_tokens, 1.0)),
        log(max(asked.output_tokens, 1.0)),
        log(max(asked.concurrency_per_accelerator, 1e-6)),
    )
    far = np.abs(scope.logs - here) @ _HALVES + scope.apart
    count = min(NEAREST, far.size)
    places = np.argpartition(far, count - 1)[:count].tolist()
    rated = sorted((float(far[place]), place) for place in places)
    return tuple(NearPoint(scope.points[place], distance) for distance, place in rated)


def sentence_of(evidence: Evidence) -> str:
    """Return what the nearest measured run was, as an explanation."""
    if not evidence.nearest:
        return f"Calibration {evidence.calibration} ships no measured run."
    point, distance = evidence.nearest[0].point, evidence.nearest[0].distance
    return (
        f"The nearest measured run of calibration {evidence.calibration} is {point.model} on "
        f"{point.accelerators} x {point.accelerator} by {point.engine} ({point.weight_format}), "
        f"{point.input_tokens:.0f} tokens in, {point.output_tokens:.0f} out, {point.concurrency:.0f} in "
        f"flight: {point.measured_tpot_seconds / MILLI:.3g} ms a token measured, "
        f"{point.predicted_tpot_seconds / MILLI:.3g} ms predicted (distance {distance:.2g})."
    )


def warnings_of(evidence: Evidence, deployment: Deployment) -> tuple[str, ...]:
    """Return what an estimate must say aloud: that it extrapolates, or by which fallback it was made."""
    said = []
    spec, engine = deployment.accelerator.spec, deployment.policy.name
    if not evidence.nearest:
        said.append(
            f"No measured run stands behind calibration {evidence.calibration}: its figures are assumed."
        )
    elif evidence.level != "fitted":
        said.append(
            f"No run of {engine} on {spec.family} was measured: efficiencies come from "
            f"{_FALLBACKS.get(evidence.level, evidence.level)}; in 8 of 10 cases the time of an output token "
            f"lies within x{factor_90(tpot_spread(deployment.calibration)):.2f}."
        )
    if evidence.nearest and evidence.extrapolates:
        said.append(
            f"This extrapolates: the nearest measured run is {evidence.nearest[0].distance:.2g} away, and "
            f"beyond {FAR:g} lengths, load, accelerator, engine or format are unlike anything measured."
        )
    return tuple(said)


_HALVES: Final = np.full(3, 0.5)
_FALLBACKS: Final = {
    "family": "the accelerator's family",
    "engine": "the engine on other accelerators",
    "vendor": "the vendor",
    "published": "published microbenchmarks of the accelerator's family, set beside those of measured ones",
    "general": "any engine on any accelerator",
}


def _names_of(deployment: Deployment) -> frozenset[str]:
    """Return the names under which a model may stand in measured data, without organisation."""
    names = {deployment.model_id}
    if deployment.model is not None:
        names.update(deployment.model.aliases)
    return frozenset(name.rsplit("/", 1)[-1].lower() for name in names)
