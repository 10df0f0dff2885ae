"""Who may: the scope that each operation needs, and the check of the key before any route runs.

One place decides for all routes, closed by default: what is not known to be reading or computing needs
the scope ``write``. A key that is sent is checked even where none is needed, so a revoked one is dead
everywhere.

==========================================  ======================================================
scope                                       the key is looked up
==========================================  ======================================================
``read``, ``price``                         in memory, as of the last look at the database; so they
                                            outlive an outage as long as the catalog does
``write``, ``admin``                        in the database; refused with 503 while it is away
==========================================  ======================================================
"""

import re
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.callers import CALLER
from service.api.deps import Services
from service.api.management import AccessRules, Management
from service.api.problems import CALLER_ERRORS, ProblemError, problem_of, problem_response
from service.application.errors import UnavailableError
from service.application.keys import check_key, check_scope, key_id_of
from service.application.write_ports.keys import ApiKeyRecord
from service.application.write_ports.keys import Scope as KeyScope

COMPUTATIONS: Final = frozenset({"estimates", "curves", "tariffs", "comparisons", "plans"})
"""Resources whose POST computes and writes nothing."""
PRICING: Final = frozenset({"usage"})
ADMINISTRATION: Final = frozenset({"keys", "audit-events"})
_FROM_DATABASE: Final = frozenset({"write", "admin"})
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_BEARER: Final = re.compile(r"bearer +(\S+)", re.ASCII | re.IGNORECASE)


def needed_scope(method: str, path: str) -> KeyScope | None:
    """Return the scope that an operation needs; None for pages, health and what is not of ``/v1``."""
    if path != "/v1" and not path.startswith("/v1/"):
        return None
    resource = path[4:].partition("/")[0]
    if resource in ADMINISTRATION:
        return "admin"
    if resource in PRICING:
        return "price"
    return "read" if method in _READING or resource in COMPUTATIONS else "write"


def is_open(scope: KeyScope, rules: AccessRules) -> bool:
    """Whether a scope is open to everybody."""
    return (scope == "read" and rules.open_read) or (scope == "price" and rules.open_price)


class AccessCheck:
    """ASGI middleware that lets a request pass, its key's record in the scope, or refuses it.

    Parameters
    ----------
    app
        What is guarded.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request; everything but HTTP passes."""
        needed = needed_scope(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if needed is None:
            await self._app(scope, receive, send)
            return
        try:
            record = await _admit(scope, needed)
        except CALLER_ERRORS as error:
            await problem_response(problem_of(error))(scope, receive, send)
            return
        if record is not None:
            scope[CALLER] = record
        await self._app(scope, receive, send)


async def _admit(scope: Scope, needed: KeyScope) -> ApiKeyRecord | None:
    services: Services = scope["app"].state.services
    management = services.management
    rules = AccessRules() if management is None else management.rules
    text = _sent_key(scope)
    opened = is_open(needed, rules)
    if text is None:
        if opened:
            return None
        raise ProblemError(
            "key-missing",
            f"{scope['method']} {scope['path'][:200]} needs a key with the scope {needed}: "
            "send the header 'Authorization: Bearer ptk_...'.",
            accepted={"scope": needed},
        )
    record = await _look_up(text, needed, services, management)
    if not opened:
        check_scope(record, needed)
    return record


async def _look_up(
    text: str, needed: KeyScope, services: Services, management: Management | None
) -> ApiKeyRecord:
    key_id = key_id_of(text)
    if management is None:
        raise UnavailableError("Keys are not set up in this service.")
    if needed not in _FROM_DATABASE:
        return check_key(text, management.ring.keys().get(key_id), services.clock())
    if not services.catalog.database_reachable():
        raise UnavailableError(
            "The database does not answer; until it does, nothing can be written.",
            code="database-unavailable",
        )
    return await management.pool.run(lambda: management.keys.authenticate(text))


def _sent_key(scope: Scope) -> str | None:
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    if not given:
        return None
    match = _BEARER.fullmatch(given[0].decode("latin-1").strip())
    if match is None or len(given) > 1:
        raise ProblemError(
            "key-invalid", "One Authorization header of the form 'Bearer ptk_...' is expected."
        )
    return match[1]
