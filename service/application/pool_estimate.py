"""The answer of an estimate whose prefill has workers of its own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from service.application.answer_sources import deployment_rows, digest_of, price_row, provenance_of
from service.application.answers import (
    EstimateAnswer,
    Latency,
    OperatingPoint,
    Pools,
    PoolTransfer,
    PoolUse,
    Provenance,
    Rate,
    Throughput,
    WorkerLayout,
)
from service.application.bases import Allocation, basis_line
from service.application.cost_answers import CostBasis
from service.application.digests import digest_with
from service.application.evidence import Asked, sentence_of, warnings_of
from service.application.evidence_answers import Evidence
from service.application.explain import explain_overlap, explain_with
from service.application.list_comparison import ModelledCost, Prepared, compare_with_list
from service.application.pool_energy import pooled_energy
from service.application.pool_explain import explain_pools
from service.application.pool_solution import PooledSolution, PoolPart, pool_shares
from service.application.pool_uncertainty import pooled_uncertainty
from service.application.ports import CatalogSnapshot
from service.application.rate_rows import KIND_NAMES, Split, class_rates, conservation, mix_rates
from service.application.render import plain_request
from service.application.views import bounds_of, longest_stay, mean_use, memory_of, operators_of
from service.economics.bases import rental_hour
from service.economics.rates import Bill
from service.engine.attribution import Attribution
from service.engine.operating_point import Limits
from service.engine.pools import first_token
from service.engine.spans import Array
from service.engine.units import SECONDS_PER_HOUR

POOL_EQUATIONS = ("D1-D6",)
NOT_FITTED = (
    "Runs with separate pools are not in the fit: figures of both pools rest on runs that prefill and decode "
    "in one replica. How far predictions of measured pools were off stands in docs/accuracy.md."
)


def asked_of(solution: PooledSolution) -> Asked:
    """Return where an estimate with pools stands among measured runs."""
    moments = solution.moments
    accelerators = solution.prefill.accelerators + solution.decode.accelerators
    return Asked(
        input_tokens=moments.mean_uncached + moments.mean_cached,
        output_tokens=moments.mean_output,
        concurrency_per_accelerator=solution.point.concurrency / accelerators,
    )


def pooled_answer(
    solution: PooledSolution,
    catalog: tuple[CatalogSnapshot, datetime],
    listings: tuple[Prepared, ...],
    evidence: Evidence,
) -> EstimateAnswer:
    """Return the answer; what describes one replica describes one decode worker.

    Parameters
    ----------
    solution
        Both pools at the operating point.
    catalog
        The snapshot that it was made from, and the time of asking.
    listings
        List prices of the model in force.
    evidence
        Measured runs nearest to the decode pool.
    """
    whole, decode = solution.request.whole, solution.decode
    divided = _divide(solution)
    rates, point, latency = divided.rates, _operating_point(solution), _latency(solution)
    pools = pools_of(solution)
    fresh, cost = rates[0].per_million_tokens, solution.bill.per_request
    busiest = solution.utilisation
    if whole.point.kind == "arrival_rate":
        busiest = max(pools.prefill.utilisation, pools.decode.utilisation)
    return EstimateAnswer(
        model=decode.deployment.model_id,
        accelerator=decode.deployment.accelerator.id,
        accelerators_per_replica=decode.deployment.layout.accelerators,
        rates=rates,
        rates_by_class=divided.by_class,
        cost_per_request=cost,
        cost_per_accelerator_hour=decode.price.amount,
        currency=whole.price.currency,
        output_to_input_ratio=rates[2].per_million_tokens / fresh if fresh > 0 else 0.0,
        split=whole.request.split or "shapley",
        phase_increments={},
        conservation=conservation(divided.split),
        operating_point=point,
        ttft_seconds=latency.ttft_seconds,
        tpot_seconds=latency.tpot_seconds,
        latency=latency,
        throughput=_throughput(solution),
        energy=pooled_energy(solution, rates),
        bounds=pools.decode.bounds,
        mfu=pools.decode.mfu,
        mbu=pools.decode.mbu,
        memory=pools.decode.memory,
        operators=operators_of(decode.subject.state),
        list_prices=compare_with_list(listings, ModelledCost(rates, cost, whole.price.currency, busiest)),
        explanation=(
            *explain_with(rates, pools.decode.bounds, point, explain_pools(pools, point)),
            *explain_overlap(decode.subject.state.steps),
            *(f"Prefill pool: {text}" for text in explain_overlap(solution.prefill.subject.state.steps)),
            sentence_of(evidence),
        ),
        warnings=_warnings(solution, evidence),
        evidence=evidence,
        provenance=_provenance(solution, catalog),
        resolved=whole.request,
        digest=_digest(solution),
        cost_bases=(_rental(solution, pools, rates),),
        uncertainty=pooled_uncertainty(solution, catalog[0]),
        pools=pools,
    )


@dataclass(frozen=True)
class _Divided:
    split: Split
    rates: tuple[Rate, ...]
    by_class: tuple[Rate, ...]


def _divide(solution: PooledSolution) -> _Divided:
    """Divide both pools' bills together; accelerator time of a token is divided apart, by time."""
    bill = solution.bill
    split = _split(solution, [part.bill.per_request for part in _parts(solution)], bill)
    seconds = bill.accelerator_seconds_per_request
    by_time = _split(
        solution,
        [part.bill.accelerator_seconds_per_request for part in _parts(solution)],
        Bill(seconds, seconds),
    )
    names = solution.request.whole.class_names
    rates, times = mix_rates(split), mix_rates(by_time)
    return _Divided(
        split,
        _timed(rates, times),
        _timed(class_rates(split, rates, names), class_rates(by_time, times, names)),
    )


