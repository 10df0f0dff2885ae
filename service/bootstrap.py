"""The composition root: settings, database, catalog in memory, use cases, application.

The one module that knows everybody. Nothing happens at import; ``create_service`` is the factory that
the server calls in each worker.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from fastapi import FastAPI
from sqlalchemy import Engine

from service import resources
from service.api.app import create_app
from service.api.deps import Economics, Services, make_services
from service.api.limits import ApiLimits
from service.api.management import AccessRules, Management
from service.application.comparisons import Comparer
from service.application.curves import CurveDrawer
from service.application.estimate import Estimator
from service.application.imports import Imports
from service.application.keys import Keys
from service.application.ports import CatalogSnapshot
from service.application.tariffs import TariffMaker
from service.application.usage import UsagePricer
from service.application.writes import CatalogWrites
from service.catalog import database, import_source, seeding
from service.catalog.import_reader import SourceReader
from service.catalog.import_store import DatabaseImports
from service.catalog.key_store import DatabaseKeyStore
from service.catalog.snapshot_holder import SnapshotHolder
from service.catalog.usage_reading import GenaiUsageReader
from service.catalog.writer import DatabaseWriter
from service.interpreter import set_for_serving
from service.settings import Settings
from service.web.pages import add_explorer


def load_settings() -> Settings:
    """Return the settings of the environment.

    Raises
    ------
    pydantic.ValidationError
        For a variable that is not what its setting takes.
    """
    return Settings()


def migrate(settings: Settings) -> str:
    """Bring the tables up to date; return the schema's version."""
    engine = database.open_engine(settings.database_url)
    try:
        return database.migrate(engine)
    finally:
        engine.dispose()


def seed(settings: Settings) -> seeding.SeedReport:
    """Load the catalog of this release; a second time changes nothing."""
    engine = database.open_engine(settings.database_url)
    try:
        return seeding.seed(engine, resources.hardware_catalog_directory())
    finally:
        engine.dispose()


def import_prices(
    settings: Settings, request: import_source.ImportRequest, progress: Callable[[str], None]
) -> import_source.ImportReport:
    """Read one source of prices and apply it, or say what applying it would do."""
    engine = database.open_engine(settings.database_url)
    try:
        return import_source.import_source(engine, request, actor="cli", progress=progress)
    finally:
        engine.dispose()


def import_request(
    source: str, place: str | None, provider: str | None, *, dry_run: bool, despite_hold: bool = False
) -> import_source.ImportRequest:
    """Return what to import; see :class:`service.catalog.import_source.ImportRequest`."""
    return import_source.ImportRequest(source, place, provider, dry_run, despite_hold)


def usage_pricer() -> UsagePricer:
    """Return usage pricing for a process that asks for itself."""
    return UsagePricer(GenaiUsageReader(), Estimator().estimate)


def read_snapshot(settings: Settings) -> CatalogSnapshot:
    """Return the catalog as it is now, for a process that asks once.

    Raises
    ------
    UnavailableError
        Where the database does not answer or holds no catalog.
    """
    engine = database.open_engine(settings.database_url)
    try:
        holder = SnapshotHolder(engine, settings)
        holder.refresh()
        return holder.current()
    finally:
        engine.dispose()


@contextmanager
def open_keys(settings: Settings) -> Iterator[Keys]:
    """Open the keys of the configured database, for a process that changes them on the spot."""
    engine = database.open_engine(settings.database_url)
    try:
        yield Keys(DatabaseKeyStore(engine), _now)
    finally:
        engine.dispose()


def create_service(settings: Settings | None = None) -> FastAPI:
    """Return the application over the configured database; connects when it is started.

    Parameters
    ----------
    settings
        Those of the environment where None.
    """
    chosen = settings or load_settings()
    logging.basicConfig(level=chosen.log_level.upper())

    @asynccontextmanager
    async def open_services() -> AsyncIterator[Services]:
        engine = database.open_engine(chosen.database_url)
        holder = SnapshotHolder(engine, chosen)
        # The first load reads the whole catalog; a lost database is no reason not to start.
        await asyncio.to_thread(holder.start)
        store = DatabaseImports(engine)
        reader = SourceReader(engine, store)
        reader.start()
        try:
            estimator = Estimator()
            pricer = UsagePricer(GenaiUsageReader(), estimator.estimate)
            services = make_services(
                holder,
                estimator.estimate,
                _now,
                _limits(chosen),
                price_usage=pricer.price,
                economics=economics(estimator),
            )
            imports = Imports(store, reader, holder.refresh)
            with set_for_serving():
                yield replace(services, management=_management(chosen, engine, holder, imports))
        finally:
            await asyncio.to_thread(reader.stop)
            await asyncio.to_thread(holder.stop)
            engine.dispose()

    app = create_app(open_services)
    add_explorer(app)
    return app


def economics(estimator: Estimator) -> Economics:
    """Return curves, tariffs and comparisons over what an estimator keeps."""
    return Economics(
        draw_curve=CurveDrawer(estimator).draw,
        make_tariff=TariffMaker(estimator).make,
        compare=Comparer(estimator).compare,
    )


def _management(settings: Settings, engine: Engine, holder: SnapshotHolder, imports: Imports) -> Management:
    store = DatabaseKeyStore(engine)
    return Management(
        rules=AccessRules(settings.open_read, settings.open_price),
        ring=holder,
        keys=Keys(store, _now),
        audit=store,
        writes=CatalogWrites(DatabaseWriter(engine), holder.refresh),
        imports=imports,
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _limits(settings: Settings) -> ApiLimits:
    return ApiLimits(
        body_bytes=settings.body_limit_bytes,
        trace_bytes=settings.trace_body_limit_bytes,
        batch_bytes=settings.batch_body_limit_bytes,
        import_bytes=settings.import_body_limit_bytes,
        spool_bytes=settings.spool_bytes,
        pool_workers=settings.pool_workers,
        pool_waiting=settings.pool_waiting,
    )
