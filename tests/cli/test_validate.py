"""``pertoken validate`` and ``pertoken calibrate`` on files, with the shipped catalog."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
import yaml

from service.application.validate import PREDICTED_COLUMNS
from service.catalog.calibration_seed import CalibrationSeed
from service.cli.measured_files import config_reader, read_csv, write_csv
from tests.builders.measured_rows import CONFIG, make_pools_row, make_row
from tests.cli.conftest import RunCommand


@pytest.fixture(autouse=True)
def on_seeded_catalog(seeded_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERTOKEN_DATABASE_URL", seeded_database_url)


def _write(path: Path, *rows: dict[str, str], columns: Sequence[str] = ()) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns or list(rows[0]), restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_rows_are_written_with_their_predictions_and_statistics_printed(
    run: RunCommand, tmp_path: Path
) -> None:
    rows = [make_row(tpot_ms="9", ttft_ms="100", note=f"n{n}", concurrency=str(n)) for n in (1, 8)]
    data, out = _write(tmp_path / "data.csv", *rows), tmp_path / "out.csv"
    outcome = run("validate", data, "--predictions", out)
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("2 rows, 0 without a prediction")
    for group in ("architecture llama-3.1-8b", "accelerator h100-sxm", "engine vllm", "pooled", "macro"):
        assert outcome.out.count(group) == 2
    written = _read(out)
    assert list(written[0]) == [*rows[0], *PREDICTED_COLUMNS]
    assert [row["note"] for row in written] == ["n1", "n8"]
    assert all(float(row["predicted_tpot_ms"]) > 0 for row in written)


def test_pools_are_read_from_a_file_of_their_own(run: RunCommand, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    data = _write(tmp_path / "data.csv", make_pools_row(ttft_ms="700", tpot_ms="9"))
    assert run("validate", data, "--predictions", out).code == 0
    assert float(_read(out)[0]["predicted_ttft_ms"]) > 0


def test_a_bad_row_is_told_by_its_number_and_makes_the_status_one(run: RunCommand, tmp_path: Path) -> None:
    data = _write(tmp_path / "data.csv", make_row(), make_row(concurrency="many"), make_row(tpot_ms="8"),
                  columns=[*make_row(), "tpot_ms"])  # fmt: skip
    out = tmp_path / "out.csv"
    outcome = run("validate", data, "--predictions", out)
    assert outcome.code == 1
    assert "  row 2: concurrency is 'many', which is no number." in outcome.out
    assert [bool(row["error"]) for row in _read(out)] == [False, True, False]
    assert [bool(row["predicted_tpot_ms"]) for row in _read(out)] == [True, False, True]


def test_a_missing_column_fails_every_row_by_name(run: RunCommand, tmp_path: Path) -> None:
    rows = [{name: cell for name, cell in make_row().items() if name != "engine"}] * 2
    outcome = run("validate", _write(tmp_path / "data.csv", *rows), "--json")
    assert outcome.code == 1
    answer = json.loads(outcome.out)
    assert (answer["rows"], answer["failed"], answer["statistics"]) == (2, 2, {})
    assert answer["errors"] == [{"row": row, "error": "engine is missing."} for row in (1, 2)]


def test_many_bad_rows_are_counted_and_some_are_shown(run: RunCommand, tmp_path: Path) -> None:
    rows = [make_row(gpus=f"x{n}") for n in range(8)]
    outcome = run("validate", _write(tmp_path / "data.csv", *rows))
    assert outcome.out.count("  row ") == 5
    assert "... and 3 more; --predictions writes them all" in outcome.out


def test_statistics_are_printed_as_json(run: RunCommand, tmp_path: Path) -> None:
    data = _write(tmp_path / "data.csv", make_row(tpot_ms="9", measured_power_w="500"))
    answer = json.loads(run("validate", data, "--json").out)
    assert sorted(answer["statistics"]) == ["power", "tpot"]
    pooled = next(item for item in answer["statistics"]["tpot"] if item["group"] == "pooled")
    assert set(pooled) == {"group", "rows", "median", "p90", "bias"}
    assert abs(pooled["bias"]) == pytest.approx(pooled["median"])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "it is empty"),
        (b"\n\n", "it is empty"),
        (b"model,engine\n", "it has a header but no row"),
        (b"model\n\xff\xfe\n", "it is not UTF-8 text"),
    ],
)
def test_a_file_without_rows_is_an_error(
    run: RunCommand, tmp_path: Path, content: bytes, problem: str
) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    for command in (("validate", path), ("calibrate", path, "--out", tmp_path / "set.yaml")):
        outcome = run(*command)
        assert outcome.code == 2
        assert problem in outcome.err


def test_files_that_cannot_be_read_or_written_are_errors(run: RunCommand, tmp_path: Path) -> None:
    assert run("validate", tmp_path / "absent.csv").code == 2
    assert run("validate", tmp_path).code == 2
    data = _write(tmp_path / "data.csv", make_row())
    assert run("validate", data, "--models", data).code == 2
    unwritable = run("validate", data, "--predictions", tmp_path / "no" / "out.csv")
    assert unwritable.code == 2
    assert "out.csv cannot be used" in unwritable.err


def test_a_models_folder_is_read_and_a_broken_file_in_it_fails_its_rows_alone(
    run: RunCommand, tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "acme--Tiny-1B.json").write_bytes(orjson.dumps(CONFIG))
    (folder / "acme--Broken.json").write_text("{")
    (folder / "acme--Odd.json").write_bytes(orjson.dumps({"model_type": "unheard"}))
    rows = [make_row(model=name) for name in ("acme/Tiny-1B", "acme/Broken", "acme/Odd", "llama-3.1-8b")]
    out = tmp_path / "out.csv"
    outcome = run("validate", _write(tmp_path / "data.csv", *rows), "--models", folder, "--predictions", out)
    assert outcome.code == 1
    assert [bool(row["error"]) for row in _read(out)] == [False, True, True, False]


def test_cells_and_columns_that_a_spreadsheet_would_run_are_written_as_text(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    cells = {"a": "=1+1", "b": "-2.5", "c": "+SUM(A1)", "d": "@x", "e": "-", "f": "plain", "g": "\t=1",
             "h": "1e5", "=k": "v"}  # fmt: skip
    write_csv(out, list(cells), [cells])
    (row,) = _read(out)
    assert row == {
        "a": "'=1+1", "b": "-2.5", "c": "'+SUM(A1)", "d": "'@x", "e": "'-", "f": "plain", "g": "'\t=1",
        "h": "1e5", "'=k": "v",
    }  # fmt: skip


def test_a_formula_in_the_data_reaches_no_spreadsheet(run: RunCommand, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    data = _write(tmp_path / "data.csv", make_row(note='=HYPERLINK("x")'), make_row(note="", model="=cmd"))
    run("validate", data, "--predictions", out)
    assert [row["note"] for row in _read(out)] == ['\'=HYPERLINK("x")', ""]
    assert not any(cell.startswith("=") for row in _read(out) for cell in row.values())


def test_ragged_lines_keep_the_columns_of_the_header(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("\ufeffmodel,engine\na,b,c,d\nlone\n\n", encoding="utf-8")
    assert read_csv(path) == (
        ["model", "engine"],
        [{"model": "a", "engine": "b"}, {"model": "lone", "engine": ""}],
    )


def test_no_folder_has_no_configuration() -> None:
    assert config_reader(None)("acme/Tiny-1B") is None


def _runs() -> list[dict[str, str]]:
    rows = []
    for model in ("meta-llama/Llama-3.1-8B-Instruct", "Qwen/Qwen3-0.6B"):
        for accelerator in ("h100_sxm", "b200_sxm"):
            for concurrency in (1, 2, 4, 8, 16):
                cells = {"model": model, "accelerator": accelerator, "concurrency": str(concurrency)}
                rows.append(make_row(**cells, tpot_ms="8", ttft_ms="80"))
    return rows


def test_a_set_is_fitted_written_and_readable_by_the_catalog(run: RunCommand, tmp_path: Path) -> None:
    rows = _runs()
    files = [_write(tmp_path / f"{n}.csv", *part) for n, part in enumerate((rows[:9], rows[9:]))]
    out = tmp_path / "set.yaml"
    outcome = run("calibrate", *files, "--out", out, "--name", "mine")
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("20 runs fitted, 0 not used.")
    read = CalibrationSeed.model_validate(yaml.safe_load(out.read_text(encoding="utf-8")))
    assert (read.name, read.default) == ("mine", False)
    assert read.calibration("hopper", "nvidia", "vllm").level == "fitted"
    assert read.calibration("blackwell", "nvidia", "sglang").level == "family"
    assert len(read.points) == 12


def test_too_few_rows_and_a_bad_name_are_refused_and_nothing_is_written(
    run: RunCommand, tmp_path: Path
) -> None:
    out, data = tmp_path / "set.yaml", _write(tmp_path / "data.csv", *_runs()[:5])
    few = run("calibrate", data, "--out", out)
    assert (few.code, "5 of 5 rows can be used" in few.err) == (2, True)
    named = run("calibrate", data, "--out", out, "--name", "My Set")
    assert (named.code, "My Set" in named.err) == (2, True)
    assert not out.exists()


def test_a_set_that_could_not_be_written_is_refused_before_the_fit(run: RunCommand, tmp_path: Path) -> None:
    data = _write(tmp_path / "data.csv", *_runs()[:5])
    # Five rows are too few for a fit, so the message shows what was looked at first.
    outcome = run("calibrate", data, "--out", tmp_path / "no" / "set.yaml")
    assert outcome.code == 2
    assert "set.yaml cannot be written" in outcome.err