def _timed(rates: Sequence[Rate], times: Sequence[Rate]) -> tuple[Rate, ...]:
    return tuple(
        replace(rate, accelerator_seconds_per_million_tokens=time.per_million_tokens)
        for rate, time in zip(rates, times, strict=True)
    )


def _parts(solution: PooledSolution) -> tuple[PoolPart, PoolPart]:
    return solution.prefill, solution.decode


def _split(solution: PooledSolution, weights: Sequence[float], bill: Bill) -> Split:
    """Return shares of both pools by the weight of each."""
    prefill, decode = (weight / sum(weights) for weight in weights)
    parts = _parts(solution)
    shares = pool_shares(solution)
    joined: Array = prefill * shares[0] + decode * shares[1]
    of_decode = parts[1].attribution
    limit = prefill * parts[0].attribution.cached_limit_share + decode * of_decode.cached_limit_share
    attribution = Attribution(
        shares=joined,
        mixed_time_share=of_decode.mixed_time_share,
        decode_parts=of_decode.decode_parts,
        mixed_parts=of_decode.mixed_parts,
        cached_limit_share=limit,
        plain_by_kind=prefill * parts[0].attribution.plain_by_kind + decode * of_decode.plain_by_kind,
    )
    return Split(joined, attribution, solution.moments, bill, solution.request.whole.price.currency)


def pools_of(solution: PooledSolution) -> Pools:
    """Return both pools as an answer states them."""
    point, transfer = solution.point, solution.transfer
    prefill, decode = (
        _use(solution, part, shares)
        for part, shares in zip(_parts(solution), pool_shares(solution), strict=True)
    )
    reaching = point.requests_per_second * solution.plant.decoding_share / point.workers.decode
    return Pools(
        prefill=prefill,
        decode=decode,
        transfer=PoolTransfer(
            bytes_per_request=transfer.bytes_per_request,
            seconds=transfer.seconds,
            link_bytes_per_second=transfer.link_bytes_per_second,
            sequences_in_transfer=reaching * transfer.seconds,
        ),
        limited_by="prefill"
        if point.limited_by == "prefill_pool" or prefill.utilisation > decode.utilisation
        else "decode",
        prefill_workers_per_decode_worker=point.workers.prefill / point.workers.decode,
        requests_per_second=point.requests_per_second,
        concurrency=point.concurrency,
    )


def _use(solution: PooledSolution, part: PoolPart, shares: Array) -> PoolUse:
    prefills = part is solution.prefill
    layout, cost = part.deployment.layout, part.bill.per_request
    utilisation = solution.point.requests_per_second / part.capacity
    at_work = 1.0
    if solution.request.whole.point.kind != "arrival_rate":
        at_work = solution.utilisation
    bounds = bounds_of(part.subject, part.attribution)
    mfu, mbu = mean_use(bounds, part.attribution.mixed_time_share)
    memory = solution.plant.prefill.memory if prefills else solution.point.memory
    return PoolUse(
        accelerator=part.deployment.accelerator.id,
        layout=WorkerLayout(layout.tp, layout.pp, layout.attention_dp, layout.moe_ep),
        workers=part.workers,
        accelerators=part.accelerators,
        cost_per_accelerator_hour=part.price.amount,
        price=price_row(part.price),
        utilisation=utilisation,
        requests_per_second_capacity=part.capacity,
        cost_per_request=cost,
        idle_cost_per_request=cost * (1.0 - at_work * utilisation),
        accelerator_seconds_per_request=part.bill.accelerator_seconds_per_request,
        cost_by_kind=dict(
            zip(KIND_NAMES, (cost * np.add.reduce(shares, axis=(0, 2, 3))).tolist(), strict=True)
        ),
        bounds=(replace(bounds[1], step="prefill"),) if prefills else bounds,
        mfu=mfu,
        mbu=mbu,
        memory=memory_of(memory),
    )


