"""One operating point of a replica whose speed is uncertain, at many samples at once (equations U3 to U5).

Efficiencies are uncertain, so what is sampled is time: arithmetic, memory, network and host each take a
factor longer or shorter, which moves cost between kinds of tokens, and a common factor then brings the
step to the TPOT that was drawn. In a closed loop scaling all times changes no batch, so a drawn TPOT and
TTFT give the throughput by Little's law; under given arrivals slower steps gather a larger batch.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from service.engine.attribution import Subject
from service.engine.batching import SHORTEST_DECODE_STEPS, Population, SteadyState, steady_state
from service.engine.kind_shares import busy_seconds_of
from service.engine.load import Load
from service.engine.operating_point import Solved
from service.engine.spans import Array
from service.engine.tables import COLLECTIVES, HOST, OPERATORS, ROOFLINE_OPERATORS
from service.engine.types import EnginePolicy

GRID_POINTS = 12
"""Batches at which a sample's curve is looked up under arrivals, and again between the two that enclose it.
Few enough that 256 samples stay below the size from which BLAS spreads a product over threads."""


@dataclass(frozen=True)
class Draws:
    """Standard normal draws, shape (N,) each, and the spreads that they stand for."""

    step: Array
    """Of the time per output token."""
    first: Array
    """Of the time to first token; correlated with ``step`` as residuals are."""
    compute: Array
    memory: Array
    network: Array
    host: Array
    tpot_log_spread: float
    ttft_log_spread: float


@dataclass(frozen=True)
class Sampled:
    """N samples of an operating point; arrays (N,), seconds."""

    subject: Subject
    """With a state for each sample; its times hold up to ``time_factor``."""
    time_factor: Array
    requests_per_second: Array
    tpot_seconds: Array
    ttft_seconds: Array
    working_seconds: Array
    """Of the replica for one request."""
    overloaded: Array
    """True where the arrivals are more than the sample can serve."""


def sample_closed(subject: Subject, solved: Solved, policy: EnginePolicy, draws: Draws) -> Sampled:
    """Return samples with the requests in flight held (equation U4)."""
    state = solved.state
    seen = np.full(draws.step.shape, float(state.seen_batch[0]))
    sampled = evaluated(subject, policy, (scaled(subject.load, draws), seen, "closed"))
    tpot = float(state.tpot_seconds[0]) * np.exp(draws.tpot_log_spread * draws.step)
    first = float(state.ttft_seconds[0]) * np.exp(draws.ttft_log_spread * draws.first)
    tokens = max(subject.load.mean_steps, SHORTEST_DECODE_STEPS) * subject.load.tokens_per_step
    carried = float(state.concurrency[0])
    rate = carried / (first + tokens * tpot)
    queued = max(solved.concurrency - carried, 0.0) if solved.queued_seconds > 0 else 0.0
    return Sampled(
        subject=sampled,
        time_factor=tpot / sampled.state.tpot_seconds,
        requests_per_second=rate,
        tpot_seconds=tpot,
        ttft_seconds=first + queued / rate,
        working_seconds=1.0 / rate,
        overloaded=np.zeros(draws.step.shape, dtype=bool),
    )


def sample_arrivals(
    subject: Subject, policy: EnginePolicy, draws: Draws, limits: tuple[float, float]
) -> Sampled:
    """Return samples with the arrivals held (equation U5).

    Parameters
    ----------
    subject, policy, draws
        The operating point, the engine and what is drawn.
    limits
        Requests per second of one replica, and the most sequences that it can hold.
    """
    rate, most = limits
    state = subject.state
    load = scaled(subject.load, draws)
    count = draws.step.shape[0]
    here = evaluated(subject, policy, (load, np.full(count, float(state.seen_batch[0])), "open"))
    factor = np.exp(draws.tpot_log_spread * draws.step)
    factor *= float(state.tpot_seconds[0]) / here.state.tpot_seconds
    tokens = max(subject.load.mean_steps, SHORTEST_DECODE_STEPS) * subject.load.tokens_per_step

    def excess(others: Array) -> Array:
        """Return ln of what is served over what arrives, for other sequences of shape (points, N)."""
        grid = evaluated(subject, policy, (load, 1.0 + others.ravel(), "open")).state
        served: Array = np.log(others / (tokens * rate * factor * grid.tpot_seconds.reshape(others.shape)))
        return served

    ends = max(most - 1.0, 1e-6) * np.array([1e-6, 1.0])
    wide, _, overloaded = _bracket(np.repeat(ends[:, None], count, axis=1), excess)
    narrow, values, _ = _bracket(wide, excess)
    part = np.clip(-values[0] / np.maximum(values[1] - values[0], 1e-12), 0.0, 1.0)
    seen = 1.0 + np.where(overloaded, ends[1], narrow[0] * (narrow[1] / narrow[0]) ** part)
    found = evaluated(subject, policy, (load, seen, "open"))
    waits = draws.ttft_log_spread * draws.first - draws.tpot_log_spread * draws.step
    plain, mixed = busy_seconds_of(found)
    return Sampled(
        subject=found,
        time_factor=factor,
        requests_per_second=np.full(count, rate),
        tpot_seconds=found.state.tpot_seconds * factor,
        ttft_seconds=found.state.ttft_seconds * factor * np.exp(waits),
        working_seconds=np.minimum((plain + mixed) * factor, 1.0 / rate),
        overloaded=overloaded,
    )


def scaled(load: Load, draws: Draws) -> Load:
    """Return a load whose operator times differ from sample to sample (equation U3)."""
    spread = draws.tpot_log_spread
    scale = np.empty((2, len(OPERATORS), draws.step.shape[0]))
    scale[0, :ROOFLINE_OPERATORS] = np.exp(spread * draws.compute)
    scale[1, :ROOFLINE_OPERATORS] = np.exp(spread * draws.memory)
    scale[:, COLLECTIVES] = np.exp(spread * draws.network)
    scale[:, HOST] = np.exp(spread * draws.host)
    return replace(load, coefficients=replace(load.coefficients, scale=scale))


def evaluated(subject: Subject, policy: EnginePolicy, asked: tuple[Load, Array, Population]) -> Subject:
    """Return a subject with a load, seen batches and a population of its own."""
    load, seen, population = asked
    state: SteadyState = steady_state(subject.table, load, policy, seen, population)
    return replace(subject, load=load, state=state)


def _bracket(ends: Array, excess: Callable[[Array], Array]) -> tuple[Array, Array, Array]:
    """Return the neighbours between which each column first reaches 0, their values, and where none is.

    Parameters
    ----------
    ends
        Lower and upper end of each column's range, shape (2, N), looked up on a log-spaced grid.
    excess
        Of shape (points, N) for points of that shape.
    """
    unit = np.linspace(0.0, 1.0, GRID_POINTS)[:, None]
    grid = ends[0] * (ends[1] / ends[0]) ** unit
    values = np.maximum.accumulate(excess(grid), axis=0)
    below = (values < 0).sum(axis=0)
    high = np.clip(below, 1, GRID_POINTS - 1)
    column = np.arange(grid.shape[1])
    around = (np.stack((high - 1, high)), column)
    return grid[around], values[around], below >= GRID_POINTS
