"""Predictions beside measured runs: what is written, what is refused, how errors are summed up."""

from typing import Any

import numpy as np
import pytest

from service.application.cases import CaseBuilder
from service.application.estimate import estimate
from service.application.requests import OperatingPointRequest
from service.application.spreads import DEFAULT_TPOT_SPREAD, DEFAULT_TTFT_SPREAD
from service.application.validate import PREDICTED_COLUMNS, Statistics, Validation, validate_rows
from service.engine.types import Layout
from tests.builders.estimates import NOW, SNAPSHOT, make_estimate_request, workload
from tests.builders.measured_rows import make_pools_row, make_row
from tests.builders.operating_points import POLICY

LISTED = {
    "predicted_ttft_ms", "predicted_ttft_p10_ms", "predicted_ttft_p90_ms",
    "predicted_tpot_ms", "predicted_tpot_p10_ms", "predicted_tpot_p90_ms",
    "predicted_prefill_tokens_per_second_per_gpu", "predicted_power_w",
    "predicted_accelerator_seconds_per_million_input", "predicted_accelerator_seconds_per_million_output",
    "error",
}  # fmt: skip


def _validated(*rows: dict[str, str]) -> Validation:
    return validate_rows(rows, CaseBuilder(SNAPSHOT))


def _cells(row: dict[str, str]) -> dict[str, str]:
    (found,) = _validated(row).rows
    assert found.error == ""
    return found.cells()


def _group(found: Validation, what: str, group: str) -> Statistics:
    return next(item for item in found.statistics[what] if item.group == group)


def test_the_columns_read_are_written_with_those_promised_after_them() -> None:
    row = make_row(note="kept", measured_on="2026-04-22")
    cells = _cells(row)
    assert list(cells) == [*row, *PREDICTED_COLUMNS]
    assert set(PREDICTED_COLUMNS) == LISTED
    assert {name: cells[name] for name in row} == row


def test_predictions_of_an_earlier_run_are_written_over() -> None:
    cells = _cells(make_row(predicted_tpot_ms="1", error="old"))
    assert (cells["error"], cells["predicted_tpot_ms"] != "1") == ("", True)


@pytest.mark.parametrize("row", [make_row(), make_pools_row()])
def test_intervals_lie_about_the_prediction_as_the_spreads_say(row: dict[str, str]) -> None:
    cells = {name: float(_cells(row)[name]) for name in PREDICTED_COLUMNS if name != "error"}
    for what, spread in (("ttft", DEFAULT_TTFT_SPREAD), ("tpot", DEFAULT_TPOT_SPREAD)):
        low, middle, high = (cells[f"predicted_{what}{part}_ms"] for part in ("_p10", "", "_p90"))
        # The 10th and 90th percentiles of a normal law are 1.28155 standard deviations off.
        assert np.log(high / middle) == pytest.approx(1.281552 * spread, rel=1e-4)
        assert np.log(middle / low) == pytest.approx(1.281552 * spread, rel=1e-4)
    assert all(value > 0 for value in cells.values())


def test_time_per_output_token_is_that_of_an_estimate_with_as_many_in_flight() -> None:
    answer = estimate(
        make_estimate_request(
            workload=workload((1.0, 1000, 200, 0.0)),
            operating_point=OperatingPointRequest(kind="concurrency", concurrency=16.0),
        ),
        SNAPSHOT,
        NOW,
    )
    assert float(_cells(make_row())["predicted_tpot_ms"]) == pytest.approx(
        answer.tpot_seconds * 1e3, rel=1e-4
    )


def test_accelerator_seconds_of_a_requests_tokens_are_its_share_of_the_replica() -> None:
    row = make_row(gpus="2", tp="2", concurrency="8")
    found = _validated(row).rows[0]
    assert found.prediction is not None
    prediction = found.prediction
    paid = 1000 * prediction.accelerator_seconds_per_million_input
    paid += 200 * prediction.accelerator_seconds_per_million_output
    # Little's law: 8 in flight, each for its TTFT and 199 tokens.
    rate = 8 / (prediction.steady_ttft_seconds + 199 * prediction.tpot_seconds)
    assert paid / 1e6 == pytest.approx(2 / rate, rel=2e-3)


