"""Write transactions of the catalog; implements ``application.write_ports.prices``."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Engine, Row, select

from service.application.errors import InvalidRequestError
from service.application.ports import GpuPriceRecord, ListPriceRecord, Price, Selector
from service.application.write_ports.prices import (
    Correction,
    FxRateStatement,
    GpuPriceStatement,
    IdempotencySlot,
    PriceKind,
    PriceRecord,
    PriceStatement,
    PricesWritten,
    RatesWritten,
    RevisionLabel,
)
from service.billing.ambiguity import find_ambiguities
from service.catalog import repository, tables
from service.catalog.database import RevisionStamp, allot_revision
from service.catalog.drafts import GpuPriceDraft, ListPriceDraft, PriceDraft, ReferenceKind
from service.catalog.price_rows import (
    PRICE_TABLES,
    draft_interval,
    draft_key,
    fx_rate_record,
    gpu_price_record,
    list_price_record,
)
from service.catalog.registry import Registry
from service.catalog.timeline import change
from service.catalog.write_session import RememberingTransaction, WriteSessions

_REFERRED: Final[tuple[ReferenceKind, ...]] = ("source", "unit", "meter", "accelerator")


class DatabaseWriter:
    """Opens write transactions on one database.

    Parameters
    ----------
    engine
        The catalog's database, migrated.
    """

    def __init__(self, engine: Engine) -> None:
        self._sessions = WriteSessions(engine)

    @contextmanager
    def transaction(self, slot: IdempotencySlot | None) -> Iterator["DatabaseTransaction"]:
        """Open a transaction; see :meth:`WriteSessions.open`."""
        with self._sessions.open(slot) as connection:
            yield DatabaseTransaction(connection)


class DatabaseTransaction(RememberingTransaction):
    """One transaction that excludes all other writers.

    Parameters
    ----------
    connection
        Inside ``database.writing``.
    """

    def change(self, statement: PriceStatement, label: RevisionLabel) -> PricesWritten:
        """Let a price hold from its time on.

        Raises
        ------
        InvalidRequestError
            Where the row does not fit the catalog, or a request could match it and another alike.
        """
        draft = _draft(statement)
        self._check(draft)
        key = draft_key(draft)
        step = change(repository.live_timeline(self._connection, key), draft_interval(draft))
        if not step:
            return PricesWritten(None)
        stamp = self._stamp(label)
        repository.apply_timelines(self._connection, stamp, {key: step})
        return self._written(stamp)

    def correct(
        self, kind: PriceKind, row_id: int, correction: Correction, label: RevisionLabel
    ) -> PricesWritten:
        """Replace what a row states.

        Raises
        ------
        UnknownIdError, ConflictError, InvalidRequestError
            As ``repository.correct_price`` and :meth:`change`.
        """
        record = _record(kind, repository.believed_row(self._connection, kind, row_id))
        draft = _corrected(record, correction)
        self._check(draft)
        if draft == _corrected(record, Correction()):
            return PricesWritten(None)
        stamp = self._stamp(label)
        repository.correct_price(self._connection, stamp, kind, row_id, draft)
        return self._written(stamp)

    def withdraw(self, kind: PriceKind, row_id: int, moment: datetime, label: RevisionLabel) -> PricesWritten:
        """End a row at a time.

        Raises
        ------
        UnknownIdError, ConflictError
            As ``repository.withdraw_price``.
        """
        repository.believed_row(self._connection, kind, row_id)
        stamp = self._stamp(label)
        repository.withdraw_price(self._connection, stamp, kind, row_id, moment)
        return self._written(stamp)

    def put_rates(self, rates: Sequence[FxRateStatement], label: RevisionLabel) -> RatesWritten:
        """Let these be the rates of their source, pair and day; equal ones stay as they are.

        Raises
        ------
        InvalidRequestError
            For a source that is not in the catalog.
        """
        sources = repository.live_documents(self._connection, "source")
        unknown = next((rate.source for rate in rates if rate.source not in sources), None)
        if unknown is not None:
            raise _unusable(f"source {unknown!r} is not in the catalog", "source")
        live = repository.live_rates(self._connection, {rate.source for rate in rates})
        fresh = [
            rate for rate in rates if _rate_key(rate) not in live or live[_rate_key(rate)].rate != rate.rate
        ]
        if not fresh:
            return RatesWritten(None)
        stamp = self._stamp(label)
        closed = [live[_rate_key(rate)].id for rate in fresh if _rate_key(rate) in live]
        repository.put_rates(self._connection, stamp, closed, [_rate_values(rate) for rate in fresh])
        retired, inserted = self._touched(tables.fx_rate, stamp)
        return RatesWritten(stamp.revision, retired, tuple(fx_rate_record(row) for row in inserted))

    def _stamp(self, label: RevisionLabel) -> RevisionStamp:
        return allot_revision(self._connection, reason=label.reason, actor=label.actor)

    def _check(self, draft: PriceDraft) -> None:
        documents: dict[ReferenceKind, Mapping[str, Mapping[str, object]]] = {
            kind: {
                row_id: row.document
                for row_id, row in repository.live_documents(self._connection, kind).items()
            }
            for kind in _REFERRED
        }
        problem = Registry(documents).problem(draft)
        if problem is not None:
            raise _unusable(problem, _field_of(problem))

    def _written(self, stamp: RevisionStamp) -> PricesWritten:
        retired: list[int] = []
        inserted: list[PriceRecord] = []
        for kind, table in PRICE_TABLES.items():
            closed, opened = self._touched(table, stamp)
            retired += closed
            inserted += [_record(kind, row) for row in opened]
        self._refuse_ambiguity(inserted)
        return PricesWritten(stamp.revision, tuple(retired), tuple(inserted))

    def _touched(self, table: Any, stamp: RevisionStamp) -> tuple[tuple[int, ...], list[Row[Any]]]:
        """Return the numbers of the rows that a revision closed, and the rows that it began."""
        closed = select(table.c.id).where(table.c.revision_to == stamp.revision).order_by(table.c.id)
        opened = select(table).where(table.c.revision_from == stamp.revision).order_by(table.c.id)
        return (
            tuple(self._connection.execute(closed).scalars()),
            list(self._connection.execute(opened)),
        )

    def _refuse_ambiguity(self, inserted: Sequence[PriceRecord]) -> None:
        """Refuse, by rolling back, a list price that competes with another of its meter (CONTRACT 3)."""
        for record in inserted:
            if not isinstance(record, ListPriceRecord):
                continue
            rows = [_dated(row) for row in repository.live_meter(self._connection, record)]
            for found in find_ambiguities(rows):
                if record.stamp.row_id in (found.first.id, found.second.id):
                    raise InvalidRequestError(found.reason, field="selector", code="ambiguous-price")


@dataclass(frozen=True, slots=True)
class _Dated:
    """What the check for ambiguity looks at."""

    id: int
    selector: Selector
    valid_from: datetime
    valid_to: datetime | None


def _dated(row: Row[Any]) -> _Dated:
    record = list_price_record(row)
    stamp = record.stamp
    return _Dated(stamp.row_id, record.selector, stamp.valid_from, stamp.valid_to)


def _record(kind: PriceKind, row: Row[Any]) -> PriceRecord:
    return gpu_price_record(row) if kind == "gpu_price" else list_price_record(row)


def _draft(statement: PriceStatement) -> PriceDraft:
    """Return a statement as a draft; the two have the same fields."""
    values: dict[str, Any] = {item.name: getattr(statement, item.name) for item in fields(statement)}
    if isinstance(statement, GpuPriceStatement):
        return GpuPriceDraft(**values)
    return ListPriceDraft(**values)


def _corrected(record: PriceRecord, correction: Correction) -> PriceDraft:
    """Return what a row should have said."""
    stamp = record.stamp
    shared: dict[str, Any] = {
        "source": record.source,
        "provider": record.provider,
        "price": _corrected_price(record.price, correction),
        "valid_from": correction.valid_from or stamp.valid_from,
        "valid_to": None if correction.opens_end else correction.valid_to or stamp.valid_to,
        "valid_from_basis": stamp.valid_from_basis if correction.valid_from is None else "stated",
        "note": record.note if correction.note is None else correction.note,
    }
    if isinstance(record, GpuPriceRecord):
        return GpuPriceDraft(
            accelerator=record.accelerator,
            region=record.region,
            commitment=record.commitment,
            gpus_per_instance=record.gpus_per_instance,
            **shared,
        )
    return ListPriceDraft(
        provider_model_id=record.provider_model_id, meter=record.meter, selector=record.selector, **shared
    )


def _corrected_price(price: Price, correction: Correction) -> Price:
    if correction.amount is None and correction.currency is None and correction.per is None:
        return price
    return Price(
        price.amount if correction.amount is None else correction.amount,
        correction.currency or price.currency,
        correction.per or price.per,
    )


def _rate_key(rate: FxRateStatement) -> tuple[object, ...]:
    return (rate.source, rate.base, rate.quote, rate.day)


def _rate_values(rate: FxRateStatement) -> dict[str, object]:
    return {
        "source": rate.source,
        "base_currency": rate.base,
        "quote_currency": rate.quote,
        "on_day": rate.day,
        "rate": rate.rate,
    }


def _unusable(problem: str, field: str) -> InvalidRequestError:
    return InvalidRequestError(f"The row cannot be used: {problem}.", field=field, code="unusable-row")


def _field_of(problem: str) -> str:
    """Return the field that a registry's sentence begins with, where it does."""
    first = problem.split(" ", 1)[0]
    return {"unit": "per", "a": "per"}.get(first, first if first.isidentifier() else "")
