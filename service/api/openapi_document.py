"""The OpenAPI document, built from the routes and the request schema."""

from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from service.api.documentation import PROBLEM_SCHEMA
from service.api.schemas.economics_request import CompareBody, CurveBody, TariffBody
from service.api.schemas.estimate_request import EstimateBody
from service.api.schemas.imports import IMPORT_BODIES
from service.api.schemas.management import KeyBody
from service.api.schemas.usage_request import UsageBody
from service.api.schemas.writes import WRITE_BODIES
from service.api.security import add_security
from service.api.version import VERSION

_BODIES: tuple[type[BaseModel], ...] = (
    UsageBody,
    CurveBody,
    TariffBody,
    CompareBody,
    EstimateBody,
    KeyBody,
    *WRITE_BODIES,
    *IMPORT_BODIES,
)
_REFERENCES = "#/components/schemas/{model}"
_DESCRIPTION = (
    "What one uncached input, cached input and output token of a language model costs on given hardware "
    "under a given workload, why, and how that compares with list prices. Modelled figures are JSON numbers "
    "with 9 significant digits; prices are exact decimal strings. Every refusal is a problem whose `type` is "
    "a page under /problems."
)


def build_document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of an application."""
    document = get_openapi(
        title="pertoken",
        version=VERSION,
        summary="Cost per token, modelled and listed",
        description=_DESCRIPTION,
        routes=app.routes,
    )
    schemas: dict[str, Any] = document.setdefault("components", {}).setdefault("schemas", {})
    # Bodies are parsed by hand, so FastAPI does not know their schema; validation's is the right one.
    for model in _BODIES:
        body = model.model_json_schema(ref_template=_REFERENCES, mode="validation")
        schemas.update(body.pop("$defs", {}))
        schemas[model.__name__] = body
    schemas["Problem"] = PROBLEM_SCHEMA
    _drop_default_refusals(document)
    add_security(document)
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    return document


def _drop_default_refusals(document: dict[str, Any]) -> None:
    """Take out FastAPI's own shape of a refusal, which this service never sends."""
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    for operations in document["paths"].values():
        for operation in operations.values():
            refusal = operation["responses"].get("422", {})
            if "application/json" in refusal.get("content", {}):
                del operation["responses"]["422"]


def install(app: FastAPI) -> None:
    """Make ``app.openapi()`` return the document, built once."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = build_document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def encode(document: dict[str, Any]) -> bytes:
    """Return a document as JSON text."""
    return orjson.dumps(document)


def document_text(app: FastAPI) -> bytes:
    """Return the document as committed: indented, a newline at its end, no build number."""
    document = build_document(app)
    # The version moves with every release; the committed document changes with the surface alone.
    document["info"]["version"] = "v1"
    return orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n"