def test_power_lies_between_idle_and_full() -> None:
    for row in (make_row(), make_row(concurrency="400"), make_pools_row()):
        assert 100.0 < float(_cells(row)["predicted_power_w"]) < 700.0


BAD = [
    (make_row(concurrency="many"), "concurrency is 'many'"),
    (make_row(input_tokens=""), "input_tokens is empty"),
    (
        {name: cell for name, cell in make_row().items() if name != "output_tokens"},
        "output_tokens is missing",
    ),
    (make_row(model="acme/Unheard-1B"), "Unheard-1B"),
    (make_row(accelerator="abacus"), "abacus"),
    (make_row(engine="llamacpp"), "llamacpp"),
    (make_row(precision="fp5"), "fp5"),
    (make_row(gemm_quant="int3"), "int3"),
    (make_row(gpus="3", tp="3"), "does not divide"),
    (make_row(gpus="8", tp="4", attention_dp="4"), "gpus is 8"),
    (make_row(gpus="8", tp="8", moe_ep="8"), "no experts"),
    (make_row(pp="64", gpus="64"), "32 layers"),
    (make_row(model="meta-llama/Llama-3.1-70B", concurrency="1"), "weights"),
    (make_row(concurrency="1e300"), "concurrency is 1e300"),
    (make_row(input_tokens="1e300"), "input_tokens is 1e300"),
    (make_pools_row(decode_tp_size="3"), "does not divide"),
    (make_pools_row(decode_num_workers="none"), "decode_num_workers"),
]


@pytest.mark.parametrize(("row", "part"), BAD)
def test_a_bad_row_says_why_in_one_line_and_the_good_ones_are_predicted(
    row: dict[str, str], part: str
) -> None:
    found = _validated(make_row(), row, make_row(concurrency="32"))
    assert [bool(item.error) for item in found.rows] == [False, True, False]
    assert part in found.rows[1].error
    assert "\n" not in found.rows[1].error
    assert found.failed == 1
    bad = found.rows[1].cells()
    assert [bad[name] for name in PREDICTED_COLUMNS if name != "error"] == [""] * (len(PREDICTED_COLUMNS) - 1)
    alone = _validated(make_row(), make_row(concurrency="32"))
    assert [item.cells() for item in alone.rows] == [found.rows[0].cells(), found.rows[2].cells()]


def test_weights_that_an_accelerator_cannot_multiply_are_expanded_as_the_run_must_have_done() -> None:
    # An A100 has no fp8 arithmetic: half the bytes to read, as many operations as in bf16.
    narrow, wide = (
        _validated(make_row(accelerator="a100_sxm", precision=name, concurrency="1")).rows[0].prediction
        for name in ("fp8", "bf16")
    )
    assert narrow is not None
    assert wide is not None
    assert narrow.tpot_seconds < 0.7 * wide.tpot_seconds
    assert narrow.bare_prefill_seconds == pytest.approx(wide.bare_prefill_seconds, rel=0.02)


@pytest.mark.parametrize("name", ["nvfp4", "mxfp4"])
def test_four_bit_experts_are_served_without_four_bit_arithmetic(name: str) -> None:
    cells = {"model": "Qwen/Qwen3.5-35B-A3B", "precision": "fp4", "moe_quant": name}
    (found,) = _validated(make_row(**cells)).rows
    assert found.case is not None
    assert found.case.formats.experts.name == name
    assert found.case.formats.expert_activations.name == "bf16"


def test_ranks_that_a_row_leaves_open_are_attention_dp() -> None:
    (found,) = _validated(make_row(gpus="8", tp="4")).rows
    assert found.case is not None
    assert found.case.row.layout == Layout(tp=4, attention_dp=2)


