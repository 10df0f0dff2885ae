"""Databases for tests: a SQLite file for each, and PostgreSQL databases that the tests make and drop.

PostgreSQL is looked for at ``PERTOKEN_TEST_POSTGRESQL_URL``. Where no server answers its tests are
skipped, or fail if ``PERTOKEN_REQUIRE_POSTGRESQL=1``.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import OperationalError

from service.catalog.database import migrate, open_engine
from service.catalog.tables import metadata

DEFAULT_POSTGRESQL_URL = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"

# A busy machine is slow and not wrong.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def postgresql_server() -> URL:
    """URL of a server on which tests may create databases."""
    url = make_url(os.environ.get("PERTOKEN_TEST_POSTGRESQL_URL", DEFAULT_POSTGRESQL_URL))
    engine = create_engine(url, connect_args={"connect_timeout": 3})
    try:
        with engine.connect():
            return url
    except OperationalError as error:
        if os.environ.get("PERTOKEN_REQUIRE_POSTGRESQL") == "1":
            pytest.fail(f"PERTOKEN_REQUIRE_POSTGRESQL=1 and no PostgreSQL answers: {error}")
        pytest.skip("no PostgreSQL answers at PERTOKEN_TEST_POSTGRESQL_URL")
    finally:
        engine.dispose()


@contextmanager
def _fresh_postgresql(server: URL) -> Iterator[URL]:
    """Create a database of a name nobody else has (also under pytest-xdist) and drop it."""
    name = f"pertoken_test_{uuid.uuid4().hex}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    try:
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        yield server.set(database=name)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        admin.dispose()


def _migrate(url: str) -> None:
    engine = open_engine(url)
    migrate(engine)
    engine.dispose()


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def postgresql_catalog(postgresql_server: URL) -> Iterator[URL]:
    """One migrated database for all tests of this process that start from an empty catalog."""
    with _fresh_postgresql(postgresql_server) as url:
        _migrate(_text(url))
        yield url


def _empty(url: URL) -> None:
    """Cut what a test left open and empty all tables; dropping a database takes ten times as long."""
    engine = create_engine(url)
    names = [table.name for table in metadata.sorted_tables]
    with engine.begin() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
        for name in names:
            connection.execute(text(f"ALTER TABLE {name} DISABLE TRIGGER USER"))
        connection.execute(text(f"TRUNCATE {', '.join(names)} RESTART IDENTITY"))
        for name in names:
            connection.execute(text(f"ALTER TABLE {name} ENABLE TRIGGER USER"))
    engine.dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file to copy."""
    path = tmp_path_factory.mktemp("template") / "catalog.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'catalog.db'}"


@pytest.fixture
def postgresql_url(postgresql_server: URL) -> Iterator[str]:
    """URL of an empty PostgreSQL database."""
    with _fresh_postgresql(postgresql_server) as url:
        yield _text(url)


@pytest.fixture
def sqlite_catalog_url(sqlite_url: str, sqlite_template: Path, tmp_path: Path) -> str:
    """URL of a migrated, empty SQLite catalog."""
    shutil.copy(sqlite_template, tmp_path / "catalog.db")
    return sqlite_url


@pytest.fixture
def postgresql_catalog_url(postgresql_catalog: URL) -> Iterator[str]:
    """URL of a migrated, empty PostgreSQL catalog."""
    yield _text(postgresql_catalog)
    _empty(postgresql_catalog)


BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]


@pytest.fixture(params=BOTH)
def empty_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Engine of a database without tables, once of each kind."""
    engine = open_engine(request.getfixturevalue(f"{request.param}_url"))
    yield engine
    engine.dispose()


@pytest.fixture(params=BOTH)
def catalog_url(request: pytest.FixtureRequest) -> str:
    """URL of a migrated, empty catalog, once of each kind."""
    url: str = request.getfixturevalue(f"{request.param}_catalog_url")
    return url


@pytest.fixture
def catalog_engine(catalog_url: str) -> Iterator[Engine]:
    """Engine of a migrated, empty catalog, once of each kind."""
    engine = open_engine(catalog_url)
    yield engine
    engine.dispose()
