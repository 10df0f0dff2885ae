"""Each kind of bad body by hand: status, type, field, and what would be accepted."""

import json
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient

GOOD: dict[str, Any] = {"model": "llama-3.1-70b", "accelerator": "h100-sxm"}
ONE = {"name": "chat", "weight": 1, "input_tokens": 100, "output_tokens": 10}


def _class(**changes: object) -> dict[str, Any]:
    return {**GOOD, "workload": {"classes": [{**ONE, **changes}]}}


def _post(client: TestClient, body: object) -> Any:
    return client.post("/v1/estimates", json=body)


def _post_price(client: TestClient, literal: str) -> Any:
    body = json.dumps({**GOOD, "price": {"amount": "HERE", "currency": "USD"}}).replace('"HERE"', literal)
    return client.post("/v1/estimates", content=body, headers={"content-type": "application/json"})


ACCELERATOR = {"accelerator": "h100-sxm"}

# body, problem type, field
CASES: list[tuple[dict[str, Any], str, str]] = [
    ({"model": "llama-3.1-70b"}, "missing-field", "accelerator"),
    ({"accelerator": "h100-sxm"}, "conflicting-fields", ""),
    ({**GOOD, "config": {}}, "conflicting-fields", ""),
    ({**GOOD, "modle": "x"}, "unknown-field", "modle"),
    ({**GOOD, "model": 7}, "wrong-type", "model"),
    ({**GOOD, "model": ""}, "out-of-range", "model"),
    ({**GOOD, "model": "x" * 201}, "out-of-range", "model"),
    ({**GOOD, "model": "nonesuch"}, "unknown-model", "model"),
    ({**GOOD, "accelerator": "h100"}, "unknown-accelerator", "accelerator"),
    ({**GOOD, "layout": {"tp": 0}}, "out-of-range", "layout.tp"),
    ({**GOOD, "layout": {"tp": 2.0}}, "wrong-type", "layout.tp"),  # an integer is written as one
    ({**GOOD, "layout": {"tp": "8"}}, "wrong-type", "layout.tp"),
    ({**GOOD, "layout": {"tp": True}}, "wrong-type", "layout.tp"),
    ({**GOOD, "layout": {"tp": 65_537}}, "limit-exceeded", "layout.tp"),
    ({**GOOD, "layout": {"tp": 512, "pp": 512}}, "limit-exceeded", "layout"),
    ({**GOOD, "layout": {"sp": 2}}, "unknown-field", "layout.sp"),
    ({**GOOD, "layout": []}, "wrong-type", "layout"),
    ({**GOOD, "serving": {"reserve": "some"}}, "invalid-choice", "serving.reserve"),
    ({**GOOD, "serving": {"memory_utilisation": 1.01}}, "out-of-range", "serving.memory_utilisation"),
    ({**GOOD, "serving": {"token_budget": 2**53}}, "limit-exceeded", "serving.token_budget"),
    ({**GOOD, "workload": {"classes": []}}, "out-of-range", "workload.classes"),
    ({**GOOD, "workload": {}}, "missing-field", "workload.classes"),
    ({**GOOD, "workload": {"classes": [ONE] * 257}}, "limit-exceeded", "workload.classes"),
    ({**GOOD, "uncertainty": {"samples": 4097}}, "limit-exceeded", "uncertainty.samples"),
    ({**GOOD, "uncertainty": {"seed": 2**53}}, "limit-exceeded", "uncertainty.seed"),
    (_class(input_tokens=-1), "out-of-range", "workload.classes.0.input_tokens"),
    (_class(output_tokens=0), "out-of-range", "workload.classes.0.output_tokens"),
    (_class(input_tokens=2**53), "limit-exceeded", "workload.classes.0.input_tokens"),
    (_class(cached_share=1.5), "out-of-range", "workload.classes.0.cached_share"),
    (_class(cached_share="0.5"), "wrong-type", "workload.classes.0.cached_share"),
    (_class(weight=-1), "out-of-range", "workload.classes.0.weight"),
    (_class(weight=10**330), "unreadable-json", ""),  # no double holds it
    (_class(samples=[]), "unknown-field", "workload.classes.0.samples"),
    (_class(sample=[{"input_tokens": 1, "output_tokens": 1}]), "conflicting-fields", "workload.classes.0"),
    ({**GOOD, "operating_point": {}}, "missing-field", "operating_point.kind"),
    ({**GOOD, "operating_point": {"kind": "fast"}}, "invalid-choice", "operating_point.kind"),
    ({**GOOD, "operating_point": {"kind": "concurrency"}}, "missing-field", "operating_point.concurrency"),
    (
        {**GOOD, "operating_point": {"kind": "concurrency", "concurrency": 0}},
        "out-of-range",
        "operating_point.concurrency",
    ),
    (
        {**GOOD, "operating_point": {"kind": "cheapest", "concurrency": 4}},
        "unknown-field",
        "operating_point.concurrency",
    ),
    ({**GOOD, "utilisation": 0}, "out-of-range", "utilisation"),
    ({**GOOD, "utilisation": 1.2}, "out-of-range", "utilisation"),
    ({**GOOD, "price": {"amount": -1, "currency": "USD"}}, "out-of-range", "price.amount"),
    ({**GOOD, "price": {"amount": "1e3", "currency": "USD"}}, "invalid-amount", "price.amount"),
    ({**GOOD, "price": {"amount": "1,5", "currency": "USD"}}, "invalid-amount", "price.amount"),
    ({**GOOD, "price": {"amount": "NaN", "currency": "USD"}}, "invalid-amount", "price.amount"),
    ({**GOOD, "price": {"amount": True, "currency": "USD"}}, "invalid-amount", "price.amount"),
    ({**GOOD, "price": {"amount": 10**13, "currency": "USD"}}, "invalid-amount", "price.amount"),
    ({**GOOD, "price": {"amount": "2"}}, "conflicting-fields", "price"),
    ({**GOOD, "price": {"amount": "2", "currency": "dollars"}}, "invalid-currency", "price.currency"),
    ({**GOOD, "split": "fair"}, "invalid-choice", "split"),
    ({**GOOD, "as_of": "yesterday"}, "invalid-time", "as_of"),
    ({**GOOD, "as_of": "2026-01-31T12:00:00"}, "invalid-time", "as_of"),  # no offset: ambiguous
    ({**GOOD, "as_of": "2026-02-30"}, "invalid-time", "as_of"),
    ({**GOOD, "as_of": 1_700_000_000}, "invalid-time", "as_of"),
    ({**GOOD, "as_of": "0001-01-01T00:00:00+23:00"}, "invalid-time", "as_of"),  # before year 1 in UTC
    ({**GOOD, "known_at": 3}, "invalid-time", "known_at"),
    ({**GOOD, "known_at": "r99"}, "unknown-revision", "known_at"),
    ({**ACCELERATOR, "config": {"n_layer": 2049}}, "limit-exceeded", "config.n_layer"),
    ({**ACCELERATOR, "config": {"a": [{"b": 2**53}]}}, "limit-exceeded", "config.a.0.b"),
    ({**ACCELERATOR, "config": "llama"}, "wrong-type", "config"),
    ({**ACCELERATOR, "config": {"layer_types": ["x"] * 2049}}, "limit-exceeded", "config.layer_types"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "name", "field"), CASES, ids=[f"{case[1]} {case[2]}" for case in CASES])
