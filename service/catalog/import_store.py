"""Imports as resources; implements ``application.write_ports.imports``.

While an import is validated it has a lease, which its reader renews. A reader whose process died renews
nothing, so any other finds the lease run out and rejects the import: none stays ``validating`` for ever.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, insert, select, update

from service.application.errors import ConflictError, PreconditionError, UnknownIdError
from service.application.write_ports.imports import (
    ImportRecord,
    ImportState,
    ImportSubmission,
    ImportSummary,
)
from service.application.write_ports.prices import IdempotencySlot, RevisionLabel
from service.catalog import import_records, tables
from service.catalog.database import reading, writing
from service.catalog.disagreement import find_disagreements
from service.catalog.drafts import ImportBatch
from service.catalog.import_plan import ImportPlan, plan_import
from service.catalog.import_source import today
from service.catalog.importers.adapters import ADAPTERS
from service.catalog.importing import apply_plan, last_applied_digest, state_of
from service.catalog.key_store import answering
from service.catalog.write_session import RememberingTransaction, WriteSessions

LEASE: Final = timedelta(seconds=30)
LOST: Final = "The service ended before the source was read; post it again."
_NOTHING_NEW: Final = "This very content is what was applied last; nothing had to be written."
_ALL_KNOWN: Final = "Every row is in the catalog already; nothing had to be written."
_NONE_USABLE: Final = "No row of the source can be used; see rejected."
_COUNTS: Final = ("added", "changed", "withdrawn", "unchanged", "rejected", "held", "disagreements")


class DatabaseImports:
    """The imports of one database.

    Parameters
    ----------
    engine
        The catalog's database, migrated.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sessions = WriteSessions(engine)

    @contextmanager
    def transaction(self, slot: IdempotencySlot | None) -> Iterator["DatabaseImportTransaction"]:
        """Open a transaction; see :meth:`WriteSessions.open`."""
        with self._sessions.open(slot) as connection:
            yield DatabaseImportTransaction(connection)

    def find(self, import_id: int) -> ImportRecord | None:
        """Return an import, if there is one of this number."""
        with answering(), reading(self._engine) as connection:
            return import_records.find_record(connection, import_id)

    def page(self, before: int | None, limit: int, state: ImportState | None) -> Sequence[ImportSummary]:
        """Return imports, the newest first; only those below a number, or in a state, where one is named."""
        with answering(), reading(self._engine) as connection:
            return import_records.page_of_summaries(connection, before, limit, state)

    def finish(self, import_id: int, batch: ImportBatch) -> None:
        """Compare what was read with the catalog, and keep the outcome; writes no price."""
        with reading(self._engine) as connection:
            known = last_applied_digest(connection, batch.name) == batch.content_digest
            plan = None if known else plan_import(connection, batch)
            disagreements = () if known else find_disagreements(connection, batch)
        values = _known_values(batch) if plan is None else import_records.plan_values(plan, disagreements)
        state, detail = ("applied", _NOTHING_NEW) if plan is None else _outcome(plan)
        with writing(self._engine) as connection:
            record = _validating(connection, import_id)
            if record is None:
                return
            report = {**values.get("report", {}), "url": record.url, "detail": detail}
            import_records.update_record(connection, import_id, {**values, "state": state, "report": report})
            import_records.drop_work(connection, import_id)
            if state in ("preview", "held"):
                import_records.keep_batch(connection, import_id, batch)
            import_records.drop_overtaken(connection)

    def reject(self, import_id: int, reason: str) -> None:
        """End an import whose source as a whole cannot be used."""
        with writing(self._engine) as connection:
            _reject(connection, import_id, reason)

    def renew(self, import_ids: Iterable[int]) -> None:
        """Say that the readers of these imports are alive."""
        work = tables.import_work
        numbers = list(import_ids)
        if not numbers:
            return
        with writing(self._engine) as connection:
            connection.execute(
                update(work)
                .where(work.c.import_id.in_(numbers), work.c.batch.is_(None))
                .values(lease_until=datetime.now(UTC) + LEASE)
            )

    def reject_lost(self) -> int:
        """Reject the imports whose reader is no longer alive; return how many."""
        with reading(self._engine) as connection:
            if not _lost(connection):
                return 0
        with writing(self._engine) as connection:
            lost = _lost(connection)
            for import_id in lost:
                _reject(connection, import_id, LOST)
            return len(lost)


