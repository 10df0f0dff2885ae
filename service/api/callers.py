"""What a route of keys, writes or imports asks of its request: who calls, and a place to work."""

from collections.abc import Callable
from typing import TypeVar

from starlette.requests import Request

from service.api.deps import services_of
from service.api.management import Management
from service.application.errors import UnavailableError
from service.application.write_ports.keys import ApiKeyRecord

Result = TypeVar("Result")


def management_of(request: Request) -> Management:
    """Return what the lifespan opened.

    Raises
    ------
    UnavailableError
        Where whoever composed the services gave none.
    """
    found = services_of(request).management
    if found is None:
        raise UnavailableError("Keys, writes and imports are not set up in this service.")
    return found


async def in_database(request: Request, work: Callable[[], Result]) -> Result:
    """Run work that talks to the database in its bounded pool, off the event loop.

    Raises
    ------
    ProblemError
        503 where the queue is full; and whatever the work raises.
    """
    return await management_of(request).pool.run(work)


CALLER = "pertoken.caller"
"""Key of the ASGI scope under which the caller's key record lies; absent for an open request."""


def caller_of(request: Request) -> ApiKeyRecord:
    """Return the key that the request was let in with; only in operations that need one.

    Raises
    ------
    RuntimeError
        Where the operation was reached without a key, which ``access`` does not let happen.
    """
    record = request.scope.get(CALLER)
    if not isinstance(record, ApiKeyRecord):
        raise RuntimeError(f"{request.url.path} was reached without a key.")
    return record


def actor_of(request: Request) -> str:
    """Return how the audit log names the caller."""
    return f"key:{caller_of(request).id}"
