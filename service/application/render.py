"""Answers as plain JSON values, the same for the HTTP body and for ``--json`` on the command line.

Modelled floats carry 9 significant digits, exact Decimals are plain-notation strings, times are
RFC 3339 in UTC (CONTRACT 1). ``resolved`` is what the caller said or would have said, not a modelled
figure: its floats keep every digit, or posting it back would not give the same answer.

Converters are chosen once per class from its type hints, so rendering an answer looks at no type. They
note where floats stand; all floats of an answer are then rounded in one go, at a tenth of the price.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Final, NewType, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from service.application.ports import MeasuredPoint
from service.application.requests import EstimateRequest

JsonObject = dict[str, Any]
Places = list[tuple[Any, Any]]
"""Containers and keys at which a float still has all its digits."""
Converter = Callable[[Any, Places], Any]
Figures = NewType("Figures", list[float])
"""A row of figures that were rounded as one array: a curve has too many to round one by one."""

SIGNIFICANT_DIGITS: Final = 9
_MAX_EXACT_POWER: Final = 22
"""10**22 is the largest power of ten that a double holds exactly."""
_POWERS: Final = np.array([float(10**power) for power in range(_MAX_EXACT_POWER + 1)])


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
    places: Places = []
    values: JsonObject = _converter_of_class(type(answer))(answer, places)
    if places:
        numbers = np.array([owner[key] for owner, key in places], dtype=np.float64)
        for (owner, key), number in zip(places, round_figures(numbers).tolist(), strict=True):
            owner[key] = number
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


def plain_request(request: Any) -> Any:
    """Return any request dataclass as JSON values, without what was left out; all digits kept."""
    return _without_none(request)


def render_float(value: float) -> float:
    """Return a modelled figure rounded to 9 significant digits."""
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def round_figures(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each number rounded to 9 significant digits, as the nearest double to that decimal.

    An integer of 9 digits and a power of ten up to 10**22 are exact doubles, so their quotient or
    product is the nearest double to the decimal; numbers outside go through text one by one.
    """
    size = np.abs(numbers)
    shift = SIGNIFICANT_DIGITS - 1 - np.floor(np.log10(np.where(size > 0, size, 1.0)))
    within = np.abs(shift) <= _MAX_EXACT_POWER
    power = np.where(within, shift, 0).astype(np.int64)
    up, down = _POWERS[np.maximum(power, 0)], _POWERS[np.maximum(-power, 0)]
    rounded = np.rint(numbers * up / down) / up * down
    for index in np.flatnonzero(~within):
        rounded[index] = render_float(float(numbers[index]))
    return np.asarray(rounded, dtype=np.float64)


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


def _same(value: Any, _places: Places) -> Any:
    return value


def _float(value: Any, _places: Places) -> Any:
    """Stand for a float; whoever holds it notes its place."""
    return value


@lru_cache(maxsize=4096)
def _measured_point(point: MeasuredPoint) -> JsonObject:
    """Render a measured point once: a catalog has a few hundred, and every estimate names some."""
    places: Places = []
    values: JsonObject = _converter_of_class(MeasuredPoint)(point, places)
    for owner, key in places:
        owner[key] = render_float(owner[key])
    return values


_SCALARS: Mapping[object, Converter] = {
    float: _float,
    int: _same,
    bool: _same,
    str: _same,
    object: _same,
    Figures: _same,
    Any: _same,
    Decimal: lambda value, _: render_decimal(value),
    datetime: lambda value, _: render_datetime(value),
    date: lambda value, _: render_date(value),
    EstimateRequest: lambda value, _: request_to_json_values(value),
    MeasuredPoint: lambda value, _: _measured_point(value),
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
    if convert in (_same, _float):
        return convert
    return lambda value, places: None if value is None else convert(value, places)


def _list_of(convert: Converter) -> Converter:
    if convert is _same:
        return lambda value, _: list(value)
    if convert is _float:
        return lambda value, places: _noted(list(value), range(len(value)), places)
    return lambda value, places: [convert(item, places) for item in value]


def _mapping_of(convert: Converter) -> Converter:
    if convert is _same:
        return lambda value, _: dict(value)
    if convert is _float:
        return lambda value, places: _noted(dict(value), value, places)
    return lambda value, places: {key: convert(item, places) for key, item in value.items()}


def _noted(copied: Any, keys: Any, places: Places) -> Any:
    """Note where the floats of a copied list or dict stand."""
    places += [(copied, key) for key in keys if copied[key] is not None]
    return copied


def _converter_of_class(owner: type[Any]) -> Converter:
    """Build the converter of a dataclass once: all fields in one C call, then those that need work."""
    if owner in _BUILT:
        return _BUILT[owner]
    hints = get_type_hints(owner)
    names = [field.name for field in fields(owner)]
    converters = {name: _converter_of(hints[name]) for name in names}
    floats = [name for name, convert in converters.items() if convert is _float]
    busy = [(name, convert) for name, convert in converters.items() if convert not in (_same, _float)]
    # One name more, because attrgetter returns no tuple for a single name.
    read: Callable[[Any], tuple[Any, ...]] = attrgetter(*names, "__class__")

    def convert_instance(value: Any, places: Places) -> JsonObject:
        result: JsonObject = dict(zip(names, read(value), strict=False))
        for name in floats:
            if result[name] is not None:
                places.append((result, name))
        for name, convert in busy:
            result[name] = convert(result[name], places)
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
        pairs = [(name, item) for name in names if (item := getattr(value, name)) is not None]
        return {name: item if item.__class__ in _PLAIN else _without_none(item) for name, item in pairs}
    return value


_PLAIN = frozenset({str, int, float, bool, dict})
_FIELD_NAMES: dict[type[Any], tuple[str, ...]] = {}


def _remember_field_names(owner: type[Any]) -> tuple[str, ...]:
    # The list of defaulted paths is the longest part by far and needs no rendering.
    _FIELD_NAMES[owner] = tuple(field.name for field in fields(owner) if field.name != "defaulted")
    return _FIELD_NAMES[owner]
