"""``pertoken usage`` and ``pertoken import`` on a seeded catalog of the test's own."""

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import RunCommand

DATA = Path(__file__).parents[1] / "catalog" / "importers" / "data"
RECORD = {
    "provider": "deepseek",
    "model": "deepseek-v4-pro",
    "at": "2026-11-20T12:00:00Z",
    "usage": {"input": 3_000_000, "cache_read": 1_000_000, "output": 1_000_000},
}


@pytest.fixture(autouse=True)
def own_catalog(seeded_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(seeded_database_url.removeprefix("sqlite:///"), tmp_path / "catalog.db")
    monkeypatch.setenv("PERTOKEN_DATABASE_URL", f"sqlite:///{tmp_path / 'catalog.db'}")


@pytest.fixture
def records(tmp_path: Path) -> Path:
    path = tmp_path / "records.ndjson"
    path.write_text(f"{json.dumps(RECORD)}\n\n{json.dumps(RECORD)}\n", encoding="utf-8")
    return path


def test_records_are_charged_line_by_line_with_a_total(run: RunCommand, records: Path) -> None:
    # Off-peak, Portkey-AI/models issue 900: 1.32 + 0.022 + 1.98, twice.
    assert run("usage", "price", records).out.splitlines()[-1] == "total 6.644 USD"
    first, _ = run("usage", "price", records, "--format", "json").out.splitlines()
    assert json.loads(first)["total"] == "3.322"


@pytest.mark.parametrize(("form", "column"), [("csv", "charge"), ("focus", "BilledCost")])
def test_charges_come_as_tables_too(run: RunCommand, records: Path, form: str, column: str) -> None:
    header, *rows = run("usage", "price", records, "--format", form).out.splitlines()
    assert column in header.split(",")
    assert len(rows) == 6


def test_one_record_may_span_lines(run: RunCommand, tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps(RECORD, indent=2), encoding="utf-8")
    assert "total 3.322 USD" in run("usage", "price", tmp_path / "one.json").out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense", "not JSON"),
        ("[]", "no object"),
        ('{"provider": "x"}', "at is required"),
        ('{"provider": "x", "at": "2026-01-01"}', "exactly one of usage and response"),
        ('{"provider": "x", "at": "2026-01-01", "usage": 5}', "quantities by meter"),
        ('{"provider": 1, "at": "2026-01-01", "usage": {}}', "text is wanted"),
        ('{"provider": "x", "at": "2026-01-01", "usage": {"input": -1}}', "negative"),
        ('{"provider": "x", "at": "2026-01-01", "usage": {}, "adjustments": [1]}', "adjustment"),
        ('{"colour": 1}', "not a known field"),
    ],
)
def test_a_wrong_record_is_refused_with_its_line(
    run: RunCommand, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "bad.ndjson").write_text(text, encoding="utf-8")
    outcome = run("usage", "price", tmp_path / "bad.ndjson")
    assert outcome.code == 2
    assert said in outcome.err


def test_a_dry_run_previews_and_an_import_applies_once(run: RunCommand) -> None:
    source = ("import", "openrouter", "--from", DATA / "openrouter.json")
    preview = run(*source, "--dry-run")
    assert preview.out.startswith("preview")
    assert "sources disagree:" in preview.out
    assert "the price is decided for each request" in preview.out
    assert run(*source).out.startswith("applied as revision r3")
    assert run(*source).out.startswith("unchanged")


def test_a_held_import_has_its_own_exit_code(run: RunCommand, tmp_path: Path) -> None:
    run("import", "openrouter", "--from", DATA / "openrouter.json")
    leap = (DATA / "openrouter.json").read_text(encoding="utf-8").replace('"0.0000008"', '"0.000008"')
    (tmp_path / "leap.json").write_text(leap, encoding="utf-8")
    outcome = run("import", "openrouter", "--from", tmp_path / "leap.json", "--json")
    report = json.loads(outcome.out)
    assert (outcome.code, report["state"], report["changed"][0]["percent"]) == (3, "held", "+900.0 %")
    looked_at = run("import", "openrouter", "--from", tmp_path / "leap.json", "--despite-hold", "--json")
    assert (looked_at.code, json.loads(looked_at.out)["state"]) == (0, "applied")


def test_a_source_that_cannot_be_read_is_refused(run: RunCommand, tmp_path: Path) -> None:
    (tmp_path / "page.csv").write_text("<html>", encoding="utf-8")
    outcome = run("import", tmp_path / "page.csv")
    assert (outcome.code, "web page" in outcome.err) == (2, True)


def test_unmatched_ids_are_listed_with_what_they_resemble(run: RunCommand) -> None:
    some = json.loads(run("models", "unmatched", "--json").out)
    every = json.loads(run("models", "unmatched", "--all", "--json").out)
    assert all(row["resembles"] for row in some)
    assert len(every) > len(some)
