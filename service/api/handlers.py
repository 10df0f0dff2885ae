"""Every refusal leaves as a problem; FastAPI's own handlers are replaced, one and all."""

import logging
from difflib import get_close_matches
from typing import get_type_hints

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from service.api.problems import CALLER_ERRORS, ProblemError, problem_of, problem_response
from service.api.validation import validation_problem

_LOG = logging.getLogger("service.api")

_NAME_BY_STATUS = {
    400: "unreadable-json",
    404: "no-such-route",
    405: "method-not-allowed",
    413: "body-too-large",
    415: "unsupported-media-type",
    503: "overloaded",
}


def install_handlers(app: FastAPI) -> None:
    """Register the handlers of every error family of the table, and of whatever else may rise."""
    for family in CALLER_ERRORS:
        app.add_exception_handler(family, _caller_error)
    app.add_exception_handler(RequestValidationError, _invalid_parameters)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)


async def _caller_error(request: Request, error: Exception) -> Response:
    return problem_response(problem_of(error, in_path=bool(request.path_params)))


async def _invalid_parameters(request: Request, error: Exception) -> Response:
    """Path and query parameters that FastAPI refused; bodies never come this way."""
    if not isinstance(error, RequestValidationError):
        raise error
    errors = [{**item, "loc": tuple(item["loc"])[1:]} for item in error.errors()]
    problem = validation_problem(errors, _query_model(request), root="the query")
    if any(item["loc"][:1] == ("path",) for item in error.errors()):
        problem.status = 404
    return problem_response(problem)


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    name = _NAME_BY_STATUS.get(error.status_code, "internal-error")
    detail, headers = str(error.detail), dict(error.headers or {})
    if error.status_code == 404:
        near = get_close_matches(request.url.path, _paths(request), n=3, cutoff=0.6)
        hint = f" Near matches: {', '.join(near)}." if near else " GET /docs lists every route."
        detail = f"There is nothing at {request.url.path[:200]!r}.{hint}"
    elif error.status_code == 405:
        allowed = _methods(request)
        headers["Allow"] = ", ".join(allowed)
        detail = f"{request.url.path[:200]!r} takes {' or '.join(allowed)}, not {request.method[:20]}."
    return problem_response(ProblemError(name, detail, status=error.status_code, headers=headers))


async def _unexpected(request: Request, error: Exception) -> Response:
    _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem_response(
        ProblemError("internal-error", "An unexpected error; it was logged. Repeating may help.")
    )


def _query_model(request: Request) -> type[BaseModel] | None:
    """Return the model of the route's query parameters, for the names in near matches."""
    endpoint = request.scope.get("endpoint")
    hint = get_type_hints(endpoint).get("query") if endpoint else None
    return hint if isinstance(hint, type) and issubclass(hint, BaseModel) else None


def _routes(request: Request) -> list[APIRoute]:
    return [route for route in request.app.routes if isinstance(route, APIRoute)]


def _paths(request: Request) -> list[str]:
    return sorted({route.path for route in _routes(request) if route.include_in_schema})


def _methods(request: Request) -> list[str]:
    path = request.url.path
    matching = [route for route in _routes(request) if route.path_regex.match(path)]
    return sorted({method for route in matching for method in route.methods or ()})