def test_a_wrong_body_gets_the_problem_of_its_cause(
    client: TestClient, body: dict[str, Any], name: str, field: str
) -> None:
    response = _post(client, body)
    problem = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["type"] == f"/problems/{name}"
    assert response.status_code == problem["status"] == (400 if name == "unreadable-json" else 422)
    assert problem["title"]
    assert problem["detail"]
    if name != "unreadable-json":
        assert problem["errors"][0]["field"] == field
    page = client.get(problem["type"])
    assert page.status_code == 200


@pytest.mark.parametrize("body", [[], "text", 3, None, True])
def test_a_body_that_is_no_object_is_told_so(client: TestClient, body: object) -> None:
    response = client.post(
        "/v1/estimates", content=json.dumps(body), headers={"content-type": "application/json"}
    )
    assert response.status_code == 422
    assert "JSON object" in response.json()["detail"]


def test_near_matches_are_named(client: TestClient) -> None:
    unknown_field = _post(client, {**GOOD, "utilization": 0.5}).json()
    assert "utilisation" in unknown_field["errors"][0]["accepted"]["near_matches"]
    unknown_id = _post(client, {**GOOD, "model": "llama-3.1-7b"}).json()
    assert "llama-3.1-70b" in unknown_id["errors"][0]["accepted"]["near_matches"]


def test_every_fault_of_a_body_is_told_at_once(client: TestClient) -> None:
    problem = _post(client, {"model": 1, "accelerator": 2, "utilisation": "x", "foo": 0}).json()
    assert {error["field"] for error in problem["errors"]} == {"model", "accelerator", "utilisation", "foo"}


