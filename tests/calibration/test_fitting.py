"""The fit of efficiencies: its derivatives, figures that it must find again, and what its priors hold."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from service.calibration.design import Deployment, Design, stack, step_features
from service.calibration.fitting import Observations, fit_effects, residuals, step_seconds
from service.calibration.front_end import GENERAL
from service.calibration.parameters import FIGURES, NAMES, Effects, make_effects
from service.calibration.run_protocol import FRONT_END
from service.calibration.scopes import fitted_set
from service.engine.load import make_load
from service.engine.replica import compile_replica
from service.engine.spans import Array
from service.engine.step import StepLoad, step_times
from service.engine.types import PLAIN_DECODING, Calibration, Layout, ModelWork
from service.engine.workload import make_mix, reduce_mix
from tests.builders.known_models import H100
from tests.builders.operating_points import FORMATS, make_layer, make_work

SCOPE = ("hopper", "vllm")
STATE = make_layer(
    streams=(), recurrent_flop_per_token=4_000_000, state_elements_per_sequence=3_000_000, mixer_kind="linear"
)
MODELS = (
    make_work(),
    make_work(make_layer(count=64)),
    make_work(make_layer(experts=64)),
    make_work(make_layer(count=8), replace(STATE, count=40)),
)
LAYOUTS = (Layout(), Layout(tp=8), Layout(tp=8, moe_ep=8))
LOADS = (
    (1.0, 0.0),
    (64.0, 0.0),
    (512.0, 0.0),
    (1.0, 300.0),
    (16.0, 3000.0),
    (16.0, 8000.0),
    (16.0, 30_000.0),
)
TRUE = {
    "gemm.compute": 0.52, "gemm.memory": 0.71, "gemm.half": 90.0, "experts.compute": 0.33,
    "experts.memory": 0.61, "experts.half": 20.0, "attention_prefill.compute": 0.41,
    "attention_decode.compute": 0.6, "attention_decode.memory": 0.55, "recurrent.memory": 0.5,
    "launch": 2.1e-5, "eager": 8e-5, "host": 1.1e-3, "sequence": 1.5e-5, "latency": 5e-6, "network": 0.45,
    "imbalance": 1.3,
}  # fmt: skip
IDENTIFIABLE = [name for name in TRUE if name != "attention_decode.compute"]
"""Decode attention is never bound by arithmetic in these runs, so nothing says how fast it computes; its
true value is the centre of its prior."""


def _cases() -> list[tuple[ModelWork, Layout, StepLoad]]:
    found = []
    for work in MODELS:
        experts = any(layer.experts for layer in work.layers)
        for layout in LAYOUTS if experts else LAYOUTS[:2]:
            for batch, chunk in LOADS:
                both = (np.array([batch, batch]), np.array([0.0, chunk]), np.array([batch, batch + chunk]))
                found.append((work, layout, StepLoad(*both)))
    return found


@cache
def _runs() -> Design:
    """Make runs of one kind of step each: decode-only ones and ones with a chunk."""
    runs = []
    for work, layout, loads in _cases():
        deployment = Deployment(work, H100, layout, FORMATS, PLAIN_DECODING)
        table = compile_replica(work, H100, layout, FORMATS, _calibration(_true_effects(), _effects()))
        moments = reduce_mix(make_mix([(3000.0, 0.0, 400.0)], [0], [1.0]), table.spans, 8192.0)
        chunk = float(loads.chunk[1] > 0)
        runs.append(step_features(deployment, moments, loads, np.array([1.0 - chunk, chunk])))
    return stack(runs)


def _effects(count: int = 1) -> Effects:
    return make_effects([SCOPE] * count, [("bf16", "bf16")] * count)


def _true_effects() -> Array:
    """Return effects that make up the true figures, all of them in the general ones."""
    effects = _effects()
    values = np.zeros(effects.centre.size)
    for figure in FIGURES:
        true = TRUE[figure.name]
        place = effects.names.index((figure.name, "general"))
        values[place] = np.log(true / (1 - true)) if figure.is_share else np.log(true)
    return values


def _calibration(values: Array, effects: Effects) -> Calibration:
    return fitted_set(effects, values, {GENERAL: FRONT_END}, [SCOPE]).calibration(*SCOPE)


def _engine_seconds() -> Array:
    """Return the engine's own steps of the runs under the true figures, seconds."""
    calibration = _calibration(_true_effects(), _effects())
    seconds = []
    for work, layout, loads in _cases():
        table = compile_replica(work, H100, layout, FORMATS, calibration)
        moments = reduce_mix(make_mix([(3000.0, 0.0, 400.0)], [0], [1.0]), table.spans, 8192.0)
        times = step_times(make_load(table, moments).coefficients, loads).total
        seconds.append(float(times[1 if loads.chunk[1] > 0 else 0]))
    return np.array(seconds)


