"""Error tree of the use cases; no HTTP. The API maps it in one table, the CLI in another.

::

    ApplicationError
    +-- UnknownIdError          an id in a body or path names nothing; carries near matches
    +-- InvalidRequestError     a readable request breaks a rule
    +-- LimitExceededError      a request is larger than a stated limit
    +-- NoPriceError            no price row applies
    +-- ConflictError           the state moved under the caller
    +-- UnavailableError        the catalog cannot answer now
    +-- AuthenticationError     no key, or one that is not in force
    +-- ForbiddenError          a key that does not carry the scope
    +-- PreconditionError       the caller's revision is missing or was overtaken

Errors of the engine (``service.engine.errors``) pass through unchanged.
"""

from collections.abc import Mapping, Sequence


class ApplicationError(Exception):
    """A use case could not answer; message for a person, the rest for a program."""

    code = "application-error"

    def __init__(
        self,
        message: str,
        *,
        field: str = "",
        code: str | None = None,
        accepted: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.code = code or type(self).code
        self.accepted: Mapping[str, object] = accepted or {}


class UnknownIdError(ApplicationError):
    """An id names nothing."""

    code = "unknown-id"

    def __init__(
        self, kind: str, value: str, near: Sequence[str], *, field: str = "", message: str | None = None
    ) -> None:
        hint = f" Near matches: {', '.join(near)}." if near else ""
        super().__init__(
            message or f"There is no {kind} {value!r}.{hint}",
            field=field,
            code=f"unknown-{kind.replace(' ', '-')}",
            accepted={"near_matches": list(near)},
        )
        self.kind = kind
        self.value = value
        self.near = tuple(near)


class InvalidRequestError(ApplicationError):
    """A readable request breaks a rule."""

    code = "invalid-request"


class LimitExceededError(ApplicationError):
    """A request is larger than a stated limit."""

    code = "limit-exceeded"


class NoPriceError(ApplicationError):
    """No price row applies."""

    code = "price-not-known-at"


class ConflictError(ApplicationError):
    """The state moved under the caller."""

    code = "conflict"


class UnavailableError(ApplicationError):
    """The catalog cannot answer now."""

    code = "catalog-unavailable"


class AuthenticationError(ApplicationError):
    """No key was sent, or one that is not in force."""

    code = "key-invalid"


class ForbiddenError(ApplicationError):
    """The key does not carry the scope that this needs."""

    code = "scope-missing"


class PreconditionError(ApplicationError):
    """The revision that the caller read is no longer the newest."""

    code = "precondition-failed"
