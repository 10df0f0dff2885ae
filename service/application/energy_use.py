"""Joules of an estimate: per token by the rule that splits time, and what stands around the accelerators."""

from collections.abc import Sequence

from service.application.answers import Rate
from service.application.cost_requests import CostTermsRequest
from service.application.energy_answers import EnergyUse
from service.application.solution import Solution
from service.engine.attribution import OUTPUT, busy_seconds
from service.engine.energy import (
    Energy,
    Surroundings,
    energy_of,
    energy_shares,
    mean_power,
    step_power,
    surroundings_of,
    traits_of,
)
from service.engine.types import Accelerator


def energy_use(solution: Solution, rates: Sequence[Rate]) -> EnergyUse:
    """Return the joules of an estimate.

    Parameters
    ----------
    solution
        The operating point.
    rates
        Of the mix, by kind, under the rule of the estimate: their shares of the bill are shares of time.
    """
    deployment = solution.resolved.deployment
    accelerator = deployment.accelerator.spec
    traits = traits_of(accelerator, deployment.calibration)
    decode, mixed = step_power(accelerator, traits, solution.subject.state.steps).tolist()
    mean = mean_power(decode, mixed, solution.attribution.mixed_time_share)
    around = surroundings_with(accelerator, solution.resolved.request.costs)
    energy = energy_of(deployment.layout.accelerators, mean, accelerator, _seconds(solution), around)
    power = (decode / mean, mixed / mean)
    per_token: dict[str, float] = {
        rate.kind: energy.working * _share(solution, rate, place, power) for place, rate in enumerate(rates)
    }
    facility = energy.total / energy.working
    return EnergyUse(
        joules_per_token=per_token,
        facility_joules_per_token={kind: joules * facility for kind, joules in per_token.items()},
        joules_per_request=parts_of(energy),
        sum_per_request=sum(rate.tokens_per_request * per_token[rate.kind] for rate in rates),
        working_watts=energy.working_watts,
        waiting_watts=accelerator.idle_power_watts,
        host_watts=around.host_watts,
        network_watts=around.network_watts,
        power_usage_effectiveness=around.power_usage_effectiveness,
        log_spread=traits.log_spread,
    )


def surroundings_with(accelerator: Accelerator, terms: CostTermsRequest | None) -> Surroundings:
    """Return what stands around an accelerator: the caller's terms, else the family's defaults."""
    around = surroundings_of(accelerator)
    if terms is None:
        return around
    return Surroundings(
        around.host_watts if terms.host_power_watts is None else terms.host_power_watts,
        around.network_watts,
        terms.power_usage_effectiveness or around.power_usage_effectiveness,
    )


def _seconds(solution: Solution) -> tuple[float, float]:
    """Return the replica's seconds of one request: working, and paid for."""
    between = 1.0 / float(solution.subject.state.requests_per_second[0])
    if solution.resolved.point.kind != "arrival_rate":
        return between, between / solution.utilisation
    # Under given arrivals the replica waits for some of them.
    return min(sum(busy_seconds(solution.subject)), between), between


def _share(solution: Solution, rate: Rate, place: int, power: tuple[float, float]) -> float:
    """Return the share of a request's working joules that one token of a kind takes."""
    split = solution.attribution
    if rate.tokens_per_request <= 0:
        # A first cached token is read by prefill alone, at that power.
        return split.cached_limit_share * power[1] if rate.kind == "cached_input" else 0.0
    paid = rate.cost_per_request / solution.bill.per_request
    rule = solution.resolved.request.split
    plain = float(split.plain_by_kind[place])
    if rule == "phase":
        # Input pays for chunks alone, and those are in mixed steps.
        plain = 1.0 - split.mixed_time_share if place == OUTPUT else 0.0
    elif rule == "marginal":
        shapley = float(split.shares[:, place].sum())
        plain = plain * paid / shapley if shapley > 0 else 0.0
    return energy_shares(plain, paid - plain, power) / rate.tokens_per_request


def parts_of(energy: Energy[float]) -> dict[str, float]:
    """Return the joules of a request by what draws them, and their total."""
    return {
        "working": energy.working,
        "waiting": energy.waiting,
        "host": energy.host,
        "network": energy.network,
        "cooling": energy.cooling,
        "total": energy.total,
    }
