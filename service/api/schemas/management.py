"""Bodies and answers of keys and of the audit log."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from service.api.schemas.fields import REQUEST_CONFIG, Moment, Name
from service.application.write_ports.keys import SCOPES, ApiKeyRecord, AuditEvent, Scope


class KeyBody(BaseModel):
    """A key to make."""

    model_config = REQUEST_CONFIG

    label: Name
    """Whose key it is, for people."""
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(SCOPES))]
    """What it may: read, price, write (includes read), admin (includes all)."""
    expires_at: Moment | None = None
    """From then on it is refused; never where left out."""


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key without its text."""

    id: str
    label: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewKeyView:
    """A key just made."""

    id: str
    key: str
    """The whole key, shown this once; only its digest is kept."""
    label: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class KeysView:
    """All keys, oldest first."""

    data: tuple[KeyView, ...]


@dataclass(frozen=True, slots=True)
class AuditEventView:
    """One line of the audit log."""

    id: int
    recorded_at: datetime
    actor: str
    """`key:<id>` or `cli`."""
    action: str
    target: str
    revision: int | None
    """The catalog revision that was written, if one was."""
    detail: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class AuditPageView:
    """Part of the audit log, oldest first."""

    data: tuple[AuditEventView, ...]
    next_after: int | None
    """`after` of the next page; null at the end."""


def view_key(record: ApiKeyRecord) -> KeyView:
    """Return a key as it is shown."""
    return KeyView(
        record.id, record.label, record.scopes, record.created_at, record.expires_at, record.revoked_at
    )


def view_new_key(record: ApiKeyRecord, text: str) -> NewKeyView:
    """Return a key as it is shown once."""
    return NewKeyView(
        id=record.id,
        key=text,
        label=record.label,
        scopes=record.scopes,
        created_at=record.created_at,
        expires_at=record.expires_at,
        revoked_at=record.revoked_at,
    )


def view_event(event: AuditEvent) -> AuditEventView:
    """Return a line of the audit log."""
    entry = event.entry
    return AuditEventView(
        event.id, event.recorded_at, entry.actor, entry.action, entry.target, entry.revision, entry.detail
    )
