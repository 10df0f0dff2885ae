"""Keys and the audit log, as records and Protocols."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Protocol

Scope = Literal["read", "price", "write", "admin"]
SCOPES: Final[tuple[Scope, ...]] = ("read", "price", "write", "admin")


@dataclass(frozen=True, slots=True)
class ApiKeyRecord:
    """A key as it is kept: its secret only as a digest."""

    id: str
    secret_sha256: str
    """Hex SHA-256 of the whole key text."""
    label: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to what."""

    actor: str
    """``key:<id>``, or ``cli``."""
    action: str
    target: str
    revision: int | None
    """The catalog revision that was written, if one was."""
    detail: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """An audit entry as it is kept."""

    id: int
    recorded_at: datetime
    entry: AuditEntry


class KeyStore(Protocol):
    """The keys in the database."""

    def find(self, key_id: str) -> ApiKeyRecord | None:
        """Return a key, revoked and expired ones too."""
        ...

    def all(self) -> Sequence[ApiKeyRecord]:
        """Return all keys, oldest first."""
        ...

    def add(self, record: ApiKeyRecord, audit: AuditEntry) -> None:
        """Keep a new key and who made it."""
        ...

    def revoke(self, key_id: str, moment: datetime, audit: AuditEntry) -> ApiKeyRecord | None:
        """End a key; an ended one stays as it is. None where there is no such key."""
        ...


class KeyRing(Protocol):
    """The keys that were not revoked, in memory, as of the last look at the database."""

    def keys(self) -> Mapping[str, ApiKeyRecord]:
        """Return the keys by id."""
        ...


class AuditReader(Protocol):
    """The audit log."""

    def events(self, after: int, limit: int) -> Sequence[AuditEvent]:
        """Return entries after a number, in order."""
        ...