def test_a_long_value_is_not_thrown_back_whole(client: TestClient) -> None:
    response = _post(client, {**GOOD, "layout": {"tp": "x" * 100_000}})
    assert len(response.content) < 2_000


@pytest.mark.parametrize("text", ["1e-1", "0.1234567890123456", "1E2"])
def test_a_number_literal_for_money_has_no_exponent_and_at_most_15_digits(
    client: TestClient, text: str
) -> None:
    response = _post_price(client, text)
    assert response.status_code == 422
    assert response.json()["type"] == "/problems/invalid-amount"


@pytest.mark.parametrize("text", ["2", "2.5", "0.10", '"2.490000000000000001"', "123456789012"])
def test_money_is_taken_exactly(client: TestClient, text: str) -> None:
    response = _post_price(client, text)
    assert response.status_code == 200
    assert Decimal(response.json()["resolved"]["price"]["amount"]) == Decimal(text.strip('"'))


def test_refusals_of_the_use_case_keep_their_code_and_field(client: TestClient) -> None:
    problem = _post(client, {**GOOD, "utilisation": 0.001}).json()
    assert problem["type"] == "/problems/model-does-not-fit"
    assert problem["errors"][0]["field"] == "layout.tp"


def test_an_unexpected_error_is_a_500_without_internals(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    response = _post(client, {**GOOD, "utilisation": 0.002})
    assert response.status_code == 500
    assert response.json()["type"] == "/problems/internal-error"
    assert "secret" not in response.text
    assert "secret" in caplog.text


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({}, "no Content-Type"),
        ({"content-type": "application/x-www-form-urlencoded"}, "curl -d"),
        ({"content-type": "text/plain"}, "text/plain"),
        ({"content-type": "application/json; charset=latin-1"}, "UTF-8"),
    ],
)
def test_a_body_not_declared_as_json_is_415_in_words(
    client: TestClient, headers: dict[str, str], says: str
) -> None:
    response = client.post("/v1/estimates", content=b"{}", headers=headers)
    assert response.status_code == 415
    assert says in response.json()["detail"]


@pytest.mark.parametrize(
    "content_type", ["application/json", "APPLICATION/JSON; charset=UTF-8", "application/vnd.acme+json"]
)
def test_json_by_any_of_its_names_is_read(client: TestClient, content_type: str) -> None:
    response = client.post("/v1/estimates", content=json.dumps(GOOD), headers={"content-type": content_type})
    assert response.status_code == 200


def test_the_largest_body_is_read_and_one_byte_more_is_413(client: TestClient) -> None:
    text = json.dumps(GOOD).encode()
    headers = {"content-type": "application/json"}
    assert client.post("/v1/estimates", content=text.ljust(2**20), headers=headers).status_code == 200
    response = client.post("/v1/estimates", content=text.ljust(2**20 + 1), headers=headers)
    assert response.status_code == 413
    assert response.json()["type"] == "/problems/body-too-large"


@pytest.mark.parametrize(
    ("literal", "told"),
    [
        ('"2,5"', "price.amount: '2,5' is not a plain decimal."),
        (
            "2.1234567890123456",
            "price.amount: 2.1234567890123456 has more than 15 significant digits; send a string.",
        ),
    ],
)
def test_an_amount_that_is_refused_is_shown_as_written(client: TestClient, literal: str, told: str) -> None:
    assert _post_price(client, literal).json()["detail"] == told


def test_a_list_of_the_wrong_length_is_told_its_length(client: TestClient) -> None:
    none = _post(client, {**GOOD, "workload": {"classes": []}}).json()
    assert none["detail"] == "workload.classes: should have at least 1 item, not 0."
    many = _post(client, {**GOOD, "workload": {"classes": [ONE] * 257}}).json()
    assert many["detail"] == "workload.classes: should have at most 256 items, not 257."


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_another_method_is_405_with_the_allowed_ones(client: TestClient, method: str) -> None:
    response = client.request(method, "/v1/estimates")
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert response.json()["type"] == "/problems/method-not-allowed"


@pytest.mark.parametrize(
    "path", ["/v1/estimate", "/v2", "/nothing", "/v1/models/", "/docs/../x", "/v1/curve"]
)
def test_an_unknown_address_is_a_problem(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


def test_an_unknown_id_in_the_path_is_404_with_near_matches(client: TestClient) -> None:
    response = client.get("/v1/models/llama-3.1-70")
    assert response.status_code == 404
    assert response.json()["accepted"]["near_matches"] == ["llama-3.1-70b"]
