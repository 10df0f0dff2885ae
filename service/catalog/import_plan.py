"""What an import would do, computed before anything is written (CONTRACT 5)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection

from service.billing.ambiguity import find_ambiguities
from service.billing.money import format_amount
from service.catalog import repository
from service.catalog.database import current_revision
from service.catalog.drafts import (
    GpuPriceDraft,
    ImportBatch,
    ListPriceDraft,
    PriceDraft,
    RejectedDraft,
)
from service.catalog.price_rows import KEY_COLUMNS, PriceKey, draft_interval, draft_key, key_text
from service.catalog.reference_plan import PlannedChange, ReferencePlan, plan_references
from service.catalog.timeline import Interval, TimelineChange, overlay, withdraw

HOLD_WITHDRAWN_SHARE: Final = Decimal("0.05")
HOLD_CHANGE_FACTOR: Final = Decimal(3)


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """The difference between a source and the catalog, ready to be applied at ``base_revision``."""

    batch: ImportBatch
    base_revision: int
    added: tuple[PlannedChange, ...]
    changed: tuple[PlannedChange, ...]
    withdrawn: tuple[PlannedChange, ...]
    unchanged: int
    rejected: tuple[RejectedDraft, ...]
    held: tuple[str, ...]
    """Reasons why a person must look first; empty where the plan may be applied at once."""
    prices: Mapping[PriceKey, TimelineChange]
    references: ReferencePlan

    @property
    def is_empty(self) -> bool:
        """Whether applying would write nothing."""
        return not (self.added or self.changed or self.withdrawn)

    def counts(self) -> dict[str, int]:
        """Return the totals for a report."""
        return {
            "added": len(self.added),
            "changed": len(self.changed),
            "withdrawn": len(self.withdrawn),
            "unchanged": self.unchanged,
            "rejected": len(self.rejected),
            "held": len(self.held),
        }


@dataclass(slots=True)
class _PricePlan:
    """Price part of a plan while it grows."""

    changes: dict[PriceKey, TimelineChange] = field(default_factory=dict)
    added: list[PlannedChange] = field(default_factory=list)
    changed: list[PlannedChange] = field(default_factory=list)
    withdrawn: list[PlannedChange] = field(default_factory=list)
    unchanged: int = 0
    held: list[str] = field(default_factory=list)


def plan_import(connection: Connection, batch: ImportBatch) -> ImportPlan:
    """Compare a source with what is believed now; writes nothing.

    A row that cannot be used is rejected with its reason and the rest goes on; the rows that the
    catalog has of a rejected row's key stay as they are.
    """
    references = plan_references(connection, batch)
    usable, rejected = _sort_prices(batch, references)
    sources = {draft.source for draft in _prices(batch)} | batch.complete_sources
    live = repository.live_timelines(connection, sources)
    untouchable = {draft_key(draft) for draft, _ in rejected}
    plan = _plan_prices(batch, usable, live, untouchable)
    return ImportPlan(
        batch=batch,
        base_revision=current_revision(connection),
        added=(*references.added, *plan.added),
        changed=(*references.changed, *plan.changed),
        withdrawn=(*references.withdrawn, *plan.withdrawn),
        unchanged=references.unchanged + plan.unchanged,
        rejected=(*batch.rejected, *references.rejected, *(reject for _, reject in rejected)),
        held=tuple(plan.held),
        prices=plan.changes,
        references=references,
    )


def _prices(batch: ImportBatch) -> Iterator[PriceDraft]:
    return (draft for draft in batch.drafts if isinstance(draft, GpuPriceDraft | ListPriceDraft))


def _sort_prices(
    batch: ImportBatch, references: ReferencePlan
) -> tuple[dict[PriceKey, list[PriceDraft]], list[tuple[PriceDraft, RejectedDraft]]]:
    """Group usable drafts by key; tell the others why not."""
    usable: dict[PriceKey, list[PriceDraft]] = defaultdict(list)
    rejected: list[tuple[PriceDraft, RejectedDraft]] = []

    def reject(draft: PriceDraft, reason: str) -> None:
        rejected.append((draft, RejectedDraft(draft.origin or key_text(draft_key(draft)), reason)))

    for draft in _prices(batch):
        problem = references.registry.problem(draft)
        if problem is not None:
            reject(draft, problem)
        elif any(_overlap(draft, other) for other in usable[draft_key(draft)]):
            reject(draft, "its interval overlaps another row of the same key in this source")
        else:
            usable[draft_key(draft)].append(draft)
    for draft, reason in _ambiguous(usable.values()):
        usable[draft_key(draft)].remove(draft)
        reject(draft, reason)
    return {key: drafts for key, drafts in usable.items() if drafts}, rejected


def _overlap(one: PriceDraft, other: PriceDraft) -> bool:
    first, second = draft_interval(one), draft_interval(other)
    return first.valid_from < second.end and second.valid_from < first.end


def _ambiguous(groups: Iterable[Sequence[PriceDraft]]) -> Iterator[tuple[ListPriceDraft, str]]:
    """Yield list prices that a request could match beside another with nothing to choose (CONTRACT 3)."""
    meters: dict[tuple[str, ...], list[ListPriceDraft]] = defaultdict(list)
    listed = (draft for drafts in groups for draft in drafts if isinstance(draft, ListPriceDraft))
    for draft in listed:
        meter = (draft.source, draft.provider, draft.provider_model_id, draft.meter, draft.price.currency)
        meters[meter].append(draft)
    for rows in meters.values():
        # A row may compete with several others; it is rejected once.
        reasons = {id(found.second): found for found in reversed(find_ambiguities(rows))}
        yield from ((found.second, found.reason) for found in reasons.values())


def _plan_prices(
    batch: ImportBatch,
    usable: Mapping[PriceKey, Sequence[PriceDraft]],
    live: Mapping[PriceKey, Sequence[Interval]],
    untouchable: set[PriceKey],
) -> _PricePlan:
    plan = _PricePlan()
    for key, drafts in usable.items():
        known = live.get(key, ())
        complete = key[1][0] in batch.complete_sources and key not in untouchable
        step = overlay(known, [draft_interval(draft) for draft in drafts], complete=complete)
        if not step:
            plan.unchanged += len(drafts)
            continue
        plan.changes[key] = step
        _describe(plan, key, known, step)
    _hold_new_currencies(plan, live)
    _plan_withdrawals(plan, batch, live, untouchable | set(usable))
    return plan


def _hold_new_currencies(plan: _PricePlan, live: Mapping[PriceKey, Sequence[Interval]]) -> None:
    """Hold a price in another currency than its source has for the same thing: rarely meant, and no leap."""
    known = {_without_currency(key): key for key in live}
    for key in plan.changes:
        other = known.get(_without_currency(key))
        if key not in live and other is not None:
            plan.held.append(f"{key_text(key)} is priced in another currency so far: {key_text(other)}")


def _without_currency(key: PriceKey) -> PriceKey:
    kind, values = key
    place = KEY_COLUMNS[kind].index("currency")
    return kind, (*values[:place], *values[place + 1 :])


def _describe(plan: _PricePlan, key: PriceKey, known: Sequence[Interval], step: TimelineChange) -> None:
    if not known:
        plan.added.extend(PlannedChange(key_text(key), None, _price_text(new)) for new in step.inserted)
        return
    begins = {new.valid_from for new in step.inserted}
    for new in step.inserted:
        old = _before(known, new)
        # What is left of a row up to where another price takes over is no news of its own.
        if (
            old is not None
            and new.valid_to in begins
            and replace(old, valid_to=new.valid_to, row_id=new.row_id) == new
        ):
            continue
        plan.changed.append(
            PlannedChange(
                key_text(key), None if old is None else _price_text(old), _price_text(new), _percent(old, new)
            )
        )
        if old is not None and old.per == new.per and _leaps(old.amount, new.amount):
            plan.held.append(
                f"{key_text(key)} goes from {_price_text(old)} to {_price_text(new)}, "
                f"more than {HOLD_CHANGE_FACTOR} times"
            )
    if not step.inserted:
        plan.changed.extend(PlannedChange(key_text(key), _price_text(old), None) for old in step.retired)


def _percent(old: Interval | None, new: Interval) -> str | None:
    """Return how much a price rises or falls, with one digit after the point."""
    if old is None or old.per != new.per or not old.amount:
        return None
    change = 100 * (new.amount - old.amount) / old.amount
    return f"{change:+.1f} %"


def _before(known: Sequence[Interval], new: Interval) -> Interval | None:
    """Return what was believed where a new interval begins, else the last before it."""
    earlier = [part for part in known if part.valid_from <= new.valid_from]
    return max(earlier, key=lambda part: part.valid_from, default=None)


def _leaps(before: Decimal, after: Decimal) -> bool:
    low, high = sorted((before, after))
    return high > low * HOLD_CHANGE_FACTOR


def _plan_withdrawals(
    plan: _PricePlan,
    batch: ImportBatch,
    live: Mapping[PriceKey, Sequence[Interval]],
    present: set[PriceKey],
) -> None:
    """Withdraw what complete sources no longer have; hold where that is much of a source."""
    current: dict[str, int] = defaultdict(int)
    gone: dict[str, int] = defaultdict(int)
    for key, known in live.items():
        source = str(key[1][0])
        if source not in batch.complete_sources:
            continue
        in_force = sum(part.end > batch.observed_at for part in known)
        current[source] += in_force
        if key in present or not in_force:
            continue
        gone[source] += in_force
        step = withdraw(known, batch.observed_at)
        plan.changes[key] = step
        plan.withdrawn.extend(PlannedChange(key_text(key), _price_text(old), None) for old in step.retired)
    for source, count in gone.items():
        if count > current[source] * HOLD_WITHDRAWN_SHARE:
            plan.held.append(f"{count} of {current[source]} current rows of {source} would be withdrawn")


def _price_text(part: Interval) -> str:
    until = "" if part.valid_to is None else f" to {part.valid_to.date().isoformat()}"
    return f"{format_amount(part.amount)} per {part.per} from {part.valid_from.date().isoformat()}{until}"