@pytest.mark.parametrize("seed", range(40))
def test_no_cell_whatever_stops_the_file(seed: int) -> None:
    rng = np.random.default_rng(seed)
    odd = [
        "",
        "0",
        "-1",
        "nan",
        "inf",
        "1e400",
        "x",
        "0.5",
        "1e5",
        "7",
        "=1+1",
        "\x00",
        "8192",
        "None",
        "1_0",
    ]
    base = make_pools_row() if seed % 2 else make_row()
    rows: list[dict[str, Any]] = [
        base | {str(name): str(rng.choice(odd)) for name in rng.choice(list(base), 2, replace=False)}
        for _ in range(3)
    ]
    found = _validated(*rows)
    for row in found.rows:
        assert (row.prediction is None) == bool(row.error)


def _measured(row: dict[str, str], **factors: float) -> dict[str, str]:
    """Return a row measured at its prediction divided by factors, so that the prediction is off by them."""
    cells = _cells(row)
    columns = {"ttft": "ttft_ms", "tpot": "tpot_ms", "power": "measured_power_w"}
    predicted = {"ttft": "predicted_ttft_ms", "tpot": "predicted_tpot_ms", "power": "predicted_power_w"}
    return row | {columns[what]: repr(float(cells[predicted[what]]) / by) for what, by in factors.items()}


def test_errors_are_of_predicted_over_measured_less_one() -> None:
    rows = [
        _measured(make_row(concurrency=str(2**n)), tpot=factor)
        for n, factor in enumerate((0.5, 1.0, 1.25, 2.0))
    ]
    pooled = _group(_validated(*rows), "tpot", "pooled")
    # |ratio - 1| is 0.5, 0, 0.25 and 1: its median is 0.375, p90 0.7 of the way from 0.5 to 1.
    assert (pooled.rows, pooled.median) == (4, pytest.approx(0.375, rel=1e-4))
    assert pooled.p90 == pytest.approx(0.85, rel=1e-4)
    # The middle of the logarithms lies between 1 and 1.25.
    assert pooled.bias == pytest.approx(np.sqrt(1.25) - 1, rel=1e-4)


def test_groups_are_architectures_accelerators_and_engines_then_all_pooled_and_macro() -> None:
    rows = [_measured(make_row(concurrency=str(n)), tpot=1.1) for n in (1, 2, 4)]
    rows.append(_measured(make_row(model="Qwen/Qwen3-0.6B", accelerator="h200_sxm"), tpot=1.5))
    found = _validated(*rows)
    names = [item.group for item in found.statistics["tpot"]]
    assert [name.split(" ")[0] for name in names] == [
        *["architecture"] * 2, *["accelerator"] * 2, "engine", "pooled", "macro",
    ]  # fmt: skip
    assert _group(found, "tpot", "accelerator h200-sxm").median == pytest.approx(0.5, rel=1e-4)
    assert _group(found, "tpot", f"engine {POLICY.name}").rows == 4
    # Three runs of 10 % and one of 50 %: pooled the median is 10 %, the mean of architectures' medians 30 %.
    assert _group(found, "tpot", "pooled").median == pytest.approx(0.1, rel=1e-4)
    macro = _group(found, "tpot", "macro")
    assert (macro.median, macro.rows) == (pytest.approx(0.3, rel=1e-4), 4)
    assert macro.p90 == pytest.approx(0.3, rel=1e-4)


def test_only_what_was_measured_is_compared() -> None:
    assert _validated(make_row()).statistics == {}
    found = _validated(_measured(make_row(), power=0.8, ttft=2.0), make_row(concurrency="2", tpot_ms="0"))
    assert sorted(found.statistics) == ["power", "ttft"]
    assert _group(found, "power", "pooled").bias == pytest.approx(-0.2, rel=1e-4)
    assert _group(found, "ttft", "pooled").bias == pytest.approx(1.0, rel=1e-4)


def test_bad_rows_count_in_no_statistic() -> None:
    row = _measured(make_row(), tpot=1.2)
    found = _validated(row, row | {"concurrency": "?"})
    assert _group(found, "tpot", "pooled").rows == 1
