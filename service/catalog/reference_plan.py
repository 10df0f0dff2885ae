"""Reference rows and listings of an import: what differs from what is believed now."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Row

from service.catalog import repository, tables
from service.catalog.columns import canonical_json
from service.catalog.database import RevisionStamp
from service.catalog.drafts import (
    GpuPriceDraft,
    ImportBatch,
    ListingDraft,
    ListPriceDraft,
    ReferenceDraft,
    ReferenceKind,
    RejectedDraft,
)
from service.catalog.registry import Registry

_OF_PRICES: Final[tuple[ReferenceKind, ...]] = ("source", "unit", "meter", "accelerator")
"""What a price refers to."""


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """One line of an import's report; ``before`` or ``after`` is None where there is none."""

    what: str
    before: str | None
    after: str | None
    percent: str | None = None
    """Change of a price, for example ``+25.0 %``; None where there is none to compare."""


@dataclass(slots=True)
class ReferencePlan:
    """Reference rows to close and to add, and what later drafts may refer to."""

    registry: Registry
    closed: dict[str, list[int]] = field(default_factory=dict)
    """Row ids by table."""
    inserted: dict[str, list[dict[str, object]]] = field(default_factory=dict)
    """New rows by table."""
    aliases: dict[ReferenceKind, dict[str, str]] = field(default_factory=dict)
    """All aliases of each kind that changes, to their ids."""
    added: list[PlannedChange] = field(default_factory=list)
    changed: list[PlannedChange] = field(default_factory=list)
    withdrawn: list[PlannedChange] = field(default_factory=list)
    unchanged: int = 0
    rejected: list[RejectedDraft] = field(default_factory=list)


def plan_references(connection: Connection, batch: ImportBatch) -> ReferencePlan:
    """Compare documents and listings with what is believed now; writes nothing."""
    only_prices = all(isinstance(draft, GpuPriceDraft | ListPriceDraft) for draft in batch.drafts)
    kinds = _OF_PRICES if only_prices and not batch.complete_kinds else tables.REFERENCE_KINDS
    live = {kind: repository.live_documents(connection, kind) for kind in kinds}
    drafts = [draft for draft in batch.drafts if isinstance(draft, ReferenceDraft)]
    documents: dict[Any, dict[str, Mapping[str, object]]] = {
        kind: {row_id: row.document for row_id, row in rows.items()} for kind, rows in live.items()
    }
    for draft in drafts:
        documents[draft.kind][draft.id] = draft.document
    plan = ReferencePlan(registry=Registry(documents))
    for kind in kinds:
        mine = [draft for draft in drafts if draft.kind == kind]
        if mine or kind in batch.complete_kinds:
            _plan_kind(plan, batch, kind, mine, live[kind])
    _plan_listings(plan, batch, connection)
    return plan


def _plan_kind(
    plan: ReferencePlan,
    batch: ImportBatch,
    kind: Any,
    drafts: list[ReferenceDraft],
    live: Mapping[str, Row[Any]],
) -> None:
    wanted: dict[str, ReferenceDraft] = {}
    names: dict[str, str] = {}
    for draft in drafts:
        problem = plan.registry.problem(draft) or _name_clash(draft, wanted, names)
        if problem is not None:
            plan.rejected.append(RejectedDraft(draft.origin or f"{kind} {draft.id}", problem))
            continue
        wanted[draft.id] = draft
        names.update(dict.fromkeys(_names(draft), draft.id))
    for draft in wanted.values():
        _plan_document(plan, draft, live.get(draft.id))
    rejected_ids = {draft.id for draft in drafts} - set(wanted)
    gone = set(live) - set(wanted) - rejected_ids if kind in batch.complete_kinds else set()
    for row_id in sorted(gone):
        plan.closed.setdefault(kind, []).append(live[row_id].row_id)
        plan.withdrawn.append(PlannedChange(f"{kind} {row_id}", "present", None))
    plan.aliases[kind] = {
        **{
            alias: row_id
            for row_id, row in live.items()
            if row_id not in wanted and row_id not in gone
            for alias in _document_aliases(row.document)
        },
        **{alias: draft.id for draft in wanted.values() for alias in draft.aliases},
    }


