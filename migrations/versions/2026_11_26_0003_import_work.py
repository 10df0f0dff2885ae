"""Keep what an unfinished import needs: the lease of its reader, then what was read."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "20261126_0003"
down_revision: str | None = "20261123_0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    instant = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
    op.create_table(
        "import_work",
        sa.Column("import_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("lease_until", instant, nullable=True),
        sa.Column("batch", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("import_id", name="pk_import_work"),
        sa.ForeignKeyConstraint(
            ["import_id"], ["import_record.id"], name="fk_import_work_import_id_import_record"
        ),
    )


def downgrade() -> None:
    raise NotImplementedError("The catalog only goes forward: restore a backup instead.")
