"""openapi.json is what the application says, and keeps what it said before."""

import copy
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.api.app import create_app
from service.api.compatibility import breaking_changes
from service.api.openapi_document import document_text

REPOSITORY = Path(__file__).resolve().parents[2]
COMMITTED = REPOSITORY / "openapi.json"


def test_the_committed_document_is_up_to_date() -> None:
    assert COMMITTED.read_bytes() == document_text(create_app()), (
        "run python -m service.api.openapi and commit openapi.json"
    )


def _previous() -> dict[str, Any] | None:
    """Return the document of the commit before this one, where there is a history to ask."""
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "-C", str(REPOSITORY), "show", "HEAD~1:openapi.json"]
    shown = subprocess.run(command, capture_output=True, check=False)
    return json.loads(shown.stdout) if shown.returncode == 0 else None


def test_nothing_promised_before_was_taken_back() -> None:
    previous = _previous()
    if previous is None:
        pytest.skip("no earlier openapi.json to compare with")
    assert breaking_changes(previous, json.loads(COMMITTED.read_bytes())) == []


def _document() -> dict[str, Any]:
    body = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 10},
            "size": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "kind": {"enum": ["a", "b"], "type": "string"},
            "inner": {"$ref": "#/components/schemas/Inner"},
        },
        "required": ["name"],
        "additionalProperties": False,
    }
    answer = {
        "type": "object",
        "properties": {"id": {"type": "integer"}, "note": {"type": "string"}},
        "required": ["id"],
    }
    inner = {"type": "object", "properties": {"again": {"$ref": "#/components/schemas/Inner"}}}
    return {
        "paths": {
            "/things": {
                "post": {
                    "parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer"}}],
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Body"}}},
                    },
                    "responses": {
                        "200": {
                            "content": {
                                "application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}
                            }
                        }
                    },
                }
            }
        },
        "components": {"schemas": {"Body": body, "Answer": answer, "Inner": inner}},
    }


Change = Callable[[dict[str, Any]], object]


def _post(document: dict[str, Any]) -> Any:
    return document["paths"]["/things"]["post"]


def _schema(document: dict[str, Any], name: str) -> Any:
    return document["components"]["schemas"][name]


def _body(document: dict[str, Any]) -> Any:
    return _schema(document, "Body")["properties"]


def _answer(document: dict[str, Any]) -> Any:
    return _schema(document, "Answer")["properties"]


BREAKING: dict[str, Change] = {
    "a path removed": lambda it: it["paths"].clear(),
    "a method removed": lambda it: it["paths"]["/things"].clear(),
    "a parameter removed": lambda it: _post(it)["parameters"].clear(),
    "a parameter narrowed": lambda it: _post(it)["parameters"][0]["schema"].update(maximum=5),
    "a new required parameter": lambda it: _post(it)["parameters"].append(
        {"name": "x", "in": "query", "required": True, "schema": {}}
    ),
    "a media type removed": lambda it: _post(it)["requestBody"]["content"].clear(),
    "a success removed": lambda it: _post(it)["responses"].pop("200"),
    "a request field removed": lambda it: _body(it).pop("size"),
    "a request field newly required": lambda it: _schema(it, "Body")["required"].append("size"),
    "a request type narrowed": lambda it: _body(it).update(size={"anyOf": [{"type": "integer"}]}),
    "a request type changed": lambda it: _body(it)["name"].update(type="integer"),
    "a bound tightened": lambda it: _body(it)["name"].update(maxLength=9),
    "a bound added": lambda it: _body(it)["name"].update(minLength=1),
    "a pattern added": lambda it: _body(it)["name"].update(pattern="^x"),
    "a choice removed": lambda it: _body(it)["kind"].update(enum=["a"]),
    "a nested field newly required": lambda it: _schema(it, "Inner").update(required=["again"]),
    "an answer field removed": lambda it: _answer(it).pop("note"),
    "an answer field no longer certain": lambda it: _schema(it, "Answer")["required"].clear(),
    "an answer type changed": lambda it: _answer(it)["id"].update(type="string"),
    "an answer type widened": lambda it: _answer(it)["note"].update(type=["string", "null"]),
}

HARMLESS: dict[str, Change] = {
    "nothing": lambda it: None,
    "a new path": lambda it: it["paths"].update({"/more": {"get": {"responses": {}}}}),
    "a new optional parameter": lambda it: _post(it)["parameters"].append(
        {"name": "x", "in": "query", "schema": {}}
    ),
    "a new optional request field": lambda it: _body(it).update(extra={"type": "string"}),
    "a request field no longer required": lambda it: _schema(it, "Body")["required"].clear(),
    "a bound relaxed": lambda it: _body(it)["name"].update(maxLength=11),
    "a bound lifted": lambda it: _body(it)["name"].pop("maxLength"),
    "a choice added": lambda it: _body(it)["kind"]["enum"].append("c"),
    "a request type widened": lambda it: _body(it)["size"]["anyOf"].append({"type": "string"}),
    "a new answer field": lambda it: _answer(it).update(extra={"type": "string"}),
    "an answer field now certain": lambda it: _schema(it, "Answer")["required"].append("note"),
    "a new description": lambda it: _body(it)["name"].update(description="Its name."),
    "a new status": lambda it: _post(it)["responses"].update({"429": {}}),
}


@pytest.mark.parametrize("name", BREAKING)
def test_what_breaks_callers_is_found(name: str) -> None:
    new = copy.deepcopy(_document())
    BREAKING[name](new)
    assert breaking_changes(_document(), new)


@pytest.mark.parametrize("name", HARMLESS)
def test_what_only_adds_is_let_through(name: str) -> None:
    new = copy.deepcopy(_document())
    HARMLESS[name](new)
    assert breaking_changes(_document(), new) == []


def test_the_whole_document_agrees_with_itself() -> None:
    document = json.loads(COMMITTED.read_bytes())
    assert breaking_changes(document, document) == []


def test_a_field_taken_from_the_real_body_is_found() -> None:
    document = json.loads(COMMITTED.read_bytes())
    new = copy.deepcopy(document)
    del new["components"]["schemas"]["WorkloadClassBody"]["properties"]["cached_share"]
    assert any("cached_share" in line for line in breaking_changes(document, new))
