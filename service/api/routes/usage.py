"""POST /v1/usage/price and its batch."""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from service.api.batch import BatchResponse, take_body
from service.api.body import NDJSON_TYPES, read_body, require_content_type
from service.api.deps import services_of, snapshot_of
from service.api.documentation import BATCH_RESPONSE, MIN_REVISION, problems
from service.api.schemas.from_dataclass import model_of
from service.api.usage_documentation import USAGE_BATCH_BODY, USAGE_BODY
from service.api.usage_lines import UsageLines
from service.application.usage_answers import UsageAnswer


async def price_usage(request: Request) -> Response:
    """Charge one usage record exactly, each meter with the catalog row that priced it.

    Quantities come by meter, or as the provider's own usage object, whole response or stream. Prices are
    those in force when the request started; a price first seen later is a 422 `price-not-known-at`.
    """
    services = services_of(request)
    require_content_type(request)
    body = await read_body(request, services.limits.body_bytes, services.limits.body_idle_seconds)
    snapshot = await snapshot_of(request, services)
    lines = UsageLines(snapshot, services, services.clock())
    if len(body) <= services.limits.inline_body_bytes:
        return Response(lines.answer(body), media_type="application/json")
    content = await services.heavy.run(lambda: lines.answer(body))
    return Response(content, media_type="application/json")


async def price_usage_batch(request: Request) -> Response:
    """Charge many usage records: one a line in, one result a line out, in order, errors in their place.

    The body is taken whole before the answer starts. The last line is
    `{"summary": {"lines", "errors", "totals", "catalog_revision", "input_sha256"}}` with the exact sum of
    the charges by currency in `totals.charge`; an answer without it was cut. All lines are priced from
    one catalog revision.
    """
    services = services_of(request)
    require_content_type(request, NDJSON_TYPES)
    body = await take_body(request, services.limits)
    try:
        snapshot = await snapshot_of(request, services)
    except BaseException:
        body.file.close()
        raise
    return BatchResponse(body, snapshot, services, UsageLines(snapshot, services, services.clock()))


def add_routes(app: FastAPI) -> None:
    """Add the routes of usage pricing."""
    app.post(
        "/v1/usage/price",
        tags=["usage"],
        summary="The exact charge of one usage record",
        operation_id="price_usage",
        response_model=model_of(UsageAnswer),
        responses=problems(400, 413, 415, 422, 500, 503),
        openapi_extra={"requestBody": USAGE_BODY, "parameters": [MIN_REVISION]},
    )(price_usage)
    app.post(
        "/v1/usage/price/batch",
        tags=["usage"],
        summary="Many usage records, one a line",
        operation_id="price_usage_batch",
        response_class=Response,
        responses={200: BATCH_RESPONSE, **problems(400, 413, 415, 422, 500, 503)},
        openapi_extra={"requestBody": USAGE_BATCH_BODY, "parameters": [MIN_REVISION]},
    )(price_usage_batch)
