"""The tables. Prices are bitemporal, reference rows and listings are versioned by revision.

Rows of the tables in ``GUARDED`` are never changed or deleted: triggers let ``revision_to`` go from
null to a revision once and refuse the rest (``migrations/``). ``GUARDED`` names the key within which no
two rows may hold at the same time, in valid time (where the table has it) and in knowledge.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from service.catalog.columns import CanonicalJson, ExactDecimal, UtcInstant

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

import_record: Final = Table(
    "import_record",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("content_digest", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("base_revision", Integer, nullable=False),
    Column("applied_revision", Integer),
    Column("observed_at", UtcInstant, nullable=False),
    Column("recorded_at", UtcInstant, nullable=False),
    Column("counts", CanonicalJson, nullable=False),
    Column("report", CanonicalJson, nullable=False),
    CheckConstraint("state IN ('validating', 'preview', 'held', 'applied', 'rejected')", name="state"),
    Index(None, "name", "content_digest"),
)

import_work: Final = Table(
    "import_work",
    metadata,
    Column("import_id", Integer, ForeignKey("import_record.id"), primary_key=True),
    Column("lease_until", UtcInstant),
    Column("batch", Text),
)
"""What an unfinished import needs: until when its reader counts as alive, then what was read."""

revision: Final = Table(
    "revision",
    metadata,
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("recorded_at", UtcInstant, nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("import_id", Integer, ForeignKey("import_record.id")),
)


def _knowledge() -> tuple[Any, ...]:
    """Columns that say when a row was believed."""
    return (
        Column("revision_from", Integer, ForeignKey("revision.revision"), nullable=False),
        Column("revision_to", Integer, ForeignKey("revision.revision")),
        Column("recorded_at", UtcInstant, nullable=False),
        CheckConstraint("revision_to > revision_from", name="revision_order"),
    )


def _price() -> tuple[Any, ...]:
    """Columns of the value and its valid time."""
    return (
        Column("amount", ExactDecimal, nullable=False),
        Column("per", Text, nullable=False),
        Column("source_value", Text),
        Column("note", Text, nullable=False),
        Column("valid_from", UtcInstant, nullable=False),
        Column("valid_to", UtcInstant),
        Column("valid_from_basis", Text, nullable=False),
        CheckConstraint("valid_to > valid_from", name="valid_order"),
        CheckConstraint("valid_from_basis IN ('stated', 'observed', 'assumed')", name="basis"),
        CheckConstraint("length(currency) = 3", name="currency"),
    )


GPU_PRICE_KEY: Final = (
    "source", "provider", "accelerator", "region", "commitment", "gpus_per_instance", "currency",
)  # fmt: skip
LIST_PRICE_KEY: Final = ("source", "provider", "provider_model_id", "meter", "currency", "selector")
LISTING_KEY: Final = ("provider", "provider_model_id")
FX_RATE_KEY: Final = ("source", "base_currency", "quote_currency", "on_day")

gpu_price: Final = Table(
    "gpu_price",
    metadata,
    Column("id", Integer, primary_key=True),
    *(
        Column(name, Integer if name == "gpus_per_instance" else Text, nullable=False)
        for name in GPU_PRICE_KEY
    ),
    *_price(),
    *_knowledge(),
    CheckConstraint("gpus_per_instance >= 1", name="gpus_per_instance"),
    Index("ix_gpu_price_key", *GPU_PRICE_KEY),
)

list_price: Final = Table(
    "list_price",
    metadata,
    Column("id", Integer, primary_key=True),
    *(Column(name, Text, nullable=False) for name in LIST_PRICE_KEY),
    *_price(),
    *_knowledge(),
    Index("ix_list_price_key", *LIST_PRICE_KEY),
)

listing: Final = Table(
    "listing",
    metadata,
    Column("id", Integer, primary_key=True),
    *(Column(name, Text, nullable=False) for name in LISTING_KEY),
    Column("model", Text, nullable=False),
    Column("relation", Text, nullable=False),
    Column("routed_from", Text),
    Column("method", Text, nullable=False),
    Column("checked_on", Date, nullable=False),
    Column("source", Text, nullable=False),
    Column("note", Text, nullable=False),
    *_knowledge(),
    CheckConstraint(
        "relation IN ('same', 'quantised', 'fine_tune', 'distilled', 'unknown')", name="relation"
    ),
    Index("ix_listing_key", *LISTING_KEY),
)

fx_rate: Final = Table(
    "fx_rate",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source", Text, nullable=False),
    Column("base_currency", Text, nullable=False),
    Column("quote_currency", Text, nullable=False),
    Column("on_day", Date, nullable=False),
    Column("rate", ExactDecimal, nullable=False),
    *_knowledge(),
    Index("ix_fx_rate_key", *FX_RATE_KEY),
)

alias: Final = Table(
    "alias",
    metadata,
    Column("row_id", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("alias", Text, nullable=False),
    Column("target", Text, nullable=False),
    *_knowledge(),
    Index("ix_alias_key", "kind", "alias"),
)


def _reference(name: str) -> Table:
    """Return a table of documents versioned by revision."""
    return Table(
        name,
        metadata,
        Column("row_id", Integer, primary_key=True),
        Column("id", Text, nullable=False),
        Column("source", Text, nullable=False),
        Column("document", CanonicalJson, nullable=False),
        *_knowledge(),
        Index(f"ix_{name}_key", "id"),
    )


REFERENCE_KINDS: Final = (
    "source", "unit", "meter", "number_format", "accelerator", "engine_policy", "model", "calibration",
)  # fmt: skip
reference: Final = {kind: _reference(kind) for kind in REFERENCE_KINDS}

api_key: Final = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("secret_sha256", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_at", UtcInstant, nullable=False),
    Column("expires_at", UtcInstant),
    Column("revoked_at", UtcInstant),
)

idempotency: Final = Table(
    "idempotency",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key_id", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("idempotency_key", Text, nullable=False),
    Column("body_sha256", Text, nullable=False),
    Column("created_at", UtcInstant, nullable=False),
    Column("status", Integer),
    Column("response", Text),
    UniqueConstraint("key_id", "method", "path", "idempotency_key"),
)

audit_event: Final = Table(
    "audit_event",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("recorded_at", UtcInstant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("revision", Integer, ForeignKey("revision.revision")),
    Column("detail", CanonicalJson, nullable=False),
    Index(None, "recorded_at"),
)


@dataclass(frozen=True, slots=True)
class Guard:
    """What the triggers of a table protect."""

    key: tuple[str, ...]
    valid_time: bool


GUARDED: Final = {
    "gpu_price": Guard(GPU_PRICE_KEY, valid_time=True),
    "list_price": Guard(LIST_PRICE_KEY, valid_time=True),
    "listing": Guard(LISTING_KEY, valid_time=False),
    "fx_rate": Guard(FX_RATE_KEY, valid_time=False),
    "alias": Guard(("kind", "alias"), valid_time=False),
    **{kind: Guard(("id",), valid_time=False) for kind in REFERENCE_KINDS},
}
