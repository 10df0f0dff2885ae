"""What the OpenAPI document says about keys: the scheme, and who may call each operation."""

from typing import Any

from service.api.access import is_open, needed_scope
from service.api.documentation import problems
from service.api.management import AccessRules

SCHEME = "key"
_SCHEME: dict[str, Any] = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "ptk_<id>_<64 hexadecimal digits>",
    "description": "A key of this service. Scopes: read, price, write (includes read), admin (includes all). "
    "Reading and pricing are open to everybody unless the operator closes them "
    "(PERTOKEN_OPEN_READ, PERTOKEN_OPEN_PRICE); a key that is sent is checked all the same.",
}


def add_security(document: dict[str, Any]) -> None:
    """Add the scheme, and to each operation of ``/v1`` its scope and the refusals 401 and 403."""
    document.setdefault("components", {})["securitySchemes"] = {SCHEME: _SCHEME}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            scope = needed_scope(method.upper(), path)
            if scope is None:
                continue
            needed = {SCHEME: [scope]}
            operation["security"] = [{}, needed] if is_open(scope, AccessRules()) else [needed]
            refusals = {str(status): answer for status, answer in problems(401, 403).items()}
            operation["responses"] = dict(sorted({**operation["responses"], **refusals}.items()))
