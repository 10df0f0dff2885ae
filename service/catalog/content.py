"""Every row of the catalog in memory, both time axes, and the digest of what is believed now.

Rows are immutable once written but for their end, so a later state is the earlier one plus the rows
that a revision began or closed: a reload reads only those.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, Row, Table, or_, select

from service.application.ports import FxRateRecord, GpuPriceRecord, ListingRecord, ListPriceRecord
from service.billing.money import format_amount
from service.catalog import tables
from service.catalog.columns import canonical_json, instant_text
from service.catalog.price_rows import fx_rate_record, gpu_price_record, list_price_record

_MODULUS: Final = 2**256


@dataclass(frozen=True, slots=True)
class VersionedDocument:
    """A reference row and the revisions in which it was believed."""

    kind: str
    id: str
    source: str
    document: Mapping[str, object]
    revision_from: int
    revision_to: int | None


@dataclass(frozen=True, slots=True)
class VersionedListing:
    """A listing and the revisions in which it was believed."""

    record: ListingRecord
    revision_from: int
    revision_to: int | None


@dataclass(frozen=True, slots=True)
class CatalogContent:
    """All rows by row id, and the recorded time of each revision."""

    gpu_prices: Mapping[int, GpuPriceRecord] = field(default_factory=dict)
    list_prices: Mapping[int, ListPriceRecord] = field(default_factory=dict)
    fx_rates: Mapping[int, FxRateRecord] = field(default_factory=dict)
    listings: Mapping[int, VersionedListing] = field(default_factory=dict)
    documents: Mapping[tuple[str, int], VersionedDocument] = field(default_factory=dict)
    """By kind and row id."""
    recorded_at: tuple[datetime, ...] = ()
    """Of revision 1, 2, ...; never falls."""
    digest_sum: int = 0
    """Sum modulo 2**256 of the SHA-256 of the rows believed now: their order does not matter, and a
    closed row is taken out again. It tells contents apart; it guards against no forger."""

    @property
    def revision(self) -> int:
        """The last revision read; 0 for an empty catalog."""
        return len(self.recorded_at)

    @property
    def digest(self) -> str:
        """Digest of what is believed now, equal wherever the content is equal."""
        return f"{self.digest_sum:064x}"


EMPTY: Final = CatalogContent()


def load_content(connection: Connection, before: CatalogContent = EMPTY) -> CatalogContent:
    """Return the state of the database, reading only what is new since ``before``.

    The connection must see one state of the database throughout (a SQLite transaction, or REPEATABLE
    READ in PostgreSQL).
    """
    since = before.revision
    reading = _Reading(connection, since, before.digest_sum)
    return CatalogContent(
        gpu_prices=reading.merge(tables.gpu_price, before.gpu_prices, gpu_price_record, lambda row: row.id),
        list_prices=reading.merge(
            tables.list_price, before.list_prices, list_price_record, lambda row: row.id
        ),
        fx_rates=reading.merge(tables.fx_rate, before.fx_rates, fx_rate_record, lambda row: row.id),
        listings=reading.merge(tables.listing, before.listings, _listing, lambda row: row.id),
        documents=_documents(reading, before.documents),
        recorded_at=(*before.recorded_at, *_recorded(connection, since)),
        digest_sum=reading.digest_sum,
    )


def _recorded(connection: Connection, since: int) -> list[datetime]:
    revision = tables.revision.c
    query = select(revision.recorded_at).where(revision.revision > since).order_by(revision.revision)
    return list(connection.execute(query).scalars())


@dataclass(slots=True)
class _Reading:
    connection: Connection
    since: int
    digest_sum: int

    def merge(
        self,
        table: Table,
        before: Mapping[Any, Any],
        record: Callable[[Row[Any]], Any],
        key: Callable[[Row[Any]], Any],
    ) -> Mapping[Any, Any]:
        """Return the earlier rows with those that began or ended since; the same object where none did."""
        merged: dict[Any, Any] | None = None
        digest = _RowDigest(table)
        query = select(table)
        if self.since:
            query = query.where(or_(table.c.revision_from > self.since, table.c.revision_to > self.since))
        for row in self.connection.execute(query):
            if row.revision_from <= self.since:
                self.digest_sum = (self.digest_sum - digest.of(row)) % _MODULUS
            elif row.revision_to is None:
                self.digest_sum = (self.digest_sum + digest.of(row)) % _MODULUS
            if merged is None:
                merged = dict(before)
            merged[key(row)] = record(row)
        return before if merged is None else merged


def _documents(
    reading: _Reading, before: Mapping[tuple[str, int], VersionedDocument]
) -> Mapping[tuple[str, int], VersionedDocument]:
    merged = before
    for kind, table in tables.reference.items():

        def record(row: Row[Any], kind: str = kind) -> VersionedDocument:
            return VersionedDocument(
                kind, row.id, row.source, row.document, row.revision_from, row.revision_to
            )

        def key(row: Row[Any], kind: str = kind) -> tuple[str, int]:
            return kind, row.row_id

        merged = reading.merge(table, merged, record, key)
    return merged


def _listing(row: Row[Any]) -> VersionedListing:
    record = ListingRecord(
        provider=row.provider,
        provider_model_id=row.provider_model_id,
        model=row.model,
        relation=row.relation,
        routed_from=row.routed_from,
        method=row.method,
        checked_on=row.checked_on,
        note=row.note,
        source=row.source,
    )
    return VersionedListing(record, row.revision_from, row.revision_to)


_NOT_CONTENT: Final = frozenset({"row_id", "revision_from", "revision_to", "recorded_at"})


class _RowDigest:
    """Hashes what the rows of a table say; numbers of rows and revisions are the database's own."""

    def __init__(self, table: Table) -> None:
        self._name = table.name
        own_id = "id" if "row_id" not in table.c else "row_id"
        self._places = tuple(
            place
            for place, column in enumerate(table.c)
            if column.name not in _NOT_CONTENT and column.name != own_id
        )

    def of(self, row: Row[Any]) -> int:
        """Return the hash of a row of ``select(table)``."""
        parts = [self._name, *(_text(row[place]) for place in self._places)]
        return int.from_bytes(hashlib.sha256(canonical_json(parts).encode()).digest(), "big")


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, Decimal):
        return format_amount(value)
    if isinstance(value, int):
        return str(value)
    return canonical_json(value) if isinstance(value, Mapping) else value.isoformat()
