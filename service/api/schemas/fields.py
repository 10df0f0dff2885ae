"""Types that request fields share: strict numbers, exact amounts, times, ids; and the limits."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from service.api.strict_json import LiteralFloat
from service.billing.errors import AmountError
from service.billing.money import parse_amount, parse_currency

MAX_INTEGER: Final = 2**53 - 1
"""Largest integer that every JSON reader keeps exactly."""
MAX_CLASSES: Final = 256
MAX_SAMPLES: Final = 4096
MAX_LAYERS: Final = 2048
MAX_ACCELERATORS: Final = 65_536
MAX_DEFAULTED: Final = 4096
MAX_CURVE_POINTS: Final = 20_000
STATED_LIMITS: Final = frozenset(
    {MAX_INTEGER, MAX_CLASSES, MAX_SAMPLES, MAX_ACCELERATORS, MAX_DEFAULTED, MAX_CURVE_POINTS}
)
"""Upper bounds whose violation is ``limit-exceeded`` and not merely out of range (CONTRACT 7)."""

_REVISION = re.compile(r"r(0|[1-9][0-9]{0,15})", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?)([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)

_TIME_PATTERN = r"\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,6})?([Zz]|[+-]\d{2}:\d{2}))?"

REQUEST_CONFIG = ConfigDict(
    extra="forbid", strict=True, allow_inf_nan=False, frozen=True, use_attribute_docstrings=True
)


def read_amount(value: object) -> Decimal:
    """Return an exact amount that is not negative, from a string, an integer or a number literal."""
    if isinstance(value, LiteralFloat):
        if "e" in value.literal.lower():
            raise PydanticCustomError("invalid_amount", "an amount is written without an exponent")
        value = Decimal(value.literal)
    elif isinstance(value, float):
        value = Decimal(repr(value))
    try:
        amount = parse_amount(value)
    except AmountError as error:
        raise PydanticCustomError("invalid_amount", "{reason}", {"reason": error.message}) from None
    if amount < 0:
        raise PydanticCustomError("greater_than_equal", "an amount cannot be negative", {"ge": 0})
    return amount


def read_currency(value: object) -> str:
    """Return an ISO 4217 code in capitals."""
    try:
        return parse_currency(value)
    except AmountError as error:
        raise PydanticCustomError("invalid_currency", "{reason}", {"reason": error.message}) from None


def read_moment(value: object) -> datetime:
    """Return the UTC time of a date (its start) or of an RFC 3339 time with offset."""
    if isinstance(value, str):
        try:
            if _DAY.fullmatch(value):
                day = date.fromisoformat(value)
                return datetime(day.year, day.month, day.day, tzinfo=UTC)
            match = _TIME.fullmatch(value)
            if match:
                offset = "+00:00" if match[3] in "Zz" else match[3]
                return datetime.fromisoformat(f"{match[1]}T{match[2]}{offset}").astimezone(UTC)
        except (ValueError, OverflowError):
            pass  # a day or an hour that does not exist; refused below like any other text
    raise PydanticCustomError(
        "invalid_time",
        "a date (2026-01-31) or an RFC 3339 time with its offset (2026-01-31T12:00:00Z) is expected",
    )


def read_known_at(value: object) -> int | datetime:
    """Return a revision number (``r12``) or a time."""
    if isinstance(value, str) and (match := _REVISION.fullmatch(value)):
        return int(match[1])
    try:
        return read_moment(value)
    except PydanticCustomError:
        raise PydanticCustomError(
            "invalid_time",
            "a revision (r12), a date (2026-01-31) or an RFC 3339 time with its offset is expected",
        ) from None


def _text_schema(**members: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", **members})


Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Count = Annotated[int, Field(ge=1, le=MAX_INTEGER)]
CountOrZero = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
AcceleratorCount = Annotated[int, Field(ge=1, le=MAX_ACCELERATORS)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
PositiveShare = Annotated[float, Field(gt=0, le=1)]
Amount = Annotated[
    Decimal,
    BeforeValidator(read_amount),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "decimal", "pattern": r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,18})?$"},
                {"type": "number", "minimum": 0},
            ]
        }
    ),
]
Currency = Annotated[str, BeforeValidator(read_currency), _text_schema(pattern="^[A-Z]{3}$")]
Moment = Annotated[
    datetime,
    BeforeValidator(read_moment),
    _text_schema(
        pattern=f"^{_TIME_PATTERN}$",
        description="A date (its start, UTC) or an RFC 3339 time with offset.",
    ),
]
KnownAt = Annotated[
    int | datetime,
    BeforeValidator(read_known_at),
    _text_schema(
        pattern=rf"^(r(0|[1-9][0-9]{{0,15}})|{_TIME_PATTERN})$",
        description="A revision (r12), a date or an RFC 3339 time.",
    ),
]
