"""The catalog that measurements run on: the seeded one, in a folder of its own."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.bootstrap import migrate, seed
from service.settings import Settings


@contextmanager
def seeded_catalog() -> Iterator[Settings]:
    """Make a migrated and seeded SQLite catalog for as long as the block runs."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(database_url=f"sqlite:///{Path(folder) / 'catalog.db'}")
        migrate(settings)
        seed(settings)
        yield settings
