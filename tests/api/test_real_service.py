"""The composed service on the seeded catalog: documented examples, bad input of the engine, outages."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.api.documentation import CONCURRENCY, FULL, POOLS, SMALLEST
from service.bootstrap import create_service
from service.settings import Settings
from tests.api.test_docs import DOCUMENT, OPEN, _example_path, _examples

ARRIVALS = {**SMALLEST, "operating_point": {"kind": "arrival_rate", "requests_per_second": 2}}
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "rope_theta": 500000.0,
    "rms_norm_eps": 1e-05,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
REAL = [
    SMALLEST,
    CONCURRENCY,
    FULL,
    ARRIVALS,
    {**SMALLEST, "split": "phase"},
    {"accelerator": "h100-sxm", "config": CONFIG},
    POOLS,
    {"accelerator": "h100-sxm", "config": CONFIG, "pools": {"prefill": {"layout": {"tp": 2}}}},
]
_NAMES = ["smallest", "concurrency", "mix", "arrivals", "phase", "config", "pools", "planned pools"]


@pytest.fixture(scope="module")
def service(seeded_database_url: str) -> Iterator[TestClient]:
    app = create_service(Settings(database_url=seeded_database_url))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize("body", REAL, ids=_NAMES)
def test_posting_resolved_back_gives_the_same_bytes(service: TestClient, body: dict[str, Any]) -> None:
    first = service.post("/v1/estimates", json=body)
    assert first.status_code == 200, first.text
    again = service.post("/v1/estimates", json=first.json()["resolved"])
    assert again.content == first.content


@pytest.mark.parametrize("body", REAL, ids=_NAMES)
def test_a_real_answer_is_what_the_document_says(service: TestClient, body: dict[str, Any]) -> None:
    answer = service.post("/v1/estimates", json=body).json()
    schema = {"$ref": "#/components/schemas/EstimateAnswer", "components": DOCUMENT["components"]}
    errors = jsonschema.Draft202012Validator(schema).iter_errors(answer)
    assert [f"{error.json_path}: {error.message}" for error in errors] == []


@pytest.mark.parametrize("body", REAL, ids=_NAMES)
def test_tokens_times_rates_are_the_cost_of_a_request(service: TestClient, body: dict[str, Any]) -> None:
    answer = service.post("/v1/estimates", json=body).json()
    total = sum(rate["tokens_per_request"] * rate["per_million_tokens"] / 1e6 for rate in answer["rates"])
    assert total == pytest.approx(answer["conservation"]["bill_per_request"], rel=1e-7)


@pytest.mark.parametrize(
    ("path", "method", "operation"), OPEN, ids=[f"{method} {path}" for path, method, _ in OPEN]
)
def test_every_documented_example_works_on_the_seeded_catalog(
    service: TestClient, path: str, method: str, operation: dict[str, Any]
) -> None:
    for content_type, body in _examples(operation):
        kind: dict[str, Any] = {"json": body} if content_type == "application/json" else {"content": body}
        headers = {"content-type": content_type} if content_type else {}
        response = service.request(method, _example_path(path, operation), headers=headers, **kind)
        assert response.status_code == 200, response.text
        assert b'"problem"' not in response.content


CASES: list[tuple[dict[str, Any], str]] = [
    ({"layout": {"tp": 1}, "accelerator": "l4"}, "model-does-not-fit"),
    ({"layout": {"tp": 3}}, "invalid-layout"),
    ({"accelerator": "a100-sxm-80gb", "formats": {"precision": "fp8"}}, "format-not-supported"),
    ({"formats": {"precision": "fp7"}}, "unknown-precision"),
    ({"operating_point": {"kind": "cheapest", "max_tpot_seconds": 1e-5}}, "limits-unmet"),
    ({"serving": {"engine": "vlm"}}, "unknown-engine"),
    ({"serving": {"release": "nonesuch"}}, "unknown-engine-release"),
    ({"formats": {"weights": "nonesuch"}}, "unknown-format"),
    ({"calibration": "nonesuch"}, "unknown-calibration"),
    ({"as_of": "2001-01-01"}, "price-not-known-at"),
    ({"price": {"provider": "nonesuch"}}, "price-not-found"),
    ({**ARRIVALS, "utilisation": 0.5}, "utilisation-is-an-output"),
    ({"operating_point": {"kind": "arrival_rate", "requests_per_second": 1e6}}, "arrival-rate-too-high"),
    ({"utilisation": 5e-324}, "invalid-request"),
    ({"utilisation": 0.6, "utilisation_range": [5e-324]}, "invalid-request"),
    ({"uncertainty": {"utilisation_low": 5e-324}}, "invalid-request"),
    ({"operating_point": {"kind": "arrival_rate", "requests_per_second": 5e-324}}, "invalid-request"),
    ({"load_profile": {"requests_per_second": [*[0] * 23, 5e-324]}}, "invalid-request"),
    ({"load_profile": {"requests_per_second": [1] * 24, "target_utilisation": 5e-324}}, "invalid-request"),
    ({"workload": {"classes": [{"input_tokens": 10**9, "output_tokens": 1}]}}, "context-too-long"),
    (
        {"workload": {"classes": [{"name": "a", "input_tokens": 9, "output_tokens": 1}] * 2}},
        "duplicate-class",
    ),
]


@pytest.mark.parametrize(("changes", "name"), CASES, ids=[case[1] for case in CASES])
def test_what_the_engine_refuses_is_a_422_of_its_cause(
    service: TestClient, changes: dict[str, Any], name: str
) -> None:
    response = service.post("/v1/estimates", json={**SMALLEST, **changes})
    assert response.status_code == 422, response.text
    assert response.json()["type"] == f"/problems/{name}"
    assert response.json()["errors"][0]["field"]


numbers = st.integers(-2, 10) | st.integers(0, 2**53) | st.floats(allow_nan=False, allow_infinity=False)
classes = st.fixed_dictionaries(
    {},
    optional={
        "weight": numbers,
        "input_tokens": numbers,
        "output_tokens": numbers,
        "cached_share": numbers,
        "sample": st.lists(
            st.fixed_dictionaries({"input_tokens": numbers, "output_tokens": numbers}), max_size=3
        ),
    },
)
COST_FIELDS = (
    "capital_per_accelerator",
    "life_years",
    "cost_of_capital",
    "residual_share",
    "network_share",
    "staff_share",
    "hosting_per_kilowatt_month",
    "power_usage_effectiveness",
    "host_power_watts",
)
PROFILE_FIELDS = ("target_utilisation", "minimum_replicas", "maximum_replicas", "spare_replicas")
POINT_FIELDS = ("concurrency", "requests_per_second", "replicas", "max_ttft_seconds", "max_tpot_seconds")
points = st.fixed_dictionaries(
    {"kind": st.sampled_from(["concurrency", "arrival_rate", "cheapest"])},
    optional=dict.fromkeys(POINT_FIELDS, numbers),
)
changes = st.fixed_dictionaries(
    {},
    optional={
        "layout": st.dictionaries(st.sampled_from(["tp", "pp", "attention_dp", "moe_ep"]), numbers),
        "workload": st.fixed_dictionaries({"classes": st.lists(classes, max_size=3)}),
        "operating_point": points,
        "utilisation": numbers,
        "serving": st.dictionaries(
            st.sampled_from(["token_budget", "max_batch", "memory_utilisation"]), numbers
        ),
        "formats": st.dictionaries(
            st.sampled_from(["precision", "weights", "kv_cache"]),
            st.sampled_from(["fp8", "bf16", "int4", "mxfp4"]),
        ),
        "price": st.fixed_dictionaries({"amount": numbers, "currency": st.just("USD")})
        | st.fixed_dictionaries({"basis": st.sampled_from(["tco", "energy"])}),
        "split": st.sampled_from(["shapley", "phase", "marginal"]),
        "costs": st.fixed_dictionaries(
            {"currency": st.just("USD"), "electricity_per_kilowatt_hour": numbers},
            optional=dict.fromkeys(COST_FIELDS, numbers),
        ),
        "load_profile": st.fixed_dictionaries(
            {"requests_per_second": st.lists(numbers, min_size=24, max_size=24)},
            optional=dict.fromkeys(PROFILE_FIELDS, numbers),
        ),
        "utilisation_range": st.lists(numbers, max_size=3),
        "include": st.just(["splits", "resource_prices"]),
        "kv_view": st.sampled_from(["by_pass", "by_cause"]),
        "model": st.sampled_from(["llama-3.1-8b", "gpt-oss-120b", "deepseek-r1", "mixtral-8x7b"]),
        "accelerator": st.sampled_from(["h100-sxm", "b200-sxm", "mi300x", "l4"]),
    },
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(change=changes)
def test_any_numbers_are_answered_or_refused(service: TestClient, change: dict[str, Any]) -> None:
    response = service.post(
        "/v1/estimates",
        content=json.dumps({**SMALLEST, **change}),
        headers={"content-type": "application/json"},
    )
    assert response.status_code in (200, 400, 422), response.text
    if response.status_code == 200:
        answer = response.json()
        # A figure that is not finite would come out as null.
        assert all(rate["per_million_tokens"] is not None for rate in answer["rates"])
        assert all(None not in basis.values() for basis in answer["cost_bases"])
        if answer["split"] != "marginal":
            assert answer["conservation"]["relative_difference"] < 1e-6


def test_a_database_that_goes_away_leaves_the_service_degraded_and_answering(
    seeded_database_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "moved.db"
    shutil.copy(seeded_database_url.removeprefix("sqlite:///"), path)
    app = create_service(Settings(database_url=f"sqlite:///{path}"))
    with TestClient(app) as client:
        assert client.get("/readyz").json()["status"] == "ready"
        holder = app.state.services.catalog
        path.write_bytes(b"this is no database" * 100)
        holder.refresh()
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert client.post("/v1/estimates", json=SMALLEST).status_code == 200


def test_a_service_without_a_database_starts_and_says_that_it_is_not_ready(tmp_path: Path) -> None:
    app = create_service(Settings(database_url=f"sqlite:///{tmp_path / 'empty.db'}"))
    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/healthz").status_code == 200
        for response in (
            client.get("/readyz"),
            client.post("/v1/estimates", json=SMALLEST),
            client.get("/v1"),
        ):
            assert response.status_code == 503
            assert response.json()["type"] == "/problems/catalog-unavailable"
