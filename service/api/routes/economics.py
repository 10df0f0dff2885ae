"""POST /v1/curves, /v1/tariffs and /v1/comparisons, and the batch of each.

All of their work takes longer than the event loop should wait, so all of it runs in the bounded pool.
"""

from dataclasses import replace

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from service.api.batch import BatchResponse, take_body
from service.api.body import NDJSON_TYPES, read_body, require_content_type
from service.api.deps import services_of, snapshot_of
from service.api.documentation import BATCH_RESPONSE, MIN_REVISION, problems
from service.api.economics_documentation import (
    COMPARISON_BATCH_BODY,
    COMPARISON_BODY,
    CURVE_BATCH_BODY,
    CURVE_BODY,
    TARIFF_BATCH_BODY,
    TARIFF_BODY,
)
from service.api.economics_lines import COMPARISON, CURVE, TARIFF, Computation, EconomicsLines
from service.api.schemas.from_dataclass import model_of
from service.application.compare_answers import CompareAnswer
from service.application.curve_answers import CurveAnswer
from service.application.tariff_answers import TariffAnswer


async def draw_curve(request: Request) -> Response:
    """Draw what tokens and requests cost over one axis, with crossovers, and what another cache would change.

    `position` shows each input and output token of a request, up to the model's context; its integral
    stands beside the cost of the request in `conservation`.
    """
    return await _one(request, CURVE)


async def draw_curve_batch(request: Request) -> Response:
    """Draw many curves: one a line in, one result a line out, in order, errors in their place.

    As POST /v1/estimates/batch: the last line is the summary, and an answer without it was cut.
    """
    return await _many(request, CURVE)


async def make_tariff(request: Request) -> Response:
    """Make the fair linear tariff of a mix, and tell what it and other prices do to the requests in it.

    The mix is a workload or a trace. `spreads` has the margin by request under the fair rates, the
    modelled ones, the caller's own and every list price: how many lose, and who pays for whom.
    """
    return await _one(request, TARIFF)


async def make_tariff_batch(request: Request) -> Response:
    """Make many tariffs: one a line in, one result a line out, in order, errors in their place.

    As POST /v1/estimates/batch: the last line is the summary, and an answer without it was cut.
    """
    return await _many(request, TARIFF)


async def compare(request: Request) -> Response:
    """Set the modelled cost beside every provider's list prices: margin, implied utilisation, rank, outliers.

    With `across_models` also every model of the catalog: listed beside modelled output:input ratio. A closed
    model is compared under an architecture that the caller assumes: `config` and `priced_as`.
    """
    return await _one(request, COMPARISON)


async def compare_batch(request: Request) -> Response:
    """Compare many deployments: one a line in, one result a line out, in order, errors in their place.

    As POST /v1/estimates/batch: the last line is the summary, and an answer without it was cut.
    """
    return await _many(request, COMPARISON)


async def _one(request: Request, computation: Computation) -> Response:
    services = services_of(request)
    require_content_type(request)
    limits = services.limits
    largest = limits.trace_bytes if computation.takes_trace else limits.body_bytes
    body = await read_body(request, largest, limits.body_idle_seconds)
    snapshot = await snapshot_of(request, services)
    lines = EconomicsLines(computation, snapshot, services, services.clock())
    content = await services.heavy.run(lambda: lines.answer(body))
    return Response(content, media_type="application/json")


async def _many(request: Request, computation: Computation) -> Response:
    services = services_of(request)
    require_content_type(request, NDJSON_TYPES)
    body = await take_body(request, services.limits)
    try:
        snapshot = await snapshot_of(request, services)
    except BaseException:
        body.file.close()
        raise
    lines = EconomicsLines(computation, snapshot, services, services.clock())
    limits = services.limits
    largest = limits.trace_bytes if computation.takes_trace else limits.body_bytes
    return BatchResponse(
        body, snapshot, services, lines, replace(limits, body_bytes=largest, inline_body_bytes=0)
    )


def add_routes(app: FastAPI) -> None:
    """Add the routes of curves, tariffs and comparisons."""
    for path, tag, one, many in (
        ("/v1/curves", "curves", _CURVE, _CURVE_BATCH),
        ("/v1/tariffs", "tariffs", _TARIFF, _TARIFF_BATCH),
        ("/v1/comparisons", "comparisons", _COMPARISON, _COMPARISON_BATCH),
    ):
        endpoint, summary, answer, body = one
        app.post(
            path,
            tags=[tag],
            summary=summary,
            operation_id=endpoint.__name__,
            response_model=model_of(answer),
            responses=problems(400, 413, 415, 422, 500, 503),
            openapi_extra={"requestBody": body, "parameters": [MIN_REVISION]},
        )(endpoint)
        endpoint, summary, body = many
        app.post(
            f"{path}/batch",
            tags=[tag],
            summary=summary,
            operation_id=endpoint.__name__,
            response_class=Response,
            responses={200: BATCH_RESPONSE, **problems(400, 413, 415, 422, 500, 503)},
            openapi_extra={"requestBody": body, "parameters": [MIN_REVISION]},
        )(endpoint)


_CURVE = (draw_curve, "One curve", CurveAnswer, CURVE_BODY)
_CURVE_BATCH = (draw_curve_batch, "Many curves, one a line", CURVE_BATCH_BODY)
_TARIFF = (make_tariff, "The fair tariff of a mix", TariffAnswer, TARIFF_BODY)
_TARIFF_BATCH = (make_tariff_batch, "Many tariffs, one a line", TARIFF_BATCH_BODY)
_COMPARISON = (compare, "Cost beside list prices", CompareAnswer, COMPARISON_BODY)
_COMPARISON_BATCH = (compare_batch, "Many comparisons, one a line", COMPARISON_BATCH_BODY)
