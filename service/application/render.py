"""Answers as plain JSON values, the same for the HTTP body and for ``--json`` on the command line.

Modelled floats carry 9 significant digits, exact Decimals are plain-notation strings, times are
RFC 3339 in UTC (CONTRACT 1). ``resolved`` is what the caller said or would have said, not a modelled
figure: its floats keep every digit, or posting it back would not give the same answer.

Converters are chosen once per class from its type hints, so rendering an answer looks at no type.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from service.application.requests import EstimateRequest

JsonObject = dict[str, Any]
Converter = Callable[[Any], Any]


def to_json_values(answer: Any) -> JsonObject:
    """Return a frozen answer dataclass as a dict of JSON values.

    Parameters
    ----------
    answer
        An instance of one of the dataclasses in ``service.application.answers``, or of any dataclass
        built from floats, integers, strings, Decimals, times, tuples, mappings and such dataclasses.

    Raises
    ------
    TypeError
        Where a field is of a type that has no JSON form.
    """
    values: JsonObject = _converter_of_class(type(answer))(answer)
    return values


def request_to_json_values(request: EstimateRequest) -> JsonObject:
    """Return a request in the form of the HTTP body, without what was left out; all digits kept."""
    body: JsonObject = _without_none(request)
    if "workload" in body:
        body["workload"] = {"classes": body["workload"]}
    if "known_at" in body:
        body["known_at"] = f"r{body['known_at']}"
    body["defaulted"] = list(request.defaulted)
    return body


def render_float(value: float) -> float:
    """Return a modelled figure rounded to 9 significant digits."""
    return float("%.9g" % value)  # noqa: UP031 - twice as fast as an f-string with a format


def render_decimal(value: Decimal) -> str:
    """Return an exact amount in plain notation, never with an exponent."""
    text = str(value)
    return format(value, "f") if "E" in text else text


@lru_cache(maxsize=4096)
def render_datetime(value: datetime) -> str:
    """Return a time as RFC 3339 in UTC, ``2026-01-31T00:00:00Z``; prices share few distinct times."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def render_date(value: date) -> str:
    """Return a day as ``2026-01-31``."""
    return value.isoformat()


def _same(value: Any) -> Any:
    return value


def _float_mapping(value: Mapping[str, float]) -> dict[str, float]:
    return {key: float("%.9g" % item) for key, item in value.items()}  # noqa: UP031 - as render_float


_SCALARS: Mapping[object, Converter] = {
    float: render_float,
    int: _same,
    bool: _same,
    str: _same,
    object: _same,
    Any: _same,
    Decimal: render_decimal,
    datetime: render_datetime,
    date: render_date,
    EstimateRequest: request_to_json_values,
}


def _converter_of(hint: object) -> Converter:
    """Choose the converter of one type hint."""
    if hint in _SCALARS:
        return _SCALARS[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _optional_of([item for item in arguments if item is not NoneType])
    if origin is tuple or (isinstance(origin, type) and issubclass(origin, list)):
        return _list_of(_converter_of(arguments[0]))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping_of(_converter_of(arguments[1]))
    if is_dataclass(hint) and isinstance(hint, type):
        return _converter_of_class(hint)
    if all(isinstance(item, str) for item in arguments) and arguments:
        return _same
    raise TypeError(f"{hint!r} has no JSON form; give it one in service/application/render.py.")


def _optional_of(hints: list[object]) -> Converter:
    convert, *others = [_converter_of(hint) for hint in hints]
    if any(other is not convert for other in others):
        raise TypeError(f"A union of {hints!r} has no single JSON form.")
    if convert in (_same, render_float):
        return _same if convert is _same else _optional_float
    return lambda value: None if value is None else convert(value)


def _optional_float(value: float | None) -> float | None:
    return None if value is None else float("%.9g" % value)  # noqa: UP031 - as render_float


def _list_of(convert: Converter) -> Converter:
    if convert is _same:
        return list
    return lambda value: [convert(item) for item in value]


def _mapping_of(convert: Converter) -> Converter:
    if convert is _same:
        return dict
    if convert is render_float:
        return _float_mapping
    return lambda value: {key: convert(item) for key, item in value.items()}


def _converter_of_class(owner: type[Any]) -> Converter:
    """Build the converter of a dataclass once: all fields in one C call, then those that need work."""
    if owner in _BUILT:
        return _BUILT[owner]
    hints = get_type_hints(owner)
    names = [field.name for field in fields(owner)]
    converters = {name: _converter_of(hints[name]) for name in names}
    floats = [name for name, convert in converters.items() if convert is render_float]
    busy = [(name, convert) for name, convert in converters.items() if convert not in (_same, render_float)]
    # One name more, because attrgetter returns no tuple for a single name.
    read: Callable[[Any], tuple[Any, ...]] = attrgetter(*names, "__class__")

    def convert_instance(value: Any) -> JsonObject:
        result: JsonObject = dict(zip(names, read(value), strict=False))
        for name in floats:
            result[name] = float("%.9g" % result[name])  # noqa: UP031 - as render_float, less a call
        for name, convert in busy:
            result[name] = convert(result[name])
        return result

    _BUILT[owner] = convert_instance
    return convert_instance


_BUILT: dict[type[Any], Converter] = {}


def _without_none(value: Any) -> Any:
    """Render nested request dataclasses, leaving out fields that are None."""
    if value.__class__ in _PLAIN:
        return value
    if isinstance(value, tuple | list):
        return [_without_none(item) for item in value]
    if isinstance(value, datetime):
        return render_datetime(value)
    if isinstance(value, Decimal):
        return render_decimal(value)
    owner: type[Any] = value.__class__
    if is_dataclass(owner):
        names = _FIELD_NAMES.get(owner) or _remember_field_names(owner)
        pairs = [(name, getattr(value, name)) for name in names]
        return {name: _without_none(item) for name, item in pairs if item is not None}
    return value


_PLAIN = frozenset({str, int, float, bool, dict})
_FIELD_NAMES: dict[type[Any], tuple[str, ...]] = {}


def _remember_field_names(owner: type[Any]) -> tuple[str, ...]:
    _FIELD_NAMES[owner] = tuple(field.name for field in fields(owner))
    return _FIELD_NAMES[owner]
