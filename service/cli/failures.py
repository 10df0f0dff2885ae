"""Errors as a person at a terminal needs them: what, where, and what would be accepted.

=====================================  =========
error                                  exit code
=====================================  =========
the request cannot be answered          2
the catalog cannot be reached           1
a mistake of ours                       70
=====================================  =========
"""

import json
import sys
from collections.abc import Mapping
from typing import Any, Final

from service.application.errors import ApplicationError, UnavailableError
from service.billing.errors import BillingError
from service.engine.errors import EngineError

EXIT_UNAVAILABLE: Final = 1
EXIT_BAD_INPUT: Final = 2
EXIT_BUG: Final = 70
"""EX_SOFTWARE of sysexits.h."""


def exit_code_of(error: Exception) -> int:
    """Return the exit code for an error."""
    if isinstance(error, UnavailableError) or _is_lost_database(error):
        return EXIT_UNAVAILABLE
    if isinstance(error, ApplicationError | EngineError | BillingError) or _is_of_this_package(error):
        return EXIT_BAD_INPUT
    return EXIT_BUG


def describe(error: Exception) -> str:
    """Return the lines to print on standard error."""
    code = exit_code_of(error)
    if code == EXIT_BUG:
        return (
            f"pertoken: internal error: {type(error).__name__}: {error}\n"
            "  This is a mistake in pertoken. PERTOKEN_TRACEBACK=1 shows where it happened."
        )
    if code == EXIT_UNAVAILABLE:
        # The driver's first line names the cause; the rest is SQL and a link.
        return f"pertoken: the catalog cannot be reached: {str(error).splitlines()[0]}"
    lines = [f"pertoken: {getattr(error, 'message', error)}"]
    if field := getattr(error, "field", ""):
        lines.append(f"  field: {field}")
    lines += _accepted_lines(getattr(error, "accepted", {}))
    return "\n".join(lines)


def _accepted_lines(accepted: Mapping[str, Any]) -> list[str]:
    return [f"  {name.replace('_', ' ')}: {_plain(value)}" for name, value in accepted.items() if value]


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return ", ".join(_plain(item) for item in value)
    return json.dumps(value, default=str)


def _is_of_this_package(error: Exception) -> bool:
    """Tell whether an error is one that we define and word: an unusable database URL, a broken seed."""
    return type(error).__module__.startswith("service.")


def _is_lost_database(error: Exception) -> bool:
    """Tell whether a database driver failed; its module is loaded if so."""
    library = sys.modules.get("sqlalchemy.exc")
    return library is not None and isinstance(error, library.OperationalError | library.InterfaceError)
