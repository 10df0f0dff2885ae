"""GET gpu-prices and list-prices, on both time axes."""

from collections.abc import Sequence
from typing import Annotated, TypeVar

from fastapi import FastAPI, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from service.api.deps import services_of, snapshot_of
from service.api.documentation import IF_NONE_MATCH, MIN_REVISION, problems
from service.api.lists import Listed, list_answer, one_answer
from service.api.schemas.catalog import GpuPrice, ListPrice, page_model, view_gpu_price, view_list_price
from service.api.schemas.from_dataclass import model_of
from service.api.schemas.queries import GpuPricesQuery, ListPricesQuery, RowQuery
from service.api.translate import resolve_known_at
from service.application.errors import UnknownIdError
from service.application.ports import CatalogSnapshot, GpuPriceRecord, ListPriceRecord

Row = TypeVar("Row", GpuPriceRecord, ListPriceRecord)
RowId = Annotated[
    str, Path(description="Number of the row, as lists and provenance show it.", examples=["1"])
]
_HEADERS = {"parameters": [MIN_REVISION, IF_NONE_MATCH]}


async def list_gpu_prices(request: Request, query: Annotated[GpuPricesQuery, Query()]) -> Response:
    """List what accelerator-hours cost, each row with its validity, its revisions and its source."""

    def rows(snapshot: CatalogSnapshot, revision: int) -> list[GpuPriceRecord]:
        accelerator = None if query.accelerator is None else snapshot.accelerator(query.accelerator).id
        known_at = _known_at(query, revision, snapshot)
        return [
            row
            for row in snapshot.gpu_prices(accelerator, query.as_of, known_at)
            if query.provider in (None, row.provider)
            and query.region in (None, row.region)
            and query.commitment in (None, row.commitment)
            and query.currency in (None, row.price.currency)
            and query.source in (None, row.source)
        ]

    listed = Listed(rows=rows, key=_row_id, view=view_gpu_price, keeps_history=True)
    return await list_answer(request, services_of(request), query, listed)


async def list_list_prices(request: Request, query: Annotated[ListPricesQuery, Query()]) -> Response:
    """List what providers publish per meter, each row with its validity, its revisions and its source."""

    def rows(snapshot: CatalogSnapshot, revision: int) -> list[ListPriceRecord]:
        listed_ids = None if query.model is None else _listed_ids(snapshot, query.model)
        known_at = _known_at(query, revision, snapshot)
        found = snapshot.list_prices(query.provider, query.provider_model_id, query.as_of, known_at)
        return [
            row
            for row in found
            if (listed_ids is None or (row.provider, row.provider_model_id) in listed_ids)
            and query.meter in (None, row.meter)
            and query.currency in (None, row.price.currency)
            and query.source in (None, row.source)
        ]

    listed = Listed(rows=rows, key=_row_id, view=view_list_price, keeps_history=True)
    return await list_answer(request, services_of(request), query, listed)


async def get_gpu_price(request: Request, id: RowId, query: Annotated[RowQuery, Query()]) -> Response:
    """Show one GPU price row; a retired one with the `known_at` of an answer that used it."""
    snapshot = await snapshot_of(request, services_of(request))
    known_at = resolve_known_at(query.known_at, snapshot)
    row = _by_id(snapshot.gpu_prices(None, None, known_at), id, "GPU price")
    return one_answer(request, snapshot, view_gpu_price(row), query.model_dump(mode="json"))


async def get_list_price(request: Request, id: RowId, query: Annotated[RowQuery, Query()]) -> Response:
    """Show one list price row; a retired one with the `known_at` of an answer that used it."""
    snapshot = await snapshot_of(request, services_of(request))
    known_at = resolve_known_at(query.known_at, snapshot)
    row = _by_id(snapshot.list_prices(None, None, None, known_at), id, "list price")
    return one_answer(request, snapshot, view_list_price(row), query.model_dump(mode="json"))


def add_routes(app: FastAPI) -> None:
    """Add the routes of prices."""
    routes = (
        ("/v1/gpu-prices", list_gpu_prices, "GPU prices", page_model(GpuPrice), 409),
        ("/v1/gpu-prices/{id}", get_gpu_price, "One GPU price row", model_of(GpuPrice), 404),
        ("/v1/list-prices", list_list_prices, "List prices", page_model(ListPrice), 409),
        ("/v1/list-prices/{id}", get_list_price, "One list price row", model_of(ListPrice), 404),
    )
    for path, endpoint, summary, model, status in routes:
        app.get(
            path,
            tags=["prices"],
            summary=summary,
            operation_id=endpoint.__name__,
            response_model=model,
            responses={304: {"description": "Not modified"}, **problems(status, 422, 500, 503)},
            openapi_extra=_HEADERS,
        )(endpoint)


def _known_at(query: GpuPricesQuery | ListPricesQuery, pinned: int, snapshot: CatalogSnapshot) -> int | None:
    """Return the caller's revision, or the one that the page is pinned to."""
    return pinned if query.known_at is None else resolve_known_at(query.known_at, snapshot)


def _listed_ids(snapshot: CatalogSnapshot, model: str) -> frozenset[tuple[str, str]]:
    listings = snapshot.listings(snapshot.model(model).id)
    return frozenset((row.provider, row.provider_model_id) for row in listings)


def _row_id(row: GpuPriceRecord | ListPriceRecord) -> int:
    return row.stamp.row_id


def _by_id(rows: Sequence[Row], text: str, kind: str) -> Row:
    for row in rows:
        if str(row.stamp.row_id) == text:
            return row
    raise UnknownIdError(kind, text[:40], ())
