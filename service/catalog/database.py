"""Opens and migrates the database; allots revisions. SQLite and PostgreSQL, synchronous."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, func, insert, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from service import resources
from service.catalog import tables

WRITER_WAIT_MILLISECONDS: Final = 30_000
POSTGRESQL_CONNECT_TIMEOUT_SECONDS: Final = 5
MIGRATION_LOCK: Final = 0x7065_7274_6F6B
"""Number of the advisory lock: ``pertok`` in ASCII."""
_WRITE: Final = "pertoken_write"


class DatabaseUrlError(ValueError):
    """The database URL names nothing that pertoken can use."""


def open_engine(url: str) -> Engine:
    """Return an engine for a SQLite file or a PostgreSQL database; connects to nothing yet.

    Raises
    ------
    DatabaseUrlError
        For an unreadable URL, another database or an in-memory SQLite, which threads cannot share.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise DatabaseUrlError(
            "The database URL is not readable; write sqlite:///FILE or "
            "postgresql+psycopg://USER:PASSWORD@HOST:5432/NAME."
        ) from error
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": POSTGRESQL_CONNECT_TIMEOUT_SECONDS,
                # A server that vanished without a word is noticed by the poll, not after minutes.
                "tcp_user_timeout": POSTGRESQL_CONNECT_TIMEOUT_SECONDS * 1000,
            },
        )
    if backend != "sqlite":
        raise DatabaseUrlError(f"The catalog lives in SQLite or PostgreSQL, not in {backend}.")
    if parsed.database in {None, "", ":memory:"}:
        raise DatabaseUrlError("An in-memory SQLite is lost between threads; name a file: sqlite:///FILE.")
    engine = create_engine(parsed)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """Set what every connection needs; transactions are begun by ``_begin_sqlite`` alone."""
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {WRITER_WAIT_MILLISECONDS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """Begin; a writer takes its lock first, because an upgraded reader cannot wait for another writer."""
    immediate = connection.get_execution_options().get(_WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


@contextmanager
def writing(engine: Engine, before: Callable[[Connection], None] | None = None) -> Iterator[Connection]:
    """Open a transaction that excludes all other writers of the catalog; commit at the end.

    ``before`` runs in PostgreSQL, in the transaction, before it waits for other writers.

    In PostgreSQL the lock on table ``revision`` lets readers pass and is held to the commit, so the
    order of commits is the order of revisions; in SQLite ``BEGIN IMMEDIATE`` does the same.
    """
    with engine.connect().execution_options(**{_WRITE: True}) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            # As long as SQLite waits: a writer that hangs must not queue all others for ever.
            connection.execute(text(f"SET LOCAL lock_timeout = {WRITER_WAIT_MILLISECONDS}"))
            if before is not None:
                before(connection)
            connection.execute(text("LOCK TABLE revision IN EXCLUSIVE MODE"))
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that sees one state of the database from its first query to its end."""
    level = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
    with engine.connect().execution_options(**level) as connection, connection.begin():
        yield connection


@dataclass(frozen=True, slots=True)
class RevisionStamp:
    """A revision just allotted, and its label in time."""

    revision: int
    recorded_at: datetime


def current_revision(connection: Connection) -> int:
    """Return the last revision; 0 in an empty catalog."""
    last: int = connection.execute(
        select(func.coalesce(func.max(tables.revision.c.revision), 0))
    ).scalar_one()
    return last


def allot_revision(
    connection: Connection, *, reason: str, actor: str, import_id: int | None = None
) -> RevisionStamp:
    """Write the next revision; only inside ``writing``.

    ``recorded_at`` never goes back, even where the clock does, so a time names one revision.
    """
    last = connection.execute(
        select(tables.revision.c.revision, tables.revision.c.recorded_at)
        .order_by(tables.revision.c.revision.desc())
        .limit(1)
    ).one_or_none()
    now = datetime.now(UTC)
    stamp = RevisionStamp(
        revision=1 if last is None else last.revision + 1,
        recorded_at=now if last is None else max(now, last.recorded_at),
    )
    connection.execute(
        insert(tables.revision).values(
            revision=stamp.revision,
            recorded_at=stamp.recorded_at,
            reason=reason,
            actor=actor,
            import_id=import_id,
        )
    )
    return stamp


def alembic_config(connection: Connection) -> Config:
    """Return Alembic's configuration for one connection; there is no ``alembic.ini``."""
    config = Config()
    config.set_main_option("script_location", str(resources.migrations_directory()).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    return config


def migrate(engine: Engine) -> str:
    """Bring the schema up to date, once, whoever else tries; return the schema's version.

    Both databases take the whole way in one transaction, so a killed migration leaves nothing behind.
    """
    with engine.connect().execution_options(**{_WRITE: True}) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
        config = alembic_config(connection)
        command.upgrade(config, "head")
        return _version(connection)


def _version(connection: Connection) -> str:
    return MigrationContext.configure(connection).get_current_revision() or ""


def is_migrated(engine: Engine) -> bool:
    """Return whether the schema is the one this build expects."""
    with engine.connect() as connection:
        head = ScriptDirectory.from_config(alembic_config(connection)).get_current_head()
        return _version(connection) == head
