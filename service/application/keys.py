"""API keys: how they are made, checked, listed and revoked.

A key reads ``ptk_<id>_<256 bits>``. It is shown once; what is kept is the SHA-256 of its text. A fast
digest is enough: nobody guesses 256 random bits, and a slow one would cost every request.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from service.application.errors import (
    AuthenticationError,
    ForbiddenError,
    InvalidRequestError,
    UnknownIdError,
)
from service.application.write_ports.keys import (
    SCOPES,
    ApiKeyRecord,
    AuditEntry,
    KeyStore,
    Scope,
)

PREFIX: Final = "ptk"
LABEL_CHARACTERS: Final = 200
_ID_BYTES: Final = 6
_SECRET_BYTES: Final = 32
_ID: Final = re.compile(rf"[0-9a-f]{{{2 * _ID_BYTES}}}", re.ASCII)
_FORM: Final = re.compile(
    rf"{PREFIX}_([0-9a-f]{{{2 * _ID_BYTES}}})_[0-9a-f]{{{2 * _SECRET_BYTES}}}", re.ASCII
)
_NOBODY: Final = "0" * 64
"""Compared with where no such key exists, so that both refusals take the same time."""

_IMPLIED: Final[Mapping[Scope, frozenset[Scope]]] = {
    "read": frozenset({"read"}),
    "price": frozenset({"price"}),
    "write": frozenset({"write", "read"}),
    "admin": frozenset(SCOPES),
}


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made, with its text, which nobody can get again."""

    record: ApiKeyRecord
    text: str


def key_id_of(text: str) -> str:
    """Return the id inside the text of a key.

    Raises
    ------
    AuthenticationError
        For a text of another form; it is not repeated in the message.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise AuthenticationError("The key has not the form ptk_<id>_<64 hexadecimal digits>.")
    return match[1]


def check_key(text: str, record: ApiKeyRecord | None, now: datetime) -> ApiKeyRecord:
    """Return the record of a key that is in force.

    Parameters
    ----------
    text
        As the caller sent it.
    record
        What is known under its id.
    now
        Decides about expiry.

    Raises
    ------
    AuthenticationError
        For an unknown, wrong, revoked or expired key.
    """
    known = _NOBODY if record is None else record.secret_sha256
    if not hmac.compare_digest(_digest(text), known) or record is None:
        raise AuthenticationError("The key is not known.")
    if record.revoked_at is not None:
        raise AuthenticationError(f"Key {record.id} was revoked.")
    if record.expires_at is not None and record.expires_at <= now:
        raise AuthenticationError(f"Key {record.id} expired at {record.expires_at.isoformat()}.")
    return record


def check_scope(record: ApiKeyRecord, needed: Scope) -> None:
    """Refuse a key that does not carry a scope.

    Raises
    ------
    ForbiddenError
        Naming the scope.
    """
    if not any(needed in _IMPLIED[scope] for scope in record.scopes):
        carried = ", ".join(record.scopes) or "none"
        raise ForbiddenError(
            f"Key {record.id} has the scopes {carried}; this needs {needed}.",
            accepted={"scopes": [scope for scope in SCOPES if needed in _IMPLIED[scope]]},
        )


class Keys:
    """The keys as their administrators see them.

    Parameters
    ----------
    store
        Where keys are kept.
    clock
        The time, UTC.
    """

    def __init__(self, store: KeyStore, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def authenticate(self, text: str) -> ApiKeyRecord:
        """Return the record of a key by asking the database, so that a revocation counts at once.

        Raises
        ------
        AuthenticationError
            For a key that is not in force.
        UnavailableError
            Where the database does not answer.
        """
        return check_key(text, self._store.find(key_id_of(text)), self._clock())

    def create(self, label: str, scopes: Iterable[str], expires_at: datetime | None, actor: str) -> NewKey:
        """Make a key.

        Raises
        ------
        InvalidRequestError
            For an empty label, no scope, an unknown one, or an expiry that has passed.
        """
        chosen = _sorted_scopes(scopes)
        now = self._clock()
        if not label.strip() or len(label) > LABEL_CHARACTERS:
            raise InvalidRequestError(
                f"A key needs a label of 1 to {LABEL_CHARACTERS} characters that tells whose it is.",
                field="label",
            )
        if expires_at is not None and expires_at <= now:
            raise InvalidRequestError(
                f"The key would have expired at {expires_at.isoformat()} already.", field="expires_at"
            )
        key_id = secrets.token_hex(_ID_BYTES)
        text = f"{PREFIX}_{key_id}_{secrets.token_hex(_SECRET_BYTES)}"
        record = ApiKeyRecord(key_id, _digest(text), label.strip(), chosen, now, expires_at, None)
        detail = {
            "label": record.label,
            "scopes": list(chosen),
            "expires_at": None if expires_at is None else expires_at.isoformat(),
        }
        self._store.add(record, AuditEntry(actor, "key.create", f"key:{key_id}", None, detail))
        return NewKey(record, text)

    def all(self) -> Sequence[ApiKeyRecord]:
        """Return all keys, revoked and expired ones too."""
        return self._store.all()

    def get(self, key_id: str) -> ApiKeyRecord:
        """Return one key that was not revoked.

        Raises
        ------
        UnknownIdError
            Where there is none of this id, or no longer.
        """
        record = self._find(key_id)
        if record.revoked_at is not None:
            told = f"Key {key_id} was revoked at {record.revoked_at.isoformat()}; the list still has it."
            raise UnknownIdError("key", key_id, (), message=told)
        return record

    def _find(self, key_id: str) -> ApiKeyRecord:
        record = self._store.find(key_id) if _ID.fullmatch(key_id) else None
        if record is None:
            raise UnknownIdError("key", key_id[:40], ())
        return record

    def revoke(self, key_id: str, actor: str) -> ApiKeyRecord:
        """End a key for good; a second time changes nothing.

        Raises
        ------
        UnknownIdError
            Where there is none of this id.
        """
        self._find(key_id)
        audit = AuditEntry(actor, "key.revoke", f"key:{key_id}", None, {})
        record = self._store.revoke(key_id, self._clock(), audit)
        if record is None:
            raise UnknownIdError("key", key_id[:40], ())
        return record


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _sorted_scopes(scopes: Iterable[str]) -> tuple[Scope, ...]:
    wanted = set(scopes)
    unknown = sorted(wanted.difference(SCOPES))
    if unknown or not wanted:
        found = f"{unknown[0]!r} is no scope" if unknown else "A key needs a scope"
        raise InvalidRequestError(
            f"{found}; the scopes are {', '.join(SCOPES)}.",
            field="scopes",
            code="invalid-choice",
            accepted={"scopes": list(SCOPES)},
        )
    return tuple(scope for scope in SCOPES if scope in wanted)
