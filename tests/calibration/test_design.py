"""Features of runs: summed under figures they are the engine's own steps under the same calibration."""

from dataclasses import replace

import numpy as np
import pytest

from service.calibration.design import Deployment, run_features, stack, step_features
from service.calibration.fitting import step_seconds
from service.calibration.front_end import GENERAL
from service.calibration.parameters import Effects, make_effects
from service.calibration.run_protocol import FRONT_END
from service.calibration.scopes import FittedSet, fitted_set
from service.engine.batching import steady_state
from service.engine.load import Load
from service.engine.replica import compile_replica
from service.engine.spans import Array
from service.engine.speculation import serve
from service.engine.step import StepLoad, step_times
from service.engine.types import PLAIN_DECODING, Calibration, Formats, Layout, Speculation
from service.engine.workload import Moments, make_mix, reduce_mix
from tests.builders.known_models import FP8_FORMATS, H100
from tests.builders.operating_points import FORMATS, POLICY, make_layer, make_work

SCOPES = (("hopper", "vllm"), ("blackwell", "sglang"))
STORED = (("bf16", "bf16"), ("fp8", "fp8"))
RECURRENT = make_layer(
    name="state",
    streams=(),
    recurrent_flop_per_token=4_000_000,
    state_elements_per_sequence=1_000_000,
    mixer_kind="linear",
)
MODELS = {
    "dense": make_work(),
    "experts": make_work(make_layer(experts=64)),
    "both": make_work(make_layer(), make_layer(experts=16)),
    "recurrent": make_work(make_layer(), RECURRENT),
}


def _fitted() -> tuple[Effects, Array, FittedSet]:
    """Make a set whose every effect is away from its prior's centre."""
    effects = make_effects(SCOPES, STORED)
    values = effects.centre + effects.spread * np.random.default_rng(5).uniform(
        -0.5, 0.5, effects.centre.size
    )
    found = fitted_set(effects, values, {GENERAL: FRONT_END}, SCOPES)
    return effects, values, found


def _head_as_fitted(calibration: Calibration, formats: Formats) -> Calibration:
    """Return a calibration whose head runs as the body's products do.

    The fit takes the head for a product of the body's format; the engine has no figures of its own for
    the head's and takes the general ones.
    """
    body = calibration.operators[f"gemm@{formats.weights.name}"]
    return replace(calibration, operators={**calibration.operators, "head": body})


def _moments(deployment: Deployment, calibration: Calibration) -> Moments:
    table = compile_replica(
        deployment.work, deployment.accelerator, deployment.layout, deployment.formats, calibration
    )
    return reduce_mix(make_mix([(3000.0, 0.0, 400.0)], [0], [1.0]), table.spans, 8192.0)


def _engine_load(deployment: Deployment, calibration: Calibration, moments: Moments) -> Load:
    table = compile_replica(
        deployment.work,
        deployment.accelerator,
        deployment.layout,
        deployment.formats,
        calibration,
        deployment.speculation,
    )
    return serve(table, moments)


@pytest.mark.parametrize("speculation", [PLAIN_DECODING, Speculation(3, 0.75)])
@pytest.mark.parametrize(
    "layout",
    [Layout(), Layout(tp=4), Layout(tp=2, pp=2), Layout(attention_dp=8, moe_ep=8), Layout(2, 1, 4, 8)],
)
@pytest.mark.parametrize(("model", "formats"), [(name, FORMATS) for name in MODELS] + [("both", FP8_FORMATS)])
def test_features_under_figures_are_steps_under_the_calibration_of_those_figures(
    model: str, formats: Formats, layout: Layout, speculation: Speculation
) -> None:
    if layout.moe_ep > 1 and model in ("dense", "recurrent"):
        layout = replace(layout, moe_ep=1)
    effects, values, found = _fitted()
    calibration = _head_as_fitted(found.calibration(*SCOPES[0]), formats)
    deployment = Deployment(MODELS[model], H100, layout, formats, speculation)
    moments = _moments(deployment, calibration)
    loads = StepLoad(
        np.array([1.0, 48.0]), np.array([0.0, 2500.0]), np.array([1.0, 48.0 * layout.attention_dp + 2500.0])
    )
    place = 0 if formats is FORMATS else 1
    # Figures of the first scope's run, its formats those of the deployment.
    own = make_effects([SCOPES[0], SCOPES[0]], STORED, SCOPES)
    assert own.names == effects.names
    figures = own.figures(values)[[place, place]]
    load = _engine_load(deployment, calibration, moments)
    expected = step_times(load.coefficients, loads).total
    for step in (0, 1):
        weight = np.array([1.0 - step, 1.0 * step])
        design = stack([step_features(deployment, moments, loads, weight)])
        seconds = step_seconds(design, figures[:1]).seconds
        assert seconds[0] == pytest.approx(float(expected[step]), rel=1e-9)


def test_a_runs_features_are_weighted_to_its_time_per_output_token() -> None:
    _, values, found = _fitted()
    calibration = _head_as_fitted(found.calibration(*SCOPES[0]), FORMATS)
    for layout, speculation in ((Layout(), PLAIN_DECODING), (Layout(pp=2), Speculation(1, 0.5))):
        deployment = Deployment(MODELS["both"], H100, layout, FORMATS, speculation)
        moments = _moments(deployment, calibration)
        load = _engine_load(deployment, calibration, moments)
        table = compile_replica(MODELS["both"], H100, layout, FORMATS, calibration)
        state = steady_state(table, load, POLICY, np.array([24.0]), "closed")
        design = stack([run_features(deployment, moments, state)])
        figures = make_effects([SCOPES[0]], STORED[:1], SCOPES)
        known = dict(zip(_fitted()[0].names, values.tolist(), strict=True))
        chosen = np.array([known[name] for name in figures.names])
        seconds = step_seconds(design, figures.figures(chosen)).seconds
        # A token takes a step of every stage, and shares it with the others accepted.
        turn = float(state.step_seconds[0]) * layout.pp
        assert seconds[0] == pytest.approx(turn / speculation.tokens_per_step, rel=1e-9)


def test_rows_of_a_design_are_those_runs_alone() -> None:
    _, _, found = _fitted()
    calibration = found.calibration(*SCOPES[0])
    runs = []
    for work in MODELS.values():
        deployment = Deployment(work, H100, Layout(), FORMATS, PLAIN_DECODING)
        loads = StepLoad(np.array([8.0, 8.0]), np.array([0.0, 100.0]), np.array([8.0, 108.0]))
        runs.append(step_features(deployment, _moments(deployment, calibration), loads, np.array([0.5, 0.5])))
    picked = stack(runs).rows(np.array([2, 0]))
    assert picked.compute == pytest.approx(stack([runs[2], runs[0]]).compute)
    assert picked.layers == pytest.approx(stack([runs[2], runs[0]]).layers)
