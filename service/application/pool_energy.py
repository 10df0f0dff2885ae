"""Joules of an estimate with separate pools: each pool's by its own power and time, and their sums."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.application.answers import Rate
from service.application.energy_answers import EnergyUse
from service.application.energy_use import parts_of
from service.application.pool_solution import PooledSolution, PoolPart, pool_shares
from service.engine.energy import (
    Energy,
    PowerTraits,
    Surroundings,
    energy_of,
    energy_shares,
    mean_power,
    step_power,
    surroundings_of,
    traits_of,
)
from service.engine.spans import Array


@dataclass(frozen=True)
class PartEnergy:
    """Joules of one pool for a request of the whole."""

    energy: Energy[float]
    by_kind: Array
    """Of the working joules, shape (3,)."""
    limit_joules: float
    """Of a first cached token in a mix that has none."""
    traits: PowerTraits
    around: Surroundings


def pooled_energy(solution: PooledSolution, rates: Sequence[Rate]) -> EnergyUse:
    """Return the joules of an estimate with pools, split as the time of each pool is.

    Parameters
    ----------
    solution
        Both pools at the operating point.
    rates
        Of the mix, by kind.
    """
    pools = (solution.prefill, solution.decode)
    found = [_part(pool, shares) for pool, shares in zip(pools, pool_shares(solution), strict=True)]
    prefill, decode = (parts_of(one.energy) for one in found)
    parts = {name: joules + decode[name] for name, joules in prefill.items()}
    by_kind = sum((one.by_kind for one in found), np.zeros(3)).tolist()
    limit = sum(one.limit_joules for one in found)
    tokens = [rate.tokens_per_request for rate in rates]
    per_token: dict[str, float] = {
        rate.kind: by_kind[place] / tokens[place]
        if tokens[place] > 0
        else (limit if rate.kind == "cached_input" else 0.0)
        for place, rate in enumerate(rates)
    }
    facility = parts["total"] / parts["working"]
    paid = [pool.bill.accelerator_seconds_per_request for pool in pools]
    working = [pool.working_seconds * pool.deployment.layout.accelerators for pool in pools]
    return EnergyUse(
        joules_per_token=per_token,
        facility_joules_per_token={kind: joules * facility for kind, joules in per_token.items()},
        joules_per_request=parts,
        sum_per_request=sum(count * per_token[rate.kind] for count, rate in zip(tokens, rates, strict=True)),
        working_watts=_mean([one.energy.working_watts for one in found], working),
        waiting_watts=_mean([pool.deployment.accelerator.spec.idle_power_watts for pool in pools], paid),
        host_watts=_mean([one.around.host_watts for one in found], paid),
        network_watts=_mean([one.around.network_watts for one in found], paid),
        power_usage_effectiveness=found[0].around.power_usage_effectiveness,
        log_spread=max(one.traits.log_spread for one in found),
    )


def _part(pool: PoolPart, shares: Array) -> PartEnergy:
    spec, calibration = pool.deployment.accelerator.spec, pool.deployment.calibration
    traits, around = traits_of(spec, calibration), surroundings_of(spec)
    decode, mixed = step_power(spec, traits, pool.subject.state.steps).tolist()
    mixed_share = pool.attribution.mixed_time_share
    mean = mean_power(decode, mixed, mixed_share)
    seconds = (pool.working_seconds, pool.paid_seconds)
    energy = energy_of(pool.deployment.layout.accelerators, mean, spec, seconds, around)
    paid = shares.sum(axis=(0, 2, 3))
    own = pool.attribution.shares.sum(axis=(0, 2, 3))
    # Under another rule a kind's time keeps its proportion of both kinds of step.
    part = np.where(own > 0, pool.attribution.plain_by_kind / np.where(own > 0, own, 1.0), 1.0 - mixed_share)
    plain = paid * part
    weighed = energy_shares(plain, paid - plain, (decode / mean, mixed / mean))
    return PartEnergy(
        energy=energy,
        by_kind=energy.working * weighed / weighed.sum(),
        limit_joules=energy.working * pool.attribution.cached_limit_share * mixed / mean,
        traits=traits,
        around=around,
    )


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    return float(np.average(values, weights=weights))
