"""A catalog as a user has it: tables made and this release's seeds loaded."""

import pytest

from service.catalog.database import migrate, open_engine
from service.catalog.seeding import seed
from service.resources import hardware_catalog_directory


@pytest.fixture(scope="session")
def seeded_database_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Seed an SQLite file once; tests only read it."""
    url = f"sqlite:///{tmp_path_factory.mktemp('seeded') / 'pertoken.db'}"
    engine = open_engine(url)
    migrate(engine)
    seed(engine, hardware_catalog_directory())
    engine.dispose()
    return url
