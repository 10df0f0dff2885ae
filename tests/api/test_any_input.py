"""Whatever is sent, the answer is an answer or a problem; never a 5xx."""

import json
from collections.abc import Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from service.api.app import create_app
from service.api.deps import make_services
from service.api.schemas.estimate_request import EstimateBody
from tests.api.conftest import NOW, fake_estimate
from tests.builders.catalog import FakeCatalog

JSON = {"content-type": "application/json"}

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**52)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
    | st.sampled_from(["llama-3.1-70b", "h100-sxm", "concurrency", "USD", "2.5", "r1", "2026-01-01", "full"])
)
names = st.sampled_from(
    [
        *sorted(EstimateBody.model_fields),
        *("tp", "classes", "kind", "concurrency", "amount", "currency", "sample", "weight", "input_tokens"),
    ]
)
values = st.recursive(
    scalars,
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(names | st.text(max_size=3), children, max_size=4)
    ),
    max_leaves=15,
)
bodies = st.dictionaries(names, values, max_size=6)


@pytest.fixture(scope="module")
def shared() -> Iterator[TestClient]:
    @asynccontextmanager
    async def open_services() -> Any:
        yield make_services(FakeCatalog(), fake_estimate, lambda: NOW)

    with TestClient(create_app(open_services), raise_server_exceptions=False) as client:
        yield client


def _is_sound(response: Any) -> None:
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        assert response.headers["content-type"] == "application/problem+json"
        problem = response.json()
        assert problem["status"] == response.status_code
        assert problem["detail"]


@given(body=values | bodies)
def test_any_json_is_answered_or_refused(shared: TestClient, body: Any) -> None:
    _is_sound(shared.post("/v1/estimates", content=json.dumps(body), headers=JSON))


@given(changes=bodies)
def test_any_change_of_a_good_body_is_answered_or_refused(
    shared: TestClient, changes: dict[str, Any]
) -> None:
    body = {"model": "llama-3.1-70b", "accelerator": "h100-sxm", **changes}
    response = shared.post("/v1/estimates", content=json.dumps(body), headers=JSON)
    _is_sound(response)
    if response.status_code == 200:
        again = shared.post("/v1/estimates", json=response.json()["resolved"])
        assert again.content == response.content


@given(body=st.binary(max_size=100))
def test_any_bytes_are_refused(shared: TestClient, body: bytes) -> None:
    _is_sound(shared.post("/v1/estimates", content=body, headers=JSON))


@given(body=st.lists(st.binary(max_size=30), max_size=5))
def test_any_batch_answers_every_line(shared: TestClient, body: list[bytes]) -> None:
    text = b"\n".join(line.replace(b"\n", b"") for line in body)
    response = shared.post(
        "/v1/estimates/batch", content=text, headers={"content-type": "application/x-ndjson"}
    )
    _is_sound(response)
    if response.status_code == 200:
        *results, last = [json.loads(line) for line in response.content.splitlines()]
        assert last["summary"]["lines"] == len(results) == text.count(b"\n") + (not text.endswith(b"\n"))


@given(
    path=st.sampled_from(
        [
            "/v1/models",
            "/v1/accelerators",
            "/v1/calibrations",
            "/v1/gpu-prices",
            "/v1/list-prices",
            "/v1/listings",
        ]
    ),
    query=st.dictionaries(
        st.sampled_from(["limit", "cursor", "as_of", "known_at", "provider", "alias", "model", "x"]),
        st.text(st.characters(exclude_categories=("Cs",)), max_size=12) | st.integers().map(str),
    ),
)
def test_any_query_is_answered_or_refused(shared: TestClient, path: str, query: dict[str, str]) -> None:
    _is_sound(shared.get(path, params=query))


@given(
    value=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20),
    name=st.sampled_from(["Catalog-Min-Revision", "If-None-Match", "Accept", "Content-Type"]),
)
def test_any_header_is_answered_or_refused(shared: TestClient, name: str, value: str) -> None:
    headers = {**JSON, name: value}
    _is_sound(shared.post("/v1/estimates", content=b"{}", headers=headers))
    _is_sound(shared.get("/v1/models", headers=headers))
    _is_sound(shared.get("/problems", headers=headers))
