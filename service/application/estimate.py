"""The main use case: what an uncached input, a cached input and an output token cost, and why."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import get_args

import orjson

from service.application.answers import (
    EstimateAnswer,
    ListPriceComparison,
    OperatingPoint,
    Provenance,
    RowUsed,
    Throughput,
)
from service.application.explain import explain
from service.application.list_comparison import ModelledCost, compare_with_list
from service.application.list_prices import ListPriceFinder, ListPriceQuery
from service.application.ports import CatalogSnapshot
from service.application.rate_rows import (
    Split,
    apply_increment,
    class_rates,
    conservation,
    mix_rates,
    phase_rates,
)
from service.application.render import request_to_json_values
from service.application.requests import EstimateRequest, OperatingPointRequest
from service.application.resolve import Resolved, resolve
from service.application.subject import read_subject
from service.application.views import bounds_of, latency_of, mean_use, memory_of, operators_of
from service.economics.rates import Bill, bill
from service.engine.attribution import Attribution, Subject, attribute, phase_increments
from service.engine.load import make_load
from service.engine.operating_point import (
    Limits,
    Replica,
    Solved,
    capacity,
    solve_arrivals,
    solve_cheapest,
    solve_concurrency,
)
from service.engine.replica import compile_replica
from service.engine.tables import ReplicaTable
from service.engine.types import FormatRole
from service.engine.units import SECONDS_PER_HOUR
from service.engine.version import ENGINE_VERSION
from service.engine.workload import Moments, reduce_mix

KEPT_REPLICAS = 512
FORMAT_ROLES = get_args(FormatRole)
EQUATIONS = ("W1-W6", "R1-R9", "N1-N4", "S1-S6", "B1-B8", "M1", "P1-P3", "C1")


@dataclass(frozen=True)
class Solution:
    """A resolved request with its steady state and split."""

    resolved: Resolved
    point: OperatingPointRequest
    table: ReplicaTable
    moments: Moments
    solved: Solved
    subject: Subject
    attribution: Attribution
    utilisation: float
    replicas: int
    bill: Bill
    content: str
    """Digest of the model, accelerator, calibration and formats behind the figures."""


@dataclass(frozen=True)
class _Kept:
    """A compiled replica, a digest of what it was compiled from, and those very objects."""

    table: ReplicaTable
    content: str
    keyed: object


class Estimator:
    """Answers estimates; keeps compiled replicas, never answers."""

    def __init__(self) -> None:
        self._replicas: dict[object, _Kept] = {}
        self._finder = ListPriceFinder()

    def estimate(self, request: EstimateRequest, snapshot: CatalogSnapshot, now: datetime) -> EstimateAnswer:
        """Answer one estimate.

        Parameters
        ----------
        request
            What is asked; fields left None get defaults, all named in the answer.
        snapshot
            The catalog to answer from.
        now
            The time of asking, UTC; stands in for ``as_of``.

        Raises
        ------
        ApplicationError, EngineError
            Everything a readable request can get wrong, infeasible included.
        """
        return _answer(self.solve(request, snapshot, now), snapshot, now, self._finder)

    def solve(self, request: EstimateRequest, snapshot: CatalogSnapshot, now: datetime) -> Solution:
        """Resolve a request and solve its operating point, without the answer's prose and comparisons."""
        subject = read_subject(request, snapshot)
        resolved = resolve(request, subject, snapshot, now)
        replica_kept = self._replica(resolved)
        table = replica_kept.table
        budget = resolved.policy.token_budget
        moments = reduce_mix(
            resolved.mix,
            table.spans,
            float("inf") if resolved.policy.token_budget_covers_prompt else float(budget),
        )
        load = make_load(table, moments)
        replica = Replica(table, load, resolved.policy)
        point = resolved.request.operating_point or OperatingPointRequest(kind="cheapest")
        solved, utilisation, replicas = _solve_point(replica, point, resolved.request.utilisation)
        split_subject = Subject(table, load, moments, solved.state)
        price = float(resolved.price.amount) / SECONDS_PER_HOUR
        rate = float(solved.state.requests_per_second[0])
        if point.kind == "arrival_rate":
            # Replicas are paid whether busy or not; the arrivals share them.
            cost = bill(resolved.layout.accelerators, price, rate, 1.0)
        else:
            cost = bill(resolved.layout.accelerators, price, rate, utilisation)
        return Solution(
            resolved=resolved,
            point=point,
            table=table,
            moments=moments,
            solved=solved,
            subject=split_subject,
            attribution=attribute(split_subject, resolved.request.kv_view or "by_pass"),
            utilisation=utilisation,
            replicas=replicas,
            bill=cost,
            content=replica_kept.content,
        )

    def _replica(self, resolved: Resolved) -> _Kept:
        """Compile a replica once; models, accelerators and calibrations are immutable records."""
        formats = resolved.formats
        key = (
            id(resolved.work),
            id(resolved.accelerator.spec),
            id(resolved.calibration),
            resolved.layout,
            *(id(getattr(formats, role)) for role in FORMAT_ROLES),
        )
        kept = self._replicas.get(key)
        if kept is not None:
            return kept
        table = compile_replica(
            resolved.work, resolved.accelerator.spec, resolved.layout, formats, resolved.calibration
        )
        if len(self._replicas) >= KEPT_REPLICAS:
            self._replicas.clear()
        # The keyed objects are kept alive beside the table, so that their ids stay theirs.
        keyed = (resolved.work, resolved.accelerator.spec, resolved.calibration, formats)
        content = hashlib.sha256(repr(keyed).encode()).hexdigest()
        kept = self._replicas[key] = _Kept(table, content, keyed)
        return kept


