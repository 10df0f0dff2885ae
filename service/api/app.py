"""The ASGI application: routes, handlers, lifespan. Opens nothing until it is started."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from service.api import openapi_document
from service.api.access import AccessCheck
from service.api.deps import ServicesFactory
from service.api.handlers import install_handlers
from service.api.head import HeadAsGet
from service.api.routes import (
    catalog,
    economics,
    estimates,
    fx,
    health,
    imports,
    keys,
    pages,
    prices,
    usage,
    writes,
)
from service.api.version import VERSION


def create_app(open_services: ServicesFactory | None = None) -> FastAPI:
    """Return the application.

    Parameters
    ----------
    open_services
        Opened at start-up and closed at shutdown by the lifespan. None makes an application that
        describes itself but cannot be started.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if open_services is None:
            raise RuntimeError("This application was made without services; use service.bootstrap.")
        async with open_services() as services:
            app.state.services = services
            yield

    app = FastAPI(
        title="pertoken",
        version=VERSION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    install_handlers(app)
    app.add_middleware(AccessCheck)
    app.add_middleware(HeadAsGet)
    openapi_document.install(app)
    for room in (keys, estimates, economics, usage, catalog, prices, writes, imports, fx, health, pages):
        room.add_routes(app)
    app.get("/openapi.json", include_in_schema=False)(_openapi_document)
    return app


async def _openapi_document(request: Request) -> Response:
    return Response(openapi_document.encode(request.app.openapi()), media_type="application/json")
