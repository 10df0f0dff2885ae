"""Documents are tested against the seeded catalog."""

from tests.builders.catalogs import seeded_database_url

__all__ = ["seeded_database_url"]
