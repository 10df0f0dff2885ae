"""Applies an import plan in one transaction under one revision. Seeds come this way too."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Connection, Engine, insert, select, update

from service.application.errors import ConflictError
from service.catalog import repository, tables
from service.catalog.database import RevisionStamp, allot_revision, current_revision, writing
from service.catalog.drafts import ImportBatch
from service.catalog.import_plan import ImportPlan, plan_import
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


def run_import(engine: Engine, batch: ImportBatch, *, actor: str, reviewed: bool = False) -> ImportOutcome:
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
    """
    with writing(engine) as connection:
        if last_applied_digest(connection, batch.name) == batch.content_digest:
            return ImportOutcome("unchanged", None, None, None)
        plan = plan_import(connection, batch)
        state = _state(plan, reviewed=reviewed)
        import_id = record_import(connection, plan, state)
        if state != "applied" or plan.is_empty:
            return ImportOutcome(state, import_id, None, plan)
        stamp = apply_plan(connection, plan, import_id, actor=actor)
        return ImportOutcome(state, import_id, stamp.revision, plan)


def _state(plan: ImportPlan, *, reviewed: bool) -> Literal["applied", "held", "rejected"]:
    nothing_usable = plan.is_empty and not plan.unchanged
    if plan.rejected and (reviewed or nothing_usable):
        return "rejected"
    return "held" if plan.held and not reviewed else "applied"


def record_import(connection: Connection, plan: ImportPlan, state: str) -> int:
    """Keep an import's digest, counts and report; return its number."""
    result = connection.execute(
        insert(tables.import_record).values(
            name=plan.batch.name,
            content_digest=plan.batch.content_digest,
            state=state,
            base_revision=plan.base_revision,
            observed_at=plan.batch.observed_at,
            recorded_at=datetime.now(UTC),
            counts=plan.counts(),
            report=_report(plan),
        )
    )
    key = result.inserted_primary_key
    if key is None:
        raise RuntimeError("The database gave the import no number.")
    return int(key[0])


def _report(plan: ImportPlan) -> dict[str, Any]:
    """Return what a person reads later; added rows are many and in the catalog anyway."""
    return {
        "changed": [asdict(change) for change in plan.changed],
        "withdrawn": [asdict(change) for change in plan.withdrawn],
        "rejected": [asdict(rejected) for rejected in plan.rejected],
        "held": list(plan.held),
    }


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
