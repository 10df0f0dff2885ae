"""Keeps the newest snapshot in memory and swaps it in the background (CONTRACT 6)."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from service.application.errors import UnavailableError
from service.application.write_ports.keys import ApiKeyRecord
from service.catalog.content import EMPTY, load_content
from service.catalog.database import current_revision, reading
from service.catalog.key_store import live_keys
from service.catalog.snapshot import Snapshot
from service.engine.errors import EngineError

_LOG = logging.getLogger(__name__)

_LOAD_ERRORS = (SQLAlchemyError, OSError, ValueError, KeyError, EngineError)
"""What a lost database or a row of a newer release raises; the poll goes on."""


class PollSettings(Protocol):
    """What the holder needs of the settings."""

    @property
    def poll_interval_seconds(self) -> float:
        """Between two looks at the database."""
        ...

    @property
    def max_staleness_seconds(self) -> float:
        """For how long a snapshot answers unconfirmed."""
        ...


@dataclass(frozen=True, slots=True)
class CatalogHealth:
    """Whether the catalog answers, and how well."""

    state: Literal["ready", "degraded", "unavailable"]
    """``degraded``: the database does not answer, the snapshot in memory is young enough."""
    age_seconds: float | None
    """Since the database last confirmed the snapshot; None where none was ever loaded."""
    revision: int | None
    detail: str


class SnapshotHolder:
    """Hands out the current snapshot; a request keeps the one it began with.

    Parameters
    ----------
    engine
        The catalog's database, migrated.
    settings
        Poll interval and staleness limit.
    clock
        Monotonic seconds.
    """

    def __init__(
        self, engine: Engine, settings: PollSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._clock = clock
        self._snapshot: Snapshot | None = None
        self._confirmed_at: float | None = None
        self._error: str | None = "not looked yet"
        self._loading = threading.Lock()
        self._keys: Mapping[str, ApiKeyRecord] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def current(self) -> Snapshot:
        """Return the snapshot in force; no I/O.

        Raises
        ------
        UnavailableError
            Where none was loaded yet, or the database has been away for too long.
        """
        snapshot, age = self._snapshot, self.age_seconds()
        if snapshot is None or age is None:
            raise UnavailableError(
                f"No catalog is loaded yet: {self._error}.", accepted={"retry_after_seconds": 1}
            )
        if age > self._settings.max_staleness_seconds:
            raise UnavailableError(
                f"The database has not answered for {age:.0f} s; a catalog may be at most "
                f"{self._settings.max_staleness_seconds:.0f} s old (PERTOKEN_MAX_STALENESS_SECONDS).",
                accepted={"retry_after_seconds": 5},
            )
        return snapshot

    def keys(self) -> Mapping[str, ApiKeyRecord]:
        """Return the keys that were not revoked at the last look, by id; no I/O."""
        return self._keys

    def age_seconds(self) -> float | None:
        """Return for how long the database has not confirmed the snapshot; None without a snapshot."""
        confirmed_at = self._confirmed_at
        return None if confirmed_at is None else max(0.0, self._clock() - confirmed_at)

    def database_reachable(self) -> bool:
        """Whether the last look at the database succeeded and was not long ago.

        A look that hangs counts as failed after five intervals.
        """
        age = self.age_seconds()
        late = 5 * self._settings.poll_interval_seconds + 1
        return self._error is None and age is not None and age < late

    def health(self) -> CatalogHealth:
        """Return the state for a readiness probe."""
        snapshot, age = self._snapshot, self.age_seconds()
        revision = None if snapshot is None else snapshot.info.revision
        if age is None or age > self._settings.max_staleness_seconds:
            return CatalogHealth("unavailable", age, revision, self._error or "the database does not answer")
        if not self.database_reachable():
            return CatalogHealth("degraded", age, revision, self._error or "the database is slow to answer")
        return CatalogHealth("ready", age, revision, "")

    def refresh(self) -> bool:
        """Look at the database now and swap the snapshot where it moved; return whether that went well."""
        with self._loading:
            # Age counts from before the look: what was committed meanwhile may be missing.
            began = self._clock()
            try:
                self._load()
            except _LOAD_ERRORS as error:
                if self._error is None or self._snapshot is None:
                    _LOG.warning("The catalog could not be read: %s", error)
                self._error = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
                return False
            self._confirmed_at, self._error = began, None
            return True

    def _load(self) -> None:
        before = self._snapshot
        with reading(self._engine) as connection:
            now = current_revision(connection)
            # Keys have no revision and are few: they travel with every look.
            self._keys = live_keys(connection)
            if before is not None and now == before.info.revision:
                return
            if before is not None and now > before.info.revision:
                content = load_content(connection, before.content)
            else:
                # First load, or another database than before (a restored backup): start over.
                before, content = None, load_content(connection, EMPTY)
        self._snapshot = Snapshot.of(content, before)

    async def at_least(self, revision: int) -> Snapshot:
        """Return a snapshot of at least a revision, reloading off the event loop where needed.

        Where the database has not reached it, the newest snapshot comes back and the caller decides.
        """
        if self.current().info.revision < revision:
            await asyncio.to_thread(self.refresh)
        return self.current()

    def start(self) -> None:
        """Load once and keep polling in a thread of its own until ``stop``."""
        if self._thread is not None:
            raise RuntimeError("The snapshot holder runs already.")
        self.refresh()
        self._stopping.clear()
        self._thread = threading.Thread(target=self._poll, name="catalog-poll", daemon=True)
        self._thread.start()

    def _poll(self) -> None:
        while not self._stopping.wait(self._settings.poll_interval_seconds):
            self.refresh()

    def stop(self) -> None:
        """End the polling and wait for it."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
            self._thread = None
