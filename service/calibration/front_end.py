"""Fit of what a first token waits for outside the model's steps, by engine.

TTFT is the sum of the parts that ``run_protocol.first_token_parts`` reads off a replayed run, each
proportional to its figure to first order. Figures are fitted in logarithms: a general one and an effect
of the engine, both held by priors, with Huber's loss; the runs are replayed again afterwards.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from service.calibration.run_protocol import FRONT_END, FRONT_END_FIGURES, FrontEnd
from service.engine.spans import Array

GENERAL_SPREAD: Final = np.array([0.7, 1.0, 0.7, 0.5, 0.5])
ENGINE_SPREAD: Final = np.array([0.5, 0.5, 0.4, 0.3, 0.3])
NOISE: Final = 0.3
HUBER: Final = 0.5
"""Of a TTFT whose residual exceeds so many spreads only the sign counts: stalls of single runs are many."""
ITERATIONS: Final = 30
GENERAL: Final = "general"


@dataclass(frozen=True)
class FirstTokens:
    """Measured runs: parts at the figures they were replayed under, measured TTFT, weights."""

    parts: Array
    """Shape (N, 6)."""
    seconds: Array
    weight: Array
    engines: Sequence[str]
    replayed: Mapping[str, FrontEnd]
    """Figures by engine that the parts belong to."""


def fit_front_end(observed: FirstTokens) -> dict[str, FrontEnd]:
    """Return the figures by engine, those of ``general`` for engines without runs."""
    names = sorted(set(observed.engines))
    count = len(FRONT_END_FIGURES)
    flags = np.stack([[engine == name for engine in observed.engines] for name in names], 1).astype(float)
    design = np.concatenate((np.ones((len(observed.engines), 1)), flags), axis=1)
    base = np.log(
        [_figures(observed.replayed.get(name, observed.replayed[GENERAL])) for name in observed.engines]
    )
    prior = np.zeros((len(names) + 1, count))
    prior[0] = np.log(_figures(FRONT_END))
    spread = np.stack([GENERAL_SPREAD] + [ENGINE_SPREAD] * len(names))
    values = prior.copy()
    for _ in range(ITERATIONS):
        step = _step(observed, (design, base), (values, prior, spread))
        values = values + np.clip(step, -0.5, 0.5)
        if np.abs(step).max() < 1e-6:
            break
    fitted = {GENERAL: _front_end(values[0])}
    return fitted | {name: _front_end(values[0] + values[place + 1]) for place, name in enumerate(names)}


def _step(observed: FirstTokens, run: tuple[Array, Array], state: tuple[Array, Array, Array]) -> Array:
    design, base = run
    values, prior, spread = state
    factor = np.exp(np.clip(design @ values - base, -6.0, 6.0))
    scaled = observed.parts[:, :-1] * factor
    total = np.maximum(scaled.sum(axis=1) + observed.parts[:, -1], 1e-9)
    logs = np.log(total / observed.seconds)
    weight = observed.weight * np.minimum(1.0, HUBER * NOISE / np.maximum(np.abs(logs), 1e-9)) / NOISE**2
    relative = scaled / total[:, None]
    # Effects by (scope, figure): a run's slope is its flag times the figure's share of its TTFT.
    jacobian = (design[:, :, None] * relative[:, None, :]).reshape(len(total), -1)
    pull = ((values - prior) / spread**2).reshape(-1)
    normal = jacobian.T @ (jacobian * weight[:, None]) + np.diag(1.0 / spread.reshape(-1) ** 2)
    solved = np.linalg.solve(normal, jacobian.T @ (weight * logs) + pull)
    return -np.asarray(solved, dtype=np.float64).reshape(values.shape)


def _figures(front: FrontEnd) -> list[float]:
    return [getattr(front, name) for name in FRONT_END_FIGURES]


def _front_end(logs: Array) -> FrontEnd:
    return FrontEnd(*np.exp(logs).tolist())
