"""Imports over HTTP: a source is read beside the requests, looked at, and applied by whoever looked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.application.errors import UnknownIdError
from service.application.write_ports.imports import (
    ImportReader,
    ImportRecord,
    ImportState,
    ImportStore,
    ImportSubmission,
    ImportSummary,
)
from service.application.write_ports.keys import AuditEntry
from service.application.write_ports.prices import RevisionLabel, StoredAnswer
from service.application.writes import WriteRequest, earlier_answer

Answer = Callable[[ImportRecord], StoredAnswer]
"""Says what an import is now, in the form that goes out and is remembered."""


@dataclass(frozen=True, slots=True)
class Application:
    """Which import is applied, and whether in spite of its hold."""

    import_id: int
    base_revision: int
    """The revision that the caller saw the import compared with."""
    despite_hold: bool = False


class Imports:
    """Submits, shows and applies imports.

    Parameters
    ----------
    store
        Keeps the imports.
    reader
        Reads the sources.
    published
        Called after prices were written, so that this process answers from them.
    """

    def __init__(self, store: ImportStore, reader: ImportReader, published: Callable[[], object]) -> None:
        self._store = store
        self._reader = reader
        self._published = published

    def submit(self, submission: ImportSubmission, request: WriteRequest, answer: Answer) -> StoredAnswer:
        """Note an import and let its source be read; nothing is written to the prices.

        Raises
        ------
        InvalidRequestError
            Where the source cannot be read whatever it holds.
        UnavailableError
            Where too many sources are being read, or the database does not answer.
        ConflictError
            ``request-in-flight``.
        """
        self._reader.check(submission)
        with self._reader.place(submission) as place:
            with self._store.transaction(request.slot) as transaction:
                earlier = earlier_answer(transaction, request.slot)
                if earlier is not None:
                    return earlier
                record = transaction.begin(submission)
                detail = {"import": record.summary.id, "url": record.url, "reason": request.reason}
                entry = AuditEntry(request.actor, "import.submit", record.summary.name, None, detail)
                transaction.audit(entry)
                stored = answer(record)
                if request.slot is not None:
                    transaction.remember(request.slot, stored)
            # Only now, after the commit, is there an import whose state the reader can change.
            place.take(record.summary.id, submission)
        return stored

    def apply(self, wanted: Application, request: WriteRequest, answer: Answer) -> StoredAnswer:
        """Write what an import found, as one revision.

        Raises
        ------
        UnknownIdError
            Where there is no such import.
        PreconditionError
            Where the caller names another revision than the import's base.
        ConflictError
            Where the catalog moved since, or the import is held, still validated, or finished.
        InvalidRequestError, UnavailableError
            As :meth:`submit`.
        """
        with self._store.transaction(request.slot) as transaction:
            earlier = earlier_answer(transaction, request.slot)
            if earlier is not None:
                return earlier
            record = transaction.apply(
                wanted.import_id,
                wanted.base_revision,
                despite_hold=wanted.despite_hold,
                label=RevisionLabel(request.reason, request.actor),
            )
            summary = record.summary
            detail = {
                "import": summary.id,
                "despite_hold": wanted.despite_hold,
                "reason": request.reason,
                **summary.counts,
            }
            revision = summary.applied_revision
            transaction.audit(AuditEntry(request.actor, "import.apply", summary.name, revision, detail))
            stored = answer(record)
            if request.slot is not None:
                transaction.remember(request.slot, stored)
        self._published()
        return stored

    def get(self, import_id: int) -> ImportRecord:
        """Return an import.

        Raises
        ------
        UnknownIdError
            Where there is none of this number.
        """
        record = self._store.find(import_id)
        if record is None:
            raise UnknownIdError("import", str(import_id), ())
        return record

    def page(self, before: int | None, limit: int, state: ImportState | None) -> Sequence[ImportSummary]:
        """Return imports, the newest first."""
        return self._store.page(before, limit, state)
