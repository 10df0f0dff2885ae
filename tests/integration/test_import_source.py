"""A source from its file into the catalog, on both databases: preview, apply, again, disagree, refuse."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from service.catalog.content import load_content
from service.catalog.database import current_revision, open_engine, reading
from service.catalog.import_source import ImportReport, ImportRequest, import_source
from service.catalog.importers.reading import SourceError
from service.catalog.snapshot import Snapshot
from tests.builders.catalogs import seeded_database_url

__all__ = ["seeded_database_url"]

DATA = Path(__file__).parents[1] / "catalog" / "importers" / "data"


@pytest.fixture
def engine(seeded_database_url: str, tmp_path: Path) -> Iterator[Engine]:
    """A seeded catalog of this test's own."""
    shutil.copy(seeded_database_url.removeprefix("sqlite:///"), tmp_path / "catalog.db")
    engine = open_engine(f"sqlite:///{tmp_path / 'catalog.db'}")
    yield engine
    engine.dispose()


def take(engine: Engine, request: ImportRequest) -> ImportReport:
    return import_source(engine, request, actor="test", progress=lambda step: None)


def revision(engine: Engine) -> int:
    with reading(engine) as connection:
        return current_revision(connection)


OPENROUTER = ImportRequest("openrouter", str(DATA / "openrouter.json"))


def test_a_dry_run_says_what_would_change_and_changes_nothing(engine: Engine) -> None:
    before = revision(engine)
    report = take(engine, replace(OPENROUTER, dry_run=True))
    assert (report.state, report.revision, revision(engine)) == ("preview", None, before)
    assert report.plan is not None
    assert report.plan.counts()["added"] == 19


def test_an_import_is_applied_once(engine: Engine) -> None:
    first, again = take(engine, OPENROUTER), take(engine, OPENROUTER)
    assert (first.state, first.revision) == ("applied", revision(engine))
    assert (again.state, again.plan) == ("unchanged", None)


def test_disagreement_is_told_with_the_precedence_that_decides(engine: Engine) -> None:
    report = take(engine, OPENROUTER)
    glm = next(item for item in report.disagreements if "z-ai/glm-5 / input" in item.what)
    assert (glm.source, glm.other_source, glm.decides) == (
        "openrouter-models",
        "genai-prices",
        "openrouter-models",
    )
    assert "precedence 60 of openrouter-models over 50 of genai-prices" in glm.because


def test_changes_are_told_in_percent_and_leaps_are_held(engine: Engine, tmp_path: Path) -> None:
    take(engine, OPENROUTER)
    text = (DATA / "openrouter.json").read_text(encoding="utf-8")
    (tmp_path / "dearer.json").write_text(text.replace('"0.0000008"', '"0.000001"'), encoding="utf-8")
    dearer = take(engine, ImportRequest("openrouter", str(tmp_path / "dearer.json"), dry_run=True))
    assert dearer.plan is not None
    assert [change.percent for change in dearer.plan.changed] == ["+25.0 %"]
    (tmp_path / "leap.json").write_text(text.replace('"0.0000008"', '"0.000008"'), encoding="utf-8")
    leap = take(engine, ImportRequest("openrouter", str(tmp_path / "leap.json")))
    assert (leap.state, leap.revision) == ("held", None)


def test_a_source_that_lost_most_of_its_rows_is_held(engine: Engine, tmp_path: Path) -> None:
    take(engine, OPENROUTER)
    one = '{"data": [{"id": "z-ai/glm-5", "pricing": {"prompt": "0.0000008"}}]}'
    (tmp_path / "one.json").write_text(one, encoding="utf-8")
    report = take(engine, ImportRequest("openrouter", str(tmp_path / "one.json")))
    assert report.state == "held"
    assert report.plan is not None
    assert "would be withdrawn" in report.plan.held[0]


def test_gpu_prices_of_one_provider_leave_those_of_another(engine: Engine) -> None:
    file = str(DATA / "skypilot_nebius.csv")
    take(engine, ImportRequest("skypilot", file, provider="nebius"))
    report = take(engine, ImportRequest("skypilot", file, provider="acme"))
    assert report.plan is not None
    assert report.plan.counts() == {
        "added": 6,
        "changed": 0,
        "withdrawn": 0,
        "unchanged": 0,
        "rejected": 0,
        "held": 0,
    }


def test_own_rows_of_another_currency_stand_beside_and_rows_of_no_meter_are_rejected(
    engine: Engine, tmp_path: Path
) -> None:
    row = (
        "  - {provider: openai, provider_model_id: gpt-4o, meter: %s, amount: '2', currency: EUR, "
        "per: %s, valid_from: '2026-11-01', valid_from_basis: stated}\n"
    )
    rows = row % ("input", "million_tokens") + row % ("dreams", "million_tokens") + row % ("output", "hour")
    (tmp_path / "own.yaml").write_text(f"prices:\n{rows}", encoding="utf-8")
    report = take(engine, ImportRequest(str(tmp_path / "own.yaml")))
    assert report.plan is not None
    assert (report.state, report.plan.counts()["added"], len(report.plan.rejected)) == ("applied", 1, 2)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("page.yaml", "<html>login</html>", "web page"),
        ("alias.yaml", "prices: [&a {x: 1}, *a]", "aliases"),
        ("cut.csv", "provider,amount\nacme", "lacks the column"),
    ],
)
def test_a_hostile_file_leaves_the_catalog_as_it_was(
    engine: Engine, tmp_path: Path, name: str, content: str, reason: str
) -> None:
    with reading(engine) as connection:
        before = Snapshot.of(load_content(connection)).info
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(SourceError, match=reason):
        take(engine, ImportRequest(str(tmp_path / name)))
    with reading(engine) as connection:
        after = Snapshot.of(load_content(connection)).info
    assert (after.revision, after.digest) == (before.revision, before.digest)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (ImportRequest("nonesuch"), "is no source"),
        (ImportRequest("gpuhunt", "x.csv"), "tell it"),
        (ImportRequest("skypilot", provider="aws"), "name a file"),
        (ImportRequest("litellm", "missing.json"), "cannot be read"),
        (ImportRequest("litellm", "https://evil.example/x.json"), "none of the hosts"),
    ],
)
def test_a_request_that_names_no_source_is_refused(
    engine: Engine, request_: ImportRequest, reason: str
) -> None:
    with pytest.raises(SourceError, match=reason):
        take(engine, request_)
