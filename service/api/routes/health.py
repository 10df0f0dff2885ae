"""Whether the process lives, whether it can answer, and which versions there are."""

from typing import Literal

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request

from service.api.deps import services_of
from service.api.documentation import problems
from service.api.version import VERSION
from service.application.errors import UnavailableError


class Health(BaseModel):
    """The process answers."""

    model_config = ConfigDict(json_schema_extra={"example": {"status": "ok"}})

    status: Literal["ok"]


class Readiness(BaseModel):
    """Whether requests can be answered, and from how old a catalog."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "status": "ready",
                "catalog_revision": 2,
                "catalog_digest": "033d63eb3ebaee4447d4c5bdd55e3130ea7eb6d7150bbf6b950a3392e0999975",
                "catalog_age_seconds": 0.4,
                "detail": "",
            }
        }
    )

    status: Literal["ready", "degraded"]
    catalog_revision: int
    catalog_digest: str
    catalog_age_seconds: float
    detail: str


class Resource(BaseModel):
    """A route of this version."""

    path: str
    methods: list[str]
    summary: str


class Index(BaseModel):
    """What this version of the API offers."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "api_version": "v1",
                "build": "0.1.0",
                "catalog_revision": 2,
                "resources": [{"path": "/v1/estimates", "methods": ["POST"], "summary": "Cost per token"}],
            }
        }
    )

    api_version: str
    build: str
    catalog_revision: int
    resources: list[Resource]


async def healthz() -> Health:
    """Tell that the process answers; looks at nothing else."""
    return Health(status="ok")


async def readyz(request: Request) -> Readiness:
    """Tell whether estimates can be answered.

    `degraded`: the database does not answer, but the snapshot in memory is younger than
    PERTOKEN_MAX_STALENESS_SECONDS. 503 otherwise.
    """
    catalog = services_of(request).catalog
    snapshot = catalog.current()
    age = catalog.age_seconds()
    if age is None:
        raise UnavailableError("No catalog is loaded yet.")
    reachable = catalog.database_reachable()
    return Readiness(
        status="ready" if reachable else "degraded",
        catalog_revision=snapshot.info.revision,
        catalog_digest=snapshot.info.digest,
        catalog_age_seconds=round(age, 3),
        detail="" if reachable else "The database does not answer; the catalog in memory still does.",
    )


async def index(request: Request) -> Index:
    """List the routes of version 1, the build and the catalog revision."""
    paths = request.app.openapi()["paths"]
    resources = [
        Resource(
            path=path,
            methods=sorted(method.upper() for method in operations),
            summary=next(iter(operations.values())).get("summary", ""),
        )
        for path, operations in sorted(paths.items())
        if path.startswith("/v1/")
    ]
    revision = services_of(request).catalog.current().info.revision
    return Index(api_version="v1", build=VERSION, catalog_revision=revision, resources=resources)


def add_routes(app: FastAPI) -> None:
    """Add the routes of operation."""
    app.get("/healthz", tags=["operation"], summary="Liveness", operation_id="healthz")(healthz)
    app.get(
        "/readyz", tags=["operation"], summary="Readiness", operation_id="readyz", responses=problems(503)
    )(readyz)
    app.get("/v1", tags=["operation"], summary="Index", operation_id="index", responses=problems(500, 503))(
        index
    )
