"""Where on its throughput curve a replica works: concurrency, arrivals, or cheapest within limits.

The curve is evaluated on a log-spaced axis in one broadcast call, the bracket that holds the answer once
more on a finer axis (twice where the curve bends sharply in it), and the answer is interpolated (METHOD 3).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from service.engine.batching import (
    SHORTEST_DECODE_STEPS,
    Population,
    SteadyState,
    prefill_limit,
    steady_state,
)
from service.engine.errors import InfeasibleError
from service.engine.load import Load
from service.engine.memory import MemoryPlan, plan_memory
from service.engine.spans import Array
from service.engine.tables import ReplicaTable
from service.engine.types import EnginePolicy

COARSE_POINTS = 36
EDGE_POINTS = 12
FINE_POINTS = 16

Statistic = Literal["mean", "p50", "p90", "p95", "p99"]
_UNIT = np.linspace(0.0, 1.0, COARSE_POINTS)
_CLOSING = 1.0 - np.geomspace(0.2, 1e-7, EDGE_POINTS)
_FINE = np.linspace(0.0, 1.0, FINE_POINTS)
_TOLERANCE = 1e-3
"""Relative error of interpolation within the last bracket that passes for a limit held."""
_ROUNDING = 1e-9
"""Relative difference of the same point evaluated alone and on an axis."""
_REFINEMENTS = 2
_NARROW = 0.05
"""Logarithm of what is asked for across a bracket within which a straight line will do."""
_QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True, slots=True)
class Limits:
    """Latency limits; None is no limit."""

    max_ttft_seconds: float | None = None
    max_tpot_seconds: float | None = None
    statistic: Statistic = "mean"


@dataclass(frozen=True)
class Solved:
    """One operating point: a steady state with axis length 1, and what keeps the batch from growing."""

    state: SteadyState
    memory: MemoryPlan
    limited_by: str
    queued_seconds: float = 0.0
    """Extra waiting where more requests are in flight than the batch limit admits."""
    concurrency: float = 0.0


@dataclass(frozen=True)
class Replica:
    """What the solvers share: a replica, a mix on it and the engine's policy."""

    table: ReplicaTable
    load: Load
    policy: EnginePolicy
    held_seconds: float = 0.0
    """For which a sequence holds its memory before it decodes: while its cache comes over a link (D2)."""


def solve_concurrency(replica: Replica, concurrency: float) -> Solved:
    """Return the steady state with ``concurrency`` requests in flight on one replica (>= 1).

    Beyond the batch limit the rest waits for a slot; the batch stays at the limit.
    """
    memory, axis, edge = _axis(replica)

    def excess(state: SteadyState) -> Array:
        return np.log(state.concurrency / concurrency)

    found = _search(replica, axis, excess, "closed")
    state = _at(replica, found.seen_batch, "closed")
    if not found.held:
        return Solved(state, memory, "concurrency", 0.0, concurrency)
    carried = float(state.concurrency[0])
    queued = max(concurrency - carried, 0.0) / float(state.requests_per_second[0])
    return Solved(state, memory, edge, queued, concurrency)


def solve_arrivals(replica: Replica, requests_per_second: float, limits: Limits | None = None) -> Solved:
    """Return the steady state under Poisson arrivals to one replica.

    Raises
    ------
    InfeasibleError
        The rate is at or above the replica's capacity (code ``arrival-rate-too-high``), or its latency
        is above a limit (code ``limits-unmet``).
    """
    memory, axis, edge = _axis(replica)

    def excess(state: SteadyState) -> Array:
        # Linear: at the start of the axis nothing arrives, and throughput grows in proportion from there.
        return state.requests_per_second / requests_per_second - 1.0

    found = _search(replica, axis, excess, "open")
    state = _at(replica, found.seen_batch, "open")
    if found.held:
        most = float(state.requests_per_second[0])
        raise InfeasibleError(
            f"One replica completes at most {most:.4g} requests/s of this mix (limited by {edge}); "
            f"{requests_per_second:.4g} requests/s arrive at each. Add replicas or lower the rate.",
            field="operating_point.requests_per_second",
            code="arrival-rate-too-high",
            accepted={"maximum_requests_per_second_per_replica": most},
        )
    # Throughput is (b - 1) / (D TPOT), and TPOT is nearly constant this close to the answer.
    tokens = max(replica.load.mean_steps, SHORTEST_DECODE_STEPS) * replica.load.tokens_per_step
    state = _at(replica, 1.0 + requests_per_second * tokens * float(state.tpot_seconds[0]), "open")
    if limits is not None:
        worst, which = _binding(_violation(replica, state, limits))
        if worst > _TOLERANCE:
            _refuse(state, limits, which, f"{requests_per_second:.4g} requests/s on each replica take")
    return Solved(state, memory, "arrivals", 0.0, float(state.concurrency[0]))


