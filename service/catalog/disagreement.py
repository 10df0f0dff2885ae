"""Where a source contradicts another on one meter, and which of the two counts (CONTRACT 3)."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, select

from service.application.write_ports.imports import SourceDisagreement
from service.billing.selectors import selector_to_json
from service.catalog import repository, tables
from service.catalog.drafts import ImportBatch, ListPriceDraft
from service.catalog.price_rows import row_interval
from service.catalog.reference_records import source_record
from service.catalog.timeline import FOREVER


def find_disagreements(connection: Connection, batch: ImportBatch) -> tuple[SourceDisagreement, ...]:
    """Return where rows of a batch contradict what other sources say at the time of the reading."""
    drafts = [
        draft
        for draft in batch.drafts
        if isinstance(draft, ListPriceDraft) and _holds(draft, batch.observed_at)
    ]
    if not drafts:
        return ()
    precedence = _precedence(connection)
    others = _in_force(connection, batch.observed_at)
    return tuple(
        _disagreement(draft, source, amount, precedence)
        for draft in drafts
        for source, amount, per in others.get(_key(draft), ())
        if source != draft.source and per == draft.price.per and amount != draft.price.amount
    )


def _holds(draft: ListPriceDraft, at: datetime) -> bool:
    return draft.valid_from <= at < (draft.valid_to or FOREVER)


def _key(draft: ListPriceDraft) -> tuple[str, ...]:
    return (
        draft.provider,
        draft.provider_model_id,
        draft.meter,
        draft.price.currency,
        selector_to_json(draft.selector),
    )


def _precedence(connection: Connection) -> Mapping[str, int]:
    rows = repository.live_documents(connection, "source")
    return {source_id: source_record(row.document).precedence for source_id, row in rows.items()}


def _in_force(connection: Connection, at: datetime) -> dict[tuple[str, ...], list[tuple[str, Decimal, str]]]:
    found: dict[tuple[str, ...], list[tuple[str, Decimal, str]]] = {}
    table = tables.list_price
    for row in connection.execute(select(table).where(table.c.revision_to.is_(None))):
        if row_interval(row).holds_at(at):
            key = (row.provider, row.provider_model_id, row.meter, row.currency, row.selector)
            found.setdefault(key, []).append((row.source, row.amount, row.per))
    return found


def _disagreement(
    draft: ListPriceDraft, source: str, amount: Decimal, precedence: Mapping[str, int]
) -> SourceDisagreement:
    ranks = {name: precedence.get(name, 0) for name in (draft.source, source)}
    # As price books do: the higher precedence, of equals the first by name.
    winner = min(ranks, key=lambda name: (-ranks[name], name))
    loser = source if winner == draft.source else draft.source
    return SourceDisagreement(
        what=" / ".join(part for part in _key(draft) if part != "{}"),
        source=draft.source,
        amount=draft.price.amount,
        per=draft.price.per,
        other_source=source,
        other_amount=amount,
        decides=winner,
        because=f"precedence {ranks[winner]} of {winner} over {ranks[loser]} of {loser}",
    )


def by_source(found: tuple[SourceDisagreement, ...]) -> Iterator[tuple[str, int]]:
    """Yield how many disagreements there are with each other source."""
    counts: dict[str, int] = {}
    for item in found:
        counts[item.other_source] = counts.get(item.other_source, 0) + 1
    yield from sorted(counts.items())
