"""``If-Match`` and ``Idempotency-Key``: on what a write builds, and how its repetition is known."""

import hashlib
import re
from typing import Any, Final

from starlette.requests import Request

from service.api.callers import actor_of, caller_of
from service.api.problems import ProblemError
from service.application.write_ports.prices import IdempotencySlot
from service.application.writes import WriteRequest

_REVISION: Final = re.compile(r"(?:W/)?\"?r?([0-9]{1,16})(?:-[0-9a-f]+)?\"?", re.ASCII)
_IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?", re.ASCII)

IF_MATCH: dict[str, Any] = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The catalog revision on which the write builds: a list's `catalog_revision`, as "
    '`"r12"`, or an ETag of this service.',
    "schema": {"type": "string"},
    "example": '"r1"',
}
IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Names one intended write: sent again within 24 hours with the same body, it gets the "
    "first answer and writes nothing.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]{1,255}$"},
}
CATALOG_REVISION: dict[str, Any] = {
    "Catalog-Revision": {
        "description": "The revision that was written; send it as Catalog-Min-Revision to read it anywhere.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    }
}


def read_if_match(request: Request) -> int:
    """Return the revision that the caller names.

    Raises
    ------
    ProblemError
        428 without the header, 422 where it names no revision.
    """
    given = request.headers.get("if-match")
    if given is None:
        raise ProblemError(
            "precondition-required", "If-Match is missing; name the catalog revision that you read."
        )
    match = _REVISION.fullmatch(given.strip())
    if match is None:
        raise ProblemError(
            "invalid-precondition", f'If-Match is {given[:60]!r}; a revision such as "r12" is expected.'
        )
    return int(match[1])


def read_slot(request: Request, body: bytes) -> IdempotencySlot | None:
    """Return the slot of an intended write; None where the caller names none.

    Raises
    ------
    ProblemError
        422 for a key that is empty, too long or not printable.
    """
    given = request.headers.get("idempotency-key")
    if given is None:
        return None
    if not _IDEMPOTENCY_KEY.fullmatch(given):
        raise ProblemError(
            "invalid-idempotency-key", "Idempotency-Key takes 1 to 255 printable ASCII characters."
        )
    return IdempotencySlot(
        key_id=caller_of(request).id,
        method=request.method,
        path=request.url.path,
        idempotency_key=given,
        body_sha256=_digest(request, body),
    )


def write_request(request: Request, body: bytes, revision: int | None, reason: str) -> WriteRequest:
    """Return who writes, on what, and under which slot."""
    return WriteRequest(actor_of(request), revision, read_slot(request, body), reason)


def _digest(request: Request, body: bytes) -> str:
    return hashlib.sha256(request.url.query.encode() + b"\n" + body).hexdigest()
