"""One round of the fit: runs solved and replayed under a set, then efficiencies and front ends moved.

Time per output token and time to first token are fitted together: the first fixes what decoding costs,
the second what a prompt costs. A run's TTFT is the sum of its parts under the run protocol; the parts
made of engine steps move with the efficiencies, the rest with the front end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from service.calibration.design import FIELDS, Design
from service.calibration.fitting import Observations, fit_effects, step_seconds
from service.calibration.front_end import GENERAL, FirstTokens, fit_front_end
from service.calibration.parameters import Effects
from service.calibration.run_protocol import FRONT_END_FIGURES, FrontEnd
from service.engine.spans import Array
from service.engine.workload import IntArray

TPOT_WEIGHT: Final = 0.02
TTFT_WEIGHT: Final = 0.03
FRONT_END_WEIGHT: Final = 0.02
"""What one row weighs against the priors. Rows of a cell (one model on one accelerator by one engine) share
most of their error, so hundreds of them say little more than a few would; the values are those with which
the runs of left-out architectures are met best."""
_REQUEST_PARTS: Final = 3
"""Of a TTFT's parts the first three are the front end's; then the lag, the chunks, the decode steps."""
_LAG, _CHUNKS, _DECODE = 3, 4, 5


@dataclass(frozen=True)
class Round:
    """Runs as one round sees them; arrays over N runs."""

    tpot: Design
    ttft: Design
    """Weights belong to the parts as replayed."""
    parts: Array
    """Parts of TTFT, shape (N, 6)."""
    tpot_seconds: Array
    ttft_seconds: Array
    """Measured; NaN where a run has none."""
    weight: Array
    engines: tuple[str, ...]
    front_ends: Mapping[str, FrontEnd]
    """Under which the parts were replayed."""
    effects: Effects

    def runs(self, index: IntArray) -> "Round":
        """Return some of the runs."""
        return replace(
            self,
            tpot=self.tpot.rows(index),
            ttft=self.ttft.rows(index),
            parts=self.parts[index],
            tpot_seconds=self.tpot_seconds[index],
            ttft_seconds=self.ttft_seconds[index],
            weight=self.weight[index],
            engines=tuple(np.array(self.engines)[index].tolist()),
            effects=self.effects.runs(index),
        )


@dataclass(frozen=True)
class Fit:
    """Fitted values."""

    values: Array
    front_ends: Mapping[str, FrontEnd]


def fit_round(runs: Round, start: Array | None = None) -> Fit:
    """Fit front ends, then efficiencies."""
    known = np.isfinite(runs.ttft_seconds)
    front_ends = fit_front_end(
        FirstTokens(
            parts=runs.parts[known],
            seconds=runs.ttft_seconds[known],
            weight=runs.weight[known] * FRONT_END_WEIGHT,
            engines=[engine for engine, flag in zip(runs.engines, known, strict=True) if flag],
            replayed=runs.front_ends,
        )
    )
    both = _both(runs, front_ends)
    index = np.flatnonzero(np.concatenate((np.isfinite(runs.tpot_seconds), known)))
    doubled = replace(
        runs.effects, design=tuple(np.concatenate((matrix, matrix)) for matrix in runs.effects.design)
    )
    observations = Observations(
        design=both[0].rows(index),
        seconds=np.concatenate((runs.tpot_seconds, runs.ttft_seconds))[index],
        weight=np.concatenate((runs.weight * TPOT_WEIGHT, runs.weight * TTFT_WEIGHT))[index],
        offset=both[1][index],
    )
    return Fit(fit_effects(observations, doubled.runs(index), start), front_ends)


def predicted(runs: Round, fit: Fit) -> tuple[Array, Array]:
    """Return (TPOT, TTFT) of runs under a fit, seconds, at the round's operating points."""
    design, offset = _both(runs, fit.front_ends)
    figures = runs.effects.figures(fit.values)
    seconds = step_seconds(design, np.concatenate((figures, figures))).seconds + offset
    count = len(runs.engines)
    return seconds[:count], seconds[count:]


def _both(runs: Round, front_ends: Mapping[str, FrontEnd]) -> tuple[Design, Array]:
    """Return the designs of TPOT and TTFT stacked, and the seconds of the front end beside them."""
    factors = _factors(runs, front_ends)
    own = (runs.parts[:, :_REQUEST_PARTS] * factors[:, :_REQUEST_PARTS]).sum(axis=1)
    chunks = runs.ttft.weight[:, 1]
    steps = runs.ttft.weight[:, 0] + chunks
    lag = runs.parts[:, _LAG] / np.maximum(runs.parts[:, _LAG] + runs.parts[:, _DECODE], 1e-12)
    steps = steps * (1.0 - lag + lag * factors[:, _LAG])
    chunks = chunks * factors[:, _CHUNKS]
    ttft = replace(runs.ttft, weight=np.stack((steps - chunks, chunks), axis=1))
    joined = Design(*(np.concatenate((getattr(runs.tpot, name), getattr(ttft, name))) for name in FIELDS))
    return joined, np.concatenate((np.zeros_like(own), own))


def _factors(runs: Round, front_ends: Mapping[str, FrontEnd]) -> Array:
    """Return how much each front-end figure grew since the replay, shape (N, 5)."""
    by_engine = {
        engine: [
            getattr(front_ends.get(engine, front_ends[GENERAL]), name)
            / getattr(runs.front_ends.get(engine, runs.front_ends[GENERAL]), name)
            for name in FRONT_END_FIGURES
        ]
        for engine in set(runs.engines)
    }
    return np.array([by_engine[engine] for engine in runs.engines])


def row_weights(architectures: Sequence[str]) -> Array:
    """Return weights of runs, mean 1: a model measured often counts by the root of its runs."""
    counts = {name: architectures.count(name) for name in set(architectures)}
    weight = np.array([counts[name] ** -0.5 for name in architectures])
    return np.asarray(weight / weight.mean(), dtype=np.float64)
