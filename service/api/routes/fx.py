"""Exchange rates: dated rows per source and pair."""

from typing import Annotated

import orjson
from fastapi import FastAPI, Query
from starlette.requests import Request
from starlette.responses import Response

from service.api.callers import in_database, management_of
from service.api.deps import services_of
from service.api.documentation import IF_NONE_MATCH, MIN_REVISION, problems
from service.api.json_body import Example, body_document, read_model, take_json
from service.api.lists import Listed, list_answer
from service.api.preconditions import (
    CATALOG_REVISION,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    read_if_match,
    write_request,
)
from service.api.routes.writes import stored_response
from service.api.schemas.catalog import page_model
from service.api.schemas.fields import KnownAt, Name
from service.api.schemas.from_dataclass import model_of
from service.api.schemas.queries import PageQuery
from service.api.schemas.writes import FxRate, FxRatesBody, FxRatesWritten, view_fx_rate
from service.api.translate import resolve_known_at
from service.application.ports import CatalogSnapshot, FxRateRecord
from service.application.render import to_json_values
from service.application.write_ports.prices import FxRateStatement, RatesWritten, StoredAnswer
from service.application.writes import Written

_EXAMPLE = Example(
    "day",
    "The rates of a day",
    {"rates": [{"base": "EUR", "quote": "USD", "day": "2026-11-20", "rate": "1.1587"}]},
)


class FxRatesQuery(PageQuery):
    """Filters of the exchange rates."""

    base: Name | None = None
    """Only rates of this base currency."""
    quote: Name | None = None
    """Only rates of this quote currency."""
    source: Name | None = None
    """Only rates of this source."""
    known_at: KnownAt | None = None
    """Rates as the catalog believed them at this revision or time; the newest where left out."""


async def list_fx_rates(request: Request, query: Annotated[FxRatesQuery, Query()]) -> Response:
    """List exchange rates, each a dated row of its source."""

    def rows(snapshot: CatalogSnapshot, revision: int) -> list[FxRateRecord]:
        known_at = revision if query.known_at is None else resolve_known_at(query.known_at, snapshot)
        return [
            row
            for row in snapshot.fx_rates(known_at)
            if query.base in (None, row.base)
            and query.quote in (None, row.quote)
            and query.source in (None, row.source)
        ]

    listed = Listed(rows=rows, key=lambda row: row.row_id, view=view_fx_rate, keeps_history=True)
    return await list_answer(request, services_of(request), query, listed)


async def put_fx_rates(request: Request) -> Response:
    """State exchange rates of days; another rate of the same source, pair and day is corrected.

    If-Match may be left out: what is stated of one day does not depend on what others wrote.
    """
    body = await take_json(request)
    wanted = read_model(body, FxRatesBody)
    rates = [
        FxRateStatement(wanted.source, rate.base, rate.quote, rate.day, rate.rate) for rate in wanted.rates
    ]
    revision = read_if_match(request) if "if-match" in request.headers else None
    write = write_request(request, body, revision, wanted.reason)
    writes = management_of(request).writes
    return stored_response(await in_database(request, lambda: writes.put_rates(rates, write, _answer)))


def _answer(written: Written, revision: int) -> StoredAnswer:
    if not isinstance(written, RatesWritten):
        raise TypeError("rates were written, not prices")
    rows = tuple(view_fx_rate(row) for row in written.inserted)
    text = orjson.dumps(to_json_values(FxRatesWritten(revision, written.retired, rows))).decode()
    return StoredAnswer(200 if written.revision is None else 201, text, {"Catalog-Revision": str(revision)})


def add_routes(app: FastAPI) -> None:
    """Add the routes of exchange rates."""
    app.get(
        "/v1/fx-rates",
        tags=["prices"],
        summary="Exchange rates",
        operation_id="list_fx_rates",
        response_model=page_model(FxRate),
        responses={304: {"description": "Not modified"}, **problems(409, 422, 500, 503)},
        openapi_extra={"parameters": [MIN_REVISION, IF_NONE_MATCH]},
    )(list_fx_rates)
    model = model_of(FxRatesWritten)
    described = {"headers": CATALOG_REVISION}
    app.post(
        "/v1/fx-rates",
        tags=["prices"],
        summary="State exchange rates",
        operation_id="put_fx_rates",
        status_code=201,
        response_model=model,
        responses={
            200: {**described, "description": "Everything was so already", "model": model},
            201: {**described, "description": "Written"},
            **problems(400, 409, 412, 413, 415, 422, 500, 503),
        },
        openapi_extra={
            "requestBody": body_document(FxRatesBody, _EXAMPLE),
            "parameters": [{**IF_MATCH, "required": False}, IDEMPOTENCY_KEY],
        },
    )(put_fx_rates)
