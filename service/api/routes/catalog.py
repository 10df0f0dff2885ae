"""GET models, accelerators, calibrations and listings."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from service.api.deps import services_of, snapshot_of
from service.api.documentation import IF_NONE_MATCH, MIN_REVISION, problems
from service.api.lists import Listed, list_answer, one_answer
from service.api.schemas.catalog import (
    AcceleratorView,
    CalibrationView,
    Listing,
    ModelDetail,
    ModelSummary,
    page_model,
    view_accelerator,
    view_calibration,
    view_listing,
    view_model,
    view_model_detail,
)
from service.api.schemas.from_dataclass import model_of
from service.api.schemas.queries import AcceleratorsQuery, ListingsQuery, ModelsQuery, PageQuery
from service.application.errors import UnknownIdError
from service.application.ports import (
    AcceleratorRecord,
    CalibrationRecord,
    CatalogSnapshot,
    ListingRecord,
    ModelRecord,
)

Row = TypeVar("Row")
Endpoint = Callable[..., Awaitable[Response]]
ModelId = Annotated[str, Path(description="Id or alias of a model.", examples=["llama-3.1-70b"])]
AcceleratorId = Annotated[str, Path(description="Id or alias of an accelerator.", examples=["h100-sxm"])]
CalibrationId = Annotated[str, Path(description="Id of a calibration set.", examples=["default"])]
_HEADERS = {"parameters": [MIN_REVISION, IF_NONE_MATCH]}


async def list_models(request: Request, query: Annotated[ModelsQuery, Query()]) -> Response:
    """List the models of the catalog by id."""

    def rows(snapshot: CatalogSnapshot, _revision: int) -> list[ModelRecord]:
        found = snapshot.models() if query.alias is None else _found(snapshot.model, query.alias)
        return [row for row in found if query.organisation in (None, row.organisation)]

    listed = Listed(rows=rows, key=lambda row: row.id, view=view_model, keeps_history=False)
    return await list_answer(request, services_of(request), query, listed)


async def get_model(request: Request, id: ModelId) -> Response:
    """Show one model with its specification."""
    snapshot = await snapshot_of(request, services_of(request))
    return one_answer(request, snapshot, view_model_detail(snapshot.model(id)))


async def list_accelerators(request: Request, query: Annotated[AcceleratorsQuery, Query()]) -> Response:
    """List the accelerators of the catalog by id, with the source of each figure."""

    def rows(snapshot: CatalogSnapshot, _revision: int) -> list[AcceleratorRecord]:
        found = snapshot.accelerators() if query.alias is None else _found(snapshot.accelerator, query.alias)
        return [
            row
            for row in found
            if query.vendor in (None, row.spec.vendor) and query.family in (None, row.spec.family)
        ]

    listed = Listed(rows=rows, key=lambda row: row.id, view=view_accelerator, keeps_history=False)
    return await list_answer(request, services_of(request), query, listed)


async def get_accelerator(request: Request, id: AcceleratorId) -> Response:
    """Show one accelerator."""
    snapshot = await snapshot_of(request, services_of(request))
    return one_answer(request, snapshot, view_accelerator(snapshot.accelerator(id)))


async def list_calibrations(request: Request, query: Annotated[PageQuery, Query()]) -> Response:
    """List the calibration sets of the catalog by id, with what each says of every scope."""

    def rows(snapshot: CatalogSnapshot, _revision: int) -> list[CalibrationRecord]:
        return list(snapshot.calibrations())

    listed = Listed(rows=rows, key=lambda row: row.id, view=view_calibration, keeps_history=False)
    return await list_answer(request, services_of(request), query, listed)


async def get_calibration(request: Request, id: CalibrationId) -> Response:
    """Show one calibration set."""
    snapshot = await snapshot_of(request, services_of(request))
    known = {row.id: row for row in snapshot.calibrations()}
    if id not in known:
        raise UnknownIdError("calibration", id, list(known))
    return one_answer(request, snapshot, view_calibration(known[id]))


async def list_listings(request: Request, query: Annotated[ListingsQuery, Query()]) -> Response:
    """List the reviewed ties between providers' model ids and catalog models."""

    def rows(snapshot: CatalogSnapshot, _revision: int) -> list[ListingRecord]:
        model = None if query.model is None else snapshot.model(query.model).id
        return [
            row
            for row in snapshot.listings(model)
            if query.provider in (None, row.provider) and query.relation in (None, row.relation)
        ]

    listed = Listed(rows=rows, key=_listing_key, view=view_listing, keeps_history=False)
    return await list_answer(request, services_of(request), query, listed)


async def get_listing(
    request: Request,
    provider: Annotated[str, Path(description="Id of a provider.", examples=["aws"])],
    provider_model_id: Annotated[
        str,
        Path(
            description="The provider's own id; may hold slashes.",
            examples=["meta.llama3-1-70b-instruct-v1:0"],
        ),
    ],
) -> Response:
    """Show what a provider's model id stands for."""
    snapshot = await snapshot_of(request, services_of(request))
    for row in snapshot.listings():
        if row.provider == provider and row.provider_model_id == provider_model_id:
            return one_answer(request, snapshot, view_listing(row))
    raise UnknownIdError("listing", f"{provider}/{provider_model_id}", ())


def add_routes(app: FastAPI) -> None:
    """Add the routes of reference data."""
    lists: tuple[tuple[str, Endpoint, str, str, type[Any]], ...] = (
        ("/v1/models", list_models, "models", "Models", ModelSummary),
        ("/v1/accelerators", list_accelerators, "accelerators", "Accelerators", AcceleratorView),
        ("/v1/calibrations", list_calibrations, "calibrations", "Calibration sets", CalibrationView),
        ("/v1/listings", list_listings, "listings", "Listings", Listing),
    )
    for path, endpoint, tag, summary, view in lists:
        app.get(
            path,
            tags=[tag],
            summary=summary,
            operation_id=getattr(endpoint, "__name__", path),
            response_model=page_model(view),
            responses={304: {"description": "Not modified"}, **problems(409, 422, 500, 503)},
            openapi_extra=_HEADERS,
        )(endpoint)
    singles: tuple[tuple[str, Endpoint, str, str, type[Any]], ...] = (
        ("/v1/models/{id}", get_model, "models", "One model", ModelDetail),
        ("/v1/accelerators/{id}", get_accelerator, "accelerators", "One accelerator", AcceleratorView),
        ("/v1/calibrations/{id}", get_calibration, "calibrations", "One calibration set", CalibrationView),
        ("/v1/listings/{provider}/{provider_model_id:path}", get_listing, "listings", "One listing", Listing),
    )
    for path, endpoint, tag, summary, view in singles:
        app.get(
            path,
            tags=[tag],
            summary=summary,
            operation_id=getattr(endpoint, "__name__", path),
            response_model=model_of(view),
            responses={304: {"description": "Not modified"}, **problems(404, 422, 500, 503)},
            openapi_extra=_HEADERS,
        )(endpoint)


def _found(look_up: Callable[[str], Row], name: str) -> list[Row]:
    """Return the one row of an id or alias; a filter that matches nothing is an empty list."""
    try:
        return [look_up(name)]
    except UnknownIdError:
        return []


def _listing_key(row: ListingRecord) -> str:
    return "\n".join((row.provider, row.provider_model_id, row.model))
