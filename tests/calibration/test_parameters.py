"""Figures as sums of effects on their own scales, and scopes that have no runs."""

import numpy as np
import pytest

from service.calibration.front_end import GENERAL
from service.calibration.parameters import (
    FIGURES,
    NAMES,
    as_mapping,
    from_scale,
    log_slopes,
    make_effects,
    to_scale,
)
from service.calibration.run_protocol import FRONT_END, FrontEnd
from service.calibration.scopes import SCALE_OUT_SHARE, fitted_set

SCOPES = [("hopper", "vllm"), ("hopper", "sglang"), ("blackwell", "vllm")]
STORED = [("bf16", "bf16"), ("fp8", "fp8"), ("bf16", "mxfp4")]


def test_scales_are_undone_and_keep_shares_between_nought_and_one() -> None:
    scaled = np.array([[to_scale(figure, figure.start) for figure in FIGURES]])
    assert from_scale(scaled)[0] == pytest.approx([figure.start for figure in FIGURES], rel=1e-12)
    far = from_scale(np.full((1, len(FIGURES)), 30.0))[0]
    assert all(value <= 1.0 for value, figure in zip(far, FIGURES, strict=True) if figure.is_share)


def test_slopes_of_logarithms_are_those_of_differences() -> None:
    scaled = np.random.default_rng(1).normal(0, 1, (4, len(FIGURES)))
    step = 1e-6
    numeric = (np.log(from_scale(scaled + step)) - np.log(from_scale(scaled - step))) / (2 * step)
    assert log_slopes(from_scale(scaled)) == pytest.approx(numeric, rel=1e-6, abs=1e-9)


def test_a_figure_of_a_run_is_the_sum_of_its_own_effects() -> None:
    effects = make_effects(SCOPES, STORED)
    values = np.random.default_rng(2).normal(0, 0.3, effects.centre.size)
    named = as_mapping(effects, values)
    figures = effects.figures(values)
    for run, ((family, engine), (weights, experts)) in enumerate(zip(SCOPES, STORED, strict=True)):
        for place, figure in enumerate(FIGURES):
            parts = ["general", f"family:{family}", f"engine:{engine}", f"both:{family}/{engine}"]
            if figure.by_format:
                parts.append(f"format:{experts if figure.name.startswith('experts') else weights}")
            total = sum(named[figure.name, part] for part in parts)
            expected = 1 / (1 + np.exp(-total)) if figure.is_share else np.exp(total)
            assert figures[run, place] == pytest.approx(expected, rel=1e-12), figure.name


def test_runs_of_effects_keep_names_and_figures() -> None:
    effects = make_effects(SCOPES, STORED)
    values = effects.centre + 0.1
    part = effects.runs(np.array([2, 0]))
    assert part.names == effects.names
    assert part.figures(values) == pytest.approx(effects.figures(values)[[2, 0]])


def test_a_set_gives_runs_the_figures_that_the_fit_gave_them() -> None:
    effects = make_effects(SCOPES, STORED)
    values = effects.centre + np.random.default_rng(3).normal(0, 0.2, effects.centre.size)
    found = fitted_set(effects, values, {GENERAL: FRONT_END}, SCOPES)
    for run, (scope, (weights, experts)) in enumerate(zip(SCOPES, STORED, strict=True)):
        figures = dict(zip(NAMES, effects.figures(values)[run].tolist(), strict=True))
        calibration = found.calibration(*scope)
        gemm = calibration.operators[f"gemm@{weights}"]
        own = calibration.operators[f"experts@{experts}"]
        assert gemm.compute == pytest.approx(figures["gemm.compute"], rel=1e-12)
        assert gemm.half_rate_tokens == pytest.approx(figures["gemm.half"], rel=1e-12)
        assert own.memory == pytest.approx(figures["experts.memory"], rel=1e-12)
        assert calibration.host_seconds_per_step == pytest.approx(figures["host"], rel=1e-12)
        assert calibration.scale_up_efficiency == pytest.approx(figures["network"], rel=1e-12)
        assert calibration.scale_out_efficiency == pytest.approx(figures["network"] * SCALE_OUT_SHARE)
        assert calibration.extra["chunk_launch_seconds_per_layer"] == pytest.approx(figures["eager"])


def test_an_unknown_scope_has_the_general_figures_and_front_end() -> None:
    effects = make_effects(SCOPES, STORED)
    values = effects.centre + 0.2
    fronts = {GENERAL: FRONT_END, "vllm": FrontEnd(1.0, 2.0, 3.0, 4.0, 5.0)}
    found = fitted_set(effects, values, fronts, SCOPES)
    assert found.figures("cdna4", "lmdeploy", "fp6") == found.figures(None, None, None)
    assert found.figures("cdna4", "vllm", None) == found.figures(None, "vllm", None)
    assert found.front_end("lmdeploy") == found.front_end(None) == FRONT_END
    assert found.calibration(None, "vllm").extra["front_end_lag_steps"] == 4.0
    assert (found.calibration("hopper", "vllm").level, found.calibration(None, None).level) == (
        "fitted",
        "general",
    )


def test_an_imbalance_is_never_below_one() -> None:
    effects = make_effects(SCOPES[:1], STORED[:1])
    values = effects.centre.copy()
    values[effects.names.index(("imbalance", "general"))] = np.log(0.8)
    found = fitted_set(effects, values, {GENERAL: FRONT_END}, SCOPES[:1])
    assert found.calibration("hopper", "vllm").expert_imbalance == 1.0
