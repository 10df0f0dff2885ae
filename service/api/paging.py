"""Pages of a list: keyset cursors pinned to a revision, entity tags."""

import base64
import binascii
import hashlib
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import Response

from service.api.problems import FieldError, ProblemError
from service.api.version import VERSION

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended: the revision that the list is pinned to, and the key of its last row."""

    revision: int
    key: str | int


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """One page and the way to the next."""

    rows: Sequence[Row]
    next_cursor: str | None


def query_digest(path: str, filters: Mapping[str, Any]) -> str:
    """Return a short digest of what a list was asked; the page's own parameters are no part of it."""
    text = orjson.dumps([path, dict(filters)], option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.sha256(text).hexdigest()[:16]


def read_cursor(text: str | None, digest: str, newest: int) -> Cursor | None:
    """Return the cursor that a caller passed back.

    Parameters
    ----------
    text
        As issued.
    digest
        Of the query now asked; a cursor of another query is refused.
    newest
        The newest revision; a cursor cannot be ahead of it.

    Raises
    ------
    ProblemError
        ``invalid-cursor``.
    """
    if text is None:
        return None
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        revision, key, issued_for = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error):
        raise refused_cursor(text) from None
    known = isinstance(revision, int) and isinstance(key, str | int) and not isinstance(key, bool)
    if not known or issued_for != digest or not 0 <= revision <= newest:
        raise refused_cursor(text)
    return Cursor(revision, key)


def page_of(
    rows: Sequence[Row], key: Callable[[Row], Any], cursor: Cursor | None, limit: int, mark: tuple[int, str]
) -> Page[Row]:
    """Return the rows after a cursor.

    Parameters
    ----------
    rows
        In order of ``key``, which is unique.
    key
        String or integer of a row.
    cursor
        None for the first page.
    limit
        Most rows.
    mark
        Revision and query digest that the next cursor is pinned to.

    Raises
    ------
    ProblemError
        ``invalid-cursor`` where its key is of another type than the rows'.
    """
    start = 0
    if cursor is not None and rows:
        if type(key(rows[0])) is not type(cursor.key):
            raise refused_cursor(str(cursor.key))
        start = bisect_right(rows, cursor.key, key=key)
    chosen = rows[start : start + limit]
    more = start + limit < len(rows)
    return Page(chosen, write_cursor(mark[0], key(chosen[-1]), mark[1]) if more else None)


def entity_tag(revision: int, digest: str, page: Mapping[str, Any]) -> str:
    """Return the ETag: revision, query, page and build, for a new build may show more fields."""
    text = orjson.dumps([digest, dict(page), VERSION], option=orjson.OPT_SORT_KEYS)
    return f'"r{revision}-{hashlib.sha256(text).hexdigest()[:16]}"'


def not_modified(request: Request, tag: str) -> Response | None:
    """Return the 304 where the caller has this state already."""
    given = request.headers.get("if-none-match")
    if given is None:
        return None
    known = [item.strip().removeprefix("W/") for item in given.split(",")]
    if tag in known or "*" in known:
        return Response(status_code=304, headers={"ETag": tag, "Cache-Control": "no-cache"})
    return None


def write_cursor(revision: int, key: str | int, digest: str) -> str:
    """Return the cursor after the row of a key; :func:`read_cursor` reads it."""
    return base64.urlsafe_b64encode(orjson.dumps([revision, key, digest])).rstrip(b"=").decode()


def refused_cursor(text: str) -> ProblemError:
    """Return the refusal of a cursor that was not issued for this list."""
    error = FieldError("cursor", "was not issued for this list and these filters", "invalid-cursor", text)
    return ProblemError(
        "invalid-cursor",
        "cursor: was not issued for this list and these filters; start without it.",
        errors=[error],
    )
