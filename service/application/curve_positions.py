"""Curves over the positions and the lengths of one request at an operating point."""

from collections.abc import Mapping

import numpy as np

from service.application.answers import Conservation
from service.application.curve_axes import Drawn, axis_values, points_of
from service.application.curve_requests import CurveSpec
from service.application.errors import InvalidRequestError
from service.application.estimate import Solution, split_of
from service.application.rate_rows import mix_rates
from service.economics.rates import Array
from service.engine.attribution import RESOURCES, KvView
from service.engine.positions import RequestShape, position_drivers, reached_by, summed_drivers
from service.engine.unit_costs import (
    PREFILL_ON_UNCACHED,
    UnitCosts,
    request_drivers,
    unit_costs,
)
from service.engine.units import TOKENS_PER_MILLION

_TOKEN, _REQUEST = "per million tokens", "per request"


def units_of(solution: Solution) -> UnitCosts:
    """Return the unit costs at a solved operating point."""
    policy = solution.resolved.deployment.policy
    limit = float("inf") if policy.token_budget_covers_prompt else float(policy.token_budget)
    return unit_costs(solution.subject, limit)


def shape_of(solution: Solution, spec: CurveSpec) -> RequestShape:
    """Return the request that a curve is about: the caller's, or the mean one in whole tokens.

    Raises
    ------
    InvalidRequestError
        Longer than the model takes (code ``context-too-long``), or more cached than computed.
    """
    mix = solution.resolved.mix
    if spec.request is None:
        prompt = max(round(mix.mean(mix.input_tokens)), 1)
        shape = RequestShape(
            float(prompt),
            float(min(round(mix.mean(mix.cached_tokens)), prompt - 1)),
            float(max(round(mix.mean(mix.output_tokens)), 1)),
        )
    else:
        asked = spec.request
        if asked.input_tokens < 1 or asked.output_tokens < 1:
            raise InvalidRequestError(
                "A request has at least 1 input and 1 output token.", field="curve.request"
            )
        cached = min(asked.cached_tokens, asked.input_tokens - 1)
        shape = RequestShape(float(asked.input_tokens), float(cached), float(asked.output_tokens))
    limit = solution.resolved.deployment.work.max_context_tokens
    total = shape.input_tokens + shape.output_tokens
    if total > limit:
        raise InvalidRequestError(
            f"The request has {total:.0f} tokens; the model takes {limit}.",
            field="curve.request",
            code="context-too-long",
            accepted={"maximum_context_tokens": limit},
        )
    return shape


def position_curve(solution: Solution, spec: CurveSpec) -> Drawn:
    """Run over the positions of a request: what each token costs, and why."""
    shape, units, view = shape_of(solution, spec), units_of(solution), spec.view or "by_cause"
    last = shape.input_tokens + shape.output_tokens
    positions = _positions(spec, last, solution.resolved.deployment.work.max_context_tokens)
    drivers = position_drivers(solution.subject, units, shape, positions, view)
    money = solution.bill.per_request
    scale = money * TOKENS_PER_MILLION
    by_resource = units.shares.sum(axis=1).T @ drivers * scale
    linear = units.per_unit[:PREFILL_ON_UNCACHED] @ drivers[:PREFILL_ON_UNCACHED] * scale
    total = by_resource.sum(axis=0)
    mix = solution.resolved.mix
    reached = np.where(
        positions > shape.input_tokens,
        reached_by(mix.output_tokens, mix.weight, positions - shape.input_tokens),
        1.0,
    )
    series: dict[str, Array] = {
        "cost": total,
        "linear": linear,
        "attention": np.maximum(total - linear, 0.0),
        **dict(zip(RESOURCES, by_resource, strict=True)),
        "share_of_requests": reached,
    }
    return Drawn(
        unit="position, prompt tokens first",
        x=positions,
        series=series,
        units={**dict.fromkeys(series, _TOKEN), "share_of_requests": "share that reach the position"},
        solved_points=int(positions.size),
        shape=(shape.input_tokens, shape.cached_tokens, shape.output_tokens),
        conservation=_integral(solution, units, shape, view),
    )


def _positions(spec: CurveSpec, last: float, limit: int) -> Array:
    for name in ("start", "stop"):
        value = getattr(spec, name)
        if value is not None and value > last:
            longer = (
                "a longer one is given as curve.request" if value <= limit else f"the model takes {limit}"
            )
            raise InvalidRequestError(
                f"curve.{name} is {value:.0f}; the request has {last:.0f} positions; {longer}.",
                field=f"curve.{name}",
                code="context-too-long" if value > limit else None,
                accepted={"maximum": last, "maximum_context_tokens": limit},
            )
    values = axis_values(spec, 1.0, last, log=False)
    first, final = np.ceil(values[0]), np.floor(values[-1])
    if first <= final < first + points_of(spec) and spec.spacing != "log":
        return np.arange(first, final + 1.0)
    whole: Array = np.unique(np.round(values))
    return whole


def _integral(solution: Solution, units: UnitCosts, shape: RequestShape, view: KvView) -> Conservation:
    """Return the sum over all positions beside the cost of the request."""
    row = [(shape.input_tokens, shape.cached_tokens, shape.output_tokens)]
    whole = float(units.of_requests(request_drivers(solution.subject, units, row))[0])
    total = float(units.of_requests(summed_drivers(solution.subject, units, shape, view)[:, None])[0])
    money = solution.bill.per_request
    return Conservation(
        whole * money, total * money, abs(total / whole - 1.0), solution.resolved.price.currency
    )


def length_curve(solution: Solution, spec: CurveSpec) -> Drawn:
    """Run over one length of a request: its cost, beside what linear rates charge for it."""
    shape, units = shape_of(solution, spec), units_of(solution)
    limit = float(solution.resolved.deployment.work.max_context_tokens)
    inputs = spec.axis == "input_tokens"
    x = axis_values(spec, 1.0, limit - (shape.output_tokens if inputs else shape.input_tokens), log=True)
    prompt = x if inputs else np.full_like(x, shape.input_tokens)
    output = np.full_like(x, shape.output_tokens) if inputs else x
    cached = np.minimum(prompt * (shape.cached_tokens / shape.input_tokens), prompt - 1.0)
    drivers = request_drivers(solution.subject, units, np.stack((prompt, cached, output), axis=1))
    money = solution.bill.per_request
    total = units.of_requests(drivers) * money
    linear = units.per_unit[:PREFILL_ON_UNCACHED] @ drivers[:PREFILL_ON_UNCACHED] * money
    charged = _charged(solution, (prompt - cached, cached, output))
    series = {
        "cost": total,
        "linear": linear,
        "attention": np.maximum(total - linear, 0.0),
        "charged_at_linear_rates": charged,
        "cost_over_charge": total / charged,
    }
    names: Mapping[str, str] = {**dict.fromkeys(series, _REQUEST), "cost_over_charge": "ratio"}
    return Drawn(
        unit="input tokens" if inputs else "output tokens",
        x=x,
        series=series,
        units=names,
        solved_points=int(x.size),
        shape=(shape.input_tokens, shape.cached_tokens, shape.output_tokens),
    )


def _charged(solution: Solution, tokens: tuple[Array, Array, Array]) -> Array:
    """Return what the mix's own rates charge for requests."""
    rates = mix_rates(split_of(solution, "shapley")[0])
    charged = sum(
        (rate.per_million_tokens / TOKENS_PER_MILLION) * count
        for rate, count in zip(rates, tokens, strict=True)
    )
    return np.asarray(charged, dtype=np.float64)
