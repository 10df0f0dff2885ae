"""A request body (as ``--request FILE`` holds it, or as options spell it) becomes an ``EstimateRequest``.

The dataclasses of ``service.application.requests`` are the schema: names, types and what is required.
Rules between values are the use case's; here a value only has to be of its field's type.
"""

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from datetime import datetime
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from service.application.errors import InvalidRequestError
from service.application.requests import EstimateRequest, WorkloadClass
from service.billing.errors import AmountError
from service.billing.money import parse_amount, parse_currency
from service.cli.files import with_floats
from service.cli.moments import read_moment

Money = TypeVar("Money", Decimal, str)
Part = TypeVar("Part")


def read_estimate_request(body: Mapping[str, Any], known_at: Callable[[str], int]) -> EstimateRequest:
    """Read a body.

    Parameters
    ----------
    body
        JSON values; numbers with a fraction may be Decimals.
    known_at
        Resolves ``r12`` or a time to a revision.

    Raises
    ------
    InvalidRequestError
        For an unknown or missing field or a value of the wrong type, with the field's path.
    """
    flat = dict(body)
    workload = flat.pop("workload", None)
    if isinstance(flat.get("known_at"), str):
        flat["known_at"] = known_at(flat["known_at"])
    request: EstimateRequest = _read_dataclass(EstimateRequest, flat, "")
    if request.price is not None and request.price.currency is not None:
        _read_money(parse_currency, request.price.currency, "price.currency")
    prefill = request.pools.prefill if request.pools is not None else None
    if prefill is not None and prefill.price is not None and prefill.price.currency is not None:
        _read_money(parse_currency, prefill.price.currency, "pools.prefill.price.currency")
    if workload is None:
        return request
    classes, chosen = _read_classes(workload)
    return replace(request, workload=classes, defaulted=(*request.defaulted, *chosen))


def read_part(owner: type[Part], value: Any, path: str) -> Part:
    """Read one object of a body as a request dataclass.

    Raises
    ------
    InvalidRequestError
        As :func:`read_estimate_request`.
    """
    part: Part = _read_dataclass(owner, value, path)
    return part


def read_parts(owner: type[Part], value: Any, path: str) -> tuple[Part, ...]:
    """Read a list of a body as request dataclasses.

    Raises
    ------
    InvalidRequestError
        As :func:`read_estimate_request`.
    """
    parts: tuple[Part, ...] = _read_list(owner, value, path)
    return parts


def _read_classes(workload: Any) -> tuple[tuple[WorkloadClass, ...], list[str]]:
    """Return the classes, and the paths of the names and weights chosen for the caller."""
    given = _expect(workload, dict, "workload", "an object with a list `classes`")
    _refuse_unknown(given, ["classes"], "workload")
    chosen = []
    classes = []
    for index, item in enumerate(_expect(given.get("classes"), list, "workload.classes", "a list")):
        path = f"workload.classes.{index}"
        defaults = {"name": f"class-{index + 1}", "weight": 1}
        values = {
            key: value for key, value in _expect(item, dict, path, "an object").items() if value is not None
        }
        chosen += [f"{path}.{name}" for name in defaults if name not in values]
        classes.append(_read_dataclass(WorkloadClass, {**defaults, **values}, path))
    return tuple(classes), chosen


def _read(hint: Any, value: Any, path: str) -> Any:
    """Read one value by the type hint of its field."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is None:
            return None
        return _read(next(item for item in arguments if item is not NoneType), value, path)
    if origin is Literal:
        return _read_choice(arguments, value, path)
    if origin is tuple:
        return _read_list(arguments[0], value, path)
    if origin is not None and issubclass(origin, Mapping):
        return with_floats(_expect(value, dict, path, "an object"))
    if is_dataclass(hint):
        return _read_dataclass(hint, value, path)
    return _SCALARS[hint](value, path)


def _read_dataclass(owner: Any, value: Any, path: str) -> Any:
    given = _expect(value, dict, path, "an object")
    names = [field.name for field in fields(owner)]
    _refuse_unknown(given, names, path)
    hints = get_type_hints(owner)
    for field in fields(owner):
        if field.default is MISSING and given.get(field.name) is None:
            where = _join(path, field.name)
            raise InvalidRequestError(f"{where} is missing.", field=where, code="missing-field")
    return owner(**{name: _read(hints[name], item, _join(path, name)) for name, item in given.items()})


def _read_list(hint: Any, value: Any, path: str) -> tuple[Any, ...]:
    items = _expect(value, list, path, "a list")
    return tuple(_read(hint, item, f"{path}.{index}") for index, item in enumerate(items))


def _read_choice(choices: tuple[Any, ...], value: Any, path: str) -> Any:
    if value not in choices:
        raise InvalidRequestError(
            f"{path} is {value!r}, which is none of its values.",
            field=path,
            code="invalid-choice",
            accepted={"values": list(choices)},
        )
    return value


def _read_float(value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise _wrong(path, value, "a number")
    try:
        number = float(value)
    except OverflowError as error:
        raise _wrong(path, value, "a number that a double can hold") from error
    if not math.isfinite(number):
        raise _wrong(path, value, "a finite number")
    return number


def _read_int(value: Any, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(path, value, "a whole number")
    return value


def _read_text(value: Any, path: str) -> str:
    return str(_expect(value, str, path, "a string"))


def _read_amount(value: Any, path: str) -> Decimal:
    return _read_money(parse_amount, value, path)


def _read_money(parse: Callable[[Any], Money], value: Any, path: str) -> Money:
    try:
        return parse(value)
    except AmountError as error:
        raise InvalidRequestError(
            error.message, field=path, code=error.code, accepted=error.accepted
        ) from error


def _read_datetime(value: Any, path: str) -> datetime:
    return read_moment(_expect(value, str, path, "a day or a time with its offset"), path)


_SCALARS: Mapping[Any, Callable[[Any, str], Any]] = {
    float: _read_float,
    int: _read_int,
    str: _read_text,
    Decimal: _read_amount,
    datetime: _read_datetime,
}


def _expect(value: Any, kind: type[Any], path: str, described: str) -> Any:
    if not isinstance(value, kind):
        raise _wrong(path, value, described)
    return value


def _wrong(path: str, value: Any, described: str) -> InvalidRequestError:
    where = path or "the body"
    return InvalidRequestError(
        f"{where} is {repr(value)[:60]}; it has to be {described}.", field=path, code="wrong-type"
    )


def _refuse_unknown(given: Mapping[str, Any], known: list[str], path: str) -> None:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(str(name), known)
            raise InvalidRequestError(
                f"There is no field {_join(path, str(name))!r}.",
                field=_join(path, str(name)),
                code="unknown-field",
                accepted={"near_matches": near, "fields": known},
            )


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
