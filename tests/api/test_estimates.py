"""POST /v1/estimates, seen from outside."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.builders.catalog import FakeCatalog, FakeSnapshot

GOOD: dict[str, Any] = {"model": "llama-3.1-70b", "accelerator": "h100-sxm"}

EVERYTHING: dict[str, Any] = {
    **GOOD,
    "layout": {"tp": 8, "pp": 1, "attention_dp": 1, "moe_ep": 1},
    "serving": {
        "engine": "vllm",
        "release": "0.11",
        "token_budget": 8192,
        "reserve": "grow",
        "memory_utilisation": 0.9,
        "max_batch": 256,
    },
    "formats": {
        "precision": "fp8",
        "weights": "fp8",
        "experts": "fp8",
        "activations": "fp8",
        "kv_cache": "e",
    },
    "workload": {
        "classes": [
            {"name": "a", "weight": 0.1, "input_tokens": 10, "output_tokens": 5, "cached_share": 1 / 3},
            {"weight": 2, "sample": [{"input_tokens": 9, "output_tokens": 2, "cached_tokens": 9}]},
        ]
    },
    "operating_point": {
        "kind": "cheapest",
        "max_ttft_seconds": 1.5,
        "max_tpot_seconds": 0.1,
        "statistic": "p95",
    },
    "utilisation": 0.123456789012345,
    "uncertainty": {"samples": 64, "seed": 3, "utilisation_low": 0.1, "utilisation_high": 0.9},
    "price": {"basis": "rental", "amount": "2.4900", "currency": "EUR"},
    "split": "phase",
    "kv_view": "by_cause",
    "calibration": "default",
    "as_of": "2026-01-31T13:00:00.25+01:00",
    "known_at": "r2",
    "defaulted": ["layout.pp"],
}


def test_model_and_accelerator_alone_are_an_estimate(client: TestClient) -> None:
    response = client.post("/v1/estimates", json=GOOD)
    assert response.status_code == 200
    answer = response.json()
    assert [rate["kind"] for rate in answer["rates"]] == ["uncached_input", "cached_input", "output"]
    assert "utilisation" in answer["resolved"]["defaulted"]


@pytest.mark.parametrize("body", [GOOD, EVERYTHING], ids=["smallest", "everything"])
def test_posting_resolved_back_gives_the_same_bytes(client: TestClient, body: dict[str, Any]) -> None:
    first = client.post("/v1/estimates", json=body)
    assert first.status_code == 200, first.text
    second = client.post("/v1/estimates", json=first.json()["resolved"])
    assert second.content == first.content


def test_resolved_repeats_every_field_exactly(client: TestClient) -> None:
    resolved = client.post("/v1/estimates", json=EVERYTHING).json()["resolved"]
    assert resolved["utilisation"] == 0.123456789012345
    assert resolved["price"]["amount"] == "2.4900"
    assert resolved["as_of"] == "2026-01-31T12:00:00.250000Z"
    assert resolved["workload"]["classes"][0] == EVERYTHING["workload"]["classes"][0]
    assert resolved["workload"]["classes"][1]["name"] == "class-2"
    assert "workload.classes.1.name" in resolved["defaulted"]
    for name in ("layout", "serving", "formats", "operating_point", "split", "kv_view", "known_at"):
        assert resolved[name] == EVERYTHING[name]


def test_a_config_comes_back_as_it_was_sent(client: TestClient) -> None:
    config = {
        "architectures": ["X"],
        "rope_theta": 1e-05,
        "eps": 0.10,
        "nested": {"deep": [1, 2.5, None, True]},
    }
    response = client.post("/v1/estimates", json={"accelerator": "h100-sxm", "config": config})
    assert response.json()["resolved"]["config"] == config


def test_a_time_for_known_at_becomes_the_revision_of_that_time(client: TestClient) -> None:
    # The fake catalog recorded revision n on the n-th day after New Year.
    response = client.post("/v1/estimates", json={**GOOD, "known_at": "2026-01-03"})
    assert response.json()["resolved"]["known_at"] == "r2"


def test_large_bodies_are_answered_from_the_pool_alike(client: TestClient) -> None:
    classes = [
        {"name": f"c{i}", "weight": 1, "input_tokens": 100 + i, "output_tokens": 10} for i in range(256)
    ]
    body = {**GOOD, "workload": {"classes": classes}}
    response = client.post("/v1/estimates", json=body)
    assert response.status_code == 200
    assert len(response.json()["resolved"]["workload"]["classes"]) == 256


def test_the_age_of_the_catalog_is_told_once_the_database_is_away(
    client: TestClient, catalog: FakeCatalog
) -> None:
    catalog.age = 0.7
    assert client.post("/v1/estimates", json=GOOD).json()["provenance"]["catalog_age_seconds"] == 0
    catalog.reachable, catalog.age = False, 42.4
    assert client.post("/v1/estimates", json=GOOD).json()["provenance"]["catalog_age_seconds"] == 42


def test_a_caller_reads_its_own_write(client: TestClient, catalog: FakeCatalog) -> None:
    catalog.behind = FakeSnapshot(revision=4)
    response = client.post("/v1/estimates", json=GOOD, headers={"Catalog-Min-Revision": "4"})
    assert response.json()["resolved"]["known_at"] == "r4"


@pytest.mark.parametrize("value", ["99", "x", "-1", "9" * 30])
def test_a_revision_that_does_not_exist_is_refused(client: TestClient, value: str) -> None:
    response = client.post("/v1/estimates", json=GOOD, headers={"Catalog-Min-Revision": value})
    assert response.status_code == 422
    assert response.json()["type"] == "/problems/unknown-revision"


def test_without_a_catalog_estimates_are_503_with_a_time_to_come_back(
    client: TestClient, catalog: FakeCatalog
) -> None:
    catalog.snapshot = None
    response = client.post("/v1/estimates", json=GOOD)
    assert response.status_code == 503
    assert response.json()["type"] == "/problems/catalog-unavailable"
    assert int(response.headers["retry-after"]) >= 1
