"""The accuracy report's own arithmetic, on runs of known error."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from benchmarks.accuracy import sections
from benchmarks.accuracy.comparison import read_theirs
from benchmarks.accuracy.judged import Judged, spearman
from benchmarks.accuracy.plots import write_plots
from benchmarks.accuracy.text import Errors, macro, number, page, percent, table
from benchmarks.accuracy.worst import worst
from service.application.calibrate import LeftOut
from service.engine.types import Layout
from tests.architecture.source import REPOSITORY

COUNT = 24


def _judged(tpot: np.ndarray[Any, Any]) -> Judged:
    """Make runs of two architectures, twelve each, measured at 10 ms and 1 s, with these errors of TPOT."""
    cases = []
    for place in range(COUNT):
        row = SimpleNamespace(
            tpot_seconds=0.01,
            ttft_seconds=1.0,
            mean_output_tokens=101.0,
            concurrency=float(2 ** (place % 12)),
            accelerators=1,
            input_tokens=1000.0,
            output_tokens=101.0,
            layout=Layout(),
            protocol="fixed",
            model=f"m{place // 12}",
            accelerator="h100-sxm",
            engine="vllm",
            precision="fp8",
            gemm_format=None,
            expert_format=None,
        )
        spec = SimpleNamespace(family="hopper")
        accelerator = SimpleNamespace(spec=spec, id="h100-sxm")
        policy = SimpleNamespace(name="vllm")
        case = SimpleNamespace(
            row=row, architecture=f"a{place // 12}", accelerator=accelerator, policy=policy
        )
        cases.append(case)
    logs = LeftOut(tpot, np.zeros(COUNT))
    made: Any = SimpleNamespace(
        fitted=SimpleNamespace(cases=tuple(cases)), inside=logs, by_architecture=logs, by_family=logs
    )
    labels = {
        "architecture": np.array([case.architecture for case in cases]),
        "accelerator": np.array(["h100-sxm"] * COUNT),
        "family": np.array(["hopper"] * COUNT),
        "engine": np.array(["vllm"] * COUNT),
        "format": np.array(["fp8"] * COUNT),
        "speculative": np.array(["none"] * COUNT),
    }
    return Judged(made, labels, np.arange(COUNT))


def test_errors_are_of_the_ratio_less_one() -> None:
    found = Errors.of(np.log(np.array([0.5, 1.0, 1.25, 2.0, np.nan])))
    # |ratio - 1| = 0.5, 0, 0.25, 1: the median is 0.375, and so is p90 between the two largest.
    assert (found.count, found.median) == (4, pytest.approx(0.375))
    assert found.p90 == pytest.approx(0.5 + 0.7 * 0.5)
    assert found.bias == pytest.approx(np.sqrt(1.0 * 1.25) - 1)
    assert Errors.of(np.array([np.nan])).cells() == ("-", "-", "-")


def test_macro_weighs_every_group_alike() -> None:
    logs = np.log1p(np.array([0.1] * 9 + [0.5]))
    found = macro(logs, np.array(["large"] * 9 + ["small"]))
    assert found.median == pytest.approx(0.3)
    assert Errors.of(logs).median == pytest.approx(0.1)


def test_rank_correlation_shares_ranks_among_equals() -> None:
    assert spearman(np.array([1.0, 2.0, 3.0]), np.array([10.0, 100.0, 1000.0])) == pytest.approx(1.0)
    assert spearman(np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0])) == pytest.approx(-1.0)
    assert spearman(np.ones(3), np.array([1.0, 2.0, 3.0])) == 0.0
    # Ranks 1.5, 1.5, 3 against 1, 2, 3: 1.5 / sqrt(1.5 x 2).
    assert spearman(np.array([5.0, 5.0, 9.0]), np.array([1.0, 2.0, 3.0])) == pytest.approx(0.8660254)


def test_targets_are_judged_by_what_was_left_out() -> None:
    good = sections.targets(_judged(np.full(COUNT, 0.05)))
    bad = sections.targets(_judged(np.full(COUNT, 0.5)))
    assert good.count("| met |") == 3
    assert bad.count("| missed |") == 2
    assert "64.9 %" in bad


def test_the_worst_groups_say_what_their_error_goes_with() -> None:
    errors = np.concatenate((np.full(12, 0.4), np.linspace(-0.1, 0.1, 12)))
    text = worst(_judged(errors))
    first, second = [line for line in text.splitlines() if line.startswith("| a")][:2]
    assert first.startswith("| a0 hopper vllm fp8 | 12 |")
    assert "is too slow throughout" in first
    assert "rises with requests in flight per accelerator (+1.00)" in second


def test_the_other_package_is_compared_row_by_row(tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text(
        "row,ttft_ms,tpot_ms,seconds,error\n0,500,20,0.02,\n1,2000,10,0.04,\n2,,,,OOM: it does not fit\n"
    )
    judged = _judged(np.zeros(COUNT))
    theirs = read_theirs(path, judged)
    assert theirs.tpot[:2] == pytest.approx(np.log([2.0, 1.0]))
    assert theirs.ttft[:2] == pytest.approx(np.log([0.5, 2.0]))
    assert np.isnan(theirs.tpot[2:]).all()
    assert theirs.reasons == (("OOM", 1),)
    assert theirs.seconds == pytest.approx(0.03)
    assert "It runs 8.3 % of the 24 rows" in sections.compared(judged, theirs, 0.002)


def test_equal_runs_are_found_and_compared() -> None:
    # Every run here differs in concurrency within its model, so nothing was measured twice.
    assert "0 configurations" in sections.repeats(_judged(np.zeros(COUNT)))


def test_plots_have_a_dot_for_every_run(tmp_path: Path) -> None:
    pytest.importorskip("vl_convert")
    written = write_plots(_judged(np.full(COUNT, 0.1)), tmp_path)
    assert [path.name for _, path in written] == ["tpot_vllm.svg", "ttft_vllm.svg"]
    assert written[0][1].read_text(encoding="utf-8").count('aria-roledescription="circle"') == COUNT


def test_pages_break_prose_and_keep_tables() -> None:
    row = table(("a", "b"), [("x" * 200, "1")])
    text = page(["word " * 60, "## Title\n\n" + row])
    assert max(len(line) for line in text.splitlines() if line.startswith("word")) <= 120
    assert row in text
    assert text.startswith("word")


@pytest.mark.parametrize(
    ("value", "text"), [(87072.4, "87,070"), (0.06317, "0.06317"), (226.75, "226.8"), (14.0, "14")]
)
def test_numbers_have_four_digits(value: float, text: str) -> None:
    assert number(value) == text
    assert percent(float("nan")) == "-"


def test_the_page_reports_the_data_of_the_set_that_ships() -> None:
    shipped = yaml.safe_load((REPOSITORY / "hardware_catalog" / "calibration" / "default.yaml").read_text())
    report = (REPOSITORY / "docs" / "accuracy.md").read_text(encoding="utf-8")
    assert f"`{shipped['data_digest']}`" in report


def test_the_page_shows_figures_that_exist() -> None:
    report = (REPOSITORY / "docs" / "accuracy.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^\]]*\]\((accuracy/[^)]+\.svg)\)", report)
    assert len(shown) == 6
    for path in shown:
        assert (REPOSITORY / "docs" / path).read_text(encoding="utf-8").startswith("<svg")
