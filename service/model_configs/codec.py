"""Frozen dataclasses to and from plain JSON values, strictly.

Decoding refuses unknown keys, missing keys, wrong types (a bool is no integer), integers of 2**53 or
more and NaN, and names the dotted path of what it refuses. Encoding leaves out defaults.
"""

import dataclasses
import functools
import math
import types
from collections.abc import Hashable, Mapping
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from service.engine.errors import InvalidInputError

T = TypeVar("T")

MAX_INTEGER = 2**53 - 1
MAX_ITEMS = 4096
"""Longest list; far above the 2 048 layers that a model may have."""


def decode(cls: type[T], value: object, path: str = "") -> T:
    """Build a dataclass from JSON values.

    Parameters
    ----------
    cls
        A dataclass of this package's schema.
    value
        Mappings, lists and scalars as a JSON or YAML parser gives them.
    path
        Dotted path of the value in its document, for messages.

    Returns
    -------
    object of the class

    Raises
    ------
    InvalidInputError
        Where the value does not fit, with the path in ``field``.
    """
    return _decode(cls, value, path)  # type: ignore[no-any-return]


def encode(value: object) -> object:
    """Return JSON values of a dataclass; fields at their default are left out, ``kind`` is kept."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        found = {}
        for field in dataclasses.fields(value):
            item = getattr(value, field.name)
            if field.name == "kind" or field.default is dataclasses.MISSING or item != field.default:
                found[field.name] = encode(item)
        return found
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    return value


def _fail(path: str, message: str, **accepted: object) -> InvalidInputError:
    where = path or "document"
    return InvalidInputError(f"{where}: {message}.", field=path, code="invalid-model-spec", accepted=accepted)


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls)


def _decode(hint: Any, value: object, path: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _decode_dataclass(hint, value, path)
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _decode_union(get_args(hint), value, path)
    if origin is tuple:
        return _decode_tuple(get_args(hint)[0], value, path)
    if origin is Literal:
        choices = get_args(hint)
        if not any(type(value) is type(choice) and value == choice for choice in choices):
            raise _fail(path, f"{value!r:.80} is not one of the accepted values", one_of=list(choices))
        return value
    return _decode_scalar(hint, value, path)


def _decode_scalar(hint: Any, value: object, path: str) -> object:
    if hint is int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _fail(path, f"{value!r:.80} is not an integer", type="integer")
        if abs(value) > MAX_INTEGER:
            raise _fail(path, "the integer is too large", maximum=MAX_INTEGER)
    elif hint is float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise _fail(path, f"{value!r:.80} is not a finite number", type="number")
    elif hint is bool or hint is str:
        if not isinstance(value, hint):
            raise _fail(path, f"{value!r:.80} is not a {hint.__name__}", type=hint.__name__)
    else:  # pragma: no cover - a schema of ours with a type that nobody taught the codec
        raise TypeError(f"no decoding for {hint!r}")
    return value


def _decode_tuple(item_hint: Any, value: object, path: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _fail(path, "a list is expected", type="list")
    if len(value) > MAX_ITEMS:
        raise _fail(path, f"the list has {len(value)} items", maximum_items=MAX_ITEMS)
    return tuple(_decode(item_hint, item, f"{path}[{index}]") for index, item in enumerate(value))


def _decode_union(hints: tuple[Any, ...], value: object, path: str) -> Any:
    if value is None and type(None) in hints:
        return None
    members = [hint for hint in hints if hint is not type(None)]
    if len(members) == 1:
        return _decode(members[0], value, path)
    by_kind = {member.__dataclass_fields__["kind"].default: member for member in members}
    kind = value.get("kind") if isinstance(value, Mapping) else None
    if not isinstance(kind, str) or kind not in by_kind:
        raise _fail(f"{path}.kind", f"{kind!r:.80} is no known part", one_of=sorted(by_kind))
    return _decode(by_kind[kind], value, path)


def _decode_dataclass(cls: type[Any], value: object, path: str) -> Any:
    if not isinstance(value, Mapping):
        raise _fail(path, "a mapping is expected", type="object")
    known = {field.name: field for field in dataclasses.fields(cls)}
    for key in value:
        if key not in known:
            raise _fail(_join(path, key), "unknown field", one_of=sorted(known))
    hints = _hints(cast(Hashable, cls))
    found = {}
    for name, field in known.items():
        if name in value:
            found[name] = _decode(hints[name], value[name], _join(path, name))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise _fail(_join(path, name), "required field is missing", required=True)
    return cls(**found)


def _join(path: str, key: object) -> str:
    name = f"{key!s:.80}"
    return f"{path}.{name}" if path else name
