"""An application over the fake catalog, and clients of it."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.api.deps import Services, make_services
from service.api.limits import ApiLimits
from service.application.answers import EstimateAnswer
from service.application.ports import CatalogSnapshot
from service.application.requests import EstimateRequest
from service.engine.errors import InfeasibleError
from service.web.pages import add_explorer
from tests.builders.answers import make_answer
from tests.builders.catalog import FakeCatalog
from tests.builders.catalogs import seeded_database_url

__all__ = ["seeded_database_url"]

NOW = datetime(2026, 2, 1, 12, 0, tzinfo=UTC)

Estimate = Callable[[EstimateRequest, CatalogSnapshot, datetime], EstimateAnswer]


def fake_estimate(request: EstimateRequest, snapshot: CatalogSnapshot, now: datetime) -> EstimateAnswer:
    """Resolve ids, choose a default or two, refuse what is asked to be refused."""
    chosen = []
    resolved = request
    if request.model is not None:
        resolved = replace(resolved, model=snapshot.model(request.model).id)
    resolved = replace(resolved, accelerator=snapshot.accelerator(request.accelerator).id)
    if request.utilisation is None:
        resolved = replace(resolved, utilisation=0.6)
        chosen.append("utilisation")
    if request.as_of is None:
        resolved = replace(resolved, as_of=now)
        chosen.append("as_of")
    if request.known_at is None:
        resolved = replace(resolved, known_at=snapshot.info.revision)
        chosen.append("known_at")
    if resolved.utilisation == 0.001:
        raise InfeasibleError("The model needs 140 GB.", field="layout.tp", code="model-does-not-fit")
    if resolved.utilisation == 0.002:
        raise ZeroDivisionError("a secret of the inside")
    return make_answer(resolved=replace(resolved, defaulted=(*request.defaulted, *chosen)))


@pytest.fixture
def catalog() -> FakeCatalog:
    return FakeCatalog()


@pytest.fixture
def limits() -> ApiLimits:
    return ApiLimits()


@pytest.fixture
def estimate() -> Estimate:
    return fake_estimate


@pytest.fixture
def client(catalog: FakeCatalog, limits: ApiLimits, estimate: Estimate) -> Iterator[TestClient]:
    @asynccontextmanager
    async def open_services() -> AsyncIterator[Services]:
        yield make_services(catalog, estimate, lambda: NOW, limits)

    app = create_app(open_services)
    add_explorer(app)
    with TestClient(app, raise_server_exceptions=False) as test_client:
        yield test_client
