"""Writes of prices and exchange rates: what is stated, and the transaction that takes it."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, Protocol

from service.application.ports import (
    FxRateRecord,
    GpuPriceRecord,
    ListPriceRecord,
    Price,
    Selector,
    ValidFromBasis,
)
from service.application.write_ports.keys import AuditEntry

PriceKind = Literal["gpu_price", "list_price"]
PriceRecord = GpuPriceRecord | ListPriceRecord


@dataclass(frozen=True, slots=True)
class GpuPriceStatement:
    """What one accelerator-hour costs from a time on."""

    source: str
    provider: str
    accelerator: str
    """Catalog id, not an alias."""
    region: str
    commitment: str
    gpus_per_instance: int
    price: Price
    valid_from: datetime
    valid_to: datetime | None = None
    """None: up to the next change already known, else open."""
    valid_from_basis: ValidFromBasis = "stated"
    note: str = ""


@dataclass(frozen=True, slots=True)
class ListPriceStatement:
    """What a provider charges for one meter from a time on."""

    source: str
    provider: str
    provider_model_id: str
    meter: str
    selector: Selector
    price: Price
    valid_from: datetime
    valid_to: datetime | None = None
    valid_from_basis: ValidFromBasis = "stated"
    note: str = ""


PriceStatement = GpuPriceStatement | ListPriceStatement


@dataclass(frozen=True, slots=True)
class Correction:
    """What was wrong about a row; what is None was right."""

    amount: Decimal | None = None
    currency: str | None = None
    per: str | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    opens_end: bool = False
    """True where the right end is none at all."""
    note: str | None = None


@dataclass(frozen=True, slots=True)
class FxRateStatement:
    """How many units of ``quote`` one unit of ``base`` costs on a UTC day."""

    source: str
    base: str
    quote: str
    day: date
    rate: Decimal


@dataclass(frozen=True, slots=True)
class RevisionLabel:
    """What a revision is remembered by."""

    reason: str
    actor: str


@dataclass(frozen=True, slots=True)
class PricesWritten:
    """What a write did to the history."""

    revision: int | None
    """None where everything was so already."""
    retired: tuple[int, ...] = ()
    """Numbers of the rows that are no longer believed."""
    inserted: tuple[PriceRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class RatesWritten:
    """What a write did to the exchange rates."""

    revision: int | None
    retired: tuple[int, ...] = ()
    inserted: tuple[FxRateRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class IdempotencySlot:
    """One intended write of one caller, however often it is sent."""

    key_id: str
    method: str
    path: str
    idempotency_key: str
    body_sha256: str


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer as it goes out, and goes out again when the request is repeated."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RememberedAnswer:
    """What a slot holds."""

    body_sha256: str
    answer: StoredAnswer


class WriteTransaction(Protocol):
    """One transaction that excludes all other writers; nothing of it stays where an error leaves it."""

    def revision(self) -> int:
        """Return the newest revision."""
        ...

    def remembered(self, slot: IdempotencySlot) -> RememberedAnswer | None:
        """Return what was answered to this write in the last 24 hours."""
        ...

    def remember(self, slot: IdempotencySlot, answer: StoredAnswer) -> None:
        """Keep an answer with the write that it tells of."""
        ...

    def audit(self, entry: AuditEntry) -> None:
        """Keep who did what, with the write."""
        ...


class CatalogTransaction(WriteTransaction, Protocol):
    """A transaction on prices and exchange rates."""

    def change(self, statement: PriceStatement, label: RevisionLabel) -> PricesWritten:
        """Let a price hold from its time on."""
        ...

    def correct(
        self, kind: PriceKind, row_id: int, correction: Correction, label: RevisionLabel
    ) -> PricesWritten:
        """Replace what a row states."""
        ...

    def withdraw(self, kind: PriceKind, row_id: int, moment: datetime, label: RevisionLabel) -> PricesWritten:
        """End a row at a time."""
        ...

    def put_rates(self, rates: Sequence[FxRateStatement], label: RevisionLabel) -> RatesWritten:
        """Let these be the rates of their source, pair and day."""
        ...


class CatalogWriter(Protocol):
    """Opens write transactions."""

    def transaction(self, slot: IdempotencySlot | None) -> AbstractContextManager[CatalogTransaction]:
        """Open one; commit at the end of the block.

        Raises ConflictError ``request-in-flight`` where the same slot is being carried out, and
        UnavailableError where the database does not answer.
        """
        ...