def _document_aliases(document: Mapping[str, object]) -> Iterator[str]:
    aliases = document.get("aliases", ())
    if isinstance(aliases, list | tuple):
        yield from (str(alias) for alias in aliases)


def _names(draft: ReferenceDraft) -> set[str]:
    """Return all names of a row as look-ups compare them: without regard to case."""
    return {name.casefold() for name in (draft.id, *draft.aliases)}


def _name_clash(
    draft: ReferenceDraft, wanted: Mapping[str, ReferenceDraft], names: Mapping[str, str]
) -> str | None:
    if draft.id in wanted:
        return f"id {draft.id!r} appears twice"
    if draft.kind == "unit":
        return None
    clash = sorted(_names(draft) & names.keys())
    return f"name {clash[0]!r} already belongs to {names[clash[0]]!r}" if clash else None


def _plan_document(plan: ReferencePlan, draft: ReferenceDraft, live: Row[Any] | None) -> None:
    what = f"{draft.kind} {draft.id}"
    if live is not None:
        if live.source == draft.source and canonical_json(live.document) == canonical_json(draft.document):
            plan.unchanged += 1
            return
        plan.closed.setdefault(draft.kind, []).append(live.row_id)
        plan.changed.append(PlannedChange(what, "present", "changed"))
    else:
        plan.added.append(PlannedChange(what, None, "present"))
    plan.inserted.setdefault(draft.kind, []).append(
        {"id": draft.id, "source": draft.source, "document": draft.document}
    )


def _plan_listings(plan: ReferencePlan, batch: ImportBatch, connection: Connection) -> None:
    drafts = [draft for draft in batch.drafts if isinstance(draft, ListingDraft)]
    if not drafts and not batch.complete_sources:
        return
    live = repository.live_listings(connection)
    seen: set[tuple[str, str]] = set()
    for draft in drafts:
        key = (draft.provider, draft.provider_model_id)
        problem = plan.registry.problem(draft) or (f"{'/'.join(key)} appears twice" if key in seen else None)
        seen.add(key)
        if problem is not None:
            plan.rejected.append(RejectedDraft(draft.origin or "/".join(key), problem))
        else:
            _plan_listing(plan, _listing_values(draft), live.get(key))
    for key, row in live.items():
        if key not in seen and row.source in batch.complete_sources:
            plan.closed.setdefault("listing", []).append(row.id)
            plan.withdrawn.append(PlannedChange(f"listing {'/'.join(key)}", row.model, None))


def _listing_values(draft: ListingDraft) -> dict[str, object]:
    return {
        "provider": draft.provider,
        "provider_model_id": draft.provider_model_id,
        "model": draft.model,
        "relation": draft.relation,
        "routed_from": draft.routed_from,
        "method": draft.method,
        "checked_on": draft.checked_on,
        "source": draft.source,
        "note": draft.note,
    }


def _plan_listing(plan: ReferencePlan, values: dict[str, object], live: Row[Any] | None) -> None:
    what = f"listing {values['provider']}/{values['provider_model_id']}"
    after = f"{values['relation']} {values['model']}"
    if live is not None:
        if all(live._mapping[name] == value for name, value in values.items()):
            plan.unchanged += 1
            return
        plan.closed.setdefault("listing", []).append(live.id)
        plan.changed.append(PlannedChange(what, f"{live.relation} {live.model}", after))
    else:
        plan.added.append(PlannedChange(what, None, after))
    plan.inserted.setdefault("listing", []).append(values)


def apply_references(connection: Connection, stamp: RevisionStamp, plan: ReferencePlan) -> None:
    """Write the reference part of a plan."""
    for name in sorted(set(plan.closed) | set(plan.inserted)):
        table = tables.metadata.tables[name]
        id_column = "id" if name == "listing" else "row_id"
        repository.close_rows(connection, table, id_column, plan.closed.get(name, []), stamp)
        repository.insert_rows(connection, table, plan.inserted.get(name, []), stamp)
    for kind, aliases in plan.aliases.items():
        repository.replace_aliases(connection, stamp, kind, aliases)
