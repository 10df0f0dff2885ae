"""Keys and the audit log in the database; implements ``application.write_ports``."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, cast

from sqlalchemy import Connection, Engine, Row, insert, select, update
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from service.application.errors import UnavailableError
from service.application.write_ports.keys import ApiKeyRecord, AuditEntry, AuditEvent, Scope
from service.catalog import tables
from service.catalog.database import reading, writing

_LARGEST_NUMBER: Final = 2**31 - 1
"""Of a row; PostgreSQL refuses to compare with a larger one."""


@contextmanager
def answering() -> Iterator[None]:
    """Tell a database that does not answer from a mistake of ours.

    Raises
    ------
    UnavailableError
        Where the connection failed, broke, or a lock was not had in time.
    """
    try:
        yield
    except DBAPIError as error:
        if not is_outage(error):
            raise
        raise UnavailableError(
            "The database does not answer; nothing was written.",
            code="database-unavailable",
            accepted={"retry_after_seconds": 2},
        ) from error


def is_outage(error: SQLAlchemyError) -> bool:
    """Whether a database error is the server's state and not the statement's fault.

    Drivers raise ``OperationalError`` for lost connections, refused ones, lock timeouts, full disks and
    a server that is starting or stopping; ``InterfaceError`` for a connection that is closed already.
    """
    if not isinstance(error, DBAPIError):
        return False
    return error.connection_invalidated or type(error).__name__ in ("OperationalError", "InterfaceError")


def write_audit(connection: Connection, entry: AuditEntry) -> None:
    """Add a line to the audit log, in the transaction of what it tells of."""
    connection.execute(
        insert(tables.audit_event).values(
            recorded_at=datetime.now(UTC),
            actor=entry.actor,
            action=entry.action,
            target=entry.target,
            revision=entry.revision,
            detail=dict(entry.detail),
        )
    )


def live_keys(connection: Connection) -> dict[str, ApiKeyRecord]:
    """Return the keys that were not revoked, by id."""
    query = select(tables.api_key).where(tables.api_key.c.revoked_at.is_(None))
    return {row.id: _record(row) for row in connection.execute(query)}


class DatabaseKeyStore:
    """The keys of one database.

    Parameters
    ----------
    engine
        The catalog's database, migrated.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, key_id: str) -> ApiKeyRecord | None:
        """Return a key, revoked and expired ones too."""
        with answering(), reading(self._engine) as connection:
            return _find(connection, key_id)

    def all(self) -> Sequence[ApiKeyRecord]:
        """Return all keys, oldest first."""
        query = select(tables.api_key).order_by(tables.api_key.c.created_at, tables.api_key.c.id)
        with answering(), reading(self._engine) as connection:
            return [_record(row) for row in connection.execute(query)]

    def add(self, record: ApiKeyRecord, audit: AuditEntry) -> None:
        """Keep a new key and who made it."""
        values = {
            "id": record.id,
            "secret_sha256": record.secret_sha256,
            "label": record.label,
            "scopes": " ".join(record.scopes),
            "created_at": record.created_at,
            "expires_at": record.expires_at,
            "revoked_at": record.revoked_at,
        }
        with answering(), writing(self._engine) as connection:
            connection.execute(insert(tables.api_key).values(values))
            write_audit(connection, audit)

    def revoke(self, key_id: str, moment: datetime, audit: AuditEntry) -> ApiKeyRecord | None:
        """End a key; an ended one stays as it is. None where there is no such key."""
        key = tables.api_key.c
        with answering(), writing(self._engine) as connection:
            ended = connection.execute(
                update(tables.api_key)
                .where(key.id == key_id, key.revoked_at.is_(None))
                .values(revoked_at=moment)
            )
            if ended.rowcount:
                write_audit(connection, audit)
            return _find(connection, key_id)

    def events(self, after: int, limit: int) -> Sequence[AuditEvent]:
        """Return audit entries after a number, in order."""
        if after > _LARGEST_NUMBER:
            return []
        event = tables.audit_event
        query = select(event).where(event.c.id > after).order_by(event.c.id).limit(limit)
        with answering(), reading(self._engine) as connection:
            return [_event(row) for row in connection.execute(query)]


def _find(connection: Connection, key_id: str) -> ApiKeyRecord | None:
    row = connection.execute(select(tables.api_key).where(tables.api_key.c.id == key_id)).one_or_none()
    return None if row is None else _record(row)


def _record(row: Row[Any]) -> ApiKeyRecord:
    return ApiKeyRecord(
        id=row.id,
        secret_sha256=row.secret_sha256,
        label=row.label,
        scopes=cast(tuple[Scope, ...], tuple(row.scopes.split())),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )


def _event(row: Row[Any]) -> AuditEvent:
    entry = AuditEntry(row.actor, row.action, row.target, row.revision, row.detail)
    return AuditEvent(row.id, row.recorded_at, entry)
