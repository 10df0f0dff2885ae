"""Parts of a tariff's answer: long outputs, cached tokens, kept prefixes, flat plans."""

from dataclasses import replace
from math import isfinite

import numpy as np

from service.application.curve_positions import units_of
from service.application.errors import InvalidRequestError
from service.application.estimate import Solution, solve_resolved
from service.application.splits import population_of
from service.application.tariff_answers import (
    CachedPricing,
    KeptPrefix,
    LongOutput,
    PrefixAnswer,
    SubscriptionAnswer,
)
from service.application.tariff_requests import PrefixRequest, SubscriptionRequest
from service.economics.prefix import Tier, keep, per_byte_second
from service.economics.rates import Array
from service.economics.subscription import flat_plan, lognormal_use
from service.engine.attribution import attribute
from service.engine.errors import EngineError
from service.engine.resource_prices import cache_shadow_price, cost_elasticity_of_batch
from service.engine.spans import kept_keys
from service.engine.unit_costs import UnitCosts, request_drivers
from service.engine.units import GIGA, SECONDS_PER_HOUR, TOKENS_PER_MILLION
from service.engine.workload import make_mix

DEFAULT_LONG_OUTPUT = 65_536


def costs_of(solution: Solution, units: UnitCosts, requests: Array) -> Array:
    """Return the cost of requests, (N, 3) input, cached, output, served at the operating point; money."""
    drivers = request_drivers(solution.subject, units, requests)
    costs: Array = units.of_requests(drivers) * solution.bill.per_request
    return costs


def long_output(solution: Solution, rates: Array, tokens: int | None) -> LongOutput:
    """Return the surcharge on output that a product of long outputs needs.

    Parameters
    ----------
    solution
        The operating point of the mix.
    rates
        The fair tariff, money per token by kind.
    tokens
        Output tokens; 65 536 where None.

    Raises
    ------
    InvalidRequestError
        A stated length beyond the model's context.
    """
    wanted = tokens or DEFAULT_LONG_OUTPUT
    mix, limit = solution.resolved.mix, solution.resolved.deployment.work.max_context_tokens
    prompt, cached = mix.mean(mix.input_tokens), mix.mean(mix.cached_tokens)
    if prompt + wanted > limit:
        reason = f"A mean prompt of {prompt:.0f} and {wanted} output tokens exceed the context of {limit}."
        if tokens is None:
            return LongOutput(wanted, None, None, None, None, None, reason)
        raise InvalidRequestError(
            reason,
            field="long_output_tokens",
            code="context-too-long",
            accepted={"maximum_output_tokens": int(limit - prompt)},
        )
    row = np.array([[prompt, cached, float(wanted)]])
    cost = float(costs_of(solution, units_of(solution), row)[0])
    fresh = float(np.array([prompt - cached, cached]) @ rates[:2])
    charged = fresh + wanted * float(rates[2])

    def surcharge(price: float) -> float | None:
        # Where the fair tariff puts all on the input, there is no output rate to raise.
        on_output = wanted * float(rates[2])
        return (price - fresh) / on_output - 1.0 if on_output > 0 else None

    try:
        alone = solve_resolved(replace(solution.resolved, mix=make_mix(row, [0], [1.0]))).bill.per_request
    except EngineError as error:
        return LongOutput(wanted, cost, charged, surcharge(cost), None, None, error.message)
    return LongOutput(wanted, cost, charged, surcharge(cost), surcharge(alone), alone, None)


