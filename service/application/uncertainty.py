"""Intervals of an estimate's headline figures: the same engine call, on an axis of samples (METHOD 6)."""

from dataclasses import dataclass

import numpy as np

from service.application.energy_use import surroundings_with
from service.application.gpu_price import ChosenPrice, price_candidates
from service.application.ports import CatalogSnapshot
from service.application.rate_rows import KIND_NAMES, Split
from service.application.requests import EstimateRequest
from service.application.resolve import DEFAULT_SAMPLES
from service.application.solution import Solution
from service.application.spreads import CORRELATION, tpot_spread, ttft_spread
from service.application.uncertainty_answers import Interval, PriceSpread, Uncertainty
from service.economics.intervals import interval, normal_points, sobol_points
from service.engine.energy import (
    PowerTraits,
    energy_of,
    energy_shares,
    mean_power,
    step_power,
    traits_of,
)
from service.engine.kind_shares import busy_seconds_of, kind_shares, phase_shares
from service.engine.operating_point import Replica, batch_limit
from service.engine.samples import Draws, Sampled, sample_arrivals, sample_closed
from service.engine.spans import Array
from service.engine.units import SECONDS_PER_HOUR, TOKENS_PER_MILLION

_STEP, _FIRST, _COMPUTE, _MEMORY, _NETWORK, _POWER, _PRICE, _USE = range(8)
"""What each dimension of a draw stands for; host and network share one."""


def uncertainty_of(point: Solution, split: Split, snapshot: CatalogSnapshot) -> Uncertainty | None:
    """Return the intervals that a resolved request asks for, None where it asks for none.

    Parameters
    ----------
    point
        The estimate as solved.
    split
        Its bill, divided by the rule asked for.
    snapshot
        Where prices of other places stand.
    """
    asked = point.resolved.request.uncertainty
    if asked is None:
        return None
    samples, seed = asked.samples or DEFAULT_SAMPLES, asked.seed or 0
    calibration = point.resolved.deployment.calibration
    normal, even = normal_points(samples, seed), sobol_points(samples, seed)
    draws = _draws(normal, (tpot_spread(calibration), ttft_spread(calibration)))
    sampled = _sampled(point, draws)
    hourly, price = _prices(point, snapshot, even[_PRICE])
    low, high = asked.utilisation_low or 1.0, asked.utilisation_high or 1.0
    drawn = _Drawn(
        sampled=sampled,
        shares=_shares(point, split, sampled),
        tokens=np.add.reduce(split.tokens, axis=1),
        paid_seconds=_paid_seconds(point, sampled, low + (high - low) * even[_USE]),
    )
    traits = traits_of(point.resolved.deployment.accelerator.spec, calibration)
    figures = _figures(point, drawn, hourly)
    figures |= _joules(point, drawn, (traits, np.exp(traits.log_spread * normal[_POWER])))
    rows = interval(np.stack(list(figures.values()))).T.tolist()
    return Uncertainty(
        samples=samples,
        seed=seed,
        figures={name: Interval(*row) for name, row in zip(figures, rows, strict=True)},
        tpot_log_spread=draws.tpot_log_spread,
        ttft_log_spread=draws.ttft_log_spread,
        power_log_spread=traits.log_spread,
        calibration_level=calibration.level,
        price=price,
        utilisation_low=asked.utilisation_low,
        utilisation_high=asked.utilisation_high,
        overloaded_share=float(sampled.overloaded.mean()),
    )


@dataclass(frozen=True)
class _Drawn:
    """Samples, and what every figure is made of; arrays over samples last."""

    sampled: Sampled
    shares: tuple[Array, Array]
    """Of the bill by kind, (3, N), in decode-only and in mixed steps."""
    tokens: Array
    """Of a request by kind, (3,)."""
    paid_seconds: Array
    """Of the replica for one request."""


def _draws(normal: Array, spreads: tuple[float, float]) -> Draws:
    rest = np.sqrt(1.0 - CORRELATION**2)
    return Draws(
        step=normal[_STEP],
        first=CORRELATION * normal[_STEP] + rest * normal[_FIRST],
        compute=normal[_COMPUTE],
        memory=normal[_MEMORY],
        network=normal[_NETWORK],
        host=normal[_NETWORK],
        tpot_log_spread=spreads[0],
        ttft_log_spread=spreads[1],
    )


def _sampled(point: Solution, draws: Draws) -> Sampled:
    policy, subject = point.resolved.deployment.policy, point.subject
    if point.resolved.point.kind != "arrival_rate":
        return sample_closed(subject, point.solved, policy, draws)
    rate = float(subject.state.requests_per_second[0])
    most, _ = batch_limit(Replica(subject.table, subject.load, policy), point.solved.memory)
    return sample_arrivals(subject, policy, draws, (rate, most))


