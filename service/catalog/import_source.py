"""Imports one source by its name: read, parsed apart, planned, and applied unless it is only tried."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import Connection, Engine, select

from service.application.write_ports.imports import SourceDisagreement
from service.catalog import tables
from service.catalog.database import reading
from service.catalog.disagreement import find_disagreements
from service.catalog.drafts import ImportBatch
from service.catalog.import_plan import ImportPlan, plan_import
from service.catalog.importers.adapters import ADAPTERS
from service.catalog.importers.fetching import MAX_BYTES, Fetcher
from service.catalog.importers.isolation import parse_apart
from service.catalog.importers.reading import Adapter, ReadContext, SourceError
from service.catalog.importing import last_applied_digest, run_import

Progress = Callable[[str], None]
TriedState = Literal["preview", "applied", "held", "rejected", "unchanged"]
_OWN: Final[Mapping[str, str]] = {".yaml": "own-yaml", ".yml": "own-yaml", ".csv": "own-csv"}


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What to import."""

    source: str
    """Name of an adapter, or the path of an own YAML or CSV file."""
    place: str | None = None
    """File or address; where the source is published if None."""
    provider: str | None = None
    """Whose prices a file without provider has."""
    dry_run: bool = False
    despite_hold: bool = False
    """Whether what would be held is applied, because somebody looked at it."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did, or would do."""

    state: TriedState
    revision: int | None
    plan: ImportPlan | None
    disagreements: tuple[SourceDisagreement, ...]
    content_digest: str


def source_names() -> tuple[str, ...]:
    """Return the names that can be imported."""
    return tuple(ADAPTERS)


def import_source(
    engine: Engine, request: ImportRequest, *, actor: str, progress: Progress, fetcher: Fetcher | None = None
) -> ImportReport:
    """Read a source and apply it, or say what applying it would do.

    Parameters
    ----------
    engine
        The catalog's database.
    request
        Which source, from where.
    actor
        Who asked, for the revision's label.
    progress
        Told each step.
    fetcher
        Fetches addresses.

    Raises
    ------
    SourceError
        Where the source as a whole cannot be read; the catalog is as it was.
    """
    batch = _read(engine, request, progress, fetcher or Fetcher())
    progress(f"comparing {len(batch.drafts)} rows with the catalog")
    with reading(engine) as connection:
        if last_applied_digest(connection, batch.name) == batch.content_digest:
            return ImportReport("unchanged", None, None, (), batch.content_digest)
        disagreements = find_disagreements(connection, batch)
        if request.dry_run:
            plan = plan_import(connection, batch)
            return ImportReport("preview", None, plan, disagreements, batch.content_digest)
    progress("applying")
    outcome = run_import(
        engine, batch, actor=actor, despite_hold=request.despite_hold, disagreements=disagreements
    )
    return ImportReport(outcome.state, outcome.revision, outcome.plan, disagreements, batch.content_digest)


def _read(engine: Engine, request: ImportRequest, progress: Progress, fetcher: Fetcher) -> ImportBatch:
    adapter, place = _adapter(request)
    if adapter.needs_provider and request.provider is None:
        raise SourceError(f"A file of {adapter.name} does not name its provider; tell it (--provider).")
    progress(f"reading {place}")
    if adapter.packaged:
        content = b""
    else:
        content = fetcher.fetch(place) if place.startswith("https://") else _file(place)
        progress(f"parsing {len(content)} bytes")
    return parse_source(engine, adapter, content, provider=request.provider)


def parse_source(
    engine: Engine,
    adapter: Adapter,
    content: bytes,
    *,
    provider: str | None = None,
    observed_at: datetime | None = None,
) -> ImportBatch:
    """Read bytes with an adapter in a process of its own.

    Parameters
    ----------
    engine
        Knows which accelerators there are.
    adapter
        One of ``ADAPTERS``.
    content
        Empty for an installed package.
    provider
        Whose prices these are, where the source does not say.
    observed_at
        First instant of undated prices; of today where None.

    Raises
    ------
    SourceError
        Where the source as a whole cannot be read.
    """
    with reading(engine) as connection:
        accelerators = _accelerators(connection)
    context = ReadContext(
        source=adapter.source or adapter.name,
        observed_at=observed_at or today(),
        content_digest=hashlib.sha256(content).hexdigest(),
        accelerators=accelerators,
        provider=provider,
    )
    return parse_apart(adapter.name, content, context)


def today() -> datetime:
    """Return the first instant of this day, UTC."""
    return datetime.combine(datetime.now(UTC).date(), time(), UTC)


def _adapter(request: ImportRequest) -> tuple[Adapter, str]:
    """Return the adapter and where its source lies."""
    name, place = request.source, request.place
    suffix = Path(name).suffix.lower()
    if name not in ADAPTERS and suffix in _OWN and place is None:
        name, place = _OWN[suffix], name
    if name not in ADAPTERS:
        raise SourceError(
            f"{request.source[:200]!r} is no source; {', '.join(source_names())}, or the path of a .yaml or "
            ".csv file, is wanted."
        )
    adapter = ADAPTERS[name]
    if adapter.packaged:
        return adapter, f"the installed package {name}"
    place = place or adapter.url
    if place is None:
        raise SourceError(f"{name} is not published as one file; name a file (--from).")
    return adapter, place


def _file(place: str) -> bytes:
    path = Path(place)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SourceError(f"{place} is larger than {MAX_BYTES} bytes.")
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"{place} cannot be read: {error.strerror or error}.") from error


def _accelerators(connection: Connection) -> Mapping[str, str]:
    """Return the id of each accelerator by id and alias, lower case."""
    table, alias = tables.reference["accelerator"], tables.alias
    ids = connection.execute(select(table.c.id).where(table.c.revision_to.is_(None))).scalars()
    found = {row_id.lower(): row_id for row_id in ids}
    rows = connection.execute(
        select(alias.c.alias, alias.c.target).where(
            alias.c.kind == "accelerator", alias.c.revision_to.is_(None)
        )
    )
    return {**{row.alias.lower(): row.target for row in rows}, **found}
