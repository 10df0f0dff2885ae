"""Liveness, readiness, index."""

import pytest
from fastapi.testclient import TestClient

from tests.builders.catalog import FakeCatalog


def test_liveness_looks_at_nothing(client: TestClient, catalog: FakeCatalog) -> None:
    catalog.snapshot = None
    assert client.get("/healthz").json() == {"status": "ok"}


def test_ready_with_a_confirmed_catalog(client: TestClient) -> None:
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json()["status"] == "ready"


def test_degraded_while_the_database_is_away(client: TestClient, catalog: FakeCatalog) -> None:
    catalog.reachable, catalog.age = False, 99.0
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json()["status"] == "degraded"
    assert response.json()["catalog_age_seconds"] == 99.0


def test_not_ready_without_a_catalog(client: TestClient, catalog: FakeCatalog) -> None:
    catalog.snapshot = None
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["type"] == "/problems/catalog-unavailable"


def test_the_index_names_every_route_of_the_version(client: TestClient) -> None:
    index = client.get("/v1").json()
    paths = {resource["path"] for resource in index["resources"]}
    assert paths == {path for path in client.get("/openapi.json").json()["paths"] if path.startswith("/v1/")}
    assert index["catalog_revision"] == 3


def test_the_root_leads_to_the_documentation(client: TestClient) -> None:
    response = client.get("/", follow_redirects=True)
    assert response.url.path == "/docs"
    assert response.status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/v1/models", "/docs", "/v1/models/nonesuch"])
def test_head_is_get_without_its_body(client: TestClient, path: str) -> None:
    full, bare = client.get(path), client.head(path)
    assert bare.status_code == full.status_code
    assert bare.content == b""
    for name in ("content-type", "etag"):
        assert bare.headers.get(name) == full.headers.get(name)


def test_head_on_a_computation_is_405(client: TestClient) -> None:
    response = client.head("/v1/estimates")
    assert (response.status_code, response.headers["allow"], response.content) == (405, "POST", b"")
