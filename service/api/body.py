"""Takes the body of a request: declared as JSON, within its limit, whole."""

import asyncio
from collections.abc import AsyncIterator, Iterable

from starlette.requests import Request
from starlette.types import Message

from service.api.problems import ProblemError

JSON_TYPES = ("application/json",)
NDJSON_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl")


def require_content_type(request: Request, accepted: Iterable[str] = JSON_TYPES) -> None:
    """Refuse a body that is not declared as JSON.

    Raises
    ------
    ProblemError
        415, in words that help whoever forgot the header in curl.
    """
    given = request.headers.get("content-type")
    names = tuple(accepted)
    if given is None:
        raise _undeclared("The request has no Content-Type header", names)
    essence, _, parameters = given.partition(";")
    essence = essence.strip().lower()
    if essence in names or (essence.startswith("application/") and essence.endswith("+json")):
        _require_utf8(parameters)
        return
    hint = ""
    if essence == "application/x-www-form-urlencoded":
        hint = " (that is what curl -d sends unless told otherwise)"
    raise _undeclared(f"The Content-Type is {given[:100]!r}{hint}", names)


async def read_body(request: Request, limit: int, idle_seconds: float) -> bytes:
    """Return the whole body.

    Parameters
    ----------
    request
        Not read yet.
    limit
        Most bytes; enforced while reading, whatever Content-Length says.
    idle_seconds
        Longest wait for the next part.

    Raises
    ------
    ProblemError
        413 beyond the limit, 400 where the client stopped early.
    """
    refuse_announced(request, limit)
    # Nearly every body arrives whole, in the first message; that way takes no generator and no timer.
    message = await _receive(request, idle_seconds)
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        _check_size(len(body), limit)
        return body
    parts = [body]
    size = len(body)
    _check_size(size, limit)
    async for part in _rest(request, idle_seconds):
        size += len(part)
        _check_size(size, limit)
        parts.append(part)
    return b"".join(parts)


async def body_parts(request: Request, limit: int, idle_seconds: float) -> AsyncIterator[bytes]:
    """Yield the body as it arrives, under the same rules as :func:`read_body`."""
    refuse_announced(request, limit)
    size = 0
    async for part in _rest(request, idle_seconds):
        size += len(part)
        _check_size(size, limit)
        yield part


def refuse_announced(request: Request, limit: int) -> None:
    """Refuse by Content-Length alone, so that a client that waits for ``100 Continue`` sends nothing."""
    announced = request.headers.get("content-length")
    if announced is not None and announced.isascii() and announced.isdigit():
        _check_size(int(announced[:20]), limit)


async def _rest(request: Request, idle_seconds: float) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await _receive(request, idle_seconds)
        more = message.get("more_body", False)
        yield message.get("body", b"")


async def _receive(request: Request, idle_seconds: float) -> Message:
    try:
        async with asyncio.timeout(idle_seconds):
            message = await request.receive()
    except TimeoutError:
        raise ProblemError(
            "incomplete-body",
            f"No part of the body arrived for {idle_seconds:g} seconds.",
            headers={"Connection": "close"},
        ) from None
    if message["type"] == "http.disconnect":
        raise ProblemError("incomplete-body", "The client disconnected before the body was complete.")
    return message


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise ProblemError(
            "body-too-large",
            f"The body is larger than {limit} bytes.",
            accepted={"maximum_bytes": limit},
        )


def _require_utf8(parameters: str) -> None:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in ("utf-8", "utf8"):
            raise ProblemError(
                "unsupported-media-type",
                f"The body is declared in charset {value.strip()[:40]!r}; JSON is UTF-8.",
                accepted={"charset": "utf-8"},
            )


def _undeclared(found: str, names: tuple[str, ...]) -> ProblemError:
    return ProblemError(
        "unsupported-media-type",
        f"{found}; send the header 'Content-Type: {names[0]}'. "
        f"With curl: curl -H 'Content-Type: {names[0]}' --data-binary ...",
        accepted={"content_types": list(names)},
    )