def _prices(point: Solution, snapshot: CatalogSnapshot, chance: Array) -> tuple[Array, PriceSpread]:
    """Return the cost of a paid hour by sample, and the rows it is drawn from."""
    return drawn_price(point.resolved.price, float(point.hourly), (point.resolved.request, snapshot), chance)


def drawn_price(
    price: ChosenPrice, hourly: float, asked: tuple[EstimateRequest, CatalogSnapshot], chance: Array
) -> tuple[Array, PriceSpread]:
    """Return an hour's cost by sample, any row with equal chances that a request's price leaves open.

    Parameters
    ----------
    price, hourly
        As chosen, and what a paid hour of it costs.
    asked
        The resolved request and the catalog that its rows are in.
    chance
        Evenly spread over 0 to 1, shape (N,).
    """
    request, snapshot = asked
    if price.row is None or request.as_of is None:
        return np.full(chance.shape, hourly), PriceSpread(1, hourly, hourly, price.currency)
    rows = price_candidates(snapshot, request, price.row)
    amounts = np.sort(np.array([float(row.price.amount) for row in rows]))
    drawn = amounts[np.minimum((chance * amounts.size).astype(int), amounts.size - 1)]
    spread = PriceSpread(amounts.size, float(amounts[0]), float(amounts[-1]), price.currency)
    return drawn, spread


def _figures(point: Solution, drawn: _Drawn, hourly: Array) -> dict[str, Array]:
    sampled, tokens = drawn.sampled, drawn.tokens
    accelerators = point.subject.table.layout.accelerators
    cost = accelerators * drawn.paid_seconds * hourly / SECONDS_PER_HOUR
    paid = (drawn.shares[0] + drawn.shares[1]) * cost
    rates = {kind: paid[place] / tokens[place] for place, kind in enumerate(KIND_NAMES) if tokens[place] > 0}
    figures = {f"rates.{kind}.per_million_tokens": rate * TOKENS_PER_MILLION for kind, rate in rates.items()}
    if "uncached_input" in rates:
        figures["output_to_input_ratio"] = rates["output"] / rates["uncached_input"]
    output = sampled.requests_per_second * tokens[-1]
    return figures | {
        "cost_per_request": cost,
        "operating_point.requests_per_second": sampled.requests_per_second,
        "throughput.output_tokens_per_second": output,
        "throughput.output_tokens_per_second_per_accelerator": output / accelerators,
        "ttft_seconds": sampled.ttft_seconds,
        "tpot_seconds": sampled.tpot_seconds,
    }


def _joules(point: Solution, drawn: _Drawn, power: tuple[PowerTraits, Array]) -> dict[str, Array]:
    spec, subject = point.resolved.deployment.accelerator.spec, drawn.sampled.subject
    decode, mixed = (
        step_power(spec, power[0], times, power[1]) for times in (subject.state.decode, subject.state.mixed)
    )
    plain_seconds, mixed_seconds = busy_seconds_of(subject)
    mean = mean_power(decode, mixed, mixed_seconds / (plain_seconds + mixed_seconds))
    energy = energy_of(
        subject.table.layout.accelerators,
        mean,
        spec,
        (drawn.sampled.working_seconds, drawn.paid_seconds),
        surroundings_with(spec, point.resolved.request.costs),
    )
    joules = energy.working * energy_shares(*drawn.shares, (decode / mean, mixed / mean))
    figures = {
        f"energy.joules_per_token.{kind}": joules[place] / drawn.tokens[place]
        for place, kind in enumerate(KIND_NAMES)
        if drawn.tokens[place] > 0
    }
    return figures | {"energy.joules_per_request.total": energy.total}


def _paid_seconds(point: Solution, sampled: Sampled, utilisation: Array) -> Array:
    """Return what a request pays for, replica seconds; under given arrivals that is given too."""
    between: Array = 1.0 / sampled.requests_per_second
    if point.resolved.point.kind == "arrival_rate":
        return between
    # A fleet that follows a load profile grows with what a request takes, at the same utilisation.
    return between / (point.utilisation if point.fleet is not None else utilisation)


def _shares(point: Solution, split: Split, sampled: Sampled) -> tuple[Array, Array]:
    """Return shares of the bill by kind, (3, N), in decode-only and in mixed steps, under the rule."""
    request = point.resolved.request
    shares = kind_shares(sampled.subject, request.kv_view or "by_pass")
    if request.split == "phase":
        return phase_shares(sampled.subject, shares)
    if request.split == "marginal":
        # What the margin differs from the mean by is held as it is at the point.
        shapley = np.add.reduce(split.attribution.shares, axis=(0, 2, 3))
        paid = np.add.reduce(split.shares, axis=(0, 2, 3))
        factor = np.where(shapley > 0, paid / np.where(shapley > 0, shapley, 1.0), 0.0)[:, None]
        return shares[0] * factor, shares[1] * factor
    return shares
