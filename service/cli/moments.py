"""Points in time as a person types them."""

import re
from datetime import UTC, date, datetime

from service.application.errors import InvalidRequestError
from service.application.ports import CatalogSnapshot

_REVISION = re.compile(r"r?([0-9]{1,15})")


def read_moment(text: str, field: str) -> datetime:
    """Read a day (midnight UTC) or an RFC 3339 time with its offset.

    Raises
    ------
    InvalidRequestError
        Where it is neither, or a time lacks its offset.
    """
    try:
        if len(text) == len("2026-01-31"):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError("a time needs its offset")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidRequestError(
            f"{text!r} is not a day or a time with its offset: {error}.",
            field=field,
            code="invalid-time",
            accepted={"examples": ["2026-01-31", "2026-01-31T12:00:00Z"]},
        ) from error


def read_known_at(text: str, snapshot: CatalogSnapshot) -> int:
    """Read a catalog revision: ``r12``, or the last one recorded by a time.

    Raises
    ------
    InvalidRequestError
        Where it is neither, or the revision is still to come.
    """
    match = _REVISION.fullmatch(text)
    revision = int(match[1]) if match else snapshot.revision_at(read_moment(text, "known_at"))
    newest = snapshot.info.revision
    if revision > newest:
        raise InvalidRequestError(
            f"Revision r{revision} does not exist yet.",
            field="known_at",
            code="unknown-revision",
            accepted={"newest": f"r{newest}"},
        )
    return revision
