"""Guard history: no two rows of a key at once, no change but closing, no deletion."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "20261123_0002"
down_revision: str | None = "20261123_0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

REFERENCE_KINDS = (
    "source", "unit", "meter", "number_format", "accelerator", "engine_policy", "model", "calibration",
)  # fmt: skip
KEYS: dict[str, tuple[str, ...]] = {
    "gpu_price": (
        "source", "provider", "accelerator", "region", "commitment", "gpus_per_instance", "currency",
    ),
    "list_price": ("source", "provider", "provider_model_id", "meter", "currency", "selector"),
    "listing": ("provider", "provider_model_id"),
    "fx_rate": ("source", "base_currency", "quote_currency", "on_day"),
    "alias": ("kind", "alias"),
    **dict.fromkeys(REFERENCE_KINDS, ("id",)),
}  # fmt: skip
VALID_TIME = {"gpu_price", "list_price"}
INSTANTS = {"valid_from", "valid_to", "recorded_at"}

# to_jsonb covers columns that a later migration adds, so this function needs no successor.
POSTGRESQL_FUNCTIONS = """
CREATE FUNCTION pertoken_close_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.revision_to IS NULL AND NEW.revision_to IS NOT NULL
       AND to_jsonb(OLD) - 'revision_to' = to_jsonb(NEW) - 'revision_to' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'rows of % are only ever closed: revision_to, once, from null', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE FUNCTION pertoken_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
"""


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        # One operator class for texts, numbers and days beside ranges; a trusted extension since 13.
        op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
        op.execute(POSTGRESQL_FUNCTIONS)
        for table, key in KEYS.items():
            _guard_postgresql(table, key)
        _keep_postgresql("revision")
    else:
        for table, key in KEYS.items():
            _guard_sqlite(table, key)
        _keep_sqlite("revision", ("UPDATE", "DELETE"))


def _guard_postgresql(table: str, key: tuple[str, ...]) -> None:
    parts = [f"{column} WITH =" for column in key]
    if table in VALID_TIME:
        parts.append("tstzrange(valid_from, valid_to) WITH &&")
    parts.append("int4range(revision_from, revision_to) WITH &&")
    op.execute(
        f"ALTER TABLE {table} ADD CONSTRAINT ex_{table}_overlap EXCLUDE USING gist ({', '.join(parts)})"
    )
    op.execute(
        f"CREATE TRIGGER {table}_close_only BEFORE UPDATE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION pertoken_close_only()"
    )
    op.execute(
        f"CREATE TRIGGER {table}_keep BEFORE DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION pertoken_keep()"
    )


def _keep_postgresql(table: str) -> None:
    op.execute(
        f"CREATE TRIGGER {table}_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION pertoken_keep()"
    )


def _guard_sqlite(table: str, key: tuple[str, ...]) -> None:
    columns = [column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)]
    same = " AND ".join(f"old_row.{column} = NEW.{column}" for column in key)
    far = "9223372036854775807"
    overlap = (
        f"old_row.revision_from < coalesce(NEW.revision_to, {far}) "
        f"AND NEW.revision_from < coalesce(old_row.revision_to, {far})"
    )
    if table in VALID_TIME:
        # Times are texts of one width, so their order is the order in time; '~' sorts after any digit.
        overlap += (
            " AND old_row.valid_from < coalesce(NEW.valid_to, '~') "
            "AND NEW.valid_from < coalesce(old_row.valid_to, '~')"
        )
    op.execute(
        f"CREATE TRIGGER {table}_no_overlap BEFORE INSERT ON {table} "
        f"WHEN EXISTS (SELECT 1 FROM {table} AS old_row WHERE {same} AND {overlap}) "
        f"BEGIN SELECT RAISE(ABORT, 'rows of {table} overlap'); END"
    )
    unchanged = " AND ".join(f"OLD.{column} IS NEW.{column}" for column in columns if column != "revision_to")
    op.execute(
        f"CREATE TRIGGER {table}_close_only BEFORE UPDATE ON {table} "
        f"WHEN NOT (OLD.revision_to IS NULL AND NEW.revision_to IS NOT NULL AND {unchanged}) "
        f"BEGIN SELECT RAISE(ABORT, 'rows of {table} are only ever closed: revision_to, from null'); END"
    )
    _check_instants_sqlite(table, [name for name in columns if name in INSTANTS])
    _keep_sqlite(table, ("DELETE",))
    _refuse_replace_sqlite(table, "id" if "row_id" not in columns else "row_id")


def _check_instants_sqlite(table: str, columns: list[str]) -> None:
    """Refuse a time in another form than the one whose order as text is the order in time."""
    form = "????-??-??T??:??:??.??????Z"
    bad = " OR ".join(f"NEW.{column} NOT GLOB '{form}'" for column in columns)
    op.execute(
        f"CREATE TRIGGER {table}_instants BEFORE INSERT ON {table} WHEN {bad} "
        f"BEGIN SELECT RAISE(ABORT, 'times of {table} are written {form}'); END"
    )


def _keep_sqlite(table: str, events: tuple[str, ...]) -> None:
    for event in events:
        op.execute(
            f"CREATE TRIGGER {table}_keep_{event.lower()} BEFORE {event} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, 'rows of {table} are never changed or deleted'); END"
        )


def _refuse_replace_sqlite(table: str, row_id: str) -> None:
    """INSERT OR REPLACE deletes without firing delete triggers."""
    op.execute(
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
        f"WHEN EXISTS (SELECT 1 FROM {table} AS old_row WHERE old_row.{row_id} = NEW.{row_id}) "
        f"BEGIN SELECT RAISE(ABORT, 'rows of {table} are never changed or deleted'); END"
    )


def downgrade() -> None:
    raise NotImplementedError("The catalog only goes forward: restore a backup instead.")
