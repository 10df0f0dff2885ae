"""Imports as resources: posted, looked at, applied."""

import re
from typing import Annotated, Any

import orjson
from fastapi import FastAPI, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from service.api.callers import in_database, management_of
from service.api.deps import services_of
from service.api.documentation import IF_NONE_MATCH, problems
from service.api.json_body import Example, body_document, read_model, take_json
from service.api.lists import json_answer
from service.api.paging import (
    entity_tag,
    not_modified,
    query_digest,
    read_cursor,
    refused_cursor,
    write_cursor,
)
from service.api.preconditions import (
    CATALOG_REVISION,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    read_if_match,
    write_request,
)
from service.api.routes.writes import stored_response
from service.api.schemas.from_dataclass import model_of
from service.api.schemas.imports import ApplyBody, ImportBody, ImportPage, ImportView, view_import
from service.api.schemas.queries import PageQuery
from service.application.errors import UnknownIdError
from service.application.imports import Application, Imports
from service.application.render import to_json_values
from service.application.write_ports.imports import ImportRecord, ImportState
from service.application.write_ports.prices import StoredAnswer

ImportId = Annotated[str, Path(description="Number of the import.", examples=["1"])]
_ID = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_OWN = """provider,provider_model_id,meter,amount,currency,per,valid_from,valid_from_basis
acme,acme/llama-3.1-70b,input,0.55,USD,million_tokens,2026-12-01,stated
acme,acme/llama-3.1-70b,output,0.85,USD,million_tokens,2026-12-01,stated
"""
_SUBMIT = body_document(
    ImportBody,
    Example("file", "Prices of one's own, as the text of a CSV file", {"source": "own-csv", "content": _OWN}),
    Example("published", "A source from where it is published", {"source": "openrouter"}),
)
_APPLY = body_document(
    ApplyBody,
    Example("apply", "What was looked at", {"reason": "monthly prices"}),
    Example("despite_hold", "A held import that is right", {"despite_hold": True, "reason": "announced"}),
)


class ImportsQuery(PageQuery):
    """Filters of the imports."""

    state: ImportState | None = None
    """Only imports in this state."""


async def submit_import(request: Request) -> Response:
    """Read a source and compare it with the catalog, beside the requests; nothing is written yet.

    The answer's `Location` shows how far it is: `validating`, then `preview`, `held` where a person must look
    first, `rejected`, or `applied` where nothing had to be written.
    """
    services = services_of(request)
    body = await take_json(request, services.limits.import_bytes)
    # Megabytes take longer to parse than the event loop should wait.
    wanted = await services.heavy.run(lambda: read_model(body, ImportBody))
    write = write_request(request, body, None, wanted.reason)
    imports = _imports(request)
    return stored_response(
        await in_database(request, lambda: imports.submit(wanted.submission(), write, _accepted))
    )


async def list_imports(request: Request, query: Annotated[ImportsQuery, Query()]) -> Response:
    """List the imports, the newest first: those posted, run from the command line, and seeds."""
    services, imports = services_of(request), _imports(request)
    revision = services.catalog.current().info.revision
    digest = query_digest(request.url.path, {"state": query.state})
    cursor = read_cursor(query.cursor, digest, revision)
    before = None if cursor is None else cursor.key
    if isinstance(before, str) or (before is not None and not 0 < before < 2**31):
        raise refused_cursor(str(query.cursor))
    found = await in_database(request, lambda: imports.page(before, query.limit + 1, query.state))
    rows = tuple(found[: query.limit])
    more = len(found) > query.limit
    page = ImportPage(rows, write_cursor(revision, rows[-1].id, digest) if more else None, revision)
    content = orjson.dumps(to_json_values(page))
    return Response(content, headers={"Cache-Control": "no-store"}, media_type="application/json")


async def get_import(request: Request, id: ImportId) -> Response:
    """Show what an import changes or would change: row by row, with reasons.

    The `ETag` names the revision that it was compared with, and can be sent as `If-Match` to apply it.
    """
    number, imports = _number(id), _imports(request)
    record = await in_database(request, lambda: imports.get(number))
    content = orjson.dumps(to_json_values(view_import(record)))
    summary = record.summary
    mark = {"state": summary.state, "applied_revision": summary.applied_revision}
    tag = entity_tag(summary.base_revision, query_digest(request.url.path, mark), {})
    return not_modified(request, tag) or json_answer(content, tag)


async def apply_import(request: Request, id: ImportId) -> Response:
    """Write what an import found, as one revision.

    `If-Match` is the `base_revision` that it was compared with, and the catalog must still be at it: what was
    looked at is what is written, else 409.
    """
    body = await take_json(request)
    wanted = read_model(body, ApplyBody)
    application = Application(_number(id), read_if_match(request), wanted.despite_hold)
    write = write_request(request, body, application.base_revision, wanted.reason)
    imports = _imports(request)
    return stored_response(await in_database(request, lambda: imports.apply(application, write, _applied)))


def _imports(request: Request) -> Imports:
    return management_of(request).imports


def _number(text: str) -> int:
    """Return the number in a path; what cannot be an import's number is an unknown import."""
    if not _ID.fullmatch(text):
        raise UnknownIdError("import", text[:40], ())
    return int(text)


def _accepted(record: ImportRecord) -> StoredAnswer:
    headers = {"Location": f"/v1/imports/{record.summary.id}", "Retry-After": "1"}
    return StoredAnswer(202, _text(record), headers)


def _applied(record: ImportRecord) -> StoredAnswer:
    return StoredAnswer(200, _text(record), {"Catalog-Revision": str(record.summary.applied_revision)})


def _text(record: ImportRecord) -> str:
    return orjson.dumps(to_json_values(view_import(record))).decode()


def add_routes(app: FastAPI) -> None:
    """Add the routes of imports."""
    view: Any = model_of(ImportView)
    common: dict[str, Any] = {"tags": ["imports"]}
    app.post(
        "/v1/imports",
        summary="Import a source of prices",
        operation_id="submit_import",
        status_code=202,
        response_model=view,
        responses={
            202: {"description": "Being validated; see Location"},
            **problems(400, 409, 413, 415, 422, 500, 503),
        },
        openapi_extra={"requestBody": _SUBMIT, "parameters": [IDEMPOTENCY_KEY]},
        **common,
    )(submit_import)
    app.get(
        "/v1/imports",
        summary="Imports",
        operation_id="list_imports",
        response_model=model_of(ImportPage),
        responses=problems(422, 500, 503),
        **common,
    )(list_imports)
    app.get(
        "/v1/imports/{id}",
        summary="One import",
        operation_id="get_import",
        response_model=view,
        responses={304: {"description": "Not modified"}, **problems(404, 500, 503)},
        openapi_extra={"parameters": [IF_NONE_MATCH]},
        **common,
    )(get_import)
    app.post(
        "/v1/imports/{id}/apply",
        summary="Apply an import",
        operation_id="apply_import",
        response_model=view,
        responses={
            200: {"description": "Written", "headers": CATALOG_REVISION},
            **problems(400, 404, 409, 412, 413, 415, 422, 428, 500, 503),
        },
        openapi_extra={"requestBody": _APPLY, "parameters": [IF_MATCH, IDEMPOTENCY_KEY]},
        **common,
    )(apply_import)
