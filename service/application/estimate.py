"""The main use case: what an uncached input, a cached input and an output token cost, and why."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from service.application.answer_sources import digest_of, provenance_of
from service.application.answers import (
    EstimateAnswer,
    OperatingPoint,
    Throughput,
)
from service.application.bases import fleet_day, fleet_for
from service.application.cost_answers import MarginalDetail
from service.application.cost_lines import cost_bases, hourly_cost
from service.application.deployment import Deployments
from service.application.energy_use import energy_use
from service.application.evidence import Asked, EvidenceFinder, sentence_of, warnings_of
from service.application.evidence_answers import Evidence
from service.application.explain import explain, explain_overlap
from service.application.gpu_price import GpuPriceChooser
from service.application.list_comparison import ModelledCost, Prepared, compare_with_list, prepare
from service.application.list_prices import ListPriceFinder, ListPriceQuery
from service.application.pool_estimate import asked_of, pooled_answer
from service.application.pool_request import refuse_pools, resolve_pools
from service.application.pool_solution import solve_pools
from service.application.ports import CatalogSnapshot
from service.application.rate_rows import (
    Split,
    apply_increment,
    class_rates,
    conservation,
    mix_rates,
    phase_rates,
)
from service.application.requests import EstimateRequest, OperatingPointRequest
from service.application.resolve import Resolved, resolve
from service.application.solution import Solution as Solution
from service.application.splits import (
    marginal_detail,
    marginal_of,
    resource_prices_of,
    splits_side_by_side,
)
from service.application.uncertainty import uncertainty_of
from service.application.views import bounds_of, latency_of, mean_use, memory_of, operators_of
from service.economics.rates import bill
from service.engine.attribution import Subject, attribute, phase_increments
from service.engine.operating_point import (
    Limits,
    Replica,
    Solved,
    capacity,
    solve_arrivals,
    solve_cheapest,
    solve_concurrency,
)
from service.engine.speculation import serve
from service.engine.units import SECONDS_PER_HOUR
from service.engine.workload import reduce_mix

KEPT_LISTINGS = 256


class Estimator:
    """Answers estimates; keeps compiled deployments and price rows, never answers."""

    def __init__(self) -> None:
        self._deployments = Deployments()
        self._prices = GpuPriceChooser()
        self._finder = ListPriceFinder()
        self._evidence = EvidenceFinder()
        self._prepared: dict[int, tuple[object, tuple[Prepared, ...]]] = {}

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
        if request.pools is not None:
            return self._pooled(request, snapshot, now)
        solution = self.solve(request, snapshot, now)
        evidence = self._evidence.find(snapshot, solution.resolved.deployment, _asked(solution))
        return _answer(solution, snapshot, now, self.listings(solution.resolved, snapshot), evidence)

    def _pooled(self, request: EstimateRequest, snapshot: CatalogSnapshot, now: datetime) -> EstimateAnswer:
        kept = (self._deployments, self._prices)
        solution = solve_pools(resolve_pools(request, snapshot, now, kept))
        whole = solution.request.whole
        evidence = self._evidence.find(snapshot, whole.deployment, asked_of(solution))
        return pooled_answer(solution, (snapshot, now), self.listings(whole, snapshot), evidence)

    def solve(self, request: EstimateRequest, snapshot: CatalogSnapshot, now: datetime) -> Solution:
        """Resolve a request and solve its operating point, without the answer's prose and comparisons."""
        return solve_resolved(self.resolve(request, snapshot, now))

    def resolve(self, request: EstimateRequest, snapshot: CatalogSnapshot, now: datetime) -> Resolved:
        """Fill in a request and compile its deployment, unsolved; refuses separate pools."""
        refuse_pools(request)
        deployment = self._deployments.of(request, snapshot)
        return resolve(request, deployment, snapshot, now, self._prices)

    def listings(self, resolved: Resolved, snapshot: CatalogSnapshot) -> tuple[Prepared, ...]:
        """Return the list prices of the model in force, read once for as long as they hold."""
        model, request = resolved.deployment.model, resolved.request
        if model is None or request.as_of is None:
            return ()
        query = ListPriceQuery(
            as_of=request.as_of,
            context_tokens=round(resolved.mix.mean(resolved.mix.input_tokens)),
            known_at=None if request.known_at == snapshot.info.revision else request.known_at,
        )
        listed = self._finder.for_model(snapshot, model.id, query)
        kept = self._prepared.get(id(listed))
        if kept is None or kept[0] is not listed:
            if len(self._prepared) >= KEPT_LISTINGS:
                self._prepared.clear()
            # The list is kept beside what was made of it, so that its id stays its own.
            kept = self._prepared[id(listed)] = (listed, prepare(listed))
        return kept[1]


