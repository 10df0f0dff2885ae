"""The axes that curves run over: which values, and what is solved at each of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from service.application.answers import Conservation
from service.application.curve_requests import CurveSpec
from service.application.errors import InvalidRequestError, LimitExceededError
from service.application.estimate import Solution, solve_resolved, split_of
from service.application.rate_rows import KIND_NAMES, mix_rates
from service.economics.rates import Array
from service.engine.attribution import Subject, attribute
from service.engine.batching import prefill_limit, steady_state
from service.engine.errors import EngineError, InfeasibleError
from service.engine.workload import Mix

DEFAULT_POINTS: Final = 200
MAX_POINTS: Final = 20_000
MAX_SOLVED: Final = 32
"""Operating points solved for one curve; between them figures are interpolated."""
LEAST_UTILISATION: Final = 0.02
PRICE_RANGE: Final = (1e-6, 1e6)
"""Of an accelerator-hour, in whatever currency."""


@dataclass(frozen=True)
class Drawn:
    """A curve before it is an answer."""

    unit: str
    x: Array
    series: Mapping[str, Array]
    units: Mapping[str, str]
    solved_points: int
    left_out: int = 0
    shape: tuple[float, float, float] | None = None
    conservation: Conservation | None = None
    sentences: tuple[str, ...] = field(default=())


def points_of(spec: CurveSpec) -> int:
    """Return how many points are asked for.

    Raises
    ------
    LimitExceededError
        More than 20 000.
    InvalidRequestError
        Fewer than 2.
    """
    count = DEFAULT_POINTS if spec.points is None else spec.points
    if count > MAX_POINTS:
        raise LimitExceededError(
            f"curve.points is {count}; at most {MAX_POINTS} are accepted.",
            field="curve.points",
            accepted={"maximum_points": MAX_POINTS},
        )
    if count < 2:
        raise InvalidRequestError(
            f"curve.points is {count}; a curve has at least 2.", field="curve.points", accepted={"minimum": 2}
        )
    return count


def axis_values(spec: CurveSpec, low: float, high: float, log: bool) -> Array:
    """Return the values of an axis between the caller's ends or the given ones.

    Raises
    ------
    InvalidRequestError
        Ends in the wrong order or outside ``low`` and ``high``.
    """
    start, stop = low if spec.start is None else spec.start, high if spec.stop is None else spec.stop
    for name, value in (("start", start), ("stop", stop)):
        if not np.isfinite(value) or not low * (1 - 1e-9) <= value <= high * (1 + 1e-9):
            raise InvalidRequestError(
                f"curve.{name} is {value:g}; on the axis {spec.axis} it lies between {low:g} and {high:g}.",
                field=f"curve.{name}",
                accepted={"minimum": low, "maximum": high},
            )
    if start >= stop:
        raise InvalidRequestError(
            f"curve.start is {start:g} and curve.stop {stop:g}; the first must be smaller.",
            field="curve.start",
        )
    spacing = spec.spacing or ("log" if log else "linear")
    if spacing == "log" and start <= 0:
        raise InvalidRequestError(
            f"curve.spacing is log, which cannot begin at {start:g}.", field="curve.spacing"
        )
    make = np.geomspace if spacing == "log" else np.linspace
    values: Array = make(start, stop, points_of(spec))
    return values


KIND_UNITS: Mapping[str, str] = {
    "uncached_input": "per million tokens",
    "cached_input": "per million tokens",
    "output": "per million tokens",
    "cost_per_request": "per request",
    "output_to_input_ratio": "ratio",
    "tpot_seconds": "seconds",
    "ttft_seconds": "seconds",
    "batch": "sequences",
}


def kinds_row(solution: Solution) -> dict[str, float]:
    """Return what solved curves show at one operating point."""
    rates = mix_rates(split_of(solution, solution.resolved.request.split or "shapley")[0])
    by_kind: dict[str, float] = {rate.kind: rate.per_million_tokens for rate in rates}
    state, fresh = solution.solved.state, by_kind["uncached_input"]
    return {
        **by_kind,
        "cost_per_request": solution.bill.per_request,
        "output_to_input_ratio": by_kind["output"] / fresh if fresh > 0 else 0.0,
        "tpot_seconds": float(state.tpot_seconds[0]),
        "ttft_seconds": float(state.ttft_seconds[0]),
        "batch": float(state.batch[0]),
    }


def solved_curve(unit: str, x: Array, solve: Callable[[float], Solution]) -> Drawn:
    """Solve at up to 32 of the values and interpolate the rest.

    Raises
    ------
    EngineError
        Where no value has a feasible operating point: the first one's error.
    """
    knots = (
        x
        if x.size <= MAX_SOLVED
        else x[np.unique(np.linspace(0, x.size - 1, MAX_SOLVED).round().astype(int))]
    )
    rows: list[dict[str, float]] = []
    kept: list[float] = []
    first: EngineError | None = None
    for value in knots.tolist():
        try:
            rows.append(kinds_row(solve(value)))
            kept.append(value)
        except EngineError as error:
            first = first or error
    if not rows:
        raise first or InvalidRequestError("The axis has no values.", field="curve")
    at = np.array(kept)
    inside = x[(x >= at.min() * (1 - 1e-12)) & (x <= at.max() * (1 + 1e-12))]
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    if inside.size != at.size:
        columns = {name: _between(inside, at, values) for name, values in columns.items()}
    return Drawn(unit, inside, columns, KIND_UNITS, len(kept), knots.size - len(kept))


def _between(x: Array, at: Array, values: Array) -> Array:
    """Interpolate, in logarithms where all is positive."""
    if at.min() > 0 and values.min() > 0:
        return np.asarray(np.exp(np.interp(np.log(x), np.log(at), np.log(values))), dtype=np.float64)
    return np.asarray(np.interp(x, at, values), dtype=np.float64)


def context_curve(solution: Solution, spec: CurveSpec) -> Drawn:
    """Run over the mean prompt; outputs and cached shares stay."""
    mix = solution.resolved.mix
    mean = mix.mean(mix.input_tokens)
    longest = float((mix.input_tokens / mean).max())
    room = solution.resolved.deployment.work.max_context_tokens - float(mix.output_tokens.max())
    x = axis_values(spec, max(1.0, mean / float(mix.input_tokens.min())), max(room / longest, 2.0), log=True)
    return solved_curve("input tokens", x, lambda value: _with_mix(solution, _scaled(mix, value / mean, 1.0)))


def ratio_curve(solution: Solution, spec: CurveSpec) -> Drawn:
    """Run over mean input tokens per output token; their sum and the cached shares stay."""
    mix = solution.resolved.mix
    prompt, output = mix.mean(mix.input_tokens), mix.mean(mix.output_tokens)
    both = prompt + output

    def solve(value: float) -> Solution:
        wanted = both * value / (1.0 + value)
        return _with_mix(solution, _scaled(mix, wanted / prompt, (both - wanted) / output))

    return solved_curve("input tokens per output token", axis_values(spec, 0.02, 200.0, log=True), solve)


def cached_share_curve(solution: Solution, spec: CurveSpec) -> Drawn:
    """Run over the share of every prompt that is found in the cache."""
    mix = solution.resolved.mix

    def solve(value: float) -> Solution:
        cached = np.minimum(mix.input_tokens * value, mix.input_tokens - 1.0)
        return _with_mix(solution, replace(mix, cached_tokens=cached))

    return solved_curve("share of input tokens", axis_values(spec, 0.0, 0.99, log=False), solve)


def _scaled(mix: Mix, inputs: float, outputs: float) -> Mix:
    prompt = np.maximum(mix.input_tokens * inputs, 1.0)
    cached = np.minimum(mix.cached_tokens * inputs, prompt - 1.0)
    return replace(
        mix,
        input_tokens=prompt,
        cached_tokens=cached,
        output_tokens=np.maximum(mix.output_tokens * outputs, 1.0),
    )


def _with_mix(solution: Solution, mix: Mix) -> Solution:
    limit = solution.resolved.deployment.work.max_context_tokens
    longest = float((mix.input_tokens + mix.output_tokens).max())
    if longest > limit * (1.0 + 1e-9):
        raise InfeasibleError(
            f"The longest request would have {longest:.0f} tokens; the model takes {limit}.",
            field="curve",
            code="context-too-long",
            accepted={"maximum_context_tokens": limit},
        )
    return solve_resolved(replace(solution.resolved, mix=mix))


def batch_curve(solution: Solution, spec: CurveSpec) -> Drawn:
    """Run over the sequences that decode together, up to what memory, engine and prefill allow."""
    subject, deployment = solution.subject, solution.resolved.deployment
    most = min(
        solution.solved.memory.max_batch,
        float(deployment.policy.max_batch * deployment.layout.attention_dp),
        prefill_limit(subject.table, subject.load, deployment.policy),
    )
    seen = 1.0 + np.concatenate(([0.0], np.geomspace(0.01, max(most - 1.0, 0.02), 400)))
    curve = steady_state(subject.table, subject.load, deployment.policy, seen, "closed")
    reached = np.maximum.accumulate(curve.batch)
    low, high = float(reached[0]), float(reached[-1])

    def solve(value: float) -> Solution:
        at = np.array([np.interp(value, reached, seen)])
        state = steady_state(subject.table, subject.load, deployment.policy, at, "closed")
        there = Subject(subject.table, subject.load, subject.moments, state)
        view = solution.resolved.request.kv_view or "by_pass"
        work = float(solution.solved.state.requests_per_second[0]) / float(state.requests_per_second[0])
        bill = replace(
            solution.bill,
            per_request=solution.bill.per_request * work,
            accelerator_seconds_per_request=solution.bill.accelerator_seconds_per_request * work,
        )
        return replace(
            solution,
            subject=there,
            attribution=attribute(there, view),
            solved=replace(solution.solved, state=state),
            bill=bill,
        )

    return solved_curve("sequences", axis_values(spec, low, high, log=True), solve)


def utilisation_curve(solution: Solution, spec: CurveSpec) -> Drawn:
    """Run over the share of paid time that works; costs are inverse in it."""
    x = axis_values(spec, LEAST_UTILISATION, 1.0, log=False)
    chosen = solution.resolved.request.price.basis if solution.resolved.request.price else None
    hour = solution.hours[chosen or "rental"]
    paid = hour.working + (1.0 / x - 1.0) * hour.waiting
    now = hour.working + (1.0 / min(solution.utilisation, 1.0) - 1.0) * hour.waiting
    drawn = _in_proportion(solution, x, paid / now, "share of paid time")
    series = {**drawn.series, "idle_share": (paid - hour.working) / paid}
    return replace(drawn, series=series, units={**drawn.units, "idle_share": "share of the bill"})


def price_curve(solution: Solution, spec: CurveSpec) -> Drawn:
    """Run over the price of a paid accelerator-hour; costs are in proportion to it."""
    price = float(solution.hourly)
    x = axis_values(
        replace(
            spec,
            start=price / 4 if spec.start is None else spec.start,
            stop=price * 4 if spec.stop is None else spec.stop,
        ),
        *PRICE_RANGE,
        log=True,
    )
    return _in_proportion(solution, x, x / price, f"{solution.resolved.price.currency} per accelerator-hour")


def _in_proportion(solution: Solution, x: Array, factor: Array, unit: str) -> Drawn:
    row = kinds_row(solution)
    money = (*KIND_NAMES, "cost_per_request")
    series = {name: row[name] * factor for name in money}
    return Drawn(unit, x, series, {name: KIND_UNITS[name] for name in money}, int(x.size))
