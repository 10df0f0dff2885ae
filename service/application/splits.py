"""Splits of one bill side by side, and the prices of resources: parts of an answer for those who ask."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from service.application.cost_answers import (
    MarginalDetail,
    ResourcePrice,
    ResourcePrices,
    SplitRates,
)
from service.application.rate_rows import KIND_NAMES
from service.application.resolve import Resolved
from service.economics.rates import Array, Bill, rates_per_token
from service.engine.attribution import (
    CACHED,
    COMPUTE,
    KINDS,
    MEMORY,
    NETWORK,
    OUTPUT,
    OVERHEAD,
    RESOURCES,
    UNCACHED,
    Attribution,
    Subject,
    attribute,
    phase_increments,
)
from service.engine.batching import Population
from service.engine.marginal import CLOSURES, Closure, Marginal, MarginalPoint, marginal
from service.engine.operating_point import Solved
from service.engine.resource_prices import (
    cache_shadow_price,
    cost_elasticity_of_batch,
    used_by_request,
    wires_of,
)
from service.engine.units import GIGA, PETA, TERA, TOKENS_PER_MILLION


def population_of(resolved: Resolved) -> Population:
    """Return how requests come: from a fixed number in flight, or by arrivals."""
    return "open" if resolved.point.kind == "arrival_rate" else "closed"


def marginal_of(resolved: Resolved, solved: Solved, closure: Closure) -> Marginal:
    """Return the marginal costs at a solved operating point."""
    deployment = resolved.deployment
    point = MarginalPoint(
        table=deployment.table,
        policy=deployment.policy,
        mix=resolved.mix,
        batch=float(solved.state.batch[0]),
        population=population_of(resolved),
        limited_by=solved.limited_by,
    )
    return marginal(point, closure)


def marginal_detail(found: Marginal) -> MarginalDetail:
    """Return the marginal split's account of itself."""
    return MarginalDetail(
        closure=found.closure,
        held=found.held,
        sum_over_cost=found.sum_over_cost,
        from_attention=found.from_attention,
        from_request_terms=found.from_request_terms,
        from_kinks=found.from_kinks,
    )


def splits_side_by_side(
    resolved: Resolved, solved: Solved, subject: Subject, bill: Bill
) -> tuple[SplitRates, ...]:
    """Return the rates of every rule on one bill."""
    moments = subject.moments
    tokens = np.array([moments.mean_uncached, moments.mean_cached, moments.mean_output])
    by_pass, by_cause = attribute(subject, "by_pass"), attribute(subject, "by_cause")
    rows = [
        _row("shapley", "by_pass", _by_kind(by_pass), (tokens, bill, by_pass.cached_limit_share)),
        _row("shapley", "by_cause", _by_kind(by_cause), (tokens, bill, by_cause.cached_limit_share)),
    ]
    increments = phase_increments(subject, by_pass)
    for variant, shares in (
        ("increment_over_decode", increments.over_decode),
        ("increment_over_prefill", increments.over_prefill),
    ):
        rows.append(_row("phase", variant, shares, (tokens, bill, 0.0)))
    for closure in CLOSURES:
        found = marginal_of(resolved, solved, closure)
        limit = float(found.per_token[CACHED])
        row = _row("marginal", closure, found.per_token * tokens, (tokens, bill, limit))
        rows.append(replace(row, marginal=marginal_detail(found)))
    return tuple(rows)


def _by_kind(attribution: Attribution) -> Array:
    shares: Array = attribution.shares.sum(axis=(0, 2, 3))
    return shares


def _row(rule: str, variant: str, shares: Array, context: tuple[Array, Bill, float]) -> SplitRates:
    tokens, bill, cached_limit = context
    limits = np.zeros(len(KINDS))
    limits[CACHED] = cached_limit
    rates = rates_per_token(shares, tokens, limits, bill.per_request) * TOKENS_PER_MILLION
    fresh = float(rates[UNCACHED])
    return SplitRates(
        rule=rule,
        variant=variant,
        per_million_tokens=dict(zip(KIND_NAMES, rates.tolist(), strict=True)),
        output_to_input_ratio=float(rates[OUTPUT]) / fresh if fresh > 0 else None,
        sum_over_bill=float(shares.sum()),
        marginal=None,
    )


_UNITS: Mapping[int, tuple[str, float]] = {
    COMPUTE: ("PFLOP", PETA),
    MEMORY: ("TB of memory traffic", TERA),
    NETWORK: ("TB over the interconnect", TERA),
    OVERHEAD: ("accelerator-second", 1.0),
}


def resource_prices_of(resolved: Resolved, solved: Solved, subject: Subject, bill: Bill) -> ResourcePrices:
    """Return what each resource costs at the operating point."""
    deployment, attribution = resolved.deployment, attribute(subject)
    wires = wires_of(
        deployment.work,
        deployment.accelerator.spec,
        deployment.layout,
        deployment.formats,
        deployment.calibration,
    )
    used = used_by_request(subject, attribution, wires)
    shares = attribution.shares.sum(axis=(0, 1, 2))
    amounts = {
        COMPUTE: used.flop,
        MEMORY: used.memory_bytes,
        NETWORK: used.network_bytes,
        OVERHEAD: bill.accelerator_seconds_per_request * float(shares[OVERHEAD]),
    }
    rows = []
    for index, name in enumerate(RESOURCES):
        unit, size = _UNITS[index]
        count, share = amounts[index] / size, float(shares[index])
        price = share * bill.per_request / count if count > 0 else None
        rows.append(ResourcePrice(name, unit, price, count, share))
    elasticity = cost_elasticity_of_batch(subject, deployment.policy, population_of(resolved))
    rate = float(solved.state.requests_per_second[0])
    replica_second = bill.per_request * rate
    per_byte = cache_shadow_price(solved, elasticity, replica_second / deployment.layout.accelerators)
    decode, mixed = (parts.sum(axis=0) for parts in (attribution.decode_parts, attribution.mixed_parts))
    return ResourcePrices(
        currency=resolved.price.currency,
        prices=tuple(rows),
        kv_cache_shadow_per_gigabyte_second=per_byte * GIGA,
        kv_cache_gigabyte_seconds_per_request=used.cache_byte_seconds / GIGA,
        batch_elasticity=elasticity,
        limited_by=solved.limited_by,
        decode_bound=RESOURCES[int(np.argmax(decode))],
        mixed_bound=RESOURCES[int(np.argmax(mixed))],
    )
