"""API keys and the audit log, for administrators."""

from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from fastapi import FastAPI, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from service.api.callers import actor_of, in_database, management_of
from service.api.documentation import problems
from service.api.json_body import Example, body_document, read_model, take_json
from service.api.schemas.fields import MAX_INTEGER
from service.api.schemas.from_dataclass import model_of
from service.api.schemas.management import (
    AuditPageView,
    KeyBody,
    KeysView,
    KeyView,
    NewKeyView,
    view_event,
    view_key,
    view_new_key,
)
from service.application.render import to_json_values

KeyId = Annotated[
    str, Path(description="Id of a key: the part between its underscores.", examples=["0123456789ab"])
]
_EXAMPLES = (
    Example(
        "billing",
        "A key for a billing system",
        {"label": "billing", "scopes": ["price"], "expires_at": "2099-01-01"},
    ),
    Example("importer", "A key that may change prices", {"label": "nightly import", "scopes": ["write"]}),
)


class AuditQuery(BaseModel):
    """The page of the audit log."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    after: Annotated[int, Field(ge=0, le=MAX_INTEGER)] = 0
    """Only entries after this number."""
    limit: Annotated[int, Field(ge=1, le=1000, examples=[100])] = 100
    """Most entries of the page, 1 to 1000."""


async def list_keys(request: Request) -> Response:
    """List all keys, those revoked or expired too; never their text."""
    keys = management_of(request).keys
    records = await in_database(request, keys.all)
    return _json(KeysView(tuple(view_key(record) for record in records)))


async def create_key(request: Request) -> Response:
    """Make a key. Its text is in this answer and nowhere else."""
    text = await take_json(request)
    body, actor = read_model(text, KeyBody), actor_of(request)
    keys = management_of(request).keys
    made = await in_database(request, lambda: keys.create(body.label, body.scopes, body.expires_at, actor))
    headers = {"Location": f"/v1/keys/{made.record.id}"}
    return _json(view_new_key(made.record, made.text), 201, headers)


async def get_key(request: Request, id: KeyId) -> Response:
    """Show one key, without its text."""
    keys = management_of(request).keys
    return _json(view_key(await in_database(request, lambda: keys.get(id))))


async def revoke_key(request: Request, id: KeyId) -> Response:
    """Revoke a key for good. Every worker refuses it within two seconds; writes refuse it at once."""
    keys, actor = management_of(request).keys, actor_of(request)
    return _json(view_key(await in_database(request, lambda: keys.revoke(id, actor))))


async def list_audit_events(request: Request, query: Annotated[AuditQuery, Query()]) -> Response:
    """List who changed what, oldest first: writes, imports and keys."""
    audit = management_of(request).audit
    events = await in_database(request, lambda: audit.events(query.after, query.limit))
    more = events[-1].id if len(events) == query.limit else None
    return _json(AuditPageView(tuple(view_event(event) for event in events), more))


_KEYS = {
    "data": [
        {
            "id": "3f9c1e7a5b2d",
            "label": "billing",
            "scopes": ["read", "price"],
            "created_at": "2026-11-20T09:00:00Z",
            "expires_at": "2027-11-20T00:00:00Z",
            "revoked_at": None,
        }
    ]
}


def add_routes(app: FastAPI) -> None:
    """Add the routes of keys and of the audit log."""
    common: dict[str, Any] = {"tags": ["keys"]}
    app.get(
        "/v1/keys",
        summary="API keys",
        operation_id="list_keys",
        response_model=model_of(KeysView),
        responses={200: {"content": {"application/json": {"example": _KEYS}}}, **problems(500, 503)},
        **common,
    )(list_keys)
    app.post(
        "/v1/keys",
        summary="Make a key",
        operation_id="create_key",
        status_code=201,
        response_model=model_of(NewKeyView),
        responses=problems(400, 413, 415, 422, 500, 503),
        openapi_extra={"requestBody": body_document(KeyBody, *_EXAMPLES)},
        **common,
    )(create_key)
    app.get(
        "/v1/keys/{id}",
        summary="One key",
        operation_id="get_key",
        response_model=model_of(KeyView),
        responses=problems(404, 500, 503),
        **common,
    )(get_key)
    app.delete(
        "/v1/keys/{id}",
        summary="Revoke a key",
        operation_id="revoke_key",
        response_model=model_of(KeyView),
        responses=problems(404, 500, 503),
        **common,
    )(revoke_key)
    app.get(
        "/v1/audit-events",
        summary="Audit log",
        operation_id="list_audit_events",
        response_model=model_of(AuditPageView),
        responses=problems(422, 500, 503),
        **common,
    )(list_audit_events)


def _json(view: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    # Keys are nobody's to keep but the caller's.
    all_headers = {"Cache-Control": "no-store", **(headers or {})}
    content = orjson.dumps(to_json_values(view))
    return Response(content, status, headers=all_headers, media_type="application/json")