def _weak(effects: Effects) -> Effects:
    """Return effects whose general values are free and whose scopes are not told apart."""
    free = np.array([name == "general" for _, name in effects.names])
    return replace(effects, spread=np.where(free, 1e3, 1e-6))


def _observed(seconds: Array, weight: float = 1.0) -> Observations:
    count = seconds.size
    return Observations(_runs(), seconds, np.full(count, weight), np.zeros(count))


def test_slopes_are_those_of_differences() -> None:
    design = _runs()
    count = design.weight.shape[0]
    logs = np.log([figure.start for figure in FIGURES])
    figures = np.exp(logs + np.random.default_rng(4).uniform(-0.2, 0.2, (count, len(FIGURES))))
    slopes = step_seconds(design, figures).slopes
    step = 1e-6
    for place, name in enumerate(NAMES):
        nudge = np.ones(len(NAMES))
        nudge[place] = np.exp(step)
        up, down = (step_seconds(design, figures * nudge**sign).seconds for sign in (1.0, -1.0))
        scale = np.abs(slopes).max()
        assert slopes[:, place] == pytest.approx((up - down) / (2 * step), rel=1e-5, abs=1e-8 * scale), name


def test_a_fit_finds_the_figures_that_the_engine_was_run_with() -> None:
    seconds = _engine_seconds()
    effects = _weak(_effects(seconds.size))
    observed = _observed(seconds)
    found = fit_effects(observed, effects)
    figures = dict(zip(NAMES, effects.figures(found)[0].tolist(), strict=True))
    assert np.abs(residuals(observed, effects, found)).max() < 1e-3
    assert {name: figures[name] for name in IDENTIFIABLE} == pytest.approx(
        {name: TRUE[name] for name in IDENTIFIABLE}, rel=0.02
    )


def test_the_same_data_give_the_same_figures_to_the_last_bit() -> None:
    seconds = _engine_seconds()
    effects = _effects(seconds.size)
    first, second = (fit_effects(_observed(seconds), effects) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_runs_that_weigh_nothing_leave_every_effect_at_its_prior() -> None:
    seconds = _engine_seconds()
    effects = _effects(seconds.size)
    assert fit_effects(_observed(seconds, weight=0.0), effects) == pytest.approx(effects.centre, abs=1e-12)


def test_a_scope_without_runs_is_the_wider_one() -> None:
    seconds = _engine_seconds()
    elsewhere = [("blackwell", "trtllm"), ("hopper", "trtllm")]
    effects = make_effects([SCOPE] * seconds.size, [("bf16", "bf16")] * seconds.size, elsewhere)
    found = fit_effects(_observed(seconds), effects)
    named = dict(zip(effects.names, found.tolist(), strict=True))
    for figure in NAMES:
        for effect in ("family:blackwell", "engine:trtllm", "both:blackwell/trtllm", "both:hopper/trtllm"):
            assert named[figure, effect] == pytest.approx(0.0, abs=1e-12)
    fitted = fitted_set(effects, found, {GENERAL: FRONT_END}, [SCOPE])
    assert fitted.figures("blackwell", "trtllm", None) == pytest.approx(fitted.figures(None, None, None))
    # What the scope's own runs say moved it away from the general values.
    assert fitted.figures(*SCOPE, None)["host"] != pytest.approx(fitted.figures(None, None, None)["host"])


def test_a_tight_prior_holds_a_figure_against_the_data() -> None:
    seconds = _engine_seconds()
    effects = replace(_effects(seconds.size), spread=np.full(_effects().centre.size, 1e-9))
    assert fit_effects(_observed(seconds), effects) == pytest.approx(effects.centre, abs=1e-6)


def test_one_wild_run_hardly_moves_the_others() -> None:
    seconds = _engine_seconds()
    effects = _weak(_effects(seconds.size))
    wild = seconds.copy()
    wild[1] *= 20.0
    observed = _observed(wild)
    logs = residuals(observed, effects, fit_effects(observed, effects))
    assert logs[1] == pytest.approx(-np.log(20.0), rel=0.1)
    # Squares would spread the stray logarithm of 3 over its neighbours; Huber's loss pulls with a constant.
    assert np.median(np.abs(np.delete(logs, 1))) < 0.01


def test_seconds_that_no_figure_moves_are_left_to_themselves() -> None:
    seconds = _engine_seconds()
    effects = _weak(_effects(seconds.size))
    beside = np.linspace(0.0, 0.05, seconds.size)
    observed = replace(_observed(seconds + beside), offset=beside)
    figures = effects.figures(fit_effects(observed, effects))[0]
    assert figures[NAMES.index("gemm.memory")] == pytest.approx(TRUE["gemm.memory"], rel=0.02)
