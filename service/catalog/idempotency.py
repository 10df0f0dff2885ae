"""Remembers what was answered to a write, in the transaction of the write, for 24 hours."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select

from service.application.errors import ConflictError
from service.application.write_ports.prices import IdempotencySlot, RememberedAnswer, StoredAnswer
from service.catalog import tables
from service.catalog.columns import canonical_json

REMEMBERED_FOR: Final = timedelta(hours=24)


class InFlight:
    """The writes being carried out at this moment, so that a repeated one is told to wait.

    In this process by a set; among processes PostgreSQL knows by an advisory lock. In SQLite a repeated
    write in another process waits for the first one's transaction instead, and finds its answer.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._slots: set[tuple[str, ...]] = set()

    @contextmanager
    def hold(self, slot: IdempotencySlot) -> Iterator[None]:
        """Hold a slot while the block runs.

        Raises
        ------
        ConflictError
            Where it is held already.
        """
        key = _key(slot)
        with self._guard:
            if key in self._slots:
                raise _in_flight()
            self._slots.add(key)
        try:
            yield
        finally:
            with self._guard:
                self._slots.discard(key)


def lock_slot(connection: Connection, slot: IdempotencySlot) -> None:
    """Take a slot among all processes on a PostgreSQL server, to the end of the transaction.

    Raises
    ------
    ConflictError
        Where another one holds it.
    """
    digest = hashlib.sha256("\n".join(_key(slot)).encode()).digest()
    number = int.from_bytes(digest[:8], "big", signed=True)
    if not connection.execute(select(func.pg_try_advisory_xact_lock(number))).scalar_one():
        raise _in_flight()


def remembered(connection: Connection, slot: IdempotencySlot) -> RememberedAnswer | None:
    """Return what was answered to this write in the last 24 hours."""
    table = tables.idempotency
    since = datetime.now(UTC) - REMEMBERED_FOR
    # Old rows go here, so that none of this slot is left in the way of a new one.
    connection.execute(delete(table).where(table.c.created_at <= since))
    row = connection.execute(select(table).where(*_same(slot))).one_or_none()
    if row is None or row.status is None:
        return None
    stored: dict[str, Any] = json.loads(row.response)
    return RememberedAnswer(row.body_sha256, StoredAnswer(row.status, stored["body"], stored["headers"]))


def remember(connection: Connection, slot: IdempotencySlot, answer: StoredAnswer) -> None:
    """Keep an answer with the write that it tells of."""
    connection.execute(
        insert(tables.idempotency).values(
            key_id=slot.key_id,
            method=slot.method,
            path=slot.path,
            idempotency_key=slot.idempotency_key,
            body_sha256=slot.body_sha256,
            created_at=datetime.now(UTC),
            status=answer.status,
            response=canonical_json({"body": answer.body, "headers": dict(answer.headers)}),
        )
    )


def _key(slot: IdempotencySlot) -> tuple[str, ...]:
    return (slot.key_id, slot.method, slot.path, slot.idempotency_key)


def _same(slot: IdempotencySlot) -> tuple[ColumnElement[bool], ...]:
    column = tables.idempotency.c
    return (
        column.key_id == slot.key_id,
        column.method == slot.method,
        column.path == slot.path,
        column.idempotency_key == slot.idempotency_key,
    )


def _in_flight() -> ConflictError:
    return ConflictError(
        "A request with this Idempotency-Key is being carried out; repeat a little later.",
        code="request-in-flight",
        accepted={"retry_after_seconds": 1},
    )