class DatabaseImportTransaction(RememberingTransaction):
    """One transaction on imports that excludes all other writers."""

    def begin(self, submission: ImportSubmission) -> ImportRecord:
        """Note an import that is being validated."""
        adapter = ADAPTERS[submission.source]
        source = adapter.source or adapter.name
        content = submission.content
        now = datetime.now(UTC)
        import_id = import_records.insert_record(
            self._connection,
            {
                "name": source if submission.provider is None else f"{source}/{submission.provider}",
                # Not known before the source was fetched; shown as null until then.
                "content_digest": "" if content is None else hashlib.sha256(content.encode()).hexdigest(),
                "state": "validating",
                "base_revision": self.revision(),
                "observed_at": submission.observed_on or today(),
                "recorded_at": now,
                "counts": dict.fromkeys(_COUNTS, 0),
                "report": {"url": _address(submission)},
            },
        )
        self._connection.execute(
            insert(tables.import_work).values(import_id=import_id, lease_until=now + LEASE)
        )
        return self._record(import_id)

    def apply(
        self, import_id: int, base_revision: int, *, despite_hold: bool, label: RevisionLabel
    ) -> ImportRecord:
        """Write what an import found.

        Raises
        ------
        UnknownIdError
            Where there is no such import.
        PreconditionError
            Where the caller names another revision than its base.
        ConflictError
            Where the catalog moved, or the import is held, still validated, or finished.
        """
        record = self._record(import_id)
        _refuse_unfit(record, base_revision, despite_hold=despite_hold)
        batch = import_records.kept_batch(self._connection, import_id)
        if batch is None or self.revision() != record.summary.base_revision:
            raise _moved(record, self.revision())
        plan = plan_import(self._connection, batch)
        apply_plan(self._connection, plan, import_id, actor=label.actor)
        import_records.drop_work(self._connection, import_id)
        import_records.drop_overtaken(self._connection)
        return self._record(import_id)

    def _record(self, import_id: int) -> ImportRecord:
        record = import_records.find_record(self._connection, import_id)
        if record is None:
            raise UnknownIdError("import", str(import_id), ())
        return record


def _address(submission: ImportSubmission) -> str | None:
    return submission.url or (None if submission.content is not None else ADAPTERS[submission.source].url)


def _refuse_unfit(record: ImportRecord, base_revision: int, *, despite_hold: bool) -> None:
    """Refuse to apply an import that is in no state for it, or that the caller did not look at."""
    summary = record.summary
    if summary.state == "validating":
        raise ConflictError(
            f"Import {summary.id} is still being validated; look at it again a little later.",
            code="import-not-ready",
            accepted={"retry_after_seconds": 1},
        )
    if summary.state in ("applied", "rejected"):
        raise ConflictError(f"Import {summary.id} is {summary.state} already.", code="import-finished")
    if base_revision != summary.base_revision:
        raise PreconditionError(
            f"If-Match names revision r{base_revision}, and import {summary.id} was compared with "
            f"r{summary.base_revision}.",
            accepted={"base_revision": summary.base_revision},
        )
    if summary.state == "held" and not despite_hold:
        raise ConflictError(
            f"Import {summary.id} is held: {'; '.join(record.report.held[:3])}. Look at it, and send "
            "despite_hold: true if it is right.",
            code="import-held",
            accepted={"despite_hold": True},
        )


def _moved(record: ImportRecord, newest: int) -> ConflictError:
    return ConflictError(
        f"Import {record.summary.id} was compared with revision r{record.summary.base_revision}, and the "
        f"catalog is at r{newest}; post the source again.",
        code="revision-moved",
        accepted={"catalog_revision": newest},
    )


def _known_values(batch: ImportBatch) -> dict[str, Any]:
    return {"name": batch.name, "content_digest": batch.content_digest, "observed_at": batch.observed_at}


def _outcome(plan: ImportPlan) -> tuple[str, str]:
    """Return the state that a comparison leads to, and why where that needs a word."""
    state = state_of(plan, reviewed=False)
    if state == "rejected":
        return state, _NONE_USABLE
    if state == "applied" and not plan.is_empty:
        return "preview", ""
    return state, _ALL_KNOWN if plan.is_empty else ""


def _validating(connection: Connection, import_id: int) -> ImportRecord | None:
    """Return an import that is still validated; None where it was given up meanwhile."""
    record = import_records.find_record(connection, import_id)
    return record if record is not None and record.summary.state == "validating" else None


def _reject(connection: Connection, import_id: int, reason: str) -> None:
    record = _validating(connection, import_id)
    if record is not None:
        report = {"url": record.url, "detail": reason}
        import_records.update_record(connection, import_id, {"state": "rejected", "report": report})
        import_records.drop_work(connection, import_id)


def _lost(connection: Connection) -> list[int]:
    """Return the imports whose lease ran out; the few rows are compared here, as texts differ by database."""
    work = tables.import_work
    query = select(work.c.import_id, work.c.lease_until).where(work.c.lease_until.is_not(None))
    now = datetime.now(UTC)
    return [row.import_id for row in connection.execute(query) if row.lease_until <= now]
