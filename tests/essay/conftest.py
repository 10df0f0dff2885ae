"""Today's figures over this release's catalog, computed once."""

import pytest

from essay.figures import Figures, all_figures
from essay.workshop import open_workshop
from tests.builders.catalogs import seeded_database_url

__all__ = ["seeded_database_url"]


@pytest.fixture(scope="session")
def figures(seeded_database_url: str) -> Figures:
    return all_figures(open_workshop(seeded_database_url))
