"""Intervals of an estimate with separate pools: both pools' errors, prices and utilisation (METHOD 6, U9)."""

from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np

from service.application.gpu_price import ChosenPrice
from service.application.pool_solution import PooledSolution, PoolPart
from service.application.ports import CatalogSnapshot
from service.application.rate_rows import KIND_NAMES
from service.application.requests import EstimateRequest
from service.application.resolve import DEFAULT_SAMPLES
from service.application.spreads import CORRELATION, POOL_PREFILL_SPREAD, POOL_TTFT_SPREAD, tpot_spread
from service.application.uncertainty import drawn_price
from service.application.uncertainty_answers import Interval, PriceSpread, Uncertainty
from service.economics.intervals import MOST_DIMENSIONS, interval, normal_points, sobol_points
from service.engine.attribution import OUTPUT, UNCACHED, Subject
from service.engine.energy import energy_of, energy_shares, mean_power, step_power, surroundings_of, traits_of
from service.engine.kind_shares import busy_seconds_of, kind_shares
from service.engine.pool_samples import PoolDraws, PoolSampled, sample_pools
from service.engine.samples import Draws
from service.engine.spans import Array
from service.engine.units import SECONDS_PER_HOUR, TOKENS_PER_MILLION

_STEP, _FIRST, _COMPUTE, _MEMORY, _NETWORK, _POWER, _PRICE, _USE = range(8)
_PREFILL: Final = range(8, MOST_DIMENSIONS)
"""Step, compute, memory, network and host, price of the prefill pool."""


def pooled_uncertainty(point: PooledSolution, snapshot: CatalogSnapshot) -> Uncertainty | None:
    """Return the intervals that a resolved request with pools asks for, None where it asks for none.

    Parameters
    ----------
    point
        Both pools at the operating point.
    snapshot
        Where prices of other places stand.
    """
    asked = point.request.whole.request.uncertainty
    if asked is None:
        return None
    samples, seed = asked.samples or DEFAULT_SAMPLES, asked.seed or 0
    normal = normal_points(samples, seed, MOST_DIMENSIONS)
    even = sobol_points(samples, seed, MOST_DIMENSIONS)
    draws = _draws(point, normal)
    subjects = (point.prefill.subject, point.decode.subject)
    planned = point.request.workers is None and point.request.whole.point.kind != "arrival_rate"
    sampled = sample_pools(point.plant, point.point, subjects, planned, draws)
    hours = _prices(point, snapshot, even)
    low, high = asked.utilisation_low or 1.0, asked.utilisation_high or 1.0
    pools = _pools(point, sampled, low + (high - low) * even[_USE], np.asarray(normal[_POWER]))
    figures = _figures(point, sampled, pools, (hours[0][0], hours[1][0]))
    rows = interval(np.stack(list(figures.values()))).T.tolist()
    calibration = point.decode.deployment.calibration
    return Uncertainty(
        samples=samples,
        seed=seed,
        figures={name: Interval(*row) for name, row in zip(figures, rows, strict=True)},
        tpot_log_spread=draws.decode.tpot_log_spread,
        ttft_log_spread=POOL_TTFT_SPREAD,
        power_log_spread=max(_power_spread(part) for part in (point.prefill, point.decode)),
        calibration_level=calibration.level,
        price=hours[1][1],
        utilisation_low=asked.utilisation_low,
        utilisation_high=asked.utilisation_high,
        overloaded_share=float(sampled.overloaded.mean()),
        prefill_price=None if _one_price(point) else hours[0][1],
        prefill_log_spread=draws.prefill.tpot_log_spread,
    )


def _draws(point: PooledSolution, normal: Array) -> PoolDraws:
    """Return draws of both pools: errors of prefill correlate with those of decoding as TTFT's do."""
    rest = np.sqrt(1.0 - CORRELATION**2)
    step, compute, memory, network, _ = _PREFILL
    prefill_spread = max(POOL_PREFILL_SPREAD, tpot_spread(point.prefill.deployment.calibration))
    decode = Draws(
        step=normal[_STEP],
        first=normal[_FIRST],
        compute=normal[_COMPUTE],
        memory=normal[_MEMORY],
        network=normal[_NETWORK],
        host=normal[_NETWORK],
        tpot_log_spread=tpot_spread(point.decode.deployment.calibration),
        # Beside what the steps of prefill spread by themselves.
        ttft_log_spread=float(np.sqrt(max(POOL_TTFT_SPREAD**2 - prefill_spread**2, 0.0))),
    )
    prefill = replace(
        decode,
        step=CORRELATION * normal[_STEP] + rest * normal[step],
        compute=normal[compute],
        memory=normal[memory],
        network=normal[network],
        host=normal[network],
        tpot_log_spread=prefill_spread,
    )
    return PoolDraws(decode, prefill)


def _power_spread(part: PoolPart) -> float:
    return traits_of(part.deployment.accelerator.spec, part.deployment.calibration).log_spread


_Hours = tuple[Array, PriceSpread]


def _prices(point: PooledSolution, snapshot: CatalogSnapshot, even: Array) -> tuple[_Hours, _Hours]:
    """Return the cost of a paid hour by sample, and its rows, of the prefill and of the decode pool."""
    request = point.request.whole.request
    decode = _drawn(point.decode.price, request, snapshot, even[_PRICE])
    if _one_price(point):
        return decode, decode
    path = "pools.prefill."
    named = replace(
        request,
        price=point.request.prefill_price.request,
        defaulted=tuple(name.removeprefix(path) for name in request.defaulted if name.startswith(path)),
    )
    return _drawn(point.prefill.price, named, snapshot, even[_PREFILL[-1]]), decode