def cached_pricing(solution: Solution, units: UnitCosts) -> CachedPricing:
    """Return what a cached token costs and what a hit saves."""
    moments, money = solution.moments, solution.bill.per_request * TOKENS_PER_MILLION
    shares = []
    for view in ("by_pass", "by_cause"):
        split = attribute(solution.subject, "by_pass" if view == "by_pass" else "by_cause")
        by_kind = split.shares.sum(axis=(0, 2, 3))
        cached = by_kind[1] / moments.mean_cached if moments.mean_cached > 0 else split.cached_limit_share
        shares.append((float(by_kind[0] / moments.mean_uncached), float(cached)))
    mix = solution.resolved.mix
    prompt, output = mix.mean(mix.input_tokens), mix.mean(mix.output_tokens)
    rows = np.array([[prompt, 0.0, output], [prompt, max(prompt / 2.0, 0.0), output]])
    without, with_hit = costs_of(solution, units, rows).tolist()
    (fresh, by_pass), (fresh_by_cause, by_cause) = shares
    return CachedPricing(
        uncached=fresh * money,
        cached_by_pass=by_pass * money,
        cached_by_cause=by_cause * money,
        saved_by_a_hit=(without - with_hit) / (prompt / 2.0) * TOKENS_PER_MILLION,
        discount_by_pass=1.0 - by_pass / fresh,
        discount_by_cause=1.0 - by_cause / fresh_by_cause,
    )


def kept_prefix(solution: Solution, units: UnitCosts, asked: PrefixRequest) -> PrefixAnswer:
    """Return what keeping a prefix costs in the accelerators' memory and in the caller's tiers.

    Raises
    ------
    InvalidRequestError
        A prefix without tokens, kept for no time, or without room in the context; a tier in another
        currency or that reads nothing back.
    """
    _check_prefix(asked, solution.resolved.price.currency)
    mix, deployment = solution.resolved.mix, solution.resolved.deployment
    rest = np.array([mix.mean(mix.input_tokens - mix.cached_tokens), mix.mean(mix.output_tokens)])
    limit = deployment.work.max_context_tokens
    if asked.tokens + float(rest.sum()) > limit:
        raise InvalidRequestError(
            f"A prefix of {asked.tokens} tokens before a mean request of {rest.sum():.0f} exceeds the "
            f"context of {limit}.",
            field="prefix.tokens",
            code="context-too-long",
            accepted={"maximum_tokens": int(limit - rest.sum())},
        )
    prompt = asked.tokens + float(rest[0])
    rows = np.array([[prompt, 0.0, rest[1]], [prompt, float(asked.tokens), rest[1]]])
    without, with_hit = costs_of(solution, units, rows).tolist()
    saved = max(without - with_hit, 0.0)
    size = _prefix_bytes(solution, float(asked.tokens))
    rows_out = []
    for tier, note in _tiers(solution, asked):
        kept = keep(tier, size, saved)
        rows_out.append(
            KeptPrefix(
                tier=kept.tier,
                size_gigabytes=size / GIGA,
                per_hour=kept.per_second * SECONDS_PER_HOUR,
                cost_of_keeping=None if asked.seconds is None else kept.per_second * asked.seconds,
                break_even_seconds=kept.break_even_seconds,
                reload_seconds=kept.reload_seconds,
                note=note,
            )
        )
    return PrefixAnswer(asked.tokens, asked.seconds, saved, tuple(rows_out))


def _check_prefix(asked: PrefixRequest, currency: str) -> None:
    if asked.tokens < 1:
        raise InvalidRequestError(
            f"prefix.tokens is {asked.tokens}; it must be at least 1.", field="prefix.tokens"
        )
    if asked.seconds is not None and not (isfinite(asked.seconds) and asked.seconds > 0):
        raise InvalidRequestError(
            f"prefix.seconds is {asked.seconds}; it must be greater than 0.", field="prefix.seconds"
        )
    for number, tier in enumerate(asked.tiers):
        require_currency(tier.currency, currency, f"prefix.tiers.{number}.currency")
        if not (isfinite(tier.bytes_per_second) and tier.bytes_per_second > 0):
            raise InvalidRequestError(
                f"prefix.tiers.{number}.bytes_per_second is {tier.bytes_per_second}; it must be greater "
                "than 0.",
                field=f"prefix.tiers.{number}.bytes_per_second",
            )


