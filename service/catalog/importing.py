"""Applies an import plan in one transaction under one revision. Seeds come this way too."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import Connection, Engine, select, update

from service.application.errors import ConflictError
from service.application.write_ports.imports import SourceDisagreement
from service.application.write_ports.keys import AuditEntry
from service.catalog import import_records, repository, tables
from service.catalog.database import RevisionStamp, allot_revision, current_revision, writing
from service.catalog.drafts import ImportBatch
from service.catalog.import_plan import ImportPlan, plan_import
from service.catalog.key_store import write_audit
from service.catalog.reference_plan import apply_references

ImportState = Literal["applied", "held", "rejected", "unchanged"]


@dataclass(frozen=True, slots=True)
class ImportOutcome:
    """What came of an import."""

    state: ImportState
    """``unchanged`` where this very content was applied last; nothing was planned then."""
    import_id: int | None
    revision: int | None
    """The revision written; None where nothing had to be."""
    plan: ImportPlan | None


def last_applied_digest(connection: Connection, name: str) -> str | None:
    """Return the content digest of a source's last applied import."""
    record = tables.import_record
    digest: str | None = connection.execute(
        select(record.c.content_digest)
        .where(record.c.name == name, record.c.state == "applied")
        .order_by(record.c.id.desc())
        .limit(1)
    ).scalar_one_or_none()
    return digest


def run_import(
    engine: Engine,
    batch: ImportBatch,
    *,
    actor: str,
    reviewed: bool = False,
    despite_hold: bool = False,
    disagreements: Sequence[SourceDisagreement] = (),
) -> ImportOutcome:
    """Plan and apply a batch in one transaction; the same content twice is a no-op.

    Parameters
    ----------
    engine
        The catalog's database.
    batch
        What was read from the source.
    actor
        Who asked, for the revision's label.
    reviewed
        True for content that people reviewed where it is kept: nothing is held, and a single row that
        cannot be used rejects the whole.
    despite_hold
        True where somebody looked at what would be held, and it is right.
    disagreements
        With other sources, for the report that is kept.
    """
    with writing(engine) as connection:
        if last_applied_digest(connection, batch.name) == batch.content_digest:
            return ImportOutcome("unchanged", None, None, None)
        plan = plan_import(connection, batch)
        state = state_of(plan, reviewed=reviewed)
        if state == "held" and despite_hold:
            state = "applied"
        import_id = record_import(connection, plan, state, disagreements)
        if state == "held":
            import_records.keep_batch(connection, import_id, batch)
        revision = None
        if state == "applied" and not plan.is_empty:
            revision = apply_plan(connection, plan, import_id, actor=actor).revision
        detail = {"import": import_id, "state": state, "despite_hold": despite_hold, **plan.counts()}
        write_audit(connection, AuditEntry(actor, "import.run", batch.name, revision, detail))
        return ImportOutcome(state, import_id, revision, plan)


def state_of(plan: ImportPlan, *, reviewed: bool) -> Literal["applied", "held", "rejected"]:
    """Return what becomes of an import that is applied at once."""
    nothing_usable = plan.is_empty and not plan.unchanged
    if plan.rejected and (reviewed or nothing_usable):
        return "rejected"
    return "held" if plan.held and not reviewed else "applied"


def record_import(
    connection: Connection,
    plan: ImportPlan,
    state: str,
    disagreements: Sequence[SourceDisagreement] = (),
) -> int:
    """Keep an import's digest, counts and report; return its number."""
    values = import_records.plan_values(plan, disagreements)
    return import_records.insert_record(
        connection, {**values, "state": state, "recorded_at": datetime.now(UTC)}
    )


def apply_plan(connection: Connection, plan: ImportPlan, import_id: int, *, actor: str) -> RevisionStamp:
    """Write a plan under a new revision; only inside ``database.writing``.

    Raises
    ------
    ConflictError
        Where the catalog moved since the plan was made.
    """
    now = current_revision(connection)
    if now != plan.base_revision:
        raise ConflictError(
            f"The plan was made at revision {plan.base_revision} and the catalog is at {now}; plan again.",
            code="revision-moved",
            accepted={"revision": now},
        )
    reason = f"import {plan.batch.name}"
    stamp = allot_revision(connection, reason=reason, actor=actor, import_id=import_id)
    apply_references(connection, stamp, plan.references)
    repository.apply_timelines(connection, stamp, plan.prices)
    connection.execute(
        update(tables.import_record)
        .where(tables.import_record.c.id == import_id)
        .values(state="applied", applied_revision=stamp.revision)
    )
    return stamp
