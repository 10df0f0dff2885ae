"""What all writes over HTTP share: one transaction, known again when it is repeated, with its audit line."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from sqlalchemy import Connection, Engine

from service.application.write_ports.keys import AuditEntry
from service.application.write_ports.prices import IdempotencySlot, RememberedAnswer, StoredAnswer
from service.catalog import idempotency
from service.catalog.database import current_revision, writing
from service.catalog.key_store import answering, write_audit


class WriteSessions:
    """Opens write transactions on one database.

    Parameters
    ----------
    engine
        The catalog's database, migrated.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._in_flight = idempotency.InFlight()

    @contextmanager
    def open(self, slot: IdempotencySlot | None) -> Iterator[Connection]:
        """Open a transaction; commit at the end of the block.

        Raises
        ------
        ConflictError
            ``request-in-flight`` where the same slot is being carried out.
        UnavailableError
            Where the database does not answer, or other writers held it for too long.
        """
        with ExitStack() as held:
            before = None
            if slot is not None:
                held.enter_context(self._in_flight.hold(slot))
                before = partial(idempotency.lock_slot, slot=slot)
            held.enter_context(answering())
            yield held.enter_context(writing(self._engine, before))


class RememberingTransaction:
    """One transaction that excludes all other writers; what is written in it can be remembered with it.

    Parameters
    ----------
    connection
        Inside ``database.writing``.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def revision(self) -> int:
        """Return the newest revision."""
        return current_revision(self._connection)

    def remembered(self, slot: IdempotencySlot) -> RememberedAnswer | None:
        """Return what was answered to this write in the last 24 hours."""
        return idempotency.remembered(self._connection, slot)

    def remember(self, slot: IdempotencySlot, answer: StoredAnswer) -> None:
        """Keep an answer with the write that it tells of."""
        idempotency.remember(self._connection, slot, answer)

    def audit(self, entry: AuditEntry) -> None:
        """Keep who did what, with the write."""
        write_audit(self._connection, entry)
