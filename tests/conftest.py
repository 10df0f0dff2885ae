"""Databases for tests: a SQLite file, and a PostgreSQL database made and dropped by each test that asks.

PostgreSQL is looked for at ``PERTOKEN_TEST_POSTGRESQL_URL``. Where no server answers its tests are
skipped, or fail if ``PERTOKEN_REQUIRE_POSTGRESQL=1``.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import OperationalError

from service.catalog.database import migrate, open_engine

DEFAULT_POSTGRESQL_URL = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"


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
def _fresh_postgresql(server: URL) -> Iterator[str]:
    """Create a database of a name nobody else has (also under pytest-xdist) and drop it."""
    name = f"pertoken_test_{uuid.uuid4().hex}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    try:
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        admin.dispose()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """URL of an empty SQLite catalog."""
    return f"sqlite:///{tmp_path / 'catalog.db'}"


@pytest.fixture
def postgresql_url(postgresql_server: URL) -> Iterator[str]:
    """URL of an empty PostgreSQL database."""
    with _fresh_postgresql(postgresql_server) as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest) -> str:
    """URL of an empty database, once of each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def empty_engine(database_url: str) -> Iterator[Engine]:
    """Engine of a database without tables, once of each kind."""
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def catalog_engine(empty_engine: Engine) -> Engine:
    """Engine of a migrated, empty catalog, once of each kind."""
    migrate(empty_engine)
    return empty_engine
