"""Separate pools over HTTP: the documented example, a batch, and every refusal with its field."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.api.documentation import POOLS, SMALLEST
from service.bootstrap import create_service
from service.settings import Settings

PLANNED: dict[str, Any] = {**SMALLEST, "pools": {}}


@pytest.fixture(scope="module")
def service(seeded_database_url: str) -> Iterator[TestClient]:
    app = create_service(Settings(database_url=seeded_database_url))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_the_documented_example_is_answered_with_both_pools(service: TestClient) -> None:
    response = service.post("/v1/estimates", json=POOLS)
    assert response.status_code == 200, response.text
    answer = response.json()
    pools = answer["pools"]
    assert (pools["prefill"]["accelerator"], pools["prefill"]["workers"]) == ("h100-sxm", 2)
    assert (answer["accelerator"], pools["decode"]["accelerator"]) == ("h200-sxm", "h200-sxm")
    assert pools["prefill"]["cost_per_accelerator_hour"] == "2.00"
    bill = pools["prefill"]["cost_per_request"] + pools["decode"]["cost_per_request"]
    assert answer["cost_per_request"] == pytest.approx(bill, rel=1e-8)
    assert answer["conservation"]["relative_difference"] < 1e-12
    assert pools["limited_by"] in ("prefill", "decode")


def test_without_pools_the_field_is_there_and_empty(service: TestClient) -> None:
    assert service.post("/v1/estimates", json=SMALLEST).json()["pools"] is None


def test_empty_pools_are_planned(service: TestClient) -> None:
    answer = service.post("/v1/estimates", json=PLANNED).json()
    assert answer["resolved"]["pools"]["prefill"]["load"] == 0.9
    assert answer["pools"]["prefill"]["utilisation"] <= 0.9 + 1e-9
    assert "pools.prefill.layout.tp" in answer["resolved"]["defaulted"]


def test_a_batch_answers_pools_line_by_line(service: TestClient) -> None:
    wrong = {**SMALLEST, "pools": {"prefill": {"workers": 3}}}
    lines = "".join(json.dumps(body) + "\n" for body in (POOLS, wrong, PLANNED))
    response = service.post(
        "/v1/estimates/batch", content=lines, headers={"content-type": "application/x-ndjson"}
    )
    told = [json.loads(line) for line in response.text.splitlines()]
    assert [line["status"] for line in told[:3]] == [200, 422, 200]
    alone = service.post("/v1/estimates", json=POOLS).json()
    for part in ("rates", "pools", "digest"):
        assert told[0]["answer"][part] == alone[part]
    assert told[1]["problem"]["errors"][0]["field"] == "pools.decode.workers"
    assert told[3]["summary"]["errors"] == 1


BAD: list[tuple[str, dict[str, Any]]] = [
    ("pools", {"pools": 3}),
    ("pools.prefil", {"pools": {"prefil": {}}}),
    ("pools.prefill.workers", {"pools": {"prefill": {"workers": 0}}}),
    ("pools.prefill.workers", {"pools": {"prefill": {"workers": 1.5}}}),
    ("pools.prefill.load", {"pools": {"prefill": {"load": 1}}}),
    ("pools.prefill.layout.tp", {"pools": {"prefill": {"layout": {"tp": 0}}}}),
    ("pools.prefill.layout.tp", {"pools": {"prefill": {"layout": {"tp": 7}}}}),
    ("pools.prefill.accelerator", {"pools": {"prefill": {"accelerator": "h1000"}}}),
    ("pools.prefill.formats.kv_cache", {"pools": {"prefill": {"formats": {"kv_cache": "fp8"}}}}),
    ("pools.prefill.formats.precision", {"pools": {"prefill": {"formats": {"precision": "nope"}}}}),
    ("pools.prefill.serving.engine", {"pools": {"prefill": {"serving": {"engine": "nope"}}}}),
    ("pools.prefill.serving.release", {"pools": {"prefill": {"serving": {"release": "none"}}}}),
    ("pools.prefill.serving.draft_tokens", {"pools": {"prefill": {"serving": {"draft_tokens": 1}}}}),
    ("pools.prefill.price.currency",
     {"pools": {"prefill": {"price": {"amount": "1", "currency": "EUR"}}},
      "price": {"amount": "1", "currency": "USD"}}),
    ("pools.prefill.price", {"pools": {"prefill": {"price": {"amount": "1"}}}}),
    ("pools.prefill.price.provider", {"pools": {"prefill": {"price": {"provider": "nobody"}}}}),
    ("pools.prefill.workers", {"pools": {"decode": {"workers": 3}}}),
    ("operating_point.replicas",
     {"pools": {}, "operating_point": {"kind": "arrival_rate", "requests_per_second": 1, "replicas": 2}}),
    ("include", {"pools": {}, "include": ["splits"]}),
    ("split", {"pools": {}, "split": "marginal"}),
    ("workload.classes",
     {"pools": {}, "workload": {"classes": [{"input_tokens": 100, "output_tokens": 1}]}}),
]  # fmt: skip


@pytest.mark.parametrize(("field", "changes"), BAD, ids=range(len(BAD)))
def test_what_is_wrong_is_a_problem_with_its_field(
    service: TestClient, field: str, changes: dict[str, Any]
) -> None:
    response = service.post("/v1/estimates", json={**SMALLEST, **changes})
    assert response.status_code == 422, response.text
    problem = response.json()
    fields = [error["field"] for error in problem["errors"]]
    assert field in fields, problem
    assert service.get(problem["type"]).status_code == 200


@pytest.mark.parametrize(
    ("route", "further"),
    [
        ("curves", {"curve": {"axis": "position"}}),
        ("tariffs", {}),
        ("comparisons", {}),
        ("comparisons", {"across_models": True}),
    ],
)
def test_answers_about_replicas_refuse_pools(
    service: TestClient, route: str, further: dict[str, Any]
) -> None:
    response = service.post(f"/v1/{route}", json={**PLANNED, **further})
    assert response.status_code == 422
    problem = response.json()
    assert problem["type"] == "/problems/not-with-pools"
    assert [error["field"] for error in problem["errors"]] == ["pools"]


def test_a_usage_record_is_set_against_a_deployment_with_pools(service: TestClient) -> None:
    record = {
        "provider": "deepseek",
        "model": "deepseek-v4-pro",
        "at": "2026-11-20T12:00:00Z",
        "usage": {"input": 1000, "output": 100},
        "deployment": POOLS,
    }
    answer = service.post("/v1/usage/price", json=record).json()
    rates = service.post("/v1/estimates", json=POOLS).json()["rates"]
    cost = rates[0]["per_million_tokens"] * 1000 + rates[2]["per_million_tokens"] * 100
    assert answer["deployment"]["cost"] == pytest.approx(cost / 1e6), answer
