"""Imports as resources: what is asked, what is kept of one, and who reads the source meanwhile."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal, Protocol

from service.application.write_ports.prices import IdempotencySlot, RevisionLabel, WriteTransaction

ImportState = Literal["validating", "preview", "held", "applied", "rejected"]
IMPORT_STATES: Final[tuple[ImportState, ...]] = ("validating", "preview", "held", "applied", "rejected")


@dataclass(frozen=True, slots=True)
class ImportSubmission:
    """What to read, and from where."""

    source: str
    """Name of an adapter."""
    url: str | None = None
    """Where it lies, instead of where it is published."""
    content: str | None = None
    """Its text, instead of an address."""
    provider: str | None = None
    """Whose prices these are, where the source does not say."""
    observed_on: datetime | None = None
    """First instant of the day on which undated prices were seen; today's where None."""


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """One difference to the catalog; ``before`` or ``after`` is None where there is none."""

    what: str
    before: str | None
    after: str | None
    percent: str | None
    """Change of the price, for example `+25.0 %`; null where there is none to compare."""


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row of the source that cannot be used."""

    origin: str
    """Its place in the source."""
    reason: str


@dataclass(frozen=True, slots=True)
class SourceDisagreement:
    """Two sources that price one meter of one listing differently at the same time."""

    what: str
    source: str
    amount: Decimal
    per: str
    other_source: str
    other_amount: Decimal
    decides: str
    """The source whose row counts."""
    because: str
    """The recorded precedence that decided."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import changes; each list holds its first rows only, the counts are whole."""

    added: tuple[PlannedRow, ...] = ()
    changed: tuple[PlannedRow, ...] = ()
    withdrawn: tuple[PlannedRow, ...] = ()
    rejected: tuple[RejectedRow, ...] = ()
    held: tuple[str, ...] = ()
    disagreements: tuple[SourceDisagreement, ...] = ()


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """An import without its rows."""

    id: int
    name: str
    state: ImportState
    content_sha256: str | None
    """Null until the source was fetched."""
    base_revision: int
    """The revision that the source was compared with; while validating, the newest when it was asked for."""
    applied_revision: int | None
    """The revision that was written, if one was."""
    observed_at: datetime
    recorded_at: datetime
    counts: Mapping[str, int]
    """How many rows are added, changed, withdrawn, unchanged, rejected, held; and disagreements."""


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """An import as it is kept."""

    summary: ImportSummary
    url: str | None
    detail: str
    """Why it was rejected as a whole, or why nothing had to be written."""
    report: ImportReport


class ImportTransaction(WriteTransaction, Protocol):
    """One transaction on imports that excludes all other writers."""

    def begin(self, submission: ImportSubmission) -> ImportRecord:
        """Note an import that is being validated."""
        ...

    def apply(
        self, import_id: int, base_revision: int, *, despite_hold: bool, label: RevisionLabel
    ) -> ImportRecord:
        """Write what an import found.

        Raises UnknownIdError, PreconditionError where its base is another revision, and ConflictError where
        the catalog moved, the import is held, still validated, applied already or rejected.
        """
        ...


class ImportStore(Protocol):
    """The imports of a catalog."""

    def transaction(self, slot: IdempotencySlot | None) -> AbstractContextManager[ImportTransaction]:
        """Open a transaction; commit at the end of the block."""
        ...

    def find(self, import_id: int) -> ImportRecord | None:
        """Return an import, if there is one of this number."""
        ...

    def page(self, before: int | None, limit: int, state: ImportState | None) -> Sequence[ImportSummary]:
        """Return imports, the newest first; only those below a number, or in a state, where one is named."""
        ...


class ImportReader(Protocol):
    """Reads sources beside the requests, one after another."""

    def check(self, submission: ImportSubmission) -> None:
        """Refuse with InvalidRequestError what cannot be read whatever the source holds."""
        ...

    def place(self, submission: ImportSubmission) -> AbstractContextManager["ReadingPlace"]:
        """Keep a place in the queue; UnavailableError where it is full."""
        ...


class ReadingPlace(Protocol):
    """A place in the queue of sources to read; free again at the end of the block unless it was taken."""

    def take(self, import_id: int, submission: ImportSubmission) -> None:
        """Let the source of an import be read, now that the import is there."""
        ...
