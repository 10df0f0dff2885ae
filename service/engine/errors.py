"""Error tree of the pure rooms; nothing here knows HTTP.

::

    EngineError
    +-- InvalidInputError     a value breaks a rule (negative tokens, tp that does not divide heads)
    +-- UnsupportedError      known input, no equation for it (a format the accelerator lacks)
    +-- InfeasibleError       valid input, but no operating point meets it (does not fit, limits unmet)
"""

from collections.abc import Mapping


class EngineError(Exception):
    """A caller's mistake or an impossible request, told with the value, the rule and the way out.

    Parameters
    ----------
    message
        One sentence for a person.
    field
        Dotted path of the offending input in the caller's words, for example ``layout.tp``.
    code
        Stable slug of the cause, one per cause, for example ``model-does-not-fit``.
    accepted
        What would be accepted, as plain JSON values.
    """

    default_code = "engine-error"

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
        self.code = code or self.default_code
        self.accepted: Mapping[str, object] = accepted or {}


class InvalidInputError(EngineError):
    """A value breaks a rule."""

    default_code = "invalid-input"


class UnsupportedError(EngineError):
    """The input is known but the engine has no equation or figure for it."""

    default_code = "unsupported"


class InfeasibleError(EngineError):
    """The input is valid but nothing satisfies it."""

    default_code = "infeasible"
