"""Fits a calibration set to measured runs and judges it on runs it has not seen (METHOD 8)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from service.application.cases import Case, with_calibration
from service.application.predict import Predictor, SolvedRun
from service.calibration.design import Deployment, RunFeatures, run_features, stack, step_features
from service.calibration.front_end import GENERAL
from service.calibration.parameters import Effects, Scope, make_effects
from service.calibration.rounds import Fit, Round, fit_round, predicted, row_weights
from service.calibration.run_protocol import FRONT_END, FrontEnd, first_token_parts
from service.calibration.scopes import FittedSet, fitted_set
from service.engine.errors import EngineError
from service.engine.spans import Array
from service.engine.step import StepLoad
from service.engine.types import Calibration

ROUNDS: Final = 3
PROMPTS_TOGETHER: Final = 4
"""Prompts that a chunk of a TTFT's reference step holds, where the budget has room."""
SPECULATING_SHARE: Final = 0.3
"""Share of ``unknown`` rows taken to speculate before their times are looked at."""
SPECULATING_WEIGHT: Final = 0.5
"""Of rows that speculated: acceptance is a default, not measured."""
RESIDUAL_SPREAD: Final = 0.25


@dataclass(frozen=True)
class Fitted:
    """A fit with the runs it rests on."""

    cases: tuple[Case, ...]
    effects: Effects
    fit: Fit
    last: Round

    @property
    def set(self) -> FittedSet:
        """The set to ship."""
        return fitted_set(self.effects, self.fit.values, self.fit.front_ends, scopes_of(self.cases))


@dataclass(frozen=True)
class LeftOut:
    """ln(predicted / measured) of runs whose group was left out of the fit; NaN where not measured."""

    tpot: Array
    ttft: Array


def fit_cases(cases: Sequence[Case], rounds: int = ROUNDS) -> Fitted:
    """Fit a set; runs that the engine cannot solve are left out.

    Deterministic: no random numbers, the same runs in the same order give the same set.
    """
    effects: Effects | None = None
    fit = Fit(np.zeros(0), {GENERAL: FRONT_END})
    chosen = [case for case in cases if case.row.tpot_seconds is not None]
    last: Round | None = None
    for _ in range(rounds):
        calibrations = None if effects is None else _calibrations(chosen, effects, fit)
        chosen, observed = _observe(chosen, calibrations, fit.front_ends)
        effects = observed.effects
        last = observed
        fit = fit_round(observed, fit.values if fit.values.size else None)
    if effects is None or last is None:
        raise ValueError("A fit needs at least one round.")
    return Fitted(tuple(chosen), effects, fit, last)


def leave_out(fitted: Fitted, groups: Sequence[str]) -> LeftOut:
    """Predict each group of runs by a fit of all others.

    Operating points are those of the fit to all runs: they hardly move with the efficiencies.
    """
    count = len(fitted.cases)
    result = LeftOut(np.full(count, np.nan), np.full(count, np.nan))
    names = np.array(groups)
    for group in sorted(set(groups)):
        inside, outside = np.flatnonzero(names == group), np.flatnonzero(names != group)
        if outside.size == 0:
            continue
        fit = fit_round(fitted.last.runs(outside), fitted.fit.values)
        part = fitted.last.runs(inside)
        tpot, ttft = predicted(part, fit)
        result.tpot[inside] = np.log(tpot / part.tpot_seconds)
        result.ttft[inside] = np.log(ttft / part.ttft_seconds)
    return result


def in_sample(fitted: Fitted) -> LeftOut:
    """Return the residuals of the runs the set was fitted to."""
    tpot, ttft = predicted(fitted.last, fitted.fit)
    last = fitted.last
    return LeftOut(np.log(tpot / last.tpot_seconds), np.log(ttft / last.ttft_seconds))


def scopes_of(cases: Sequence[Case]) -> list[Scope]:
    """Return (family, engine) of cases."""
    return [(case.accelerator.spec.family, case.policy.name) for case in cases]


