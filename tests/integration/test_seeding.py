"""The real seeds go into both databases; a second time changes nothing; what is deleted is withdrawn."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import Engine

from service import resources
from service.catalog import tables
from service.catalog.content import load_content
from service.catalog.database import reading
from service.catalog.seed_loader import SeedError
from service.catalog.seeding import seed, seed_files
from service.catalog.snapshot import Snapshot

REAL = resources.hardware_catalog_directory()


def load(engine: Engine) -> Snapshot:
    with reading(engine) as connection:
        return Snapshot.of(load_content(connection))


def rows(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {
            table.name: len(connection.execute(table.select()).all())
            for table in tables.metadata.sorted_tables
        }


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    """A copy of the real seeds that a test may change."""
    return Path(shutil.copytree(REAL, tmp_path / "seeds"))


def test_seeding_twice_changes_nothing(catalog_engine: Engine) -> None:
    first = seed(catalog_engine, REAL)
    assert first.changed
    assert first.held == ()
    before, filled = load(catalog_engine), rows(catalog_engine)
    second = seed(catalog_engine, REAL)
    assert not second.changed
    assert {outcome.state for outcome in second.outcomes.values()} == {"unchanged"}
    assert rows(catalog_engine) == filled
    assert load(catalog_engine).content == before.content


def test_the_same_seeds_from_another_file_write_no_revision(catalog_engine: Engine, seeds: Path) -> None:
    seed_files(catalog_engine, REAL)
    with (seeds / "sources.yaml").open("a") as file:
        file.write("# a comment\n")
    outcome = seed_files(catalog_engine, seeds)
    assert (outcome.state, outcome.revision) == ("applied", None)


def test_the_seeded_catalog_answers(catalog_engine: Engine) -> None:
    seed(catalog_engine, REAL)
    snapshot = load(catalog_engine)
    assert len(snapshot.accelerators()) >= 30
    assert snapshot.model("meta-llama/Llama-3.1-70B").id == "llama-3.1-70b"
    assert snapshot.gpu_prices("h100_sxm", None, None)
    assert len(snapshot.list_prices(None, None, None, None)) > 5000
    sources = snapshot.sources()
    assert {row.source for row in snapshot.list_prices(None, None, None, None)} <= sources.keys()
    assert {row.source for row in snapshot.gpu_prices(None, None, None)} <= sources.keys()
    known = {model.id for model in snapshot.models()}
    assert {row.model for row in snapshot.listings()} <= known
    for record in snapshot.accelerators():
        calibration = snapshot.calibration(None, record.spec.family, record.spec.vendor, "vllm")
        assert calibration.operators.keys() >= {"gemm", "attention_decode"}


def test_a_deleted_file_is_withdrawn_and_its_past_stays(catalog_engine: Engine, seeds: Path) -> None:
    seed(catalog_engine, seeds)
    revision = load(catalog_engine).info.revision
    (seeds / "accelerators" / "gaudi3.yaml").unlink()
    outcome = seed_files(catalog_engine, seeds)
    assert outcome.revision == revision + 1
    after = load(catalog_engine)
    assert "gaudi3" not in [record.id for record in after.accelerators()]
    assert "gaudi3" in after.documents("accelerator", revision)
    assert len(after.list_prices("openai", None, None, None)) > 0


def test_an_unusable_seed_leaves_the_catalog_as_it_was(catalog_engine: Engine, seeds: Path) -> None:
    listing = next((seeds / "listings").glob("*.yaml"))
    model = seeds / "models" / listing.name
    if model.exists():
        model.unlink()
    with pytest.raises(SeedError, match=r"model .* is not in the catalog"):
        seed_files(catalog_engine, seeds)
    assert load(catalog_engine).info.revision == 0
