"""A set fitted to runs: what it rests on, that the catalog reads it, how sure each scope of it is."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import yaml

from service.application.calibrate import fit_cases, in_sample, leave_out
from service.application.calibration_document import blended_spread, data_digest, spread
from service.application.calibration_set import (
    LEAST_ROWS,
    MadeSet,
    SetRequest,
    judgement,
    make_set,
    usable_cases,
)
from service.application.cases import CaseBuilder
from service.application.errors import InvalidRequestError
from service.application.predict import Predictor
from service.calibration.measured import read_row
from service.catalog.calibration_seed import CalibrationSeed
from tests.builders.estimates import SNAPSHOT
from tests.builders.measured_rows import make_pools_row, make_row

MODELS = ("meta-llama/Llama-3.1-8B-Instruct", "Qwen/Qwen3-0.6B", "Qwen/Qwen3.5-35B-A3B")


@cache
def _rows() -> tuple[dict[str, str], ...]:
    """Make runs that took 20 % longer on Hopper and 40 % longer on Ampere than the assumed set says."""
    predictor, builder, found = Predictor(), CaseBuilder(SNAPSHOT), []
    for place, model in enumerate(MODELS):
        for accelerator, slower in (("h100_sxm", 1.2), ("a100_sxm", 1.4)):
            for concurrency in (1, 4, 16, 32):
                cells = {"model": model, "accelerator": accelerator, "concurrency": str(concurrency)}
                row = make_row(**cells, engine=("vllm", "trtllm")[place % 2], gpus="2", tp="2")
                told = predictor.predict(builder.build(read_row(row)))
                row["tpot_ms"] = repr(told.tpot_seconds * 1e3 * slower)
                row["ttft_ms"] = repr(told.ttft_seconds * 1e3 * slower)
                found.append(row)
    return tuple(found)


def _make(rows: Any, **request: Any) -> MadeSet:
    return make_set(rows, CaseBuilder(SNAPSHOT), SetRequest(**request))


@cache
def _made() -> MadeSet:
    return _make(_rows())


def _read(document: Mapping[str, Any]) -> CalibrationSeed:
    """Read a set as the catalog does, from its YAML text."""
    return CalibrationSeed.model_validate(yaml.safe_load(yaml.safe_dump(dict(document), sort_keys=False)))


def test_the_catalog_reads_the_set_and_finds_the_fitted_figures() -> None:
    made = _made()
    read = _read(made.document)
    assert (read.name, read.default, read.data_digest) == ("default", True, made.document["data_digest"])
    for scope in (("hopper", "vllm"), ("ampere", "trtllm")):
        found = read.calibration(scope[0], "nvidia", scope[1])
        fitted = made.fitted.set.calibration(*scope)
        assert found.level == "fitted"
        # Figures are written to five digits.
        assert found.host_seconds_per_step == pytest.approx(fitted.host_seconds_per_step, rel=1e-4)
        for name, eta in fitted.operators.items():
            assert found.operators[name].compute == pytest.approx(eta.compute, rel=1e-4)
            assert found.operators[name].memory == pytest.approx(eta.memory, rel=1e-4)
        for name, value in fitted.extra.items():
            assert found.extra[name] == pytest.approx(value, rel=1e-4)


def test_the_same_rows_give_the_same_bytes_under_any_name() -> None:
    again = _make(_rows(), name="mine").document
    assert (again["name"], again["default"]) == ("mine", False)
    same = dict(again) | {"name": "default", "default": True}
    texts = [yaml.safe_dump(document, sort_keys=False) for document in (dict(_made().document), same)]
    assert texts[0] == texts[1]


def test_a_fit_draws_predictions_to_what_was_measured() -> None:
    # Runs took 1.2 and 1.4 times the predictions that they were made from.
    for logs in (in_sample(_made().fitted).tpot, in_sample(_made().fitted).ttft):
        assert np.median(np.abs(logs)) < 0.8 * np.median([np.log(1.2), np.log(1.4)])


def test_what_a_fit_thinks_of_its_runs_is_what_the_engine_then_predicts() -> None:
    made = _made()
    thought = in_sample(made.fitted).tpot
    calibrations = {
        scope: made.fitted.set.calibration(*scope)
        for scope in {(case.accelerator.spec.family, case.policy.name) for case in made.fitted.cases}
    }
    predictor = Predictor()
    for logs, case in zip(thought, made.fitted.cases, strict=True):
        scope = (case.accelerator.spec.family, case.policy.name)
        run = predictor.solve(replace(case, calibration=calibrations[scope]))
        assert case.row.tpot_seconds is not None
        # Operating points were solved under the round before, and have nearly settled.
        assert np.log(run.tpot_seconds / case.row.tpot_seconds) == pytest.approx(logs, abs=0.02)


def test_left_out_groups_are_predicted_by_the_others() -> None:
    made = _made()
    families = [case.accelerator.spec.family for case in made.fitted.cases]
    left = leave_out(made.fitted, families)
    hopper = np.array([family == "hopper" for family in families])
    # A fit to Ampere's slower runs alone is slow on Hopper, and the other way round.
    assert np.median(left.tpot[hopper]) > np.median(made.inside.tpot[hopper])
    assert np.median(left.tpot[~hopper]) < np.median(made.inside.tpot[~hopper])


def test_a_group_without_others_cannot_be_judged() -> None:
    fitted = _made().fitted
    assert np.isnan(leave_out(fitted, ["all"] * len(fitted.cases)).tpot).all()


SCOPES = [
    ("hopper", "nvidia", "vllm", "fitted"),
    ("hopper", "nvidia", "lmdeploy", "family"),
    ("turing", "nvidia", "lmdeploy", "vendor"),
    ("tpu-v6", "google", "lmdeploy", "general"),
]


@pytest.mark.parametrize("name", ["tpot_log_spread", "ttft_log_spread"])
def test_scopes_without_runs_fall_back_to_wider_ones_and_are_less_sure(name: str) -> None:
    read = _read(_made().document)
    found = [read.calibration(*scope[:3]) for scope in SCOPES]
    assert [calibration.level for calibration in found] == [scope[3] for scope in SCOPES]
    spreads = [calibration.extra[name] for calibration in found]
    assert spreads == sorted(spreads)
    assert spreads[0] < spreads[1] < spreads[3]
    # The interval of every operator widens with it.
    assert found[3].operators["gemm"].log_spread > found[0].operators["gemm"].log_spread


def test_an_engine_that_was_not_measured_still_has_its_accelerators_figures() -> None:
    read = _read(_made().document)
    hopper, ampere = (read.calibration(family, "nvidia", "lmdeploy") for family in ("hopper", "ampere"))
    # Ampere's runs were the slower ones.
    assert hopper.operators["gemm"].memory > ampere.operators["gemm"].memory


def test_the_digest_knows_rows_by_their_cells_alone() -> None:
    rows = [read_row(row) for row in _rows()[:3]]
    turned = [read_row(dict(reversed(row.items()))) for row in _rows()[:3]]
    assert data_digest(rows) == data_digest(turned)
    changed = [read_row(row | {"tpot_ms": "1"}) for row in _rows()[:3]]
    assert data_digest(rows) != data_digest(changed)
    assert data_digest(rows) != data_digest(rows[:2])


def test_too_few_rows_are_refused_with_how_many_there_are() -> None:
    with pytest.raises(InvalidRequestError, match=f"19 of 19 rows .* at least {LEAST_ROWS}"):
        _make(_rows()[:19])


def test_rows_that_say_nothing_of_a_replicas_speed_are_not_counted() -> None:
    unusable = [
        make_row(tpot_ms=""),
        make_row(tpot_ms="5", suspect="contradicts itself"),
        make_row(tpot_ms="5", model="acme/Unheard-1B"),
        make_row(tpot_ms="5", concurrency="many"),
        make_pools_row(tpot_ms="5"),
    ]
    with pytest.raises(InvalidRequestError, match=f"19 of {19 + len(unusable)} rows"):
        _make([*_rows()[:19], *unusable])
    rows = [dict(row) for row in _rows()]
    rows[4]["ttft_ms"] = ""
    made = _make([*rows, *unusable])
    assert (made.unused, len(made.fitted.cases)) == (len(unusable), len(rows))
    assert np.isnan(made.inside.ttft).tolist() == [place == 4 for place in range(len(rows))]
    assert np.isfinite(made.inside.tpot).all()


def test_suspect_rows_are_fitted_where_that_is_asked() -> None:
    rows = [*_rows(), make_row(tpot_ms="9", suspect="odd")]
    builder = CaseBuilder(SNAPSHOT)
    counts = [len(usable_cases(rows, builder, suspect=flag)) for flag in (False, True)]
    assert counts == [len(_rows()), len(_rows()) + 1]


def test_rows_that_the_engine_cannot_solve_are_refused_like_those_it_cannot_read() -> None:
    # 70 billion parameters in bf16 on one accelerator of 80 GB.
    rows = [make_row(model="llama-3.1-70b", tpot_ms="20", concurrency=str(n)) for n in range(1, 25)]
    with pytest.raises(InvalidRequestError, match="0 of 24 rows"):
        _make(rows)


@pytest.mark.parametrize("name", ["My Set", "", "a/b", "-x"])
def test_a_name_that_the_catalog_would_not_read_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequestError, match="name"):
        _make(_rows(), name=name)


def test_the_report_states_both_kinds_of_judgement() -> None:
    text = _made().report()
    assert text.startswith(f"{len(_rows())} runs fitted, 0 not used.")
    for title in ("in sample", "architecture left out", "accelerator family left out"):
        assert f"  {title}, TPOT: median" in text


def test_points_that_ship_are_of_least_middle_and_most_load() -> None:
    points = _made().document["points"]
    loads = {(point["model"], point["accelerator"]): [] for point in points}  # type: dict[tuple[str, str], list[int]]
    for point in points:
        loads[point["model"], point["accelerator"]].append(point["concurrency"])
    assert len(loads) == len(MODELS) * 2
    assert all(sorted(found) == [1, 16, 32] for found in loads.values())
    assert all(point["accelerators"] == 2 for point in points)


def test_a_spread_holds_four_fifths_of_what_it_is_drawn_from() -> None:
    logs = np.linspace(-1, 1, 2001)
    # 80 % lie within 0.8; the normal law of that 80 % range has 0.8 / 1.28155.
    assert spread(logs) == pytest.approx(0.8 / 1.281552, rel=1e-4)
    assert spread(np.array([np.nan])) > 0


def test_a_scope_with_few_runs_is_as_sure_as_all_are() -> None:
    logs = np.full(100, 0.2)
    own = 0.2 / 1.281552
    assert blended_spread(np.array([]), 0.3) == pytest.approx(0.3)
    # A hundred own runs weigh as much as the pooled spread: the mean of squares.
    assert blended_spread(logs, 0.3) == pytest.approx(np.sqrt((own**2 + 0.09) / 2), rel=1e-4)


def test_a_judgement_is_pooled_and_by_groups() -> None:
    logs = np.log1p(np.array([0.1, 0.1, 0.1, 0.5, np.nan]))
    text = judgement(logs, np.array(["a", "a", "a", "b", "b"]))
    # p90 of four values: 0.7 of the way from the third to the fourth.
    assert text == "median 10.0 %, p90 38.0 %; median 30.0 %, p90 30.0 %"
    assert judgement(np.array([np.nan]), np.array(["a"])) == "no run"


def test_runs_that_speculated_count_half() -> None:
    rows = [dict(row) for row in _rows()]
    rows[0]["speculative"] = "mtp"
    cases = [CaseBuilder(SNAPSHOT).build(read_row(row)) for row in rows]
    weight = fit_cases(cases, rounds=1).last.weight
    assert weight[0] == pytest.approx(weight[1] / 2)


def test_an_unknown_run_counts_as_far_as_its_time_says_that_it_decoded_plainly() -> None:
    base = dict(_rows()[0])
    plain = Predictor().predict(CaseBuilder(SNAPSHOT).build(read_row(base))).tpot_seconds * 1e3
    fast = base | {"speculative": "mtp"}
    drafted = Predictor().predict(CaseBuilder(SNAPSHOT).build(read_row(fast))).tpot_seconds * 1e3
    rows = [dict(row) for row in _rows()]
    for place, measured in enumerate((plain, drafted, np.sqrt(plain * drafted))):
        rows[place] = base | {"speculative": "unknown", "tpot_ms": repr(float(measured)), "ttft_ms": ""}
    cases = [CaseBuilder(SNAPSHOT).build(read_row(row)) for row in rows]
    weight = fit_cases(cases, rounds=1).last.weight
    weight = weight / weight[3]
    # Between the two what was thought before remains: 70 % plain.
    assert weight[2] == pytest.approx(0.7, abs=0.02)
    assert weight[1] < 0.7 < weight[0] <= 1.0
