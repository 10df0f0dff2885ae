"""Schemathesis over every operation, a few cases each; ``python -m tests.fuzz.run`` tries a hundred."""

import shutil
from pathlib import Path

import pytest

from service.catalog.database import migrate, open_engine
from service.catalog.seeding import seed
from service.resources import hardware_catalog_directory
from tests.builders.catalogs import seeded_database_url
from tests.fuzz.run import fuzz

__all__ = ["seeded_database_url"]


@pytest.fixture
def sqlite_seeded_url(seeded_database_url: str, tmp_path: Path) -> str:
    shutil.copy(seeded_database_url.removeprefix("sqlite:///"), tmp_path / "catalog.db")
    return f"sqlite:///{tmp_path / 'catalog.db'}"


@pytest.fixture
def postgresql_seeded_url(postgresql_url: str) -> str:
    engine = open_engine(postgresql_url)
    migrate(engine)
    seed(engine, hardware_catalog_directory())
    engine.dispose()
    return postgresql_url


@pytest.mark.parametrize(
    ("database", "with_key"),
    [
        pytest.param("sqlite", False, id="sqlite, without a key"),
        pytest.param("sqlite", True, id="sqlite, with a key"),
        pytest.param("postgresql", True, id="postgresql, with a key", marks=pytest.mark.postgresql),
    ],
)
def test_every_operation_answers_as_documented(
    request: pytest.FixtureRequest, database: str, with_key: bool
) -> None:
    url: str = request.getfixturevalue(f"{database}_seeded_url")
    told = fuzz(url, examples=3, with_key=with_key, phases="examples,fuzzing")
    assert told.returncode == 0, told.stdout[-10_000:] + told.stderr[-2_000:]
    # An operation that cannot be generated would be an error above; none may be left out either.
    selected, tested = (
        line.split(":")[1]
        for line in told.stdout.splitlines()
        if line.strip().startswith(("Selected", "Tested"))
    )
    assert selected.split("/")[0].strip() == selected.split("/")[1].strip() == tested.strip()
