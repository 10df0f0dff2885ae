"""The table of problems: every error has a row, every code a page."""

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.api.problem_types import PROBLEM_TYPES
from service.api.problems import ERROR_TABLE, ProblemError, problem_of
from service.application import errors as application_errors
from service.application.errors import UnavailableError
from service.billing import errors as billing_errors
from service.engine import errors as engine_errors

PACKAGE = Path(__file__).resolve().parents[2] / "service"
ROOMS_BEHIND_ESTIMATES = ("application", "engine", "economics", "model_configs")
NOT_BEHIND_HTTP = {"conflict", "invalid-model-spec"}


def _error_classes() -> list[type[Exception]]:
    found = []
    for module in (application_errors, billing_errors, engine_errors):
        found += [
            item for item in vars(module).values() if isinstance(item, type) and issubclass(item, Exception)
        ]
    return found


@pytest.mark.parametrize("family", _error_classes(), ids=lambda family: family.__name__)
def test_every_error_class_becomes_a_4xx_or_503(family: type[Exception]) -> None:
    arguments = ("model", "x", ()) if family is application_errors.UnknownIdError else ("what is wrong",)
    problem = problem_of(family(*arguments))
    assert problem.status in (400, 401, 403, 404, 409, 412, 422, 503)
    assert problem.kind.name in PROBLEM_TYPES


def test_subclasses_come_before_their_family_in_the_table() -> None:
    families = [row[0] for row in ERROR_TABLE]
    for index, family in enumerate(families):
        assert not any(issubclass(later, family) for later in families[index + 1 :])


def test_an_error_without_a_row_is_no_problem() -> None:
    with pytest.raises(TypeError, match="no row"):
        problem_of(KeyError("x"))


def _codes_in_source() -> set[str]:
    codes: set[str] = set()
    for room in ROOMS_BEHIND_ESTIMATES:
        for path in (PACKAGE / room).rglob("*.py"):
            codes.update(re.findall(r'\bcode="([a-z0-9-]+)"', path.read_text(encoding="utf-8")))
    return codes


def test_every_code_that_the_use_cases_raise_has_a_page() -> None:
    assert _codes_in_source() - set(PROBLEM_TYPES) == set()


def test_an_unavailable_service_says_when_to_come_back() -> None:
    assert "Retry-After" in ProblemError("overloaded", "full").headers


def test_the_header_says_the_same_wait_as_the_body() -> None:
    problem = problem_of(UnavailableError("The database is away.", accepted={"retry_after_seconds": 5}))
    assert problem.headers["Retry-After"] == "5"


@pytest.mark.parametrize("name", sorted(PROBLEM_TYPES))
def test_every_type_has_a_page_for_people_and_one_for_terminals(client: TestClient, name: str) -> None:
    kind = PROBLEM_TYPES[name]
    text = client.get(f"/problems/{name}")
    assert text.headers["content-type"].startswith("text/plain")
    assert kind.cause in text.text
    assert kind.way_out in text.text
    page = client.get(f"/problems/{name}", headers={"accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    assert f"/problems/{name}" in page.text


def test_the_list_names_every_type(client: TestClient) -> None:
    for accept in ("text/html", "text/plain"):
        text = client.get("/problems", headers={"accept": accept}).text
        assert all(name in text for name in PROBLEM_TYPES)


def test_an_unknown_type_is_a_problem_itself(client: TestClient) -> None:
    response = client.get("/problems/nonesuch")
    assert response.status_code == 404
    assert response.json()["type"] == "/problems/unknown-problem"