def estimate(request: EstimateRequest, snapshot: CatalogSnapshot, now: datetime) -> EstimateAnswer:
    """Answer one estimate without keeping anything; see :class:`Estimator`."""
    return Estimator().estimate(request, snapshot, now)


def _solve_point(
    replica: Replica, point: OperatingPointRequest, utilisation: float | None
) -> tuple[Solved, float, int]:
    if point.kind == "concurrency":
        return solve_concurrency(replica, point.concurrency or 1.0), utilisation or 1.0, 1
    limits = Limits(point.max_ttft_seconds, point.max_tpot_seconds, point.statistic or "mean")
    if point.kind == "cheapest":
        return solve_cheapest(replica, limits), utilisation or 1.0, 1
    replicas = point.replicas or 1
    rate = (point.requests_per_second or 0.0) / replicas
    solved = solve_arrivals(replica, rate)
    return solved, rate / capacity(replica, limits), replicas


def _answer(
    solution: Solution, snapshot: CatalogSnapshot, now: datetime, finder: ListPriceFinder
) -> EstimateAnswer:
    resolved, state = solution.resolved, solution.solved.state
    rule = resolved.request.split or "shapley"
    split, phase = _split(solution, rule)
    rates = mix_rates(split)
    by_class = class_rates(split, rates, resolved.class_names)
    point = _point(solution)
    latency = latency_of(solution.solved, solution.moments.mean_steps, resolved.layout)
    bounds = bounds_of(solution.subject, solution.attribution)
    mfu, mbu = mean_use(bounds, solution.attribution.mixed_time_share)
    cost = ModelledCost(rates, solution.bill.per_request, split.currency, min(solution.utilisation, 1.0))
    fresh = rates[0].per_million_tokens
    return EstimateAnswer(
        model=resolved.model_id,
        accelerator=resolved.accelerator.id,
        accelerators_per_replica=resolved.layout.accelerators,
        rates=rates,
        rates_by_class=by_class,
        cost_per_request=solution.bill.per_request,
        cost_per_accelerator_hour=resolved.price.amount,
        currency=split.currency,
        output_to_input_ratio=rates[2].per_million_tokens / fresh if fresh > 0 else 0.0,
        split=rule,
        phase_increments=phase,
        conservation=conservation(split),
        operating_point=point,
        ttft_seconds=latency.ttft_seconds,
        tpot_seconds=latency.tpot_seconds,
        latency=latency,
        throughput=_throughput(solution),
        bounds=bounds,
        mfu=mfu,
        mbu=mbu,
        memory=memory_of(solution.solved.memory),
        operators=operators_of(state),
        list_prices=_comparisons(resolved, snapshot, finder, cost),
        explanation=explain(rates, bounds, point, latency),
        warnings=resolved.warnings,
        provenance=_provenance(resolved, snapshot, now),
        resolved=resolved.request,
        digest=_digest(resolved, solution.content),
    )


