"""POST /v1/estimates and its batch."""

from functools import partial

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from service.api.answers import compute_estimate, encode_answer
from service.api.batch import BatchResponse, EstimateLines, take_body
from service.api.body import NDJSON_TYPES, read_body, require_content_type
from service.api.deps import services_of, snapshot_of
from service.api.documentation import BATCH_BODY, BATCH_RESPONSE, ESTIMATE_BODY, MIN_REVISION, problems
from service.api.schemas.from_dataclass import model_of
from service.application.answers import EstimateAnswer

_LONGER = (b'"uncertainty"', b'"pools"')
"""Fields whose answer takes longer than the event loop may be held; where one only stands in a text, the
pool answers as well."""


async def estimate(request: Request) -> Response:
    """Tell what an uncached input, a cached input and an output token cost, why, and what providers charge.

    `model` and `accelerator` alone are enough: every default that was chosen comes back in `resolved`,
    its path in `resolved.defaulted`, and posting `resolved` gives the same answer again.
    """
    services = services_of(request)
    require_content_type(request)
    body = await read_body(request, services.limits.body_bytes, services.limits.body_idle_seconds)
    snapshot = await snapshot_of(request, services)
    work = partial(compute_estimate, body, snapshot, services, services.clock())
    if len(body) <= services.limits.inline_body_bytes and not any(name in body for name in _LONGER):
        return Response(encode_answer(work()), media_type="application/json")
    content = await services.heavy.run(lambda: encode_answer(work()))
    return Response(content, media_type="application/json")


async def estimate_batch(request: Request) -> Response:
    """Estimate many requests: one a line in, one result a line out, in order, errors in their place.

    The body is taken whole before the answer starts. The last line is
    `{"summary": {"lines", "errors", "totals", "catalog_revision", "input_sha256"}}`; an answer without
    it was cut. All lines are answered from one catalog revision.
    """
    services = services_of(request)
    require_content_type(request, NDJSON_TYPES)
    body = await take_body(request, services.limits)
    try:
        snapshot = await snapshot_of(request, services)
    except BaseException:
        body.file.close()
        raise
    return BatchResponse(body, snapshot, services, EstimateLines(snapshot, services, services.clock()))


def add_routes(app: FastAPI) -> None:
    """Add the routes of estimates."""
    app.post(
        "/v1/estimates",
        tags=["estimates"],
        summary="One estimate",
        operation_id="estimate",
        response_model=model_of(EstimateAnswer),
        responses=problems(400, 413, 415, 422, 500, 503),
        openapi_extra={"requestBody": ESTIMATE_BODY, "parameters": [MIN_REVISION]},
    )(estimate)
    app.post(
        "/v1/estimates/batch",
        tags=["estimates"],
        summary="Many estimates, one a line",
        operation_id="estimate_batch",
        response_class=Response,
        responses={200: BATCH_RESPONSE, **problems(400, 413, 415, 422, 500, 503)},
        openapi_extra={"requestBody": BATCH_BODY, "parameters": [MIN_REVISION]},
    )(estimate_batch)
