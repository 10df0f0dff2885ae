"""Create the catalog: revisions, bitemporal prices, versioned reference rows, keys."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision: str = "20261123_0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

REFERENCE_KINDS = (
    "source", "unit", "meter", "number_format", "accelerator", "engine_policy", "model", "calibration",
)  # fmt: skip


def _instant(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    kind = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
    return sa.Column(name, kind, nullable=nullable)


def _decimal(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Numeric(30, 18).with_variant(sa.Text(), "sqlite"), nullable=False)


def _texts(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _row_id(table: str, name: str = "id") -> list[Any]:
    return [sa.Column(name, sa.Integer(), nullable=False), sa.PrimaryKeyConstraint(name, name=f"pk_{table}")]


def _knowledge(table: str) -> list[Any]:
    return [
        sa.Column("revision_from", sa.Integer(), nullable=False),
        sa.Column("revision_to", sa.Integer(), nullable=True),
        _instant("recorded_at"),
        sa.CheckConstraint("revision_to > revision_from", name=f"ck_{table}_revision_order"),
        *(
            sa.ForeignKeyConstraint([column], ["revision.revision"], name=f"fk_{table}_{column}_revision")
            for column in ("revision_from", "revision_to")
        ),
    ]


def _price(table: str) -> list[Any]:
    bases = "valid_from_basis IN ('stated', 'observed', 'assumed')"
    return [
        _decimal("amount"),
        *_texts("per"),
        sa.Column("source_value", sa.Text(), nullable=True),
        *_texts("note", "valid_from_basis"),
        _instant("valid_from"),
        _instant("valid_to", nullable=True),
        sa.CheckConstraint("valid_to > valid_from", name=f"ck_{table}_valid_order"),
        sa.CheckConstraint(bases, name=f"ck_{table}_basis"),
        sa.CheckConstraint("length(currency) = 3", name=f"ck_{table}_currency"),
    ]


def upgrade() -> None:
    _create_revisions()
    _create_prices()
    _create_listings_and_rates()
    _create_reference()
    _create_keys()


def _create_revisions() -> None:
    states = "state IN ('validating', 'preview', 'held', 'applied', 'rejected')"
    op.create_table(
        "import_record",
        *_row_id("import_record"),
        *_texts("name", "content_digest", "state"),
        sa.Column("base_revision", sa.Integer(), nullable=False),
        sa.Column("applied_revision", sa.Integer(), nullable=True),
        _instant("observed_at"),
        _instant("recorded_at"),
        *_texts("counts", "report"),
        sa.CheckConstraint(states, name="ck_import_record_state"),
    )
    op.create_index("ix_import_record_name_content_digest", "import_record", ["name", "content_digest"])
    op.create_table(
        "revision",
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        _instant("recorded_at"),
        *_texts("reason", "actor"),
        sa.Column("import_id", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("revision", name="pk_revision"),
        sa.ForeignKeyConstraint(
            ["import_id"], ["import_record.id"], name="fk_revision_import_id_import_record"
        ),
    )


def _create_prices() -> None:
    gpu_key = ("source", "provider", "accelerator", "region", "commitment", "gpus_per_instance", "currency")
    op.create_table(
        "gpu_price",
        *_row_id("gpu_price"),
        *_texts("source", "provider", "accelerator", "region", "commitment"),
        sa.Column("gpus_per_instance", sa.Integer(), nullable=False),
        *_texts("currency"),
        *_price("gpu_price"),
        *_knowledge("gpu_price"),
        sa.CheckConstraint("gpus_per_instance >= 1", name="ck_gpu_price_gpus_per_instance"),
    )
    op.create_index("ix_gpu_price_key", "gpu_price", list(gpu_key))
    list_key = ("source", "provider", "provider_model_id", "meter", "currency", "selector")
    op.create_table(
        "list_price",
        *_row_id("list_price"),
        *_texts(*list_key),
        *_price("list_price"),
        *_knowledge("list_price"),
    )
    op.create_index("ix_list_price_key", "list_price", list(list_key))


def _create_listings_and_rates() -> None:
    relations = "relation IN ('same', 'quantised', 'fine_tune', 'distilled', 'unknown')"
    op.create_table(
        "listing",
        *_row_id("listing"),
        *_texts("provider", "provider_model_id", "model", "relation"),
        sa.Column("routed_from", sa.Text(), nullable=True),
        *_texts("method"),
        sa.Column("checked_on", sa.Date(), nullable=False),
        *_texts("source", "note"),
        *_knowledge("listing"),
        sa.CheckConstraint(relations, name="ck_listing_relation"),
    )
    op.create_index("ix_listing_key", "listing", ["provider", "provider_model_id"])
    op.create_table(
        "fx_rate",
        *_row_id("fx_rate"),
        *_texts("source", "base_currency", "quote_currency"),
        sa.Column("on_day", sa.Date(), nullable=False),
        _decimal("rate"),
        *_knowledge("fx_rate"),
    )
    op.create_index("ix_fx_rate_key", "fx_rate", ["source", "base_currency", "quote_currency", "on_day"])


def _create_reference() -> None:
    for kind in REFERENCE_KINDS:
        op.create_table(
            kind, *_row_id(kind, "row_id"), *_texts("id", "source", "document"), *_knowledge(kind)
        )
        op.create_index(f"ix_{kind}_key", kind, ["id"])
    op.create_table(
        "alias", *_row_id("alias", "row_id"), *_texts("kind", "alias", "target"), *_knowledge("alias")
    )
    op.create_index("ix_alias_key", "alias", ["kind", "alias"])


def _create_keys() -> None:
    op.create_table(
        "api_key",
        *_texts("id", "secret_sha256", "label", "scopes"),
        _instant("created_at"),
        _instant("expires_at", nullable=True),
        _instant("revoked_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_api_key"),
    )
    once = ("key_id", "method", "path", "idempotency_key")
    op.create_table(
        "idempotency",
        *_row_id("idempotency"),
        *_texts(*once, "body_sha256"),
        _instant("created_at"),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("response", sa.Text(), nullable=True),
        sa.UniqueConstraint(*once, name="uq_idempotency_key_id_method_path_idempotency_key"),
    )
    op.create_table(
        "audit_event",
        *_row_id("audit_event"),
        _instant("recorded_at"),
        *_texts("actor", "action", "target", "detail"),
        sa.Column("revision", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["revision"], ["revision.revision"], name="fk_audit_event_revision_revision"),
    )
    op.create_index("ix_audit_event_recorded_at", "audit_event", ["recorded_at"])


def downgrade() -> None:
    raise NotImplementedError("The catalog only goes forward: restore a backup instead.")
