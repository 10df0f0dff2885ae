"""Use cases that change the catalog: each one transaction, one revision, one line in the audit log."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.application.errors import InvalidRequestError, PreconditionError
from service.application.write_ports.keys import AuditEntry
from service.application.write_ports.prices import (
    CatalogTransaction,
    CatalogWriter,
    Correction,
    FxRateStatement,
    IdempotencySlot,
    PriceKind,
    PriceStatement,
    PricesWritten,
    RatesWritten,
    RevisionLabel,
    StoredAnswer,
    WriteTransaction,
)

Written = PricesWritten | RatesWritten
Answer = Callable[[Written, int], StoredAnswer]
"""Says what was written, at which revision, in the form that goes out and is remembered."""


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """Who writes, on what they build, and how a repetition is recognised."""

    actor: str
    revision: int | None
    """The revision that the caller read; None where any will do."""
    slot: IdempotencySlot | None
    reason: str = ""
    """Why, in the caller's words; for the audit log."""


@dataclass(frozen=True, slots=True)
class _Step:
    action: str
    target: str
    detail: Mapping[str, object]
    work: Callable[[CatalogTransaction, RevisionLabel], Written]


class CatalogWrites:
    """Changes, corrections and withdrawals of prices, and exchange rates.

    Parameters
    ----------
    writer
        Opens transactions.
    published
        Called after each commit, so that this process answers from what was just written.
    """

    def __init__(self, writer: CatalogWriter, published: Callable[[], object]) -> None:
        self._writer = writer
        self._published = published

    def change(self, statement: PriceStatement, request: WriteRequest, answer: Answer) -> StoredAnswer:
        """Let a price hold from a time on.

        Raises
        ------
        PreconditionError
            Where the catalog is not at the caller's revision.
        InvalidRequestError, ConflictError, UnavailableError
            Where the transaction refuses.
        """
        detail = {"provider": statement.provider, "valid_from": statement.valid_from.isoformat()}
        step = _Step("price.change", statement.source, detail, lambda it, label: it.change(statement, label))
        return self._perform(step, request, answer)

    def correct(
        self, row: tuple[PriceKind, int], correction: Correction, request: WriteRequest, answer: Answer
    ) -> StoredAnswer:
        """Replace what a row states, because it was wrong.

        Raises
        ------
        UnknownIdError
            Where there is no such row.
        PreconditionError, InvalidRequestError, ConflictError, UnavailableError
            As :meth:`change`.
        """
        step = _Step("price.correct", _named(row), {}, lambda it, label: it.correct(*row, correction, label))
        return self._perform(step, request, answer)

    def withdraw(
        self, row: tuple[PriceKind, int], moment: datetime, request: WriteRequest, answer: Answer
    ) -> StoredAnswer:
        """End a row at a time.

        Raises
        ------
        UnknownIdError
            Where there is no such row.
        PreconditionError, ConflictError, UnavailableError
            As :meth:`change`.
        """
        detail = {"at": moment.isoformat()}
        step = _Step(
            "price.withdraw", _named(row), detail, lambda it, label: it.withdraw(*row, moment, label)
        )
        return self._perform(step, request, answer)

    def put_rates(
        self, rates: Sequence[FxRateStatement], request: WriteRequest, answer: Answer
    ) -> StoredAnswer:
        """Let these be the exchange rates of their days.

        Raises
        ------
        PreconditionError, InvalidRequestError, UnavailableError
            As :meth:`change`.
        """
        detail = {"rates": len(rates)}
        target = ", ".join(sorted({rate.source for rate in rates}))
        step = _Step("fx.put", target, detail, lambda it, label: it.put_rates(rates, label))
        return self._perform(step, request, answer)

    def _perform(self, step: _Step, request: WriteRequest, answer: Answer) -> StoredAnswer:
        with self._writer.transaction(request.slot) as transaction:
            earlier = earlier_answer(transaction, request.slot)
            if earlier is not None:
                return earlier
            before = transaction.revision()
            _check_revision(request.revision, before)
            reason = f"{step.action} {step.target}" + (f": {request.reason}" if request.reason else "")
            written = step.work(transaction, RevisionLabel(reason, request.actor))
            stored = answer(written, before if written.revision is None else written.revision)
            detail = {**step.detail, "reason": request.reason, "retired": list(written.retired)}
            transaction.audit(AuditEntry(request.actor, step.action, step.target, written.revision, detail))
            if request.slot is not None:
                transaction.remember(request.slot, stored)
        self._published()
        return stored


def earlier_answer(transaction: WriteTransaction, slot: IdempotencySlot | None) -> StoredAnswer | None:
    """Return the answer to the same write sent before.

    Raises
    ------
    InvalidRequestError
        Where that had another body.
    """
    found = None if slot is None else transaction.remembered(slot)
    if found is None or slot is None:
        return None
    if found.body_sha256 != slot.body_sha256:
        raise InvalidRequestError(
            "This Idempotency-Key was used with another body in the last 24 hours.",
            code="idempotency-key-reused",
        )
    return found.answer


def _check_revision(wanted: int | None, newest: int) -> None:
    if wanted is not None and wanted != newest:
        raise PreconditionError(
            f"If-Match names revision r{wanted}, and the catalog is at r{newest}.",
            accepted={"catalog_revision": newest},
        )


def _named(row: tuple[PriceKind, int]) -> str:
    return f"{row[0]}:{row[1]}"