def _split(solution: Solution, rule: str) -> tuple[Split, Mapping[str, Mapping[str, float]]]:
    """Divide the bill by a rule; also the rates under both increments where the rule is ``phase``."""
    shares = solution.attribution.shares
    split = Split(
        shares, solution.attribution, solution.moments, solution.bill, solution.resolved.price.currency
    )
    if rule != "phase":
        return split, {}
    increments = phase_increments(solution.subject, solution.attribution)
    phased = replace(split, shares=apply_increment(shares, increments.over_decode))
    return phased, phase_rates(split, increments)


def _point(solution: Solution) -> OperatingPoint:
    state = solution.solved.state
    return OperatingPoint(
        kind=solution.resolved.request.operating_point.kind
        if solution.resolved.request.operating_point
        else "",
        batch=float(state.batch[0]),
        concurrency=solution.solved.concurrency,
        requests_per_second=float(state.requests_per_second[0]),
        replicas=solution.replicas,
        utilisation=solution.utilisation,
        limited_by=solution.solved.limited_by,
        prefill_step_share=float(state.mixed_share[0]),
        chunk_tokens=float(state.chunk_tokens[0]),
    )


def _throughput(solution: Solution) -> Throughput:
    rate, moments = float(solution.solved.state.requests_per_second[0]), solution.moments
    accelerators = solution.resolved.layout.accelerators
    output = rate * moments.mean_output
    total = rate * (moments.mean_uncached + moments.mean_cached + moments.mean_output)
    return Throughput(
        input_tokens_per_second=rate * (moments.mean_uncached + moments.mean_cached),
        cached_input_tokens_per_second=rate * moments.mean_cached,
        output_tokens_per_second=output,
        output_tokens_per_second_per_accelerator=output / accelerators,
        total_tokens_per_second_per_accelerator=total / accelerators,
    )


def _comparisons(
    resolved: Resolved, snapshot: CatalogSnapshot, finder: ListPriceFinder, cost: ModelledCost
) -> tuple[ListPriceComparison, ...]:
    if resolved.model is None or resolved.request.as_of is None:
        return ()
    mix = resolved.mix
    query = ListPriceQuery(
        as_of=resolved.request.as_of,
        context_tokens=round(mix.mean(mix.input_tokens)),
        known_at=None if resolved.request.known_at == snapshot.info.revision else resolved.request.known_at,
    )
    return compare_with_list(finder.for_model(snapshot, resolved.model.id, query), cost)


def _provenance(resolved: Resolved, snapshot: CatalogSnapshot, now: datetime) -> Provenance:
    info = snapshot.info
    rows = [
        _row("accelerator", resolved.accelerator.id, resolved.accelerator.source),
        _row("calibration", resolved.calibration.name, resolved.calibration.level),
    ]
    if resolved.model is not None:
        rows.insert(0, _row("model", resolved.model.id, resolved.model.source))
    price = resolved.price.row
    if price is not None:
        rows.append(
            RowUsed(
                kind="gpu_price",
                key=f"{price.provider}/{price.accelerator}/{price.region}/{price.commitment}",
                row_id=price.stamp.row_id,
                revision_from=price.stamp.revision_from,
                valid_from=price.stamp.valid_from,
                valid_to=price.stamp.valid_to,
                valid_from_basis=price.stamp.valid_from_basis,
                source=price.source,
                value=f"{price.price.amount} {price.price.currency} per {price.price.per}",
            )
        )
    return Provenance(
        engine_version=ENGINE_VERSION,
        catalog_revision=info.revision,
        catalog_digest=info.digest,
        catalog_age_seconds=max(0.0, (now - info.loaded_at).total_seconds()),
        calibration=resolved.calibration.name,
        calibration_level=resolved.calibration.level,
        rows=tuple(rows),
        equations=EQUATIONS,
    )


def _row(kind: str, key: str, source: str) -> RowUsed:
    return RowUsed(kind, key, None, None, None, None, None, source, "")


def _digest(resolved: Resolved, inputs: str) -> str:
    """Return a digest over the resolved request, the rows used, the calibration and the engine version.

    ``as_of`` and ``known_at`` stay out: the rows they selected are in.
    """
    request = replace(resolved.request, as_of=None, known_at=None, defaulted=())
    price = resolved.price.row
    content = {
        "request": request_to_json_values(request),
        "engine": ENGINE_VERSION,
        "inputs": inputs,
        "price": None
        if price is None
        else [price.source, price.provider, str(price.price), price.stamp.valid_from.isoformat()],
    }
    return "sha256:" + hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