def solve_resolved(resolved: Resolved) -> Solution:
    """Solve the operating point of a resolved request and split its bill."""
    deployment, point = resolved.deployment, resolved.point
    policy, table = deployment.policy, deployment.table
    whole = float("inf") if policy.token_budget_covers_prompt else float(policy.token_budget)
    moments = reduce_mix(resolved.mix, table.spans, whole)
    load = serve(table, moments)
    replica = Replica(table, load, policy)
    solved, utilisation, replicas = _solve_point(replica, point, resolved.request.utilisation)
    subject = Subject(table, load, moments, solved.state)
    rate = float(solved.state.requests_per_second[0])
    fleet = None
    if resolved.request.load_profile is not None:
        fleet = fleet_for(resolved.request.load_profile, rate)
        utilisation = fleet.utilisation
    hourly, hours = hourly_cost(resolved, subject, utilisation)
    price = float(hourly) / SECONDS_PER_HOUR
    # Under a given arrival rate replicas are paid whether busy or not, and the arrivals share them.
    paid = 1.0 if point.kind == "arrival_rate" else utilisation
    return Solution(
        resolved=resolved,
        moments=moments,
        solved=solved,
        subject=subject,
        attribution=attribute(subject, resolved.request.kv_view or "by_pass"),
        utilisation=utilisation,
        replicas=replicas,
        bill=bill(deployment.layout.accelerators, price, rate, paid),
        hourly=hourly,
        hours=hours,
        fleet=fleet,
    )


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
    solved = solve_arrivals(replica, rate, limits)
    return solved, rate / capacity(replica, limits), replicas


def _answer(
    solution: Solution,
    snapshot: CatalogSnapshot,
    now: datetime,
    listings: tuple[Prepared, ...],
    evidence: Evidence,
) -> EstimateAnswer:
    resolved, state = solution.resolved, solution.solved.state
    deployment = resolved.deployment
    rule = resolved.request.split or "shapley"
    split, phase, marginal = split_of(solution, rule)
    include = resolved.request.include or ()
    rates = mix_rates(split)
    by_class = class_rates(split, rates, resolved.class_names)
    point = point_of(solution)
    closed = point.kind != "arrival_rate"
    latency = latency_of(solution.solved, solution.moments.mean_steps, deployment.layout, closed=closed)
    bounds = bounds_of(solution.subject, solution.attribution)
    mfu, mbu = mean_use(bounds, solution.attribution.mixed_time_share)
    cost = ModelledCost(rates, solution.bill.per_request, split.currency, min(solution.utilisation, 1.0))
    fresh, nearest = rates[0].per_million_tokens, sentence_of(evidence)
    return EstimateAnswer(
        model=deployment.model_id,
        accelerator=deployment.accelerator.id,
        accelerators_per_replica=deployment.layout.accelerators,
        rates=rates,
        rates_by_class=by_class,
        cost_per_request=solution.bill.per_request,
        cost_per_accelerator_hour=solution.hourly,
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
        energy=energy_use(solution, rates),
        bounds=bounds,
        mfu=mfu,
        mbu=mbu,
        memory=memory_of(solution.solved.memory),
        operators=operators_of(state),
        list_prices=compare_with_list(listings, cost),
        explanation=(*explain(rates, bounds, point, latency), *explain_overlap(state.steps), nearest),
        warnings=(*deployment.warnings, *warnings_of(evidence, deployment)),
        evidence=evidence,
        provenance=provenance_of(resolved, snapshot, now),
        resolved=resolved.request,
        digest=digest_of(resolved),
        cost_bases=cost_bases(
            resolved, solution.hours, (solution.fleet, solution.utilisation), (rates, solution.bill)
        ),
        fleet=fleet_day(solution.fleet),
        marginal=marginal,
        splits=splits_side_by_side(resolved, solution.solved, solution.subject, solution.bill)
        if "splits" in include
        else (),
        resource_prices=resource_prices_of(resolved, solution.solved, solution.subject, solution.bill)
        if "resource_prices" in include
        else None,
        uncertainty=uncertainty_of(solution, split, snapshot),
    )


def _asked(solution: Solution) -> Asked:
    """Return where an estimate stands among measured runs."""
    moments = solution.moments
    return Asked(
        input_tokens=moments.mean_uncached + moments.mean_cached,
        output_tokens=moments.mean_output,
        concurrency_per_accelerator=solution.solved.concurrency
        / solution.resolved.deployment.layout.accelerators,
    )


def split_of(
    solution: Solution, rule: str
) -> tuple[Split, Mapping[str, Mapping[str, float]], MarginalDetail | None]:
    """Divide the bill by a rule; with both increments of ``phase``, or what ``marginal`` says of itself."""
    shares = solution.attribution.shares
    split = Split(
        shares, solution.attribution, solution.moments, solution.bill, solution.resolved.price.currency
    )
    if rule == "marginal":
        closure = solution.resolved.request.closure or "tpot_and_ttft_limits"
        found = marginal_of(solution.resolved, solution.solved, closure)
        wanted = found.per_token * split.tokens.sum(axis=1)
        return replace(split, shares=apply_increment(shares, wanted)), {}, marginal_detail(found)
    if rule != "phase":
        return split, {}, None
    increments = phase_increments(solution.subject, solution.attribution)
    phased = replace(split, shares=apply_increment(shares, increments.over_decode))
    return phased, phase_rates(split, increments), None


def point_of(solution: Solution) -> OperatingPoint:
    """Return the operating point as stated in an answer."""
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
    accelerators = solution.resolved.deployment.layout.accelerators
    output = rate * moments.mean_output
    total = rate * (moments.mean_uncached + moments.mean_cached + moments.mean_output)
    return Throughput(
        input_tokens_per_second=rate * (moments.mean_uncached + moments.mean_cached),
        cached_input_tokens_per_second=rate * moments.mean_cached,
        output_tokens_per_second=output,
        output_tokens_per_second_per_accelerator=output / accelerators,
        total_tokens_per_second_per_accelerator=total / accelerators,
    )