def _calibrations(cases: Sequence[Case], effects: Effects, fit: Fit) -> dict[Scope, Calibration]:
    scopes = scopes_of(cases)
    found = fitted_set(effects, fit.values, fit.front_ends, scopes)
    return {scope: found.calibration(*scope) for scope in sorted(set(scopes))}


def _observe(
    cases: Sequence[Case],
    calibrations: Mapping[Scope, Calibration] | None,
    front_ends: Mapping[str, FrontEnd],
) -> tuple[list[Case], Round]:
    """Solve and replay runs under calibrations; those that cannot be solved drop out."""
    predictor = Predictor()
    kept, tpot, ttft, parts, doubt = [], [], [], [], []
    for case in cases:
        scope = (case.accelerator.spec.family, case.policy.name)
        calibrated = case if calibrations is None else with_calibration(case, calibrations[scope])
        try:
            run = predictor.solve(calibrated)
        except EngineError:
            continue
        front = front_ends.get(case.policy.name, front_ends[GENERAL])
        features, first, shares = _features(predictor, calibrated, run, front)
        kept.append(calibrated)
        tpot.append(features)
        ttft.append(first)
        parts.append(shares)
        doubt.append(_plain_chance(predictor, calibrated, run))
    weight = row_weights([case.architecture for case in kept]) * np.array(doubt)
    return kept, Round(
        tpot=stack(tpot),
        ttft=stack(ttft),
        parts=np.array(parts),
        tpot_seconds=_measured([case.row.tpot_seconds for case in kept]),
        ttft_seconds=_measured([case.row.ttft_seconds for case in kept]),
        weight=weight,
        engines=tuple(case.policy.name for case in kept),
        front_ends={GENERAL: FRONT_END, **front_ends},
        effects=make_effects(
            scopes_of(kept), [(case.formats.weights.name, case.formats.experts.name) for case in kept]
        ),
    )


def _features(
    predictor: Predictor, case: Case, run: SolvedRun, front: FrontEnd
) -> tuple[RunFeatures, RunFeatures, Array]:
    """Return the features of a run's mean step, of its first token, and the first token's parts."""
    layout = run.replica.table.layout
    deployment = Deployment(case.work, case.accelerator.spec, layout, case.formats, run.speculation)
    curve, asked = predictor.replayed(case, run, front)
    parts = first_token_parts(asked, curve)
    half = max(curve.batches[-1] / 2.0, 1.0)
    together = min(asked.slots, PROMPTS_TOGETHER) * case.row.mean_input_tokens
    tokens = min(asked.token_budget, max(case.row.mean_input_tokens, together))
    ranks = deployment.layout.attention_dp
    loads = StepLoad(
        np.array([half, half]), np.array([0.0, tokens]), np.array([half * ranks, half * ranks + tokens])
    )
    chunks = parts[4] / max(curve.chunk(tokens), 1e-12)
    steps = (parts[3] + parts[5]) / max(curve.decode(half), 1e-12)
    weight = np.array([steps - chunks, chunks]) * deployment.layout.pp
    return (
        run_features(deployment, run.moments, run.solved.state),
        step_features(deployment, run.moments, loads, weight),
        parts,
    )


def _plain_chance(predictor: Predictor, case: Case, run: SolvedRun) -> float:
    """Return how likely a run decoded plainly: the responsibility of the plain of two components."""
    measured = case.row.tpot_seconds
    if case.row.speculative != "unknown" or measured is None:
        return SPECULATING_WEIGHT if case.row.speculative == "mtp" else 1.0
    speculating = replace(case, row=replace(case.row, speculative="mtp"))
    try:
        fast = predictor.solve(speculating).tpot_seconds
    except EngineError:
        return 1.0
    plain = np.exp(-0.5 * (np.log(run.tpot_seconds / measured) / RESIDUAL_SPREAD) ** 2)
    other = np.exp(-0.5 * (np.log(fast / measured) / RESIDUAL_SPREAD) ** 2)
    weighed = (1.0 - SPECULATING_SHARE) * plain + SPECULATING_SHARE * other
    return float((1.0 - SPECULATING_SHARE) * plain / weighed) if weighed > 0 else 0.5


def _measured(values: Sequence[float | None]) -> Array:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