def _one_price(point: PooledSolution) -> bool:
    """Whether prefill workers are the same accelerators at the same place, of which nothing else was said."""
    accelerators = {part.deployment.accelerator.id for part in (point.prefill, point.decode)}
    price, said = point.request.prefill_price.request, point.request.whole.request.defaulted
    stated = [item.name for item in fields(price) if getattr(price, item.name) is not None]
    return len(accelerators) == 1 and all(f"pools.prefill.price.{name}" in said for name in stated)


def _drawn(price: ChosenPrice, request: EstimateRequest, snapshot: CatalogSnapshot, chance: Array) -> _Hours:
    return drawn_price(price, float(price.amount), (request, snapshot), chance)


@dataclass(frozen=True)
class _Pool:
    """One pool over samples; arrays over samples last."""

    accelerator_seconds: Array
    """Paid for a request."""
    shares: Array
    """Of its bill by kind, (3, N)."""
    joules: Array
    """Of working accelerators by kind, (3, N)."""
    total_joules: Array


def _pools(point: PooledSolution, sampled: PoolSampled, use: Array, power: Array) -> tuple[_Pool, _Pool]:
    arrivals = point.request.whole.point.kind == "arrival_rate"
    at_work = np.ones_like(use) if arrivals else use
    rate = sampled.requests_per_second * at_work
    return (
        _pool(
            point,
            (point.prefill, sampled.prefill),
            (sampled.prefill_working, sampled.prefill_workers / rate),
            power,
        ),
        _pool(
            point,
            (point.decode, sampled.decode),
            (sampled.decode_working, point.point.workers.decode / rate),
            power,
        ),
    )


def _pool(
    point: PooledSolution, pool: tuple[PoolPart, Subject], seconds: tuple[Array, Array], power: Array
) -> _Pool:
    part, subject = pool
    spec = part.deployment.accelerator.spec
    plain, mixed = _shares(point, subject, prefills=part is point.prefill)
    traits = traits_of(spec, part.deployment.calibration)
    factor = np.exp(traits.log_spread * power)
    watts = [step_power(spec, traits, times, factor) for times in (subject.state.decode, subject.state.mixed)]
    busy = busy_seconds_of(subject)
    mean = mean_power(watts[0], watts[1], busy[1] / (busy[0] + busy[1]))
    accelerators = part.deployment.layout.accelerators
    working = np.minimum(seconds[0], seconds[1])
    energy = energy_of(accelerators, mean, spec, (working, seconds[1]), surroundings_of(spec))
    weighed = energy_shares(plain, mixed, (watts[0] / mean, watts[1] / mean))
    return _Pool(
        accelerator_seconds=accelerators * seconds[1],
        shares=plain + mixed,
        joules=energy.working * weighed / np.add.reduce(weighed, axis=0),
        total_joules=energy.total,
    )


def _shares(point: PooledSolution, subject: Subject, *, prefills: bool) -> tuple[Array, Array]:
    """Return shares of a pool's time by kind, (3, N), in decode-only and in mixed steps, under the rule."""
    request = point.request.whole.request
    plain, mixed = kind_shares(subject, request.kv_view or "by_pass")
    if request.split != "phase":
        return plain, mixed
    # Prefill's time is input's, decode's is output's; kinds of input keep their proportion.
    wanted = np.zeros_like(plain)
    wanted[OUTPUT] = 1.0
    if prefills:
        paid = plain + mixed
        inputs = np.add.reduce(paid[:OUTPUT], axis=0)
        wanted[:OUTPUT] = paid[:OUTPUT] / np.where(inputs > 0, inputs, 1.0)
        wanted[UNCACHED] += inputs <= 0
        wanted[OUTPUT] = 0.0
    mixed_share = np.add.reduce(mixed, axis=0)
    return wanted * (1.0 - mixed_share), wanted * mixed_share


def _figures(
    point: PooledSolution, sampled: PoolSampled, pools: tuple[_Pool, _Pool], hours: tuple[Array, Array]
) -> dict[str, Array]:
    moments = point.moments
    tokens = (moments.mean_uncached, moments.mean_cached, moments.mean_output)
    costs = [
        pool.accelerator_seconds * hour / SECONDS_PER_HOUR for pool, hour in zip(pools, hours, strict=True)
    ]
    paid = pools[0].shares * costs[0] + pools[1].shares * costs[1]
    joules = pools[0].joules + pools[1].joules
    rates = {kind: paid[place] / tokens[place] for place, kind in enumerate(KIND_NAMES) if tokens[place] > 0}
    figures = {f"rates.{kind}.per_million_tokens": rate * TOKENS_PER_MILLION for kind, rate in rates.items()}
    figures["output_to_input_ratio"] = rates["output"] / rates["uncached_input"]
    output = sampled.requests_per_second * moments.mean_output
    workers = point.point.workers.decode
    accelerators = sampled.prefill_workers * point.prefill.deployment.layout.accelerators
    accelerators = accelerators + workers * point.decode.deployment.layout.accelerators
    figures |= {
        "cost_per_request": costs[0] + costs[1],
        "operating_point.requests_per_second": sampled.requests_per_second / workers,
        "throughput.output_tokens_per_second": output,
        "throughput.output_tokens_per_second_per_accelerator": output / accelerators,
        "ttft_seconds": sampled.ttft_seconds,
        "tpot_seconds": sampled.tpot_seconds,
    }
    figures |= {
        f"energy.joules_per_token.{kind}": joules[place] / tokens[place]
        for place, kind in enumerate(KIND_NAMES)
        if tokens[place] > 0
    }
    return figures | {"energy.joules_per_request.total": pools[0].total_joules + pools[1].total_joules}
