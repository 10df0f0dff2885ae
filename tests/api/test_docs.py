"""The documentation page works without internet; every example works as it stands."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import jsonschema
import pytest
from fastapi.testclient import TestClient

from service.api.app import create_app

DOCUMENT = create_app().openapi()
OPERATIONS = [
    (path, method, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
]
_IDS = [f"{method} {path}" for path, method, _ in OPERATIONS]
ELSEWHERE = ("imports", "/v1/usage/price")
"""Needs more than a catalog in memory: tests/api/test_usage.py and test_writes.py try their examples."""
OPEN = [
    found
    for found in OPERATIONS
    if {} in found[2].get("security", [{}]) and not any(part in found[0] for part in ELSEWHERE)
]
"""What anybody may call and needs no more than a catalog."""
ECONOMICS = ("/v1/curves", "/v1/tariffs", "/v1/comparisons")
"""Need a real catalog: tests/api/test_real_service.py tries their examples."""
IN_MEMORY = [found for found in OPEN if not found[0].startswith(ECONOMICS)]
_IDS_IN_MEMORY = [f"{method} {path}" for path, method, _ in IN_MEMORY]


class _References(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inline_scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.found += [str(value) for name, value in attrs if name in ("src", "href", "action")]
        self.inline_scripts += tag == "script" and "src" not in named


PAGES = ["/docs", "/problems", "/problems/unknown-model"]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_refers_to_this_service_only(client: TestClient, path: str) -> None:
    response = client.get(path, headers={"accept": "text/html"})
    parser = _References()
    parser.feed(response.text)
    assert parser.inline_scripts == 0
    assert parser.found
    for reference in parser.found:
        assert "//" not in reference
        target = client.get(str(response.url.join(reference)))
        assert target.status_code == 200, reference


@pytest.mark.parametrize("path", PAGES)
def test_the_policy_allows_nothing_from_elsewhere(client: TestClient, path: str) -> None:
    policy = client.get(path, headers={"accept": "text/html"}).headers["content-security-policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self'"
    assert "http" not in policy


def test_the_start_script_loads_nothing_from_elsewhere(client: TestClient) -> None:
    script = client.get("/docs/start.js").text
    assert "http" not in script
    assert "validatorUrl: null" in script


def test_the_icon_is_our_own(client: TestClient) -> None:
    for path in ("/favicon.svg", "/favicon.ico"):
        response = client.get(path)
        assert response.headers["content-type"] == "image/svg+xml"


@pytest.mark.parametrize("name", ["x.js", "..%2f__init__.py", "favicon.png"])
def test_no_other_file_is_served(client: TestClient, name: str) -> None:
    assert client.get(f"/docs/{name}").status_code == 404


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS, ids=_IDS)
def test_every_operation_tells_what_it_does(path: str, method: str, operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["description"]
    assert operation["tags"]
    assert re.fullmatch(r"[a-z_]+", operation["operationId"])


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS, ids=_IDS)
def test_every_operation_shows_an_example(path: str, method: str, operation: dict[str, Any]) -> None:
    schemas = DOCUMENT["components"]["schemas"]
    answer = operation["responses"].get("200", {}).get("content", {}).get("application/json", {})
    answered = schemas.get(answer.get("schema", {}).get("$ref", "").rpartition("/")[2], {})
    assert "example" in json.dumps(operation) or "example" in answered


def _example_path(path: str, operation: dict[str, Any]) -> str:
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            examples = parameter.get("examples") or parameter["schema"]["examples"]
            path = path.replace("{" + parameter["name"] + "}", str(examples[0]))
    return path


@pytest.mark.parametrize(("path", "method", "operation"), IN_MEMORY, ids=_IDS_IN_MEMORY)
def test_every_example_works_as_it_stands(
    client: TestClient, path: str, method: str, operation: dict[str, Any]
) -> None:
    for content_type, body in _examples(operation):
        kind: dict[str, Any] = {"json": body} if content_type == "application/json" else {"content": body}
        headers = {"content-type": content_type} if content_type else {}
        response = client.request(method, _example_path(path, operation), headers=headers, **kind)
        # Rows of the tiny catalog have other numbers than those of the real one.
        assert response.status_code == 200 or path.endswith("-prices/{id}"), response.text


def _examples(operation: dict[str, Any]) -> list[tuple[str, Any]]:
    if "requestBody" not in operation:
        return [("", None)]
    found = []
    for content_type, content in operation["requestBody"]["content"].items():
        named = content.get("examples", {})
        found += [(content_type, example["value"]) for example in named.values()]
        found += [(content_type, content["example"])] if "example" in content else []
    assert found, "an operation with a body needs an example"
    return found


@pytest.mark.parametrize(("path", "method", "operation"), IN_MEMORY, ids=_IDS_IN_MEMORY)
def test_real_answers_are_what_the_document_says(
    client: TestClient, path: str, method: str, operation: dict[str, Any]
) -> None:
    schema = operation["responses"]["200"].get("content", {}).get("application/json", {}).get("schema")
    if schema is None:
        return
    example = _examples(operation)[0][1]
    response = client.request(method, _example_path(path, operation), json=example)
    if response.status_code == 404:
        return
    validator = jsonschema.Draft202012Validator({**schema, "components": DOCUMENT["components"]})
    errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(response.json())]
    assert errors == []


def test_problems_are_what_the_document_says(client: TestClient) -> None:
    schema = {"$ref": "#/components/schemas/Problem", "components": DOCUMENT["components"]}
    validator = jsonschema.Draft202012Validator(schema)
    for response in (
        client.post("/v1/estimates", json={"model": 1}),
        client.get("/nothing"),
        client.get("/v1/models?limit=0"),
    ):
        assert list(validator.iter_errors(response.json())) == []
