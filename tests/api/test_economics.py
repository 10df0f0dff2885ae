"""Curves, tariffs and comparisons over HTTP, on the seeded catalog: answers, batches, ways to be wrong."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import asynccontextmanager
from typing import Any

import jsonschema
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.api.app import create_app
from service.api.deps import make_services
from service.api.documentation import SMALLEST
from service.api.economics_documentation import ACROSS, BATCH_CURVE, CLASSES_TARIFF, CLOSED, POSITION_CURVE
from service.api.schemas.economics_request import CurveSpecBody
from service.bootstrap import create_service
from service.settings import Settings
from tests.api.conftest import NOW, fake_estimate
from tests.api.test_docs import DOCUMENT
from tests.builders.catalog import FakeCatalog

JSON = {"content-type": "application/json"}
NDJSON = {"content-type": "application/x-ndjson"}
LARGEST_BODY, LARGEST_TRACE = 16_384, 65_536
CURVE = {**SMALLEST, "curve": {"axis": "position"}}
ROUTES = ("/v1/curves", "/v1/tariffs", "/v1/comparisons")
BODIES = {"/v1/curves": CURVE, "/v1/tariffs": SMALLEST, "/v1/comparisons": SMALLEST}
MIX = {"classes": [{"input_tokens": 900, "output_tokens": 90}]}


def trace(*rows: str, form: str = "azure_csv") -> dict[str, str]:
    return {"format": form, "text": "\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *rows])}


@pytest.fixture(scope="module")
def service(seeded_database_url: str) -> Iterator[TestClient]:
    chosen = Settings(
        database_url=seeded_database_url,
        body_limit_bytes=LARGEST_BODY,
        trace_body_limit_bytes=LARGEST_TRACE,
    )
    with TestClient(create_service(chosen), raise_server_exceptions=False) as client:
        yield client


REAL = [
    ("/v1/curves", POSITION_CURVE),
    ("/v1/curves", BATCH_CURVE),
    ("/v1/tariffs", CLASSES_TARIFF),
    ("/v1/comparisons", SMALLEST),
    ("/v1/comparisons", ACROSS),
    ("/v1/comparisons", CLOSED),
]
_NAMES = ["positions", "batch and what-ifs", "classes", "one model", "all models", "closed model"]


@pytest.mark.parametrize(("route", "body"), REAL, ids=_NAMES)
def test_posting_resolved_back_gives_the_same_bytes(
    service: TestClient, route: str, body: dict[str, Any]
) -> None:
    first = service.post(route, json=body)
    assert first.status_code == 200, first.text
    again = service.post(route, json=first.json()["resolved"])
    assert again.content == first.content


@pytest.mark.parametrize("route", ROUTES)
def test_what_an_estimate_resolved_can_be_posted_to_the_others(service: TestClient, route: str) -> None:
    estimate = service.post("/v1/estimates", json={**SMALLEST, "include": ["splits"]}).json()
    own = {"curve": {"axis": "price", "points": 2}} if route == "/v1/curves" else {}
    answer = service.post(route, json={**estimate["resolved"], **own}).json()
    assert answer["operating_point"] == estimate["operating_point"]
    assert answer["provenance"]["rows"] == estimate["provenance"]["rows"]


@pytest.mark.parametrize(("route", "body"), REAL, ids=_NAMES)
def test_an_answer_is_what_the_document_says(service: TestClient, route: str, body: dict[str, Any]) -> None:
    operation = DOCUMENT["paths"][route]["post"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    validator = jsonschema.Draft202012Validator({**schema, "components": DOCUMENT["components"]})
    errors = validator.iter_errors(service.post(route, json=body).json())
    assert [f"{error.json_path}: {error.message}" for error in errors] == []


@pytest.mark.parametrize("route", ROUTES)
def test_a_batch_answers_in_order_with_errors_in_place_and_a_summary(service: TestClient, route: str) -> None:
    good = {**BODIES[route], "as_of": "2026-11-20"}
    lines = [json.dumps(good), json.dumps({**good, "model": "nonesuch"}), "not json", json.dumps(good)]
    text = ("\n".join(lines) + "\n").encode()
    response = service.post(f"{route}/batch", content=text, headers=NDJSON)
    assert response.headers["content-type"] == "application/x-ndjson"
    *results, last = [json.loads(line) for line in response.content.splitlines()]
    assert [(one["line"], one["status"]) for one in results] == [(1, 200), (2, 422), (3, 400), (4, 200)]
    alone = service.post(route, json=good).json()
    assert results[0]["answer"] == results[3]["answer"] == alone
    summary = last["summary"]
    assert (summary["lines"], summary["errors"]) == (4, 2)
    assert summary["input_sha256"] == hashlib.sha256(text).hexdigest()
    if route != "/v1/curves":
        totals = summary["totals"]["cost_per_request"]
        assert totals == {"USD": pytest.approx(2 * alone["cost_per_request"])}


def test_lines_with_traces_may_be_longer_than_lines_without(service: TestClient) -> None:
    long = {**SMALLEST, "trace": trace(*["t,900,90"] * 3000)}
    padded = {**SMALLEST, "defaulted": ["x" * 100] * 200}
    assert LARGEST_BODY < len(json.dumps(padded)) < len(json.dumps(long)) < LARGEST_TRACE
    huge = {**SMALLEST, "trace": trace(*["t,900,90"] * 9000)}
    text = "\n".join(json.dumps(one) for one in (long, padded, huge, SMALLEST))
    response = service.post("/v1/tariffs/batch", content=text, headers=NDJSON)
    *results, last = [json.loads(line) for line in response.content.splitlines()]
    assert [one["status"] for one in results] == [200, 413, 413, 200]
    assert last["summary"]["lines"] == 4


def test_a_body_with_a_trace_may_be_larger_and_no_other(service: TestClient) -> None:
    long = {**SMALLEST, "trace": trace(*["t,900,90"] * 3000)}
    assert service.post("/v1/tariffs", json=long).status_code == 200
    padded = {**SMALLEST, "defaulted": ["x" * 100] * 200}
    for route, body in (("/v1/tariffs", padded), ("/v1/curves", {**CURVE, **padded}), ("/v1/curves", long)):
        refused = service.post(route, json=body)
        assert (refused.status_code, refused.json()["type"]) == (413, "/problems/body-too-large")
    huge = {**SMALLEST, "trace": trace(*["t,900,90"] * 9000)}
    assert service.post("/v1/tariffs", json=huge).status_code == 413


def test_bad_lines_of_a_trace_are_told_by_number_and_the_rest_is_priced(service: TestClient) -> None:
    body = {**SMALLEST, "trace": trace(*["t,900,90"] * 198, "t,900,0", "t,900")}
    mix = service.post("/v1/tariffs", json=body).json()["mix"]
    assert (mix["requests"], mix["bad_lines"]) == (198, 2)
    assert mix["first_bad_lines"] == [
        "line 200: 0 output tokens; at least 1 is needed",
        "line 201: 2 cells, 3 expected",
    ]


def test_more_than_one_bad_line_in_a_hundred_refuses_the_trace_and_names_them(service: TestClient) -> None:
    body = {**SMALLEST, "trace": trace(*["t,900,90"] * 97, "t,900,0", "t,200000,1")}
    refused = service.post("/v1/tariffs", json=body)
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/too-many-bad-lines")
    assert refused.json()["accepted"]["bad_lines"] == [
        {"line": 99, "reason": "0 output tokens; at least 1 is needed"},
        {"line": 100, "reason": "200001 tokens; the model takes 131072"},
    ]


def curve(**changes: Any) -> dict[str, Any]:
    return {"curve": {"axis": "position", **changes}}


def what_if(**figures: Any) -> dict[str, Any]:
    return {"counterfactuals": [figures]}


SHEET = {"name": "x", "currency": "USD", "input": "1", "output": "1"}
NO_OUTPUT, TOO_LONG = ({"input_tokens": count, "output_tokens": end} for count, end in ((9, 0), (10**6, 1)))
MYSTERY = {"model": None, "config": {"model_type": "mystery"}}
SMALL = {"accelerator": "l4", "layout": {"tp": 1}}
BEYOND = {"input_tokens": 131_072, "output_tokens": 1}
MISSPELT = {"provider": "openai", "provider_model_id": "gpt-4oo"}
PLAN = {"price": "20", "currency": "USD", "requests": [5]}
LIMITS = {"operating_point": {"kind": "cheapest", "max_tpot_seconds": 1e-5}}
WRONG: list[tuple[str, dict[str, Any], str, str]] = [
    ("/v1/curves", {"curve": None}, "missing-field", "curve"),
    ("/v1/curves", curve(axis="length"), "invalid-choice", "curve.axis"),
    ("/v1/curves", curve(points=20_001), "limit-exceeded", "curve.points"),
    ("/v1/curves", curve(points=1), "out-of-range", "curve.points"),
    ("/v1/curves", curve(start=0), "invalid-request", "curve.start"),
    ("/v1/curves", curve(stop=5000), "invalid-request", "curve.stop"),
    ("/v1/curves", curve(stop=131_073), "context-too-long", "curve.stop"),
    ("/v1/curves", curve(request=NO_OUTPUT), "out-of-range", "curve.request.output_tokens"),
    ("/v1/curves", curve(request=BEYOND), "context-too-long", "curve.request"),
    ("/v1/curves", curve(pints=3), "unknown-field", "curve.pints"),
    ("/v1/curves", curve(axis="batch", view="by_pass"), "conflicting-fields", "curve.view"),
    ("/v1/curves", what_if(kind="window"), "conflicting-fields", "counterfactuals.0"),
    ("/v1/curves", what_if(kind="kv_heads", kv_heads=7), "invalid-counterfactual", "counterfactuals"),
    ("/v1/curves", what_if(kind="kv_format", format="fp9"), "unknown-format", "formats"),
    ("/v1/curves", what_if(kind="magic"), "invalid-choice", "counterfactuals.0.kind"),
    ("/v1/tariffs", {"trace": trace("t,9,9"), "workload": MIX}, "conflicting-fields", ""),
    ("/v1/tariffs", {"trace": {"format": "azure_csv", "text": "no header"}}, "invalid-trace", "trace.text"),
    ("/v1/tariffs", {"trace": {"format": "csv", "text": "x"}}, "invalid-choice", "trace.format"),
    ("/v1/tariffs", {"workload": {"classes": [NO_OUTPUT]}}, "out-of-range", "workload.classes.0.output"),
    ("/v1/tariffs", {"prices": [{**SHEET, "currency": None}]}, "invalid-currency", "prices.0.currency"),
    ("/v1/tariffs", {"prices": [{**SHEET, "currency": "EUR"}]}, "currency-mismatch", "prices.0.currency"),
    ("/v1/tariffs", {"prices": [{**SHEET, "output": "-1"}]}, "out-of-range", "prices.0.output"),
    ("/v1/tariffs", {"long_output_tokens": 131_072}, "context-too-long", "long_output_tokens"),
    ("/v1/tariffs", {"prefix": {"tokens": 131_072}}, "context-too-long", "prefix.tokens"),
    ("/v1/tariffs", {"prefix": {"tokens": 9, "seconds": 0}}, "out-of-range", "prefix.seconds"),
    ("/v1/tariffs", {"subscription": {**PLAN, "requests": None}}, "conflicting-fields", "subscription"),
    ("/v1/tariffs", {"subscription": {**PLAN, "median_requests": 5}}, "conflicting-fields", "subscription"),
    ("/v1/tariffs", {"subscription": {**PLAN, "target_margin": 1}}, "out-of-range", "subscription.target"),
    ("/v1/comparisons", {"target_margin": 1}, "out-of-range", "target_margin"),
    ("/v1/comparisons", {"model": "gpt-4o"}, "unknown-architecture", "model"),
    ("/v1/comparisons", {"priced_as": MISSPELT}, "unknown-id", "priced_as"),
    *((route, {"model": "nonesuch"}, "unknown-model", "model") for route in ROUTES),
    *((route, MYSTERY, "unsupported-architecture", "config") for route in ROUTES),
    *((route, LIMITS, "limits-unmet", "operating_point.max_tpot_seconds") for route in ROUTES),
    *((route, SMALL, "model-does-not-fit", "layout") for route in ROUTES),
    *((route, {"workload": {"classes": [TOO_LONG]}}, "context-too-long", "workload") for route in ROUTES),
    *((route, {"colour": "red"}, "unknown-field", "colour") for route in ROUTES),
]  # fmt: skip


@pytest.mark.parametrize(("route", "changes", "name", "field"), WRONG)
def test_what_is_wrong_is_a_422_of_its_cause_and_field(
    service: TestClient, route: str, changes: dict[str, Any], name: str, field: str
) -> None:
    body = {key: value for key, value in {**BODIES[route], **changes}.items() if value is not None}
    response = service.post(route, json=body)
    assert response.status_code == 422, response.text
    problem = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["type"] == f"/problems/{name}"
    assert problem["errors"][0]["field"].startswith(field)
    assert service.get(problem["type"]).status_code == 200


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", JSON, 400),
        (b"{", JSON, 400),
        (b'{"curve": NaN}', JSON, 400),
        (b'{"model": 1, "model": 2}', JSON, 400),
        (b"[]", JSON, 422),
        (b"{}", {"content-type": "text/csv"}, 415),
    ],
)
def test_what_cannot_be_read_is_refused_like_everywhere(
    service: TestClient, route: str, content: bytes, headers: dict[str, str], status: int
) -> None:
    assert service.post(route, content=content, headers=headers).status_code == status


@pytest.mark.parametrize("route", ROUTES)
def test_an_empty_batch_and_another_media_type_are_refused(service: TestClient, route: str) -> None:
    assert service.post(f"{route}/batch", content=b"", headers=NDJSON).status_code == 400
    assert service.post(f"{route}/batch", content=b"{}", headers={"content-type": "a/b"}).status_code == 415


@pytest.mark.parametrize("route", ROUTES)
def test_a_service_without_these_use_cases_says_so(route: str) -> None:
    @asynccontextmanager
    async def open_services() -> Any:
        yield make_services(FakeCatalog(), fake_estimate, lambda: NOW)

    with TestClient(create_app(open_services)) as bare:
        assert bare.post(route, json=BODIES[route]).status_code == 503


numbers = st.integers(-2, 10) | st.integers(0, 2**53) | st.floats(allow_nan=False, allow_infinity=False)
requests = st.fixed_dictionaries({"input_tokens": numbers, "output_tokens": numbers})
specs = st.fixed_dictionaries(
    {"axis": st.sampled_from(CurveSpecBody.model_fields["axis"].annotation.__args__)},
    optional={
        "points": st.integers(0, 40) | numbers,
        "start": numbers,
        "stop": numbers,
        "spacing": st.sampled_from(["linear", "log"]),
        "request": requests,
    },
)  # fmt: skip
mixes = st.fixed_dictionaries({"classes": st.lists(requests, min_size=1, max_size=3)})
prefixes = st.fixed_dictionaries({"tokens": numbers}, optional={"seconds": numbers})
sheets = st.fixed_dictionaries(
    {"name": st.just("x"), "currency": st.sampled_from(["USD", "EUR"]), "input": numbers, "output": numbers}
)
plans = st.fixed_dictionaries(
    {"price": numbers, "currency": st.just("USD")},
    optional={
        "requests": st.lists(numbers, max_size=3),
        "median_requests": numbers,
        "p90_requests": numbers,
        "target_margin": numbers,
    },
)
CHANGES = {
    "/v1/curves": {"curve": specs, "workload": mixes},
    "/v1/tariffs": {
        "workload": mixes,
        "prices": st.lists(sheets, max_size=2),
        "long_output_tokens": numbers,
        "prefix": prefixes,
        "subscription": plans,
    },
    "/v1/comparisons": {"workload": mixes, "target_margin": numbers},
}


@pytest.mark.parametrize("route", ROUTES)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_numbers_are_answered_or_refused(service: TestClient, route: str, data: st.DataObject) -> None:
    changes = data.draw(st.fixed_dictionaries({}, optional=CHANGES[route]))
    content = json.dumps({**BODIES[route], "model": "llama-3.1-8b", **changes})
    response = service.post(route, content=content, headers=JSON)
    assert response.status_code in (200, 400, 422), response.text
    if response.status_code == 200 and route == "/v1/curves":
        # A figure that is not finite would come out as null.
        assert all(None not in values for values in response.json()["series"].values())


lines = st.lists(
    st.sampled_from(["t,900,90", "t,1,1", "", "t,5", '"', "t,0,0", '{"input_length": 9, "output_length": 3}'])
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=20),
    max_size=8,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(rows=lines, form=st.sampled_from(["azure_csv", "mooncake_jsonl"]), headed=st.booleans())
def test_any_trace_is_answered_or_refused(
    service: TestClient, rows: list[str], form: str, headed: bool
) -> None:
    text = "\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *rows] if headed else rows)
    body = {**SMALLEST, "model": "llama-3.1-8b", "trace": {"format": form, "text": text}}
    response = service.post("/v1/tariffs", content=json.dumps(body), headers=JSON)
    assert response.status_code in (200, 422), response.text
    if response.status_code == 200:
        assert response.json()["recovery"]["relative_difference"] < 1e-9
