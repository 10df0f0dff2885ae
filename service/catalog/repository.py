"""All SQL of the catalog's rows. Writes take a revision just allotted inside ``database.writing``.

A row is never changed but for ``revision_to``: each write closes rows and inserts others, and leaves
what was believed before in place.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Table, bindparam, insert, select, update

from service.application.errors import ConflictError, UnknownIdError
from service.application.ports import ListPriceRecord
from service.application.write_ports.prices import PriceKind
from service.catalog import tables
from service.catalog.database import RevisionStamp
from service.catalog.drafts import PriceDraft
from service.catalog.price_rows import (
    KEY_COLUMNS,
    PRICE_TABLES,
    PriceKey,
    draft_interval,
    draft_key,
    interval_values,
    row_interval,
    row_key,
)
from service.catalog.timeline import Interval, TimelineChange, change, withdraw


def live_timelines(connection: Connection, sources: Iterable[str]) -> dict[PriceKey, list[Interval]]:
    """Return the timelines believed now of all price keys of some sources."""
    timelines: dict[PriceKey, list[Interval]] = defaultdict(list)
    wanted = sorted(set(sources))
    for kind, table in PRICE_TABLES.items():
        query = select(table).where(table.c.revision_to.is_(None), table.c.source.in_(wanted))
        for row in connection.execute(query):
            timelines[row_key(kind, row)].append(row_interval(row))
    return timelines


def live_timeline(connection: Connection, key: PriceKey) -> list[Interval]:
    """Return the timeline of one price key as believed now."""
    kind, values = key
    table = PRICE_TABLES[kind]
    query = select(table).where(
        table.c.revision_to.is_(None),
        *(table.c[name] == value for name, value in zip(KEY_COLUMNS[kind], values, strict=True)),
    )
    return [row_interval(row) for row in connection.execute(query)]


def put_rates(
    connection: Connection, stamp: RevisionStamp, closed: Sequence[int], rates: Sequence[Mapping[str, object]]
) -> None:
    """Stop believing some exchange rates and believe others."""
    close_rows(connection, tables.fx_rate, "id", closed, stamp)
    insert_rows(connection, tables.fx_rate, rates, stamp)


def apply_timelines(
    connection: Connection, stamp: RevisionStamp, changes: Mapping[PriceKey, TimelineChange]
) -> None:
    """Write the changes of many keys under one revision."""
    for kind, table in PRICE_TABLES.items():
        mine = [(key, part) for key, part in changes.items() if key[0] == kind]
        close_rows(connection, table, "id", [old.row_id for _, part in mine for old in part.retired], stamp)
        insert_rows(
            connection,
            table,
            [interval_values(key, new) for key, part in mine for new in part.inserted],
            stamp,
        )


def close_rows(
    connection: Connection, table: Table, id_column: str, row_ids: Sequence[int | None], stamp: RevisionStamp
) -> None:
    """Stop believing rows from a revision on."""
    if not row_ids:
        return
    statement = (
        update(table)
        .where(table.c[id_column] == bindparam("closed_row"), table.c.revision_to.is_(None))
        .values(revision_to=stamp.revision)
    )
    connection.execute(statement, [{"closed_row": row_id} for row_id in row_ids])


def insert_rows(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, object]], stamp: RevisionStamp
) -> None:
    """Believe new rows from a revision on."""
    if not rows:
        return
    knowledge = {"revision_from": stamp.revision, "revision_to": None, "recorded_at": stamp.recorded_at}
    connection.execute(insert(table), [{**row, **knowledge} for row in rows])


def change_price(connection: Connection, stamp: RevisionStamp, draft: PriceDraft) -> None:
    """Let a price hold from ``draft.valid_from``: up to ``valid_to``, or to the next known change."""
    key = draft_key(draft)
    timeline = live_timeline(connection, key)
    apply_timelines(connection, stamp, {key: change(timeline, draft_interval(draft))})


def correct_price(
    connection: Connection, stamp: RevisionStamp, kind: PriceKind, row_id: int, draft: PriceDraft
) -> None:
    """Replace what one row states, value and interval, because it was wrong.

    Raises
    ------
    UnknownIdError
        Where no row has this number.
    ConflictError
        Where the row is no longer believed, or the right interval overlaps another row of its key.
    """
    row = believed_row(connection, kind, row_id)
    key, right = draft_key(draft), draft_interval(draft)
    others = [part for part in live_timeline(connection, key) if part.row_id != row_id]
    clash = next(
        (part for part in others if part.valid_from < right.end and right.valid_from < part.end), None
    )
    if clash is not None:
        raise ConflictError(
            f"The corrected interval overlaps row {clash.row_id}, valid from {clash.valid_from.isoformat()}; "
            "correct or withdraw that one first.",
            code="price-overlap",
        )
    close_rows(connection, PRICE_TABLES[kind], "id", [row.id], stamp)
    insert_rows(connection, PRICE_TABLES[key[0]], [interval_values(key, right)], stamp)


def withdraw_price(
    connection: Connection, stamp: RevisionStamp, kind: PriceKind, row_id: int, moment: datetime
) -> None:
    """End one row at a time; a row that begins later disappears from what is believed.

    Raises
    ------
    UnknownIdError
        Where no row has this number.
    ConflictError
        Where the row is no longer believed, or has ended by then.
    """
    row = believed_row(connection, kind, row_id)
    ended = withdraw([row_interval(row)], moment)
    if not ended:
        raise ConflictError(f"Row {row_id} has ended by {moment.isoformat()} anyway.", code="already-ended")
    apply_timelines(connection, stamp, {row_key(kind, row): ended})


def believed_row(connection: Connection, kind: PriceKind, row_id: int) -> Row[Any]:
    """Return a price row that is believed now.

    Raises
    ------
    UnknownIdError
        Where no row has this number.
    ConflictError
        Where the row is no longer believed.
    """
    table = PRICE_TABLES[kind]
    row = connection.execute(select(table).where(table.c.id == row_id)).one_or_none()
    if row is None:
        raise UnknownIdError(kind.replace("_", " "), str(row_id), [])
    if row.revision_to is not None:
        raise ConflictError(
            f"Row {row_id} is no longer believed: revision {row.revision_to} replaced it.",
            code="row-superseded",
        )
    return row


def live_meter(connection: Connection, like: ListPriceRecord) -> list[Row[Any]]:
    """Return the list prices believed now that may compete with one: same source, listing and meter."""
    table = tables.list_price
    query = select(table).where(
        table.c.revision_to.is_(None),
        table.c.source == like.source,
        table.c.provider == like.provider,
        table.c.provider_model_id == like.provider_model_id,
        table.c.meter == like.meter,
        table.c.currency == like.price.currency,
    )
    return list(connection.execute(query))


def live_rates(connection: Connection, sources: Iterable[str]) -> dict[tuple[object, ...], Row[Any]]:
    """Return the exchange rates of some sources believed now, by source, pair and day."""
    table = tables.fx_rate
    query = select(table).where(table.c.revision_to.is_(None), table.c.source.in_(sorted(set(sources))))
    return {
        (row.source, row.base_currency, row.quote_currency, row.on_day): row
        for row in connection.execute(query)
    }


def live_documents(connection: Connection, kind: str) -> dict[str, Row[Any]]:
    """Return the reference rows of a kind believed now, by id."""
    table = tables.reference[kind]
    return {row.id: row for row in connection.execute(select(table).where(table.c.revision_to.is_(None)))}


def live_listings(connection: Connection) -> dict[tuple[str, str], Row[Any]]:
    """Return the listings believed now by provider and the provider's model id."""
    query = select(tables.listing).where(tables.listing.c.revision_to.is_(None))
    return {(row.provider, row.provider_model_id): row for row in connection.execute(query)}


def replace_aliases(
    connection: Connection, stamp: RevisionStamp, kind: str, wanted: Mapping[str, str]
) -> None:
    """Make the aliases of a kind be these (alias to id), touching only those that differ."""
    query = select(tables.alias).where(tables.alias.c.kind == kind, tables.alias.c.revision_to.is_(None))
    live = {row.alias: row for row in connection.execute(query)}
    stale = [row.row_id for row in live.values() if wanted.get(row.alias) != row.target]
    close_rows(connection, tables.alias, "row_id", stale, stamp)
    fresh = [
        {"kind": kind, "alias": alias, "target": target}
        for alias, target in sorted(wanted.items())
        if alias not in live or live[alias].target != target
    ]
    insert_rows(connection, tables.alias, fresh, stamp)
