"""Checked reading of one configuration mapping: types, bounds, spellings, and what was never read."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from service.engine.errors import InvalidInputError, UnsupportedError
from service.engine.spec_checks import MAX_LAYERS
from service.model_configs.vocabulary import INTEGER_FIELDS, SPELLINGS, is_structural

_MAX_VALUE: Final = 2**53 - 1
_MAX_FIELDS: Final = 2000


def invalid(field: str, message: str, **accepted: object) -> InvalidInputError:
    """Return the error of a value that breaks a rule, ready to raise."""
    return InvalidInputError(
        f"{field}: {message}.", field=field, code="invalid-model-config", accepted=accepted
    )


def unsupported(field: str, message: str, **accepted: object) -> UnsupportedError:
    """Return the error of a structure that no part covers, ready to raise."""
    return UnsupportedError(
        f"{field}: {message}.", field=field, code="unsupported-architecture", accepted=accepted
    )


class ConfigReader:
    """Reads a configuration by our names for its fields and remembers what was read.

    Parameters
    ----------
    values
        The configuration as written.
    path
        Dotted path of the mapping in the document, empty at the top.
    defaults
        What the architecture's class takes where a field is absent (never where it is null).
    """

    def __init__(
        self, values: Mapping[str, object], path: str = "", defaults: Mapping[str, object] | None = None
    ) -> None:
        if len(values) > _MAX_FIELDS:
            raise invalid(path or "config", f"{len(values)} fields; at most {_MAX_FIELDS} are read")
        self._values = values
        self._path = path
        self._defaults = defaults or {}
        self._read: set[str] = set()
        self._taken: dict[str, object] = {}

    def field(self, name: str) -> str:
        """Return the dotted path of a field, in the spelling that the configuration uses."""
        found = next((key for key in SPELLINGS.get(name, (name,)) if key in self._values), name)
        found = SPELLINGS[name][0] if found == name and name in SPELLINGS else found
        return f"{self._path}.{found}" if self._path else found

    def has(self, name: str) -> bool:
        """Tell whether a field is written and neither null nor switched off."""
        return not _neutral(self.raw(name))

    def states(self, name: str) -> bool:
        """Tell whether the configuration itself writes the field, null included."""
        return any(key in self._values for key in SPELLINGS.get(name, (name,)))

    def raw(self, name: str) -> object:
        """Return a field under any of its spellings, or the class's default; null is None.

        Raises
        ------
        InvalidInputError
            Where two spellings disagree.
        """
        keys = SPELLINGS.get(name, (name,))
        self._read.update(keys)
        written = [(key, self._values[key]) for key in keys if key in self._values]
        stated = [(key, value) for key, value in written if value is not None]
        for key, value in stated[1:]:
            if value != stated[0][1]:
                raise invalid(
                    f"{self._path}.{key}" if self._path else key,
                    f"{value!r:.60} contradicts {stated[0][0]} = {stated[0][1]!r:.60}",
                )
        if written:
            return stated[0][1] if stated else None
        return next((self._defaults[key] for key in keys if key in self._defaults), None)

    def optional_integer(self, name: str, *, minimum: int = 1) -> int | None:
        """Return an integer of at least ``minimum``, None where absent or null."""
        value = self.raw(name)
        if value is None:
            return None
        if not self.states(name):
            self._taken[SPELLINGS.get(name, (name,))[0]] = value
        if isinstance(value, float) and value.is_integer() and abs(value) <= _MAX_VALUE:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise invalid(self.field(name), f"{value!r:.60} is not an integer", type="integer")
        if not minimum <= value <= _MAX_VALUE:
            raise invalid(
                self.field(name),
                f"{value!r:.60} is outside {minimum} to {_MAX_VALUE}",
                minimum=minimum,
                maximum=_MAX_VALUE,
            )
        return value

    def integer(self, name: str, *, default: int | None = None, minimum: int = 1) -> int:
        """Return an integer; without a default the field is required."""
        value = self.optional_integer(name, minimum=minimum)
        if value is None:
            value = default
        if value is None:
            raise invalid(
                self.field(name), "required field is missing", required=True, spellings=SPELLINGS.get(name)
            )
        return value

    def number(self, name: str) -> float | None:
        """Return a finite number, None where absent."""
        value = self.raw(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise invalid(self.field(name), f"{value!r:.60} is not a finite number", type="number")
        return float(value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean; null and absent mean the default."""
        value = self.raw(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise invalid(self.field(name), f"{value!r:.60} is not a boolean", type="boolean")
        return value

    def text(self, name: str) -> str | None:
        """Return a string, None where absent."""
        value = self.raw(name)
        if value is not None and not isinstance(value, str):
            raise invalid(self.field(name), f"{value!r:.60} is not a string", type="string")
        return value

    def section(self, name: str) -> "ConfigReader | None":
        """Return a nested mapping as a reader of its own, None where absent."""
        value = self.raw(name)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise invalid(self.field(name), "a mapping is expected", type="object")
        return ConfigReader(value, self.field(name))

    def items(self, name: str, length: int | None = None) -> Sequence[object] | None:
        """Return a list, None where absent; its length is bounded and, where named, checked.

        A list may be longer by the layers that a checkpoint appends for multi-token prediction; the
        excess is cut off.
        """
        value = self.raw(name)
        if value is None:
            return None
        if not isinstance(value, list | tuple):
            raise invalid(self.field(name), "a list is expected", type="list")
        if len(value) > 2 * MAX_LAYERS:
            raise invalid(self.field(name), f"{len(value)} items are too many", maximum=2 * MAX_LAYERS)
        if length is None:
            return value
        appended = self.optional_integer("mtp_layers", minimum=0) or 0
        if len(value) not in (length, length + appended):
            raise invalid(self.field(name), f"{len(value)} items for {length} layers", length=length)
        return value[:length]

    def indices(self, name: str, limit: int, *, first: int = 0) -> frozenset[int]:
        """Return a list of layer indices as 0-based numbers, each below ``limit``."""
        found = set()
        for position, item in enumerate(self.items(name) or ()):
            if isinstance(item, bool) or not isinstance(item, int) or not first <= item < limit + first:
                raise invalid(f"{self.field(name)}[{position}]", f"{item!r:.60} is no layer index")
            found.add(item - first)
        return frozenset(found)

    @property
    def taken_defaults(self) -> str:
        """Fields that the configuration leaves to its class and that were looked at, as ``name = value``."""
        return ", ".join(f"{name} = {value}" for name, value in sorted(self._taken.items()))

    def check_integers(self) -> None:
        """Refuse a field that is an integer by name and is none, whether or not it is read later."""
        for key, value in self._values.items():
            if key in INTEGER_FIELDS and value is not None:
                ConfigReader({key: value}, self._path).optional_integer(key, minimum=0)

    def ignore(self, *names: str) -> None:
        """Mark fields as read: known not to change the structure here."""
        for name in names:
            self._read.update(SPELLINGS.get(name, (name,)))

    def refuse_unread(self) -> None:
        """Refuse fields that name structure and that nothing has read.

        Raises
        ------
        UnsupportedError
            Naming the first such field: it may change the model, and a guess would be silent.
        """
        for key, value in self._values.items():
            if key in self._read or _neutral(value) or not is_structural(key, value):
                continue
            where = f"{self._path}.{key}" if self._path else key
            raise unsupported(
                where, f"{value!r:.60} names structure that this architecture's parser does not know"
            )


def _neutral(value: object) -> bool:
    """Tell whether a value switches its field off."""
    return value is None or value is False or value in (0, "", "none") or value == [] or value == {}