def _operating_point(solution: PooledSolution) -> OperatingPoint:
    """Return the point of one decode worker with its part of the prefill pool."""
    point, whole = solution.point, solution.request.whole
    state, workers = point.flow.state, point.workers.decode
    return OperatingPoint(
        kind=whole.point.kind,
        batch=float(state.batch[0]) * min(float(point.flow.busy[0]), 1.0)
        if whole.point.kind != "arrival_rate"
        else float(state.batch[0]),
        concurrency=point.concurrency / workers,
        requests_per_second=point.requests_per_second / workers,
        replicas=round(workers),
        utilisation=solution.utilisation,
        limited_by=point.limited_by,
        prefill_step_share=float(state.mixed_share[0]),
        chunk_tokens=float(state.chunk_tokens[0]),
    )


def _latency(solution: PooledSolution) -> Latency:
    point, plant = solution.point, solution.plant
    flow, share, pp = point.flow, plant.decoding_share, solution.decode.deployment.layout.pp
    state, queued = flow.state, point.queued_seconds * share
    ttft, tpot = float(flow.ttft[0]) + queued, float(state.tpot_seconds[0])
    late = float(first_token(flow, Limits(statistic="p99"))[0]) + queued
    if solution.request.whole.point.kind != "arrival_rate":
        late = min(late, longest_stay(point.concurrency, point.requests_per_second))
    return Latency(
        ttft_seconds=ttft,
        ttft_waiting_seconds=float(flow.waiting[0]) + share * float(state.waiting_seconds[0]) + queued,
        ttft_prefill_seconds=float(flow.prefill[0]) + share * float(state.prefill_seconds[0]),
        ttft_p99_seconds=max(late, ttft),
        tpot_seconds=tpot,
        inter_token_mixed_step_seconds=float(state.mixed.total[0]) * pp,
        decode_step_seconds=float(state.decode.total[0]) * pp,
        end_to_end_seconds=ttft + solution.moments.mean_steps * tpot,
        interactivity_tokens_per_second=1.0 / tpot,
    )


def _throughput(solution: PooledSolution) -> Throughput:
    rate, moments = solution.point.requests_per_second, solution.moments
    prompt = moments.mean_uncached + moments.mean_cached
    accelerators = solution.prefill.accelerators + solution.decode.accelerators
    return Throughput(
        input_tokens_per_second=rate * prompt,
        cached_input_tokens_per_second=rate * moments.mean_cached,
        output_tokens_per_second=rate * moments.mean_output,
        output_tokens_per_second_per_accelerator=rate * moments.mean_output / accelerators,
        total_tokens_per_second_per_accelerator=rate * (prompt + moments.mean_output) / accelerators,
    )


def _rental(solution: PooledSolution, pools: Pools, rates: Sequence[Rate]) -> CostBasis:
    """Return the bill on the one basis there is with pools: hours at the mean price, idle apart."""
    bill = solution.bill
    idle = pools.prefill.idle_cost_per_request + pools.decode.idle_cost_per_request
    share = 1.0 - idle / bill.per_request
    hour = bill.per_request / bill.accelerator_seconds_per_request * SECONDS_PER_HOUR
    return basis_line(
        "rental",
        rental_hour(hour),
        solution.request.whole.price.currency,
        Allocation(
            accelerator_seconds=bill.accelerator_seconds_per_request * share,
            utilisation=share,
            scaling=(0.0, 1.0),
            utilisation_range=(),
            per_bill={rate.kind: rate.per_million_tokens / bill.per_request for rate in rates},
        ),
    )


def _warnings(solution: PooledSolution, evidence: Evidence) -> tuple[str, ...]:
    decode, prefill = solution.decode.deployment, solution.prefill.deployment
    of_decode = (*decode.warnings, *warnings_of(evidence, decode))
    level = replace(evidence, level=prefill.calibration.level, extrapolates=False)
    of_prefill = (*prefill.warnings, *(warnings_of(level, prefill) if evidence.nearest else ()))
    apart = tuple(f"Prefill pool: {text}" for text in of_prefill if text not in of_decode)
    return (*of_decode, *apart, NOT_FITTED)


def _provenance(solution: PooledSolution, catalog: tuple[CatalogSnapshot, datetime]) -> Provenance:
    """Return what both pools rest on; a row that they share stands once."""
    found = provenance_of(solution.request.whole, *catalog, POOL_EQUATIONS)
    price = price_row(solution.prefill.price)
    further = [*deployment_rows(solution.prefill.deployment), *(() if price is None else (price,))]
    return replace(found, rows=(*found.rows, *(row for row in further if row not in found.rows)))


def _digest(solution: PooledSolution) -> str:
    request, price = solution.request, solution.request.prefill_price
    wanted = {
        "pools": plain_request(request.whole.request.pools),
        "prefill": request.prefill.content,
        "prefill_price": [price.amount, None if price.row is None else price.row.stamp.valid_from],
    }
    return digest_with(digest_of(request.whole), wanted)
