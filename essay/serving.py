"""Figures of the deployment: rates, what binds a step, batches, power, the cache, the mix."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from essay.workshop import (
    CONCURRENCY,
    DEEPSEEK,
    INPUT_TOKENS,
    LLAMA,
    OUTPUT_TOKENS,
    TPOT_LIMIT,
    TTFT_LIMIT,
    Workshop,
    filled,
    in_flight,
)
from service.application.answers import Bound, EstimateAnswer
from service.application.curve_requests import CounterfactualSpec
from service.application.requests import UncertaintyRequest
from service.application.uncertainty_answers import Interval

Figures = dict[str, Any]
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
DECODES, CARRIES = "a run that only decodes", "a run that carries a prompt"
LEVELS = (1, 8, 64, 256)
MIXES = (1, 3, 10)


def serving_figures(workshop: Workshop) -> Figures:
    """Return the figures of the sections on one deployment."""
    base = workshop.estimate(LLAMA)
    full, deepseek = workshop.estimate(filled(LLAMA)), workshop.estimate(DEEPSEEK)
    batch = workshop.curve(LLAMA, axis="batch", points=24)
    cost = workshop.curve(LLAMA, CounterfactualSpec("no_kv_cache"), axis="price", points=2)
    levels = [_level(workshop.estimate(in_flight(LLAMA, n)), n) for n in LEVELS]
    steps = _steps(workshop)
    crossovers = {row.name: row.at for row in batch.crossovers}
    return {
        "base": _estimate(base),
        "sure": _sure(workshop),
        "full": _estimate(full),
        "deepseek": _estimate(deepseek),
        "levels": levels,
        "compute_bound_batch": crossovers["weights_compute_bound_batch"],
        "largest_batch": batch.x[-1],
        "largest_ratio": batch.series["output"][-1] / batch.series["uncached_input"][-1],
        "lone_ratio": batch.series["output"][0] / batch.series["uncached_input"][0],
        "input_move": max(batch.series["uncached_input"]) / min(batch.series["uncached_input"]) - 1.0,
        "level_fast": levels[0]["per_user"],
        "level_slow": levels[-1]["per_user"],
        "input_tokens": INPUT_TOKENS,
        "output_tokens": OUTPUT_TOKENS,
        "concurrency": CONCURRENCY,
        "ttft_limit": TTFT_LIMIT,
        "tpot_limit": TPOT_LIMIT,
        "decode_steps": [row for row in steps if row["step"] == DECODES],
        "splits": _splits(base),
        "power": _power(workshop),
        "no_cache": cost.counterfactuals[0].cost_over_actual,
        "mix": _mix(workshop),
        "provenance": {
            "engine": base.provenance.engine_version,
            "calibration": base.provenance.calibration,
            "level": base.provenance.calibration_level,
            "near": _near(base),
            "price_date": next(row.valid_from for row in base.provenance.rows if row.kind == "gpu_price"),
        },
        "charts": {"batch": _batch_rows(batch.x, batch.series), "intensity": steps},
    }


def _estimate(answer: EstimateAnswer) -> Figures:
    rates = {rate.kind: rate.per_million_tokens for rate in answer.rates}
    bill = {rate.kind: rate.cost_per_request / answer.cost_per_request for rate in answer.rates}
    return {
        "rates": rates,
        "bill_share": bill,
        "shares": {rate.kind: dict(rate.share_by_resource) for rate in answer.rates},
        "largest": {rate.kind: _largest(rate.share_by_resource) for rate in answer.rates},
        "ratio": answer.output_to_input_ratio,
        "hour": answer.cost_per_accelerator_hour,
        "batch": answer.operating_point.batch,
        "mixed_share": answer.operating_point.prefill_step_share,
        "tpot": answer.tpot_seconds,
        "ttft": answer.ttft_seconds,
        "weights_bytes": answer.memory.weights_bytes * answer.accelerators_per_replica,
        "decode": _bound(_step(answer, "decode"), answer),
        "mixed": _bound(_step(answer, "mixed"), answer),
        "per_user": 1.0 / answer.tpot_seconds,
    }


def _near(answer: EstimateAnswer) -> str:
    """Return what was measured near the example, in words."""
    if answer.evidence.extrapolates:
        return "No measured run is near the example: it extrapolates"
    nearest = answer.evidence.nearest[0]
    point = nearest.point
    where = f"{point.model} on {point.accelerators} {point.accelerator}, {point.concurrency:.0f} in flight"
    measured, predicted = point.measured_tpot_seconds * 1e3, point.predicted_tpot_seconds * 1e3
    times = f"{measured:.1f} ms a token, {predicted:.1f} modelled"
    return f"The measured run nearest to the example ({where}) took {times}"


def _sure(workshop: Workshop) -> Figures:
    """Return where rates and their ratio lie in 8 of 10 cases, price and utilisation being given."""
    answer = workshop.estimate(replace(LLAMA, uncertainty=UncertaintyRequest()))
    if answer.uncertainty is None:
        raise ValueError("intervals were asked for")
    found = answer.uncertainty.figures
    return {
        "input": _ends(found["rates.uncached_input.per_million_tokens"]),
        "output": _ends(found["rates.output.per_million_tokens"]),
        "ratio": _ends(found["output_to_input_ratio"]),
        "samples": answer.uncertainty.samples,
    }


def _ends(interval: Interval) -> Figures:
    return {"p10": interval.p10, "p90": interval.p90}


def _largest(shares: Mapping[str, float]) -> str:
    """Return the largest part of a cost, in words."""
    words = {
        "compute": "arithmetic",
        "memory": "memory",
        "network": "the links between the accelerators",
        "overhead": "launching and scheduling",
    }
    return words[max(shares, key=lambda name: shares[name])]


def _step(answer: EstimateAnswer, kind: str) -> Bound:
    return next(bound for bound in answer.bounds if bound.step == kind)


def _bound(bound: Bound, answer: EstimateAnswer) -> Figures:
    return {
        "seconds": bound.seconds,
        "intensity": bound.flop_per_byte,
        "ridge": bound.ridge_flop_per_byte,
        "shares": dict(bound.share_by_resource),
        "resource": bound.resource,
        "bytes": bound.memory_bytes * answer.accelerators_per_replica,
        "mfu": bound.mfu,
        "mbu": bound.mbu,
    }


def _level(answer: EstimateAnswer, concurrency: int) -> Figures:
    return {"concurrency": concurrency, **_estimate(answer)}


def _splits(answer: EstimateAnswer) -> Figures:
    """Return the ratios of the rules that conserve, and of those that do not."""
    rows = {f"{row.rule}, {row.variant.replace('_', ' ')}": row for row in answer.splits}
    conserving = [
        row.output_to_input_ratio
        for row in rows.values()
        if abs(row.sum_over_bill - 1.0) < 1e-6 and row.output_to_input_ratio is not None
    ]
    by_cause = rows["shapley, by cause"]
    return {
        "rows": [
            {"name": name, "ratio": row.output_to_input_ratio, "sum": row.sum_over_bill}
            for name, row in rows.items()
        ],
        "least": min(conserving),
        "most": max(conserving),
        "least_of_all": min(row.output_to_input_ratio or 0.0 for row in rows.values()),
        "by_cause": by_cause.output_to_input_ratio,
        "cached_by_cause": by_cause.per_million_tokens["cached_input"]
        / by_cause.per_million_tokens["uncached_input"],
        "cached_by_pass": rows["shapley, by pass"].per_million_tokens["cached_input"]
        / rows["shapley, by pass"].per_million_tokens["uncached_input"],
    }


def _power(workshop: Workshop) -> Figures:
    found: Figures = {}
    for utilisation in (0.1, 0.5):
        answer = workshop.estimate(replace(LLAMA, utilisation=utilisation))
        for basis in answer.cost_bases:
            found[f"{basis.basis}_{utilisation * 100:.0f}"] = dict(basis.per_million_tokens)
            found[f"{basis.basis}_working_hour"] = basis.per_working_accelerator_hour
            found[f"{basis.basis}_waiting_hour"] = basis.per_waiting_accelerator_hour
    for at in ("10", "50"):
        found[f"share_{at}"] = found[f"energy_{at}"]["output"] / found[f"rental_{at}"]["output"]
    found["rental_10_over_50"] = found["rental_10"]["output"] / found["rental_50"]["output"]
    found["energy_10_over_50"] = found["energy_10"]["output"] / found["energy_50"]["output"]
    found["energy_ratio"] = found["energy_50"]["output"] / found["energy_50"]["uncached_input"]
    return found


def _mix(workshop: Workshop) -> Figures:
    curve = workshop.curve(
        LLAMA, axis="input_to_output_ratio", start=0.1, stop=30.0, points=41, spacing="log"
    )
    exact = {n: _mixed(workshop, n) for n in MIXES}
    rows = [
        {
            "mix": mix,
            "input": fresh * mix / (fresh * mix + output),
            "ratio": output / fresh,
            "blended": (fresh * mix + output) / (mix + 1.0),
        }
        for mix, fresh, output in zip(
            curve.x, curve.series["uncached_input"], curve.series["output"], strict=True
        )
    ]
    return {**{f"at_{n}": row for n, row in exact.items()}, "rows": rows}


def _mixed(workshop: Workshop, mix: float) -> Figures:
    curve = workshop.curve(LLAMA, axis="input_to_output_ratio", start=mix, stop=mix * 1.001, points=2)
    fresh, output = curve.series["uncached_input"][0], curve.series["output"][0]
    return {
        "ratio": output / fresh,
        "input_share": fresh * mix / (fresh * mix + output),
        "blended": (fresh * mix + output) / (mix + 1.0),
    }


def _batch_rows(x: list[float], series: Any) -> list[Figures]:
    return [
        {"batch": at, "kind": words, "cost": cost}
        for name, words in (("uncached_input", "input"), ("output", "output"))
        for at, cost in zip(x, series[name], strict=True)
    ]


def _steps(workshop: Workshop) -> list[Figures]:
    """Return FLOP per byte of the steps of the deployment as it fills."""
    rows = []
    for concurrency in BATCHES:
        answer = workshop.estimate(in_flight(LLAMA, concurrency))
        for kind, words in (("decode", DECODES), ("mixed", CARRIES)):
            bound = _step(answer, kind)
            rows.append(
                {
                    "batch": answer.operating_point.batch,
                    "step": words,
                    "intensity": bound.flop_per_byte,
                    "ridge": bound.ridge_flop_per_byte,
                    "compute": bound.share_by_resource["compute"],
                    "memory": bound.share_by_resource["memory"],
                }
            )
    return rows
