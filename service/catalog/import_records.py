"""Rows of ``import_record``: what is kept of an import, and what it is read back as."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select, update

from service.application.write_ports.imports import (
    ImportRecord,
    ImportReport,
    ImportState,
    ImportSummary,
    PlannedRow,
    RejectedRow,
    SourceDisagreement,
)
from service.billing.money import format_amount
from service.catalog import tables
from service.catalog.batch_text import batch_from_text, batch_to_text
from service.catalog.database import current_revision
from service.catalog.drafts import GpuPriceDraft, ImportBatch, ListPriceDraft
from service.catalog.import_plan import ImportPlan

KEPT_ROWS: Final = 1000
"""Rows of each list of a report that are kept; a hostile source may have half a million to reject."""

_RECORD: Final = tables.import_record.c
_WORK: Final = tables.import_work
_SUMMARY: Final = (
    _RECORD.id, _RECORD.name, _RECORD.state, _RECORD.content_digest, _RECORD.base_revision,
    _RECORD.applied_revision, _RECORD.observed_at, _RECORD.recorded_at, _RECORD.counts,
)  # fmt: skip


def insert_record(connection: Connection, values: Mapping[str, Any]) -> int:
    """Keep an import; return its number."""
    key = connection.execute(insert(tables.import_record).values(**values)).inserted_primary_key
    if key is None:
        raise RuntimeError("The database gave the import no number.")
    return int(key[0])


def plan_values(plan: ImportPlan, disagreements: Sequence[SourceDisagreement]) -> dict[str, Any]:
    """Return what is kept of a plan: digest, counts, and the first rows of each list."""
    return {
        "name": plan.batch.name,
        "content_digest": plan.batch.content_digest,
        "base_revision": plan.base_revision,
        "observed_at": plan.batch.observed_at,
        "counts": plan.counts() | {"disagreements": len(disagreements)},
        "report": {
            "added": [asdict(change) for change in plan.added[:KEPT_ROWS]],
            "changed": [asdict(change) for change in plan.changed[:KEPT_ROWS]],
            "withdrawn": [asdict(change) for change in plan.withdrawn[:KEPT_ROWS]],
            "rejected": [asdict(rejected) for rejected in plan.rejected[:KEPT_ROWS]],
            "held": list(plan.held[:KEPT_ROWS]),
            "disagreements": [_disagreement_values(item) for item in disagreements[:KEPT_ROWS]],
        },
    }


def find_record(connection: Connection, import_id: int) -> ImportRecord | None:
    """Return an import with its report."""
    query = select(tables.import_record).where(_RECORD.id == import_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else _record(row)


def page_of_summaries(
    connection: Connection, before: int | None, limit: int, state: ImportState | None
) -> list[ImportSummary]:
    """Return imports, the newest first."""
    query = select(*_SUMMARY).order_by(_RECORD.id.desc()).limit(limit)
    if before is not None:
        query = query.where(_RECORD.id < before)
    if state is not None:
        query = query.where(_RECORD.state == state)
    return [_summary(row) for row in connection.execute(query)]


def update_record(connection: Connection, import_id: int, values: Mapping[str, Any]) -> None:
    """Change what is kept of an import."""
    connection.execute(update(tables.import_record).where(_RECORD.id == import_id).values(**values))


def keep_batch(connection: Connection, import_id: int, batch: ImportBatch) -> None:
    """Keep what was read, so that it can be applied later; a batch of other rows than prices is not kept."""
    if all(isinstance(draft, GpuPriceDraft | ListPriceDraft) for draft in batch.drafts):
        drop_work(connection, import_id)
        connection.execute(insert(_WORK).values(import_id=import_id, batch=batch_to_text(batch)))


def kept_batch(connection: Connection, import_id: int) -> ImportBatch | None:
    """Return what was read, if it is still kept."""
    text = connection.execute(
        select(_WORK.c.batch).where(_WORK.c.import_id == import_id)
    ).scalar_one_or_none()
    return None if text is None else batch_from_text(text)


def drop_work(connection: Connection, import_id: int) -> None:
    """Forget what an import needed while it was not finished."""
    connection.execute(delete(_WORK).where(_WORK.c.import_id == import_id))


def drop_overtaken(connection: Connection) -> None:
    """Forget what imports read that can no longer be applied, because the catalog moved."""
    now = current_revision(connection)
    overtaken = select(_RECORD.id).where(_RECORD.base_revision < now)
    connection.execute(delete(_WORK).where(_WORK.c.batch.is_not(None), _WORK.c.import_id.in_(overtaken)))


def _summary(row: Any) -> ImportSummary:
    return ImportSummary(
        id=row.id,
        name=row.name,
        state=row.state,
        content_sha256=row.content_digest or None,
        base_revision=row.base_revision,
        applied_revision=row.applied_revision,
        observed_at=row.observed_at,
        recorded_at=row.recorded_at,
        counts=row.counts,
    )


def _record(row: Row[Any]) -> ImportRecord:
    kept = row.report
    return ImportRecord(
        summary=_summary(row),
        url=kept.get("url"),
        detail=kept.get("detail", ""),
        report=ImportReport(
            added=tuple(PlannedRow(**item) for item in kept.get("added", ())),
            changed=tuple(PlannedRow(**item) for item in kept.get("changed", ())),
            withdrawn=tuple(PlannedRow(**item) for item in kept.get("withdrawn", ())),
            rejected=tuple(RejectedRow(**item) for item in kept.get("rejected", ())),
            held=tuple(kept.get("held", ())),
            disagreements=tuple(_disagreement(item) for item in kept.get("disagreements", ())),
        ),
    )


def _disagreement_values(item: SourceDisagreement) -> dict[str, Any]:
    return {
        **asdict(item),
        "amount": format_amount(item.amount),
        "other_amount": format_amount(item.other_amount),
    }


def _disagreement(values: Mapping[str, Any]) -> SourceDisagreement:
    amounts: dict[str, datetime | Decimal] = {
        "amount": Decimal(values["amount"]), "other_amount": Decimal(values["other_amount"]),
    }  # fmt: skip
    return SourceDisagreement(**{**values, **amounts})