def require_currency(given: str, currency: str, field: str) -> None:
    """Refuse an amount in another currency than the cost's: nothing is converted unasked.

    Raises
    ------
    InvalidRequestError
        Code ``currency-mismatch``.
    """
    if given != currency:
        raise InvalidRequestError(
            f"{field} is {given}, the cost is in {currency}; give both in one currency.",
            field=field,
            code="currency-mismatch",
            accepted={"currency": currency},
        )


def _prefix_bytes(solution: Solution, tokens: float) -> float:
    """Bytes of a prefix's keys on all accelerators of the ranks that serve its request, copies counted."""
    table = solution.subject.table
    on_rank = sum(
        float(kept_keys(span, tokens)) * float(size)
        for span, size in zip(table.spans, table.streams.cache_bytes_per_key, strict=True)
    )
    layout = table.layout
    return (on_rank + table.state_bytes_per_sequence) * layout.accelerators / layout.attention_dp


def _tiers(solution: Solution, asked: PrefixRequest) -> list[tuple[Tier, str]]:
    deployment, solved = solution.resolved.deployment, solution.solved
    rate = float(solved.state.requests_per_second[0])
    accelerator_second = solution.bill.per_request * rate / deployment.layout.accelerators
    elasticity = cost_elasticity_of_batch(
        solution.subject, deployment.policy, population_of(solution.resolved)
    )
    shadow = cache_shadow_price(solved, elasticity, accelerator_second)
    words = (
        "the batch given up"
        if shadow > 0
        else f"free here: {solved.limited_by}, not memory, limits the batch"
    )
    return [
        (Tier("hbm_shadow", shadow, None), f"Accelerator memory at its shadow price: {words}."),
        (
            Tier("hbm_ceiling", accelerator_second / solved.memory.cache_bytes, None),
            "Accelerator memory as if it alone were what is paid for: the most it can be worth.",
        ),
        *(
            (
                Tier(one.name, per_byte_second(float(one.per_gigabyte_hour)), one.bytes_per_second),
                "At the price given; reading back takes the link, no accelerator time where it overlaps.",
            )
            for one in asked.tiers
        ),
    ]


def subscription(solution: Solution, asked: SubscriptionRequest) -> SubscriptionAnswer:
    """Return what a flat plan earns on requests of this mix.

    Raises
    ------
    InvalidRequestError
        No distribution of use, or one that is none.
    """
    require_currency(asked.currency, solution.resolved.price.currency, "subscription.currency")
    target = asked.target_margin or 0.0
    if not (isfinite(target) and target < 1):
        raise InvalidRequestError(
            f"subscription.target_margin is {target}; it must be below 1.", field="subscription.target_margin"
        )
    plan = flat_plan(float(asked.price), solution.bill.per_request, _use(asked), target)
    return SubscriptionAnswer(
        price=float(asked.price),
        cost_per_request=solution.bill.per_request,
        break_even_requests=plan.break_even_requests,
        mean_requests=plan.mean_requests,
        share_at_loss=plan.share_at_loss,
        margin=plan.margin,
        target_margin=target,
        cap_for_target=plan.cap_for_target,
        share_capped=plan.share_capped,
    )


def _use(asked: SubscriptionRequest) -> Array:
    if asked.price <= 0:
        raise InvalidRequestError("subscription.price must be greater than 0.", field="subscription.price")
    if asked.requests is not None:
        use = np.asarray(asked.requests, dtype=np.float64)
        if use.size == 0 or not np.isfinite(use).all() or use.min() < 0:
            raise InvalidRequestError(
                "subscription.requests needs at least one number, none negative.",
                field="subscription.requests",
            )
        return use
    median, p90 = asked.median_requests, asked.p90_requests
    if median is None or p90 is None:
        raise InvalidRequestError(
            "subscription needs requests, or median_requests and p90_requests.", field="subscription.requests"
        )
    if not (0 < median <= p90 and isfinite(p90)):
        raise InvalidRequestError(
            f"subscription.p90_requests is {p90:g}; it is at least the median of {median:g}, above 0.",
            field="subscription.p90_requests",
        )
    return lognormal_use(median, p90)
