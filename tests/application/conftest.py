"""The seeded catalog, shared by the tests of this folder."""

from tests.builders.catalogs import seeded_database_url

__all__ = ["seeded_database_url"]
