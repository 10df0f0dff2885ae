"""The application over the fake catalog, for a server in a process of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from fastapi import FastAPI

from service.api.app import create_app
from service.api.deps import Services, make_services
from service.api.limits import ApiLimits
from service.web.pages import add_explorer
from tests.api.conftest import fake_estimate
from tests.builders.catalog import FakeCatalog

BATCH_BYTES = 64 * 2**20
IDLE_SECONDS = 1.0


def make_app() -> FastAPI:
    @asynccontextmanager
    async def open_services() -> AsyncIterator[Services]:
        limits = ApiLimits(batch_bytes=BATCH_BYTES, body_idle_seconds=IDLE_SECONDS)
        yield make_services(FakeCatalog(), fake_estimate, lambda: datetime.now(UTC), limits)

    app = create_app(open_services)
    add_explorer(app)
    return app
