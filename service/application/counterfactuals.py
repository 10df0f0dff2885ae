"""What-ifs: the same workload on the same hardware, the model's cache changed."""

from dataclasses import replace

import numpy as np

from service.application.curve_answers import Counterfactual
from service.application.curve_axes import kinds_row
from service.application.curve_requests import CounterfactualSpec
from service.application.deployment import Deployment
from service.application.errors import InvalidRequestError
from service.application.estimate import Solution, solve_resolved
from service.application.ports import CatalogSnapshot
from service.application.rate_rows import KIND_NAMES
from service.engine.counterfactuals import (
    with_eviction,
    with_kv_heads,
    with_sparse_attention,
    with_window,
)
from service.engine.errors import InfeasibleError
from service.engine.replica import compile_replica
from service.engine.types import Formats, ModelWork
from service.engine.units import TOKENS_PER_MILLION
from service.engine.workload import Mix, make_mix

QUADRATURE_POINTS = 33
"""Lengths at which the runs over the whole prefix are taken."""


def counterfactual(solution: Solution, spec: CounterfactualSpec, snapshot: CatalogSnapshot) -> Counterfactual:
    """Return one what-if; where nothing is feasible it says why instead of figures.

    Raises
    ------
    InvalidRequestError, UnknownIdError
        The kind's own figure is missing, or no figure of that kind.
    InvalidInputError
        The model's attention does not admit the change.
    """
    value = _value(spec)
    try:
        if spec.kind == "no_kv_cache":
            changed, repeats = _without_cache(solution)
        else:
            deployment = _changed(solution.resolved.deployment, spec, snapshot)
            changed = solve_resolved(replace(solution.resolved, deployment=deployment))
            repeats = 1.0
    except InfeasibleError as error:
        return Counterfactual(spec.kind, value, None, None, {}, None, None, None, error.message)
    return _described(solution, changed, (spec.kind, value), repeats)


def _described(actual: Solution, changed: Solution, names: tuple[str, str], repeats: float) -> Counterfactual:
    row = kinds_row(changed)
    cost = row["cost_per_request"] * repeats
    rates: dict[str, float] = {name: row[name] for name in KIND_NAMES}
    ratio: float | None = row["output_to_input_ratio"]
    batch: float | None = row["batch"]
    if names[0] == "no_kv_cache":
        # Every output token is the end of a prefill of all before it; nothing is an input token's own.
        output = actual.moments.mean_output
        rates, ratio = {"output": cost / output * TOKENS_PER_MILLION}, None
        batch = None
    return Counterfactual(
        kind=names[0],
        value=names[1],
        cost_per_request=cost,
        cost_over_actual=cost / actual.bill.per_request,
        per_million_tokens=rates,
        output_to_input_ratio=ratio,
        batch=batch,
        kv_cache_bytes_per_sequence=changed.subject.load.cache_bytes_per_sequence,
        infeasible=None,
    )


def _value(spec: CounterfactualSpec) -> str:
    needs = {
        "window": "tokens",
        "eviction": "tokens",
        "sparse_attention": "tokens",
        "kv_heads": "kv_heads",
        "kv_format": "format",
    }
    name = needs.get(spec.kind)
    if name is None:
        return ""
    value = getattr(spec, name)
    if value is None:
        raise InvalidRequestError(
            f"The counterfactual {spec.kind} needs {name}.",
            field=f"counterfactuals.{name}",
            code="invalid-counterfactual",
        )
    if isinstance(value, int) and value < 1:
        raise InvalidRequestError(
            f"counterfactuals.{name} is {value}; it must be at least 1.", field=f"counterfactuals.{name}"
        )
    return str(value)


def _changed(deployment: Deployment, spec: CounterfactualSpec, snapshot: CatalogSnapshot) -> Deployment:
    work, formats = deployment.work, deployment.formats
    if spec.kind == "kv_format":
        formats = replace(formats, kv_cache=snapshot.number_format(spec.format or ""))
    else:
        work = _changed_work(work, spec)
    return _recompiled(deployment, work, formats)


def _changed_work(work: ModelWork, spec: CounterfactualSpec) -> ModelWork:
    if spec.kind == "kv_heads":
        return with_kv_heads(work, spec.kv_heads or 1)
    tokens = spec.tokens or 1
    if spec.kind == "window":
        return with_window(work, tokens)
    if spec.kind == "eviction":
        return with_eviction(work, tokens)
    return with_sparse_attention(work, tokens)


def _recompiled(deployment: Deployment, work: ModelWork, formats: Formats) -> Deployment:
    spec, speculation = deployment.accelerator.spec, deployment.table.speculation
    table = compile_replica(work, spec, deployment.layout, formats, deployment.calibration, speculation)
    table = replace(table, overlaps=deployment.table.overlaps)
    return replace(deployment, work=work, formats=formats, table=table)


def _without_cache(solution: Solution) -> tuple[Solution, float]:
    """Serve each output token as a prefill of the whole prefix before it (METHOD 1).

    Returns
    -------
    tuple
        The operating point of those prefills, and how many of them the mean request takes.
    """
    mix = solution.resolved.mix
    prefills = _prefills(mix)
    return solve_resolved(replace(solution.resolved, mix=prefills)), mix.mean(mix.output_tokens)


def _prefills(mix: Mix) -> Mix:
    share = (np.arange(QUADRATURE_POINTS) + 0.5) / QUADRATURE_POINTS
    lengths = mix.input_tokens[:, None] + (mix.output_tokens[:, None] - 1.0) * share[None, :]
    weight = np.repeat(mix.weight * mix.output_tokens, QUADRATURE_POINTS)
    rows = np.stack((lengths.ravel(), np.zeros(lengths.size), np.ones(lengths.size)), axis=1)
    return make_mix(rows, np.zeros(lengths.size, dtype=int), weight)
