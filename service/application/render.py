"""Answers as JSON, the same for the HTTP body and for ``--json`` on the command line.

Modelled floats carry 9 significant digits, exact Decimals are plain-notation strings, times are
RFC 3339 in UTC (CONTRACT 1). ``resolved`` is what the caller said or would have said, not a modelled
figure: its floats keep every digit, or posting it back would not give the same answer.

Each class becomes a ``%`` template of its JSON text once, from its type hints: ``{"kind":%s,"mfu":%.9g}``.
An answer is then a few dozen templates filled in; rounding costs nothing beside writing a figure. A field
annotated ``INLINE`` has no object of its own: its fields stand among its owner's. Such values are kept
with the catalog and shared by many answers, so each is written once.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from json.encoder import encode_basestring
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Final, NewType, Union, get_args, get_origin, get_type_hints

import numpy as np
import orjson
from numpy.typing import NDArray

from service.application.ports import MeasuredPoint
from service.application.requests import EstimateRequest

JsonObject = dict[str, Any]
Writer = Callable[[Any], str]
"""Returns the JSON text of a value."""
Figures = NewType("Figures", list[float])
"""A row of figures that were rounded as one array: a curve has too many to round one by one."""

INLINE: Final = "inline"
"""In ``Annotated[SomeDataclass, INLINE]``: its fields stand in the object of the field's owner."""
SIGNIFICANT_DIGITS: Final = 9
_FIGURE: Final = f"%.{SIGNIFICANT_DIGITS}g"
_NOT_FINITE: Final = (":nan", ":inf", ":-inf")
_NON_FINITE_FIGURE: Final = re.compile(r'(?<=[^\\]":)-?(?:nan|inf)(?=[,}])')
"""A figure that is no number, after a key's quote and colon; inside a string that quote is escaped."""
MOST_SHARED: Final = 4_096
_MAX_EXACT_POWER: Final = 22
"""10**22 is the largest power of ten that a double holds exactly."""
_POWERS: Final = np.array([float(10**power) for power in range(_MAX_EXACT_POWER + 1)])


def to_json_text(answer: Any) -> str:
    """Return the JSON text of a frozen answer dataclass.

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
    text = _writer_of_class(type(answer))(answer)
    if any(word in text for word in _NOT_FINITE):
        return _NON_FINITE_FIGURE.sub("null", text)
    return text


def to_json_values(answer: Any) -> JsonObject:
    """Return the same as a dict of JSON values."""
    values: JsonObject = orjson.loads(to_json_text(answer))
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
    return float(_FIGURE % value)


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


def _any(value: Any) -> str:
    return orjson.dumps(value).decode()


def _quoted(render: Callable[[Any], str]) -> Writer:
    """Return a writer of text that needs no escape."""
    return lambda value: f'"{render(value)}"'


@lru_cache(maxsize=4096)
def _measured_point(point: MeasuredPoint) -> str:
    """Write a measured point once: a catalog has a few hundred, and every estimate names some."""
    return _writer_of_class(MeasuredPoint)(point)


def _figure(value: float) -> str:
    return _FIGURE % value


_SLOTS: Mapping[object, str] = {float: _FIGURE, int: "%d"}
"""Types that the template itself writes."""
_WRITERS: Mapping[object, Writer] = {
    float: _figure,
    int: str,
    bool: lambda value: "true" if value else "false",
    # The standard library's own, in C: quotes and escapes.
    str: encode_basestring,
    object: _any,
    Figures: _any,
    Any: _any,
    Decimal: _quoted(render_decimal),
    datetime: _quoted(render_datetime),
    date: _quoted(render_date),
    EstimateRequest: lambda value: _any(request_to_json_values(value)),
    MeasuredPoint: lambda value: _measured_point(value),
}


def _writer_of(hint: object) -> Writer:
    """Choose the writer of one type hint."""
    if hint in _WRITERS:
        return _WRITERS[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _optional_of([item for item in arguments if item is not NoneType])
    if origin is tuple or (isinstance(origin, type) and issubclass(origin, list)):
        return _list_of(_writer_of(arguments[0]))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping_of(arguments[1])
    if is_dataclass(hint) and isinstance(hint, type):
        return _writer_of_class(hint)
    if all(isinstance(item, str) for item in arguments) and arguments:
        return encode_basestring
    raise TypeError(f"{hint!r} has no JSON form; give it one in service/application/render.py.")


def _optional_of(hints: list[object]) -> Writer:
    write, *others = [_writer_of(hint) for hint in hints]
    if any(other is not write for other in others):
        raise TypeError(f"A union of {hints!r} has no single JSON form.")
    if write is _figure:
        # The most frequent by far: figures that a listing may lack.
        return lambda value: "null" if value is None else _FIGURE % value
    return lambda value: "null" if value is None else write(value)


def _list_of(write: Writer) -> Writer:
    return lambda value: f"[{','.join(map(write, value))}]"


def _mapping_of(hint: object) -> Writer:
    """Write a mapping by a template made of its keys; the same few sets of keys come again and again."""
    templates: dict[tuple[str, ...], str] = {}
    slot, write = _SLOTS.get(hint, "%s"), _writer_of(hint)
    plain = hint in _SLOTS

    def write_mapping(value: Mapping[str, Any]) -> str:
        keys = tuple(value)
        template = templates.get(keys)
        if template is None:
            template = _object_template((key, slot) for key in keys)
            if len(templates) < MOST_SHARED:
                templates[keys] = template
        items = value.values()
        return template % tuple(items if plain else map(write, items))

    return write_mapping


def _object_template(slots: Iterable[tuple[str, str]]) -> str:
    """Return the template of an object, from its keys and what stands for their values."""
    members = (f"{encode_basestring(key).replace('%', '%%')}:{slot}" for key, slot in slots)
    return f"{{{','.join(members)}}}"


def _writer_of_class(owner: type[Any]) -> Writer:
    """Build the writer of a dataclass once: one template, and the writers of what it cannot write."""
    if owner in _BUILT:
        return _BUILT[owner]
    hints = get_type_hints(owner, include_extras=True)
    names = [field.name for field in fields(owner)]
    inline = {name: get_args(hints[name])[0] for name in names if INLINE in get_args(hints[name])}
    writers: list[tuple[int, Writer]] = []
    for place, name in enumerate(names):
        if name in inline:
            writers.append((place, _Shared(_writer_of(inline[name])).members))
        elif hints[name] not in _SLOTS:
            writers.append((place, _writer_of(hints[name])))
    slots = [(name, _SLOTS.get(hints[name], "%s")) for name in names]
    template = _object_template(slots)
    for name in inline:
        template = template.replace(f'"{name}":%s', "%s")
    # One name more, because attrgetter returns no tuple for a single name.
    read: Callable[[Any], tuple[Any, ...]] = attrgetter(*names, "__class__")

    def write_instance(value: Any) -> str:
        values = list(read(value))
        values.pop()
        for place, write in writers:
            values[place] = write(values[place])
        return template % tuple(values)

    _BUILT[owner] = write_instance
    return write_instance


_BUILT: dict[type[Any], Writer] = {}


class _Shared:
    """Texts of values that many answers hold, by identity."""

    def __init__(self, write: Writer) -> None:
        self._write = write
        self._known: dict[int, tuple[Any, str]] = {}

    def members(self, value: Any) -> str:
        """Return the members of a value's object, without its braces."""
        found = self._known.get(id(value))
        if found is None:
            if len(self._known) >= MOST_SHARED:
                self._known.clear()
            # The value is held beside its text, so that its id stays its own.
            found = self._known[id(value)] = (value, self._write(value)[1:-1])
        return found[1]


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
