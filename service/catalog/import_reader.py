"""Reads the sources of imports beside the requests, one after another; implements a port of imports."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from service.application.errors import InvalidRequestError, UnavailableError
from service.application.write_ports.imports import ImportSubmission
from service.catalog.import_source import parse_source, source_names
from service.catalog.import_store import LEASE, LOST, DatabaseImports
from service.catalog.importers.adapters import ADAPTERS
from service.catalog.importers.fetching import Fetcher
from service.catalog.importers.reading import SourceError
from service.catalog.key_store import is_outage

PLACES: Final = 64
"""Sources that are read or wait for it."""
WAITING_CHARACTERS: Final = 2**27
"""Of their contents together, which wait in memory."""
PATIENCE_SECONDS: Final = 5.0
"""For how long the end of a service waits for the source being read."""
_RETRY_SECONDS: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Pauses after which an outcome is kept again where the database does not answer."""
_OWN_MISTAKE: Final = "The service failed while it read the source; the mistake is its own and was logged."
_LOG = logging.getLogger(__name__)


class SourceReader:
    """Reads one source at a time in a thread; the parsing itself runs in a process of its own.

    Parameters
    ----------
    engine
        The catalog's database, migrated.
    store
        Keeps the outcomes.
    fetcher
        Fetches addresses.
    """

    def __init__(self, engine: Engine, store: DatabaseImports, fetcher: Fetcher | None = None) -> None:
        self._engine = engine
        self._store = store
        self._fetcher = fetcher or Fetcher()
        self._turn = threading.Lock()
        self._guard = threading.Lock()
        self._places = 0
        self._characters = 0
        self._reading: dict[int, threading.Thread] = {}
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="import-leases", daemon=True)

    def start(self) -> None:
        """Begin to renew leases, and to reject imports whose reader died."""
        self._keeper.start()

    def stop(self) -> None:
        """End; what is not read a few seconds from now is rejected."""
        self._stopping.set()
        self._keeper.join(timeout=10)
        deadline = time.monotonic() + PATIENCE_SECONDS
        for thread in list(self._reading.values()):
            thread.join(max(0.0, deadline - time.monotonic()))
        for import_id in list(self._reading):
            _tried(partial(self._store.reject, import_id, LOST))

    def check(self, submission: ImportSubmission) -> None:
        """Refuse what cannot be read whatever the source holds.

        Raises
        ------
        InvalidRequestError
            Naming the field.
        """
        adapter = ADAPTERS.get(submission.source)
        if adapter is None:
            raise InvalidRequestError(
                f"There is no source {submission.source[:100]!r}.",
                field="source",
                code="unknown-import-source",
                accepted={"sources": list(source_names())},
            )
        if submission.observed_on is not None and submission.observed_on > datetime.now(UTC):
            raise _unfit("observed_on", "cannot be a day to come")
        if adapter.needs_provider and submission.provider is None:
            raise _unfit("provider", f"is needed: a file of {adapter.name} does not name it")
        if not adapter.needs_provider and submission.provider is not None:
            raise _unfit("provider", f"must be left out: {adapter.name} names it for each row")
        given = [name for name in ("url", "content", "observed_on") if getattr(submission, name) is not None]
        if adapter.packaged and given:
            raise _unfit(given[0], f"must be left out: {adapter.name} is an installed package")
        if submission.url is not None and submission.content is not None:
            raise _unfit("content", "must be left out where url says where the source lies")
        if not adapter.packaged and not given and adapter.url is None:
            raise _unfit("content", f"is needed, or url: {adapter.name} is not published as one file")
        if submission.url is not None:
            self._check_url(submission.url)

    @contextmanager
    def place(self, submission: ImportSubmission) -> Iterator["_Place"]:
        """Keep a place in the queue; free again at the end of the block unless it was taken.

        Raises
        ------
        UnavailableError
            Where no place is left.
        """
        self._occupy(submission)
        kept = _Place(self)
        try:
            yield kept
        finally:
            if not kept.taken:
                self._free(submission)

    def _occupy(self, submission: ImportSubmission) -> None:
        size = len(submission.content or "")
        with self._guard:
            full = self._places >= PLACES or self._characters + size > WAITING_CHARACTERS
            if full or self._stopping.is_set():
                raise UnavailableError(
                    f"{self._places} imports are being read or wait for it; repeat later.",
                    code="overloaded",
                    accepted={"retry_after_seconds": 10},
                )
            self._places += 1
            self._characters += size

    def _free(self, submission: ImportSubmission) -> None:
        with self._guard:
            self._places -= 1
            self._characters -= len(submission.content or "")

    def _check_url(self, url: str) -> None:
        try:
            self._fetcher.check_address(url)
        except SourceError as error:
            raise InvalidRequestError(str(error), field="url", code="import-source-unusable") from error

    def begin(self, import_id: int, submission: ImportSubmission) -> None:
        """Read a source as soon as those before it are done; for a place that was kept."""
        # A daemon, so that the end of the service does not wait for a slow source.
        thread = threading.Thread(
            target=self._carry_out, args=(import_id, submission), name=f"import-{import_id}", daemon=True
        )
        self._reading[import_id] = thread
        thread.start()

    def _carry_out(self, import_id: int, submission: ImportSubmission) -> None:
        done = False
        try:
            with self._turn:
                if self._stopping.is_set():
                    _tried(partial(self._store.reject, import_id, LOST))
                else:
                    self._read(import_id, submission)
                done = True
        finally:
            # What was not foreseen goes on to the thread's hook, which logs it.
            if not done:
                _tried(partial(self._store.reject, import_id, _OWN_MISTAKE))
            self._reading.pop(import_id, None)
            self._free(submission)

    def _read(self, import_id: int, submission: ImportSubmission) -> None:
        try:
            adapter = ADAPTERS[submission.source]
            batch = parse_source(
                self._engine,
                adapter,
                self._content(submission),
                provider=submission.provider,
                observed_at=submission.observed_on,
            )
        except SourceError as error:
            self._persist(partial(self._store.reject, import_id, str(error)))
            return
        self._persist(partial(self._store.finish, import_id, batch))

    def _content(self, submission: ImportSubmission) -> bytes:
        if submission.content is not None:
            return submission.content.encode()
        address = submission.url or ADAPTERS[submission.source].url
        return b"" if address is None else self._fetcher.fetch(address)

    def _persist(self, work: Callable[[], None]) -> None:
        """Keep an outcome, again and again while the database is away for a moment."""
        for pause in _RETRY_SECONDS:
            try:
                return work()
            except SQLAlchemyError as error:
                if not is_outage(error) or self._stopping.wait(pause):
                    raise
        return work()

    def _keep(self) -> None:
        while True:
            _tried(partial(self._store.renew, list(self._reading)))
            _tried(self._store.reject_lost)
            if self._stopping.wait(LEASE.total_seconds() / 3):
                return


class _Place:
    """A place in the queue of a reader."""

    def __init__(self, reader: SourceReader) -> None:
        self._reader = reader
        self.taken = False

    def take(self, import_id: int, submission: ImportSubmission) -> None:
        """Let the source of an import be read, now that the import is there."""
        self.taken = True
        self._reader.begin(import_id, submission)


def _tried(work: Callable[[], object]) -> None:
    """Work that the next round repeats, or the end of the lease makes good, where the database is away."""
    try:
        work()
    except SQLAlchemyError as error:
        _LOG.warning("leases of imports: %s", error)


def _unfit(field: str, what: str) -> InvalidRequestError:
    return InvalidRequestError(f"{field} {what}.", field=field, code="import-source-unusable")