def solve_cheapest(replica: Replica, limits: Limits) -> Solved:
    """Return the steady state of most throughput within limits, hence of least cost per request.

    Raises
    ------
    InfeasibleError
        Not even a lone request meets the limits (code ``limits-unmet``).
    """
    memory, axis, edge = _axis(replica)

    def excess(state: SteadyState) -> Array:
        return np.maximum(*_violation(replica, state, limits))

    found = _search(replica, axis, excess, "closed")
    # The axis begins at a lone request.
    violation = _violation(replica, found.curve, limits)
    alone, which = _binding(violation)
    if alone > 0:
        _refuse(found.curve, limits, which, "a lone request already takes")
    state = _at(replica, found.seen_batch, "closed")
    over, which = _binding(_violation(replica, state, limits))
    if over > _TOLERANCE:
        # A quantile of the step time jumps where mixed steps become common enough; stay before the jump.
        state = _at(replica, found.safe_batch, "closed")
    # Throughput can fall again before a limit binds; then the best point is inside.
    within = np.where(np.maximum(*violation) <= 0, found.curve.requests_per_second, 0.0)
    best = int(np.argmax(within))
    if float(within[best]) > float(state.requests_per_second[0]) * (1.0 + _ROUNDING):
        state = _at(replica, float(axis[best]), "closed")
        return Solved(state, memory, "throughput", 0.0, float(state.concurrency[0]))
    limited = edge if found.held else which
    return Solved(state, memory, limited, 0.0, float(state.concurrency[0]))


def capacity(replica: Replica, limits: Limits) -> float:
    """Return the most requests/s of one replica within limits."""
    return float(solve_cheapest(replica, limits).state.requests_per_second[0])


def quantile_of(statistic: Statistic) -> float | None:
    """Return the probability that a statistic names; None for the mean."""
    return _QUANTILES.get(statistic)


def ttft_quantile(state: SteadyState, probability: float) -> Array:
    """Return a quantile of TTFT, seconds.

    The wait of a single server has an atom at zero of 1 - rho and a near-exponential tail (Kingman 1962):
    P(W > t) = rho exp(-rho t / E[W]).
    """
    rho = np.maximum(state.prefill_utilisation, 1e-12)
    tail = np.maximum(np.log(rho / (1.0 - probability)), 0.0)
    return state.waiting_seconds / rho * tail + state.prefill_seconds


def itl_quantile(replica: Replica, state: SteadyState, probability: float) -> Array:
    """Return a quantile of the inter-token latency: the mixed step where enough steps are mixed, seconds.

    Of the tokens of one step, where a replica speculates, each counts an equal part of it.
    """
    turns = replica.table.layout.pp / replica.load.tokens_per_step
    slow = state.mixed_share > 1.0 - probability
    return np.where(slow, state.mixed.total, state.decode.total) * turns


def batch_axis(highest: float, prefill_bound: bool) -> Array:
    """Return seen batches from 1 to ``highest``, log-spaced in b - 1; denser at a prefill limit.

    Waiting grows without bound as q tends to 1, so the last points close in on it geometrically.
    """
    room = highest - 1.0
    if room <= 0:
        return np.array([1.0])
    low = min(0.05, room / 1e3)
    body = low * (room / low) ** _UNIT
    if not prefill_bound:
        return np.concatenate(([1.0], 1.0 + body))
    edge = room * _CLOSING
    inner = body[body < room * 0.8]
    return 1.0 + np.concatenate(([0.0], inner, edge))


def batch_limit(replica: Replica, memory: MemoryPlan) -> tuple[float, str]:
    """Return the most sequences that a replica decodes together, and what sets it."""
    layout = replica.table.layout
    ends = {
        "memory": memory.max_batch,
        "max_batch": float(replica.policy.max_batch * layout.attention_dp),
        "prefill": prefill_limit(replica.table, replica.load, replica.policy),
    }
    edge = min(ends, key=lambda name: ends[name])
    most = max(ends[edge], 1.0)
    if replica.held_seconds > 0:
        within = _beside_those_on_their_way(replica, memory, most)
        if within < most:
            return within, "memory"
    return most, edge


