"""Joules of an estimate: per token by the rule that splits time, and what stands around the accelerators."""

from dataclasses import dataclass

import numpy as np

from service.application.cost_requests import CostTermsRequest
from service.application.energy_answers import EnergyUse
from service.application.rate_rows import KIND_NAMES, Split
from service.engine.attribution import OUTPUT, Subject, busy_seconds
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
from service.engine.types import Accelerator, Calibration


@dataclass(frozen=True)
class Drawn:
    """An operating point with what its steps draw."""

    energy: Energy
    relative_power: tuple[Array, Array]
    """Of decode-only and of mixed steps over their mean by busy time."""
    around: Surroundings
    traits: PowerTraits


def drawn_at(
    subject: Subject,
    machine: tuple[Accelerator, Calibration],
    paid_share: float,
    terms: CostTermsRequest | None,
) -> Drawn:
    """Return what a request draws.

    Parameters
    ----------
    subject
        The operating point.
    machine
        The accelerator and the calibration in force.
    paid_share
        Share of paid time in which the replica works; 0 where that follows from the arrivals.
    terms
        Host power and facility of the caller, in place of the defaults.
    """
    accelerator, calibration = machine
    traits = traits_of(accelerator, calibration)
    decode = step_power(accelerator, traits, subject.state.decode)
    mixed = step_power(accelerator, traits, subject.state.mixed)
    plain_seconds, mixed_seconds = busy_seconds(subject)
    busy = plain_seconds + mixed_seconds
    mean = mean_power(decode, mixed, mixed_seconds / busy)
    between = 1.0 / float(subject.state.requests_per_second[0])
    seconds = (between, between / paid_share) if paid_share > 0 else (min(busy, between), between)
    around = surroundings_with(accelerator, terms)
    accelerators = subject.table.layout.accelerators
    energy = energy_of(accelerators, mean, accelerator, seconds, around)
    return Drawn(energy, (decode / mean, mixed / mean), around, traits)


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


def energy_use(split: Split, rule: str, drawn: Drawn, accelerator: Accelerator) -> EnergyUse:
    """Return the joules of a split bill."""
    working = float(drawn.energy.working.item())
    joules = working * energy_shares(time_by_kind(split, rule), drawn.relative_power)
    tokens = np.add.reduce(split.tokens, axis=1)
    # A first cached token is read by prefill alone, at that power.
    limits = np.array([0.0, split.attribution.cached_limit_share * working, 0.0]) * drawn.relative_power[1]
    there = tokens > 0
    per_token = np.where(there, joules / np.where(there, tokens, 1.0), limits)
    total = float(drawn.energy.total.item())
    energy = drawn.energy
    return EnergyUse(
        joules_per_token=_by_kind(per_token),
        facility_joules_per_token=_by_kind(per_token * (total / working)),
        joules_per_request={
            "working": working,
            "waiting": float(energy.waiting.item()),
            "host": float(energy.host.item()),
            "network": float(energy.network.item()),
            "cooling": float(energy.cooling.item()),
            "total": total,
        },
        sum_per_request=float(per_token @ tokens),
        working_watts=float(energy.working_watts[0]),
        waiting_watts=accelerator.idle_power_watts,
        host_watts=drawn.around.host_watts,
        network_watts=drawn.around.network_watts,
        power_usage_effectiveness=drawn.around.power_usage_effectiveness,
        log_spread=drawn.traits.log_spread,
    )


def time_by_kind(split: Split, rule: str) -> tuple[Array, Array]:
    """Return shares of busy time by kind, (3,) each, in decode-only and in mixed steps, under a rule."""
    paid = np.add.reduce(np.add.reduce(np.add.reduce(split.shares, axis=3), axis=2), axis=0)
    plain = split.attribution.plain_by_kind
    if rule == "phase":
        # Input pays for chunks alone, and those are in mixed steps.
        plain = np.zeros(len(KIND_NAMES))
        plain[OUTPUT] = 1.0 - split.attribution.mixed_time_share
    elif rule == "marginal":
        shapley = np.add.reduce(split.attribution.shares, axis=(0, 2, 3))
        plain = plain * np.where(shapley > 0, paid / np.where(shapley > 0, shapley, 1.0), 0.0)
    return plain, paid - plain


def _by_kind(values: Array) -> dict[str, float]:
    return dict(zip(KIND_NAMES, values.tolist(), strict=True))
