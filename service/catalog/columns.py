"""Column types that mean the same in PostgreSQL and SQLite."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import orjson
from sqlalchemy import DateTime, Dialect, Numeric, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from service.billing.money import format_amount


def instant_text(moment: datetime) -> str:
    """Return a time as SQLite keeps it.

    Raises
    ------
    ValueError
        For a time without an offset.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no offset; the catalog keeps UTC")
    utc = moment.astimezone(UTC)
    return utc.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


_CANONICAL: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
)


def canonical_json(value: object) -> str:
    """Return the one text of a JSON value: sorted keys, no blanks, no NaN."""
    return _CANONICAL.encode(value)


class ExactDecimal(TypeDecorator[Decimal]):
    """NUMERIC(30, 18) in PostgreSQL, canonical text in SQLite; never compared or sorted in SQL."""

    impl = Numeric(30, 18)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose TEXT for SQLite, whose NUMERIC is a binary float."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Text())
        return dialect.type_descriptor(Numeric(30, 18))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Write the canonical form."""
        if value is None:
            return None
        text = format_amount(value)
        return text if dialect.name == "sqlite" else Decimal(text)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """Read the canonical form, whatever scale the server adds."""
        if value is None or dialect.name == "sqlite":
            return None if value is None else Decimal(value)
        return Decimal(format_amount(value))


class UtcInstant(TypeDecorator[datetime]):
    """TIMESTAMP WITH TIME ZONE in PostgreSQL, fixed-width RFC 3339 text in SQLite; always UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose TEXT for SQLite, which has no time type."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Text())
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Refuse naive times and write UTC."""
        if value is None:
            return None
        text = instant_text(value)
        return text if dialect.name == "sqlite" else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Read as UTC."""
        if value is None:
            return None
        if dialect.name == "sqlite":
            return datetime.fromisoformat(value)
        moment: datetime = value
        return moment.astimezone(UTC)


class CanonicalJson(TypeDecorator[Mapping[str, object]]):
    """A JSON document as its canonical text, so that its bytes are equal in every database."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, object] | None, dialect: Dialect) -> str | None:
        """Write the canonical text."""
        return None if value is None else canonical_json(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Mapping[str, object] | None:
        """Parse the text."""
        if value is None:
            return None
        document: Mapping[str, object] = orjson.loads(value)
        return document
