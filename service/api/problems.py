"""From an error to an RFC 9457 problem: the one table of statuses, and the answer it becomes."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.responses import Response

from service.api.problem_types import PROBLEM_TYPES
from service.api.problem_types.kind import ProblemType
from service.api.strict_json import UnreadableJsonError
from service.application.errors import (
    ApplicationError,
    AuthenticationError,
    ConflictError,
    ForbiddenError,
    InvalidRequestError,
    LimitExceededError,
    NoPriceError,
    PreconditionError,
    UnavailableError,
    UnknownIdError,
)
from service.billing.errors import BillingError
from service.engine.errors import EngineError, InfeasibleError, InvalidInputError, UnsupportedError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2
_SHOWN_CHARACTERS = 200

ERROR_TABLE: tuple[tuple[type[Exception], int, str], ...] = (
    # error class, status, problem type where the error's own code has no page; first match counts
    (UnknownIdError, 422, "unknown-id"),
    (LimitExceededError, 422, "limit-exceeded"),
    (NoPriceError, 422, "price-not-known-at"),
    (ConflictError, 409, "conflict"),
    (AuthenticationError, 401, "key-invalid"),
    (ForbiddenError, 403, "scope-missing"),
    (PreconditionError, 412, "precondition-failed"),
    (UnavailableError, 503, "catalog-unavailable"),
    (InvalidRequestError, 422, "invalid-request"),
    (ApplicationError, 422, "invalid-request"),
    (InfeasibleError, 422, "infeasible"),
    (UnsupportedError, 422, "unsupported"),
    (InvalidInputError, 422, "invalid-input"),
    (EngineError, 422, "invalid-input"),
    (BillingError, 422, "invalid-request"),
    (UnreadableJsonError, 400, "unreadable-json"),
)
"""Whoever adds an error family adds a row."""


_FIELD_OF_KIND: Mapping[str, str] = {
    "model": "model",
    "accelerator": "accelerator",
    "engine": "serving.engine",
    "engine release": "serving.release",
    "format": "formats",
    "calibration": "calibration",
    "provider": "provider",
    "provider model": "model",
}
"""Where a body names a kind of row; the catalog that misses it does not know."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that is wrong."""

    field: str
    message: str
    code: str
    value: Any = None
    accepted: Mapping[str, object] = dataclasses.field(default_factory=dict)


class ProblemError(Exception):
    """A refusal that the API itself decides on.

    Parameters
    ----------
    name
        A key of ``PROBLEM_TYPES``.
    detail
        What is wrong with this request and how to get out of it.
    status
        Instead of the type's own status.
    errors
        The fields at fault.
    accepted
        What would be accepted.
    headers
        Headers of the answer.
    """

    def __init__(
        self,
        name: str,
        detail: str,
        *,
        status: int | None = None,
        errors: Sequence[FieldError] = (),
        accepted: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind: ProblemType = PROBLEM_TYPES[name]
        self.detail = detail
        self.status = status or self.kind.status
        self.errors = tuple(errors)
        self.accepted: Mapping[str, object] = accepted or {}
        self.headers: dict[str, str] = dict(headers or {})
        if self.status == 503:
            wait = self.accepted.get("retry_after_seconds", RETRY_AFTER_SECONDS)
            self.headers.setdefault("Retry-After", str(wait))
        if self.status == 401:
            self.headers.setdefault("WWW-Authenticate", 'Bearer realm="pertoken"')


CALLER_ERRORS: tuple[type[Exception], ...] = (ProblemError, *(row[0] for row in ERROR_TABLE))
"""Everything that :func:`problem_of` takes."""


def problem_of(error: Exception, *, in_path: bool = False) -> ProblemError:
    """Return the problem that an error becomes.

    Parameters
    ----------
    error
        One of ``CALLER_ERRORS``, or a problem already.
    in_path
        The offending id stood in the path, so an unknown one is a 404.

    Raises
    ------
    TypeError
        If the error is of a family that has no row in the table.
    """
    if isinstance(error, ProblemError):
        return error
    row = next((row for row in ERROR_TABLE if isinstance(error, row[0])), None)
    if row is None:
        raise TypeError(f"{type(error).__name__} has no row in ERROR_TABLE.")
    _, status, fallback = row
    code = str(getattr(error, "code", fallback))
    name = code if code in PROBLEM_TYPES else fallback
    path = str(getattr(error, "field", ""))
    if isinstance(error, UnknownIdError):
        path = path or _FIELD_OF_KIND.get(error.kind, "")
    message = str(getattr(error, "message", error))
    accepted: Mapping[str, object] = getattr(error, "accepted", {})
    value = getattr(error, "value", None)
    if in_path and isinstance(error, UnknownIdError):
        # The path is no field of a body; the detail says it all.
        return ProblemError(name, message, status=404, accepted=accepted)
    errors = (FieldError(path, message, code, value, accepted),) if path else ()
    return ProblemError(name, message, status=status, errors=errors, accepted=accepted)


def problem_body(problem: ProblemError) -> dict[str, Any]:
    """Return the members of the problem document, in the order in which they are shown."""
    body: dict[str, Any] = {
        "type": f"/problems/{problem.kind.name}",
        "title": problem.kind.title,
        "status": problem.status,
        "detail": problem.detail,
    }
    if problem.accepted:
        body["accepted"] = dict(problem.accepted)
    if problem.errors:
        body["errors"] = [_field_error_body(error) for error in problem.errors]
    return body


def problem_response(problem: ProblemError) -> Response:
    """Return the HTTP answer of a problem."""
    return Response(
        encode_problem(problem), status_code=problem.status, headers=problem.headers, media_type=MEDIA_TYPE
    )


def encode_problem(problem: ProblemError) -> bytes:
    """Return the problem document as JSON text."""
    # ``accepted`` may hold whatever an inner room thought helpful; a refusal must never fail itself.
    return orjson.dumps(problem_body(problem), default=str, option=orjson.OPT_NON_STR_KEYS)


def _field_error_body(error: FieldError) -> dict[str, Any]:
    body: dict[str, Any] = {"field": error.field, "message": error.message, "code": error.code}
    if error.value is not None:
        body["value"] = shown(error.value)
    if error.accepted:
        body["accepted"] = dict(error.accepted)
    return body


def _json_text(value: object) -> str:
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:
        return repr(value)


def shown(value: object) -> object:
    """Return a value as an error may repeat it: scalars as they are, long or nested ones cut short."""
    if isinstance(value, bool):
        return value
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int) and abs(value) < 2**53:
        return value
    if isinstance(value, int):
        # str() of a huge integer is quadratic and limited by the interpreter.
        return f"an integer of {value.bit_length()} bits"
    text = value if isinstance(value, str) else _json_text(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."
