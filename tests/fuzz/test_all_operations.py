"""Schemathesis over every operation, a few cases each; ``python -m tests.fuzz.run`` tries a hundred."""

import shutil
from pathlib import Path

import pytest

from tests.builders.catalogs import seeded_database_url
from tests.fuzz.run import fuzz

__all__ = ["seeded_database_url"]


@pytest.mark.parametrize("with_key", [True, False], ids=["with a key", "without a key"])
def test_every_operation_answers_as_documented(
    seeded_database_url: str, tmp_path: Path, with_key: bool
) -> None:
    shutil.copy(seeded_database_url.removeprefix("sqlite:///"), tmp_path / "catalog.db")
    url = f"sqlite:///{tmp_path / 'catalog.db'}"
    told = fuzz(url, examples=3, with_key=with_key, phases="examples,fuzzing")
    assert told.returncode == 0, told.stdout[-10_000:] + told.stderr[-2_000:]
    # An operation that cannot be generated would be an error above; none may be left out either.
    selected, tested = (
        line.split(":")[1]
        for line in told.stdout.splitlines()
        if line.strip().startswith(("Selected", "Tested"))
    )
    assert selected.split("/")[0].strip() == selected.split("/")[1].strip() == tested.strip()
