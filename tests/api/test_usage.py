"""Usage pricing over HTTP: one record and many, every way to get a record wrong."""

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator

from service.api.app import create_app
from service.api.deps import Services, make_services
from service.api.usage_documentation import ADJUSTED, BY_METER, RESPONSE
from service.application.usage import UsagePricer
from service.catalog.usage_reading import GenaiUsageReader
from tests.api.conftest import NOW, fake_estimate
from tests.builders.catalog import FakeCatalog

RECORD: dict[str, Any] = {
    "provider": "acme",
    "model": "acme/llama-3.1-70b",
    "at": "2026-01-15T12:00:00Z",
    "usage": {"input": 1_000_000, "output": 500_000},
}
NDJSON = {"content-type": "application/x-ndjson"}


@pytest.fixture
def client() -> Iterator[TestClient]:
    """An application whose catalog has one listing: $0.60 input, $1.80 output."""

    @asynccontextmanager
    async def open_services() -> AsyncIterator[Services]:
        pricer = UsagePricer(GenaiUsageReader(), fake_estimate)
        yield make_services(FakeCatalog(), fake_estimate, lambda: NOW, price_usage=pricer.price)

    with TestClient(create_app(open_services), raise_server_exceptions=False) as test_client:
        yield test_client


def _post(client: TestClient, **changes: Any) -> Any:
    return client.post("/v1/usage/price", json={**RECORD, **changes})


def test_a_record_is_charged_with_the_rows_that_priced_it(client: TestClient) -> None:
    answer = _post(client).json()
    assert answer["total"] == "1.5"
    assert {line["meter"]: (line["charge"], line["price"]["row_id"]) for line in answer["lines"]} == {
        "input": ("0.6", 11),
        "output": ("0.9", 12),
    }
    assert (answer["known_at"], answer["catalog_revision"]) == ("r3", 3)


def test_answers_fit_the_published_schema(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/v1/usage/price"]["post"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    validator = Draft202012Validator({**schema, "components": document["components"]})
    for changes in (
        {},
        {"adjustments": ADJUSTED["adjustments"], "round_digits": 3, "reference": "x"},
        {"deployment": {"model": "llama-3.1-70b", "accelerator": "h100-sxm"}},
        {"response": RESPONSE["response"], "usage": None},
    ):
        answer = _post(client, **changes)
        assert answer.status_code == 200, answer.text
        validator.validate(answer.json())


def test_the_documented_examples_fit_the_documented_body(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    schema = {"$ref": "#/components/schemas/UsageBody", "components": document["components"]}
    for example in (BY_METER, RESPONSE, ADJUSTED):
        Draft202012Validator(schema).validate(example)


@pytest.mark.parametrize(
    ("changes", "status", "problem"),
    [
        ({"provider": "acm"}, 422, "unknown-provider"),
        ({"model": "acme/llama"}, 422, "unknown-provider-model"),
        ({"at": "2026-01-15T12:00:00"}, 422, "invalid-time"),
        ({"at": "2024-01-15"}, 422, "price-not-known-at"),
        ({"usage": {"input": 5, "cache_read": 6}}, 422, "inconsistent-usage"),
        ({"usage": {"input": -5}}, 422, "out-of-range"),
        ({"usage": {"input": 2**53}}, 422, "limit-exceeded"),
        ({"usage": {"input": "1e3"}}, 422, "invalid-amount"),
        ({"usage": {"input": True}}, 422, "invalid-amount"),
        ({"usage": {}}, 422, "out-of-range"),
        ({"usage": {"tokens of mine": 1}}, 422, "wrong-type"),
        ({"usage": {"web_searches": 1}}, 422, "no-matching-price"),
        ({"usage": None}, 422, "conflicting-fields"),
        ({"response": {"prompt_tokens": 1}}, 422, "conflicting-fields"),
        ({"usage": None, "response": {"tokens": 1}}, 422, "unreadable-usage"),
        ({"usage": None, "response": 3}, 422, "wrong-type"),
        ({"usage": None, "response": []}, 422, "wrong-type"),
        ({"usage": None, "response": {"prompt_tokens": 1}, "api_flavor": "x"}, 422, "invalid-choice"),
        ({"service_tier": "turbo"}, 422, "unknown-service-tier"),
        ({"currency": "EUR"}, 422, "price-not-found"),
        ({"currency": "eur"}, 422, "invalid-currency"),
        ({"known_at": "r99"}, 422, "unknown-revision"),
        ({"backdate": "always"}, 422, "invalid-choice"),
        ({"round_digits": 19}, 422, "out-of-range"),
        ({"adjustments": [{"name": "x", "kind": "discount", "percent": 101}]}, 422, "invalid-adjustment"),
        ({"adjustments": [{"name": "x", "kind": "gift", "percent": 1}]}, 422, "invalid-choice"),
        ({"deployment": {"model": "nonesuch", "accelerator": "h100-sxm"}}, 422, "unknown-model"),
        ({"colour": "red"}, 422, "unknown-field"),
    ],
)
def test_a_wrong_record_is_refused_with_its_cause(
    client: TestClient, changes: dict[str, Any], status: int, problem: str
) -> None:
    body = {key: value for key, value in {**RECORD, **changes}.items() if value is not None}
    answer = client.post("/v1/usage/price", json=body)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{problem}")
    assert client.get(answer.json()["type"]).status_code == 200


@pytest.mark.parametrize(
    "body", [b"", b"nonsense", b'{"at": NaN}', b'{"at": 1, "at": 2}', b"[" * 99 + b"]" * 99]
)
def test_what_is_no_json_is_400(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/usage/price", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400


def test_a_batch_answers_line_by_line_and_sums_exactly(client: TestClient) -> None:
    bad = {**RECORD, "provider": "acm"}
    body = b"\n".join(json.dumps(record).encode() for record in (RECORD, bad, RECORD)) + b"\n"
    response = client.post("/v1/usage/price/batch", content=body, headers=NDJSON)
    *results, last = [json.loads(line) for line in response.content.splitlines()]
    assert [(result["line"], result["status"]) for result in results] == [(1, 200), (2, 422), (3, 200)]
    assert results[0]["answer"] == _post(client).json()
    assert last["summary"] == {
        "lines": 3,
        "errors": 1,
        "totals": {"charge": {"USD": "3"}},
        "catalog_revision": 3,
        "input_sha256": hashlib.sha256(body).hexdigest(),
    }


def test_totals_of_a_batch_lose_no_digit(client: TestClient) -> None:
    # A third of a cent that no double holds, 1 000 times: 0.0000006 x 1 000 x (1 + 2 + ... + 1 000).
    records = ({**RECORD, "usage": {"input": count * 1_000}} for count in range(1, 1_001))
    body = b"\n".join(json.dumps(record).encode() for record in records)
    response = client.post("/v1/usage/price/batch", content=body, headers=NDJSON)
    summary = json.loads(response.content.splitlines()[-1])["summary"]
    assert summary["totals"]["charge"]["USD"] == "300.3"


def test_a_service_without_usage_pricing_says_so() -> None:
    @asynccontextmanager
    async def open_services() -> AsyncIterator[Services]:
        yield make_services(FakeCatalog(), fake_estimate, lambda: NOW)

    with TestClient(create_app(open_services)) as bare:
        assert bare.post("/v1/usage/price", json=RECORD).status_code == 503