def _beside_those_on_their_way(replica: Replica, memory: MemoryPlan, most: float) -> float:
    """Return the most sequences that decode where those whose cache is still coming take memory too (D2)."""
    axis = batch_axis(most, prefill_bound=False)
    rate = _at_many(replica, axis, "closed").requests_per_second
    places = np.maximum.accumulate(axis + rate * replica.held_seconds)
    return float(np.interp(memory.max_batch, places, axis))


def _axis(replica: Replica) -> tuple[MemoryPlan, Array, str]:
    """Memory plan, axis, and the name of what ends the axis."""
    memory = plan_memory(replica.table, replica.load, replica.policy)
    most, edge = batch_limit(replica, memory)
    return memory, batch_axis(most, edge == "prefill"), edge


def _at(replica: Replica, seen: float, population: Population) -> SteadyState:
    return _at_many(replica, np.array([seen]), population)


def _at_many(replica: Replica, axis: Array, population: Population) -> SteadyState:
    return steady_state(replica.table, replica.load, replica.policy, axis, population)


@dataclass(frozen=True)
class _Found:
    """Where ``excess`` first reaches 0 on the axis, or its end where it never does."""

    seen_batch: float
    safe_batch: float
    """The last point evaluated before it."""
    held: bool
    """The end of the axis holds."""
    curve: SteadyState
    """The whole coarse axis."""


def _search(
    replica: Replica, axis: Array, excess: Callable[[SteadyState], Array], population: Population
) -> _Found:
    curve = _at_many(replica, axis, population)
    bracket = _bracket(axis, excess(curve))
    if bracket is None:
        return _Found(float(axis[-1]), float(axis[-1]), True, curve)
    low, high, _, _ = bracket
    if low == high:
        return _Found(low, low, False, curve)
    below, above = -np.inf, np.inf
    for _ in range(_REFINEMENTS):
        fine = low + (high - low) * _FINE
        finer = _bracket(fine, excess(_at_many(replica, fine, population)))
        if finer is None:
            return _Found(high, low, False, curve)
        low, high, below, above = finer
        if above - below < _NARROW:
            break
    if low == high or above <= below or not np.isfinite(below):
        return _Found(low, low, False, curve)
    return _Found(low + (high - low) * (-below) / (above - below), low, False, curve)


def _bracket(axis: Array, values: Array) -> tuple[float, float, float, float] | None:
    """Return (low, high, value at low, at high) around the first value >= 0; None where all are below."""
    over = np.flatnonzero(values >= 0.0)
    if over.size == 0:
        return None
    first = int(over[0])
    before = max(first - 1, 0)
    return float(axis[before]), float(axis[first]), float(values[before]), float(values[first])


def _violation(replica: Replica, state: SteadyState, limits: Limits) -> tuple[Array, Array]:
    """Return ln of (TPOT, TTFT) over their limits; minus infinity where there is no limit."""
    quantile = quantile_of(limits.statistic)
    over_tpot = over_ttft = np.full_like(state.batch, -np.inf)
    if limits.max_tpot_seconds is not None:
        tpot = state.tpot_seconds if quantile is None else itl_quantile(replica, state, quantile)
        over_tpot = np.log(tpot / limits.max_tpot_seconds)
    if limits.max_ttft_seconds is not None:
        ttft = state.ttft_seconds if quantile is None else ttft_quantile(state, quantile)
        over_ttft = np.log(ttft / limits.max_ttft_seconds)
    return over_tpot, over_ttft


def _binding(violation: tuple[Array, Array]) -> tuple[float, str]:
    """Return the worst excess at the first point, and which latency it is of."""
    tpot, ttft = float(violation[0][0]), float(violation[1][0])
    return (ttft, "ttft") if ttft > tpot else (tpot, "tpot")


def _refuse(state: SteadyState, limits: Limits, which: str, who: str) -> None:
    tpot, ttft = float(state.tpot_seconds[0]), float(state.ttft_seconds[0])
    taken = tpot if which == "tpot" else ttft
    asked = limits.max_tpot_seconds if which == "tpot" else limits.max_ttft_seconds
    raise InfeasibleError(
        f"max_{which}_seconds is {asked:.4g}, but {who} {taken:.4g} s on this layout; "
        "raise the limit, use more accelerators, or shorten the prompt.",
        field=f"operating_point.max_{which}_seconds",
        code="limits-unmet",
        accepted={f"minimum_{which}_seconds": taken},
    )
