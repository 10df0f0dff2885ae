"""One page of a list as an HTTP answer: pinned, tagged, rendered."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import Response

from service.api.deps import Services, snapshot_of
from service.api.paging import Cursor, entity_tag, not_modified, page_of, query_digest, read_cursor
from service.api.problems import ProblemError
from service.api.schemas.queries import PageQuery
from service.application.ports import CatalogSnapshot
from service.application.render import to_json_values

Row = TypeVar("Row")
_PAGE_FIELDS = frozenset({"limit", "cursor"})


@dataclass(frozen=True, slots=True)
class Listed(Generic[Row]):
    """How a resource is listed."""

    rows: Callable[[CatalogSnapshot, int], Sequence[Row]]
    """All rows that match the filters, as known at a revision."""
    key: Callable[[Row], Any]
    """Unique string or integer that orders the rows."""
    view: Callable[[Row], Any]
    """The dataclass that is shown."""
    keeps_history: bool
    """Whether rows can be served as known at an older revision."""


async def list_answer(
    request: Request, services: Services, query: PageQuery, listed: Listed[Any]
) -> Response:
    """Return one page.

    Raises
    ------
    ProblemError
        For a cursor that is not of this list, or whose revision is no longer held.
    """
    snapshot = await snapshot_of(request, services)
    newest = snapshot.info.revision
    filters = query.model_dump(mode="json", exclude=set(_PAGE_FIELDS))
    digest = query_digest(request.url.path, filters)
    cursor = read_cursor(query.cursor, digest, newest)
    tag = entity_tag(newest, digest, {"limit": query.limit, "cursor": query.cursor})
    unchanged = not_modified(request, tag)
    if unchanged is not None:
        return unchanged
    pinned = _pinned_revision(cursor, newest, listed.keeps_history)

    def work() -> bytes:
        rows = sorted(listed.rows(snapshot, pinned), key=listed.key)
        page = page_of(rows, listed.key, cursor, query.limit, (pinned, digest))
        return orjson.dumps(
            {
                "data": [to_json_values(listed.view(row)) for row in page.rows],
                "next_cursor": page.next_cursor,
                "catalog_revision": pinned,
            }
        )

    # Thousands of rows take longer than the event loop should wait.
    return json_answer(await services.heavy.run(work), tag)


def one_answer(
    request: Request, snapshot: CatalogSnapshot, view: Any, filters: Mapping[str, Any] | None = None
) -> Response:
    """Return a single row with its tag."""
    tag = entity_tag(snapshot.info.revision, query_digest(request.url.path, filters or {}), {})
    unchanged = not_modified(request, tag)
    if unchanged is not None:
        return unchanged
    return json_answer(orjson.dumps(to_json_values(view)), tag)


def json_answer(content: bytes, tag: str) -> Response:
    """Return JSON that a cache may keep as long as it asks again."""
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    return Response(content, headers=headers, media_type="application/json")


def _pinned_revision(cursor: Cursor | None, newest: int, keeps_history: bool) -> int:
    if cursor is None:
        return newest
    if cursor.revision != newest and not keeps_history:
        raise ProblemError(
            "cursor-expired",
            f"The cursor belongs to revision {cursor.revision}, the catalog is at {newest}; "
            "start again without a cursor.",
            accepted={"catalog_revision": newest},
        )
    return cursor.revision
