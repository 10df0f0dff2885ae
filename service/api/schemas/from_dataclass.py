"""Response models made from the answer dataclasses, so that documentation cannot drift from answers.

Types become what ``application.render`` makes of them (Decimal a string, tuple a list); the line
under a field becomes its description. No field has a default: a client sees each as always present.
"""

import ast
import inspect
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Optional, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, Field, create_model

from service.api.schemas.estimate_request import EstimateBody
from service.application.render import INLINE, Figures
from service.application.requests import EstimateRequest

DecimalText = Annotated[
    str, Field(json_schema_extra={"format": "decimal"}, pattern=r"^-?[0-9]+(\.[0-9]+)?$", examples=["2.49"])
]
TimeText = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-01-31T00:00:00Z"])]
DayText = Annotated[str, Field(json_schema_extra={"format": "date"}, examples=["2026-01-31"])]

_SCALARS: Mapping[object, Any] = {
    Decimal: DecimalText,
    datetime: TimeText,
    date: DayText,
    object: Any,
    Figures: list[float],
    EstimateRequest: EstimateBody,
}


_MADE: dict[type[Any], type[BaseModel]] = {}


def model_of(owner: type[Any]) -> type[BaseModel]:
    """Return the pydantic model that describes how a dataclass is rendered.

    Raises
    ------
    TypeError
        If ``owner`` is no dataclass.
    """
    known = _MADE.get(owner)
    if known is not None:
        return known
    model: type[BaseModel] = create_model(owner.__name__, __doc__=owner.__doc__, **_members(owner))
    _MADE[owner] = model
    return model


def _members(owner: type[Any]) -> dict[str, Any]:
    """Return the fields of a dataclass for ``create_model``, those of inlined ones in their place."""
    hints = get_type_hints(owner, include_extras=True)
    texts = field_docstrings(owner)
    members: dict[str, Any] = {}
    for item in fields(owner):
        hint = hints[item.name]
        if INLINE in get_args(hint):
            members |= _members(get_args(hint)[0])
        else:
            members[item.name] = (_annotation(hint), Field(description=texts.get(item.name)))
    return members


def field_docstrings(owner: type[Any]) -> Mapping[str, str]:
    """Return the string under each field of a class, by field name."""
    definition = _classes_of(owner.__module__).get(owner.__qualname__)
    if definition is None:
        # A class within a function or another class.
        (found,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
        if not isinstance(found, ast.ClassDef):
            return {}
        definition = found
    texts: dict[str, str] = {}
    for statement, following in zip(definition.body, definition.body[1:], strict=False):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
            and isinstance(following.value.value, str)
        ):
            texts[statement.target.id] = inspect.cleandoc(following.value.value)
    return texts


@lru_cache(maxsize=64)
def _classes_of(module: str) -> Mapping[str, ast.ClassDef]:
    """Return the classes that a module defines; it is parsed once, where inspect would for each class."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {item.name: item for item in tree.body if isinstance(item, ast.ClassDef)}


def _annotation(hint: Any) -> Any:
    if hint in _SCALARS:
        return _SCALARS[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _union(arguments)
    if origin is tuple:
        return list[_annotation(arguments[0])]  # type: ignore[misc]  # built at run time
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return dict[str, _annotation(arguments[1])]  # type: ignore[misc]  # built at run time
    if isinstance(hint, type) and is_dataclass(hint):
        return model_of(hint)
    return hint


def _union(arguments: tuple[Any, ...]) -> Any:
    (inner,) = [_annotation(item) for item in arguments if item is not NoneType]
    return Optional[inner]  # noqa: UP045 - the bar does not take types built at run time
