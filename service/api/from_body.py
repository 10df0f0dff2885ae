"""A validated body becomes the request dataclass of the same fields."""

from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

Owner = TypeVar("Owner")


def dataclass_of(owner: type[Owner], body: BaseModel) -> Owner:
    """Return the dataclass with the values of a body; lists become tuples, bodies dataclasses.

    Parameters
    ----------
    owner
        A dataclass whose fields the body has, under the same names.
    body
        Validated.
    """
    hints = get_type_hints(owner)
    values = {
        item.name: _value(hints[item.name], getattr(body, item.name))
        for item in fields(owner)  # type: ignore[arg-type]  # a dataclass by contract
        if hasattr(body, item.name)
    }
    return owner(**values)


def _value(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    if get_origin(hint) in (Union, UnionType):
        choices = [item for item in get_args(hint) if item is not NoneType]
        return _value(choices[0], value)
    if isinstance(value, list):
        arguments = get_args(hint)
        return tuple(_value(arguments[0] if arguments else object, item) for item in value)
    if isinstance(value, BaseModel) and is_dataclass(hint) and isinstance(hint, type):
        return dataclass_of(hint, value)
    return value
