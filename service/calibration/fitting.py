"""Predicted time per output token from a design and figures, and the robust fit of the effects.

The loss is Huber's on ln(predicted / measured) plus the priors' squares, minimised by iteratively
reweighted Gauss-Newton (Holland and Welsch 1977) with step halving; no random numbers, so the same
data give the same figures.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from service.calibration.design import Design
from service.calibration.parameters import NAMES, Effects, log_slopes
from service.engine.spans import Array
from service.engine.tables import (
    ATTENTION_DECODE,
    ATTENTION_PREFILL,
    EXPERTS,
    FEED_FORWARD,
    HEAD,
    PROJECTIONS,
    RECURRENT,
    ROOFLINE_OPERATORS,
)

HUBER: Final = 1.0
"""Residuals beyond so many standard deviations count linearly."""
ITERATIONS: Final = 40
_LEAST_SECONDS: Final = 1e-9
_INDEX: Final = {name: place for place, name in enumerate(NAMES)}
_COMPUTE: Final = {
    PROJECTIONS: "gemm.compute", FEED_FORWARD: "gemm.compute", HEAD: "gemm.compute",
    EXPERTS: "experts.compute", ATTENTION_PREFILL: "attention_prefill.compute",
    ATTENTION_DECODE: "attention_decode.compute", RECURRENT: "attention_decode.compute",
}  # fmt: skip
_MEMORY: Final = {
    PROJECTIONS: "gemm.memory", FEED_FORWARD: "gemm.memory", HEAD: "gemm.memory",
    EXPERTS: "experts.memory", ATTENTION_PREFILL: "attention_decode.memory",
    ATTENTION_DECODE: "attention_decode.memory", RECURRENT: "recurrent.memory",
}  # fmt: skip
_RAMP: Final = {
    PROJECTIONS: "gemm.half", FEED_FORWARD: "gemm.half", HEAD: "gemm.half", EXPERTS: "experts.half",
}  # fmt: skip


@dataclass(frozen=True)
class Predicted:
    """Seconds of the mean step, shape (N,), and their derivatives by ln(figure), shape (N, figures)."""

    seconds: Array
    slopes: Array


def step_seconds(design: Design, figures: Array) -> Predicted:
    """Return the mean step of runs under figures of shape (N, figures)."""
    count = design.weight.shape[0]
    total = np.zeros((count, 2))
    slopes = np.zeros((count, 2, len(NAMES)))
    for operator in range(ROOFLINE_OPERATORS):
        _add_roofline(design, figures, operator, (total, slopes))
    added = (
        ("latency", design.hops, 1.0), ("network", design.network, -1.0), ("launch", design.layers, 1.0),
        ("eager", design.eager_layers, 1.0),
        ("host", design.hosts, 1.0), ("sequence", design.sequences, 1.0),
    )  # fmt: skip
    for name, amount, sign in added:
        place = _INDEX[name]
        seconds = amount * figures[:, place, None] ** sign
        total += seconds
        slopes[:, :, place] += sign * seconds
    return Predicted((total * design.weight).sum(1), (slopes * design.weight[:, :, None]).sum(1))


def _add_roofline(design: Design, figures: Array, operator: int, sums: tuple[Array, Array]) -> None:
    total, slopes = sums
    compute_at, memory_at = _INDEX[_COMPUTE[operator]], _INDEX[_MEMORY[operator]]
    imbalance = np.ones_like(total)
    plain, ramp = design.compute[:, :, operator], np.zeros_like(total)
    if operator in _RAMP:
        ramp = design.ramp[:, :, operator] * figures[:, _INDEX[_RAMP[operator]], None]
    if operator == EXPERTS:
        imbalance = figures[:, _INDEX["imbalance"], None] ** design.uneven
    scale = imbalance / figures[:, compute_at, None]
    compute = (plain + ramp) * scale
    memory = design.memory[:, :, operator] / figures[:, memory_at, None]
    bound = compute >= memory
    total += np.where(bound, compute, memory)
    slopes[:, :, compute_at] -= np.where(bound, compute, 0.0)
    slopes[:, :, memory_at] -= np.where(bound, 0.0, memory)
    if operator in _RAMP:
        slopes[:, :, _INDEX[_RAMP[operator]]] += np.where(bound, ramp * scale, 0.0)
    if operator == EXPERTS:
        slopes[:, :, _INDEX["imbalance"]] += np.where(bound, compute, 0.0) * design.uneven


@dataclass(frozen=True)
class Observations:
    """What is fitted; arrays of shape (N,)."""

    design: Design
    seconds: Array
    """Measured."""
    weight: Array
    offset: Array
    """Predicted seconds that no figure here moves."""
    scale: float = 0.12
    """Standard deviation of a residual within which the loss is quadratic."""


def fit_effects(observations: Observations, effects: Effects, start: Array | None = None) -> Array:
    """Return the effects of least loss."""
    values = effects.centre.copy() if start is None else start.copy()
    loss = _loss(observations, effects, values)
    for _ in range(ITERATIONS):
        step = _newton_step(observations, effects, values)
        taken = 1.0
        while taken > 1e-3:
            trial = values + taken * step
            found = _loss(observations, effects, trial)
            if found < loss:
                break
            taken *= 0.5
        else:
            break
        improved = loss - found
        values, loss = trial, found
        if improved < 1e-7 * loss:
            break
    return values


def residuals(observations: Observations, effects: Effects, values: Array) -> Array:
    """Return ln(predicted / measured) of each run."""
    predicted = step_seconds(observations.design, effects.figures(values)).seconds + observations.offset
    logs: Array = np.log(np.maximum(predicted, _LEAST_SECONDS) / observations.seconds)
    return logs


def _loss(observations: Observations, effects: Effects, values: Array) -> float:
    scaled = np.abs(residuals(observations, effects, values)) / observations.scale
    huber = np.where(scaled <= HUBER, scaled**2 / 2.0, HUBER * (scaled - HUBER / 2.0))
    prior = ((values - effects.centre) / effects.spread) ** 2
    return float((observations.weight * huber).sum() + prior.sum() / 2.0)


def _newton_step(observations: Observations, effects: Effects, values: Array) -> Array:
    figures = effects.figures(values)
    predicted = step_seconds(observations.design, figures)
    seconds = np.maximum(predicted.seconds + observations.offset, _LEAST_SECONDS)
    logs = np.log(seconds / observations.seconds)
    relative: Array = predicted.slopes / seconds[:, None] * log_slopes(figures)
    jacobian = np.concatenate(
        [relative[:, place, None] * matrix for place, matrix in enumerate(effects.design)], axis=1
    )
    scaled = np.abs(logs) / observations.scale
    weight = observations.weight * np.minimum(1.0, HUBER / np.maximum(scaled, 1e-9)) / observations.scale**2
    normal = jacobian.T @ (jacobian * weight[:, None]) + np.diag(1.0 / effects.spread**2)
    slope = jacobian.T @ (weight * logs) + (values - effects.centre) / effects.spread**2
    return -np.asarray(np.linalg.solve(normal, slope), dtype=np.float64)
