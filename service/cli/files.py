"""JSON files that a person names on the command line."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

from service.application.errors import InvalidRequestError

MAX_FILE_BYTES = 2**20


def read_config(path: Path) -> dict[str, Any]:
    """Return the object in a ``config.json``.

    Libraries write Infinity into such files (``time_step_limit``), so here it is a float like others.

    Raises
    ------
    InvalidRequestError
        As :func:`read_json_object`.
    """
    values: dict[str, Any] = with_floats(_read(path, "config", float))
    return values


def read_json_object(path: Path, field: str) -> dict[str, Any]:
    """Return the object in a JSON file; numbers with a fraction as exact Decimals.

    Raises
    ------
    InvalidRequestError
        Where the file cannot be read, is larger than 1 MiB, is not JSON, repeats a key, has NaN or
        Infinity in it, or holds no object.
    """
    return _read(path, field, _refuse_constant)


def parse_json_object(text: str, where: str) -> dict[str, Any]:
    """Return the object that a text denotes, by the rules of :func:`read_json_object`.

    Raises
    ------
    InvalidRequestError
        Naming where the text stands.
    """
    try:
        value = json.loads(
            text, parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_distinct
        )
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"{where} is not JSON: {error}.", code="unreadable-file") from error
    if not isinstance(value, dict):
        raise InvalidRequestError(f"{where} holds no object.", code="unreadable-file")
    return value


def _read(path: Path, field: str, read_constant: Callable[[str], Any]) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _unreadable(path, field, "it is larger than 1 MiB")
        value = json.loads(
            path.read_bytes(),
            parse_float=Decimal,
            parse_constant=read_constant,
            object_pairs_hook=_distinct,
        )
    except OSError as error:
        raise _unreadable(path, field, error.strerror or "it cannot be opened") from error
    except json.JSONDecodeError as error:
        raise _unreadable(path, field, f"it is not JSON: {error}") from error
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, field, str(error)) from error
    if not isinstance(value, dict):
        raise _unreadable(path, field, "it holds no object")
    return value


def with_floats(value: Any) -> Any:
    """Return JSON values with Decimals as floats, for readers that expect what ``json`` gives."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {key: with_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_floats(item) for item in value]
    return value


def _unreadable(path: Path, field: str, why: str) -> InvalidRequestError:
    return InvalidRequestError(f"{path} cannot be used: {why}.", field=field, code="unreadable-file")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _distinct(items: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(items)
    if len(result) != len(items):
        names = [name for name, _ in items]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands there twice")
    return result
