"""Reads YAML as plain values: exact decimals, no aliases, no duplicate keys, dates as text.

Built from the parser's events, not its nodes: libyaml's composer recurses in C, and hostile nesting
would end the process. Only null, true, false, integers and decimals are read from plain scalars;
everything else is text, so a version ``1.10`` must be quoted and ``no`` is a word.
"""

import re
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import yaml

MAX_BYTES: Final = 16 * 2**20
MAX_DEPTH: Final = 64
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,29})", re.ASCII)
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,29})\.[0-9]{1,30}", re.ASCII)
_WORDS: Final[dict[str, bool | None]] = {"": None, "~": None, "null": None, "true": True, "false": False}
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlError(ValueError):
    """A file is not YAML, or uses what seeds and imports may not use."""


def read_yaml(path: Path, *, exact: bool = True) -> Any:
    """Return the document in a file.

    Parameters
    ----------
    path
        The file.
    exact
        True gives decimals as ``Decimal``, False as ``float``.

    Raises
    ------
    YamlError
        Naming the line, where the file is too large, not YAML, or uses aliases, tags, duplicate keys,
        keys that are no text, or more than one document.
    """
    if path.stat().st_size > MAX_BYTES:
        raise YamlError(f"larger than {MAX_BYTES} bytes")
    return parse_yaml(path.read_bytes(), exact=exact)


def parse_yaml(content: bytes | str, *, exact: bool = True) -> Any:
    """Return the document in a text; see :func:`read_yaml`."""
    builder = _Builder(exact=exact)
    try:
        for event in yaml.parse(content, Loader=_LOADER):
            builder.take(event)
    except yaml.YAMLError as error:
        raise YamlError(" ".join(str(error).split())) from error
    except UnicodeError as error:
        raise YamlError(f"not readable as text: {error}") from error
    return builder.document


class _Builder:
    """Builds one document from events with a stack of its own."""

    def __init__(self, *, exact: bool) -> None:
        self.document: Any = None
        self._exact = exact
        self._documents = 0
        self._open: list[list[Any] | dict[str, Any]] = []
        self._keys: list[str | None] = []
        """For each open collection the key that waits for its value; None in lists."""

    def take(self, event: yaml.Event) -> None:
        """Take the next event."""
        if isinstance(event, yaml.AliasEvent):
            raise YamlError(f"{_line(event)}: aliases are not accepted; write the value out")
        if isinstance(event, yaml.ScalarEvent):
            self._take_scalar(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._start(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
            self._keys.pop()
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise YamlError(f"{_line(event)}: only one document is accepted")

    def _start(self, event: yaml.CollectionStartEvent) -> None:
        if event.tag is not None:
            raise YamlError(f"{_line(event)}: tag {event.tag} is not accepted")
        if len(self._open) >= MAX_DEPTH:
            raise YamlError(f"{_line(event)}: nested deeper than {MAX_DEPTH}")
        collection: list[Any] | dict[str, Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._place(collection, event)
        self._open.append(collection)
        self._keys.append(None)

    def _take_scalar(self, event: yaml.ScalarEvent) -> None:
        if event.tag is not None:
            raise YamlError(f"{_line(event)}: tag {event.tag} is not accepted")
        text: str = event.value
        if self._open and isinstance(self._open[-1], dict) and self._keys[-1] is None:
            if text in self._open[-1]:
                raise YamlError(f"{_line(event)}: key {text!r} appears twice")
            if text == "<<":
                raise YamlError(f"{_line(event)}: merge keys are not accepted")
            self._keys[-1] = text
            return
        self._place(self._plain(text) if event.style is None or event.style == "" else text, event)

    def _place(self, value: Any, event: yaml.Event) -> None:
        if not self._open:
            self.document = value
            return
        parent, key = self._open[-1], self._keys[-1]
        if isinstance(parent, list):
            parent.append(value)
            return
        if key is None:
            raise YamlError(f"{_line(event)}: a key must be a plain text")
        parent[key] = value
        self._keys[-1] = None

    def _plain(self, text: str) -> Any:
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            return int(text)
        if _DECIMAL.fullmatch(text):
            return Decimal(text) if self._exact else float(text)
        return text


def _line(event: yaml.Event) -> str:
    mark = event.start_mark
    return "somewhere" if mark is None else f"line {mark.line + 1}"
