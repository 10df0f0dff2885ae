"""A command whose options are a dataclass, so that forty options are one argument."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any, TypeVar, get_type_hints

Options = TypeVar("Options")


def takes(options: type[Options]) -> Callable[[Callable[[Options], None]], Callable[..., None]]:
    """Show typer the fields of a dataclass as the parameters of a command.

    Parameters
    ----------
    options
        A dataclass whose fields are annotated with ``typer.Option`` or ``typer.Argument``.
    """
    hints = get_type_hints(options, include_extras=True)
    parameters = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(options)  # type: ignore[arg-type]  # a dataclass by contract
    ]

    def decorate(command: Callable[[Options], None]) -> Callable[..., None]:
        def with_values(**values: Any) -> None:
            command(options(**values))

        with_values.__name__ = command.__name__
        with_values.__doc__ = command.__doc__
        with_values.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        with_values.__annotations__ = hints
        return with_values

    return decorate
