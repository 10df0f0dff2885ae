"""The one parser of request bodies: JSON as RFC 8259 means it, and nothing that merely looks like it.

Refused with a reason: NaN and infinities, numbers beyond a double (1e400), duplicate keys, lone
surrogates, invalid UTF-8, a byte order mark, nesting deeper than 64. Number literals with a fraction
or an exponent keep their text, so money can be read exactly.
"""

import json
import re
from typing import Any

import numpy as np
import orjson

MAX_DEPTH = 64

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NESTING = np.zeros(256, dtype=np.int8)
_NESTING[[ord("["), ord("{")]] = 1
_NESTING[[ord("]"), ord("}")]] = -1

_JSON_SPACE = b" \t\r\n"


class UnreadableJsonError(Exception):
    """The text is not JSON that this service accepts.

    Parameters
    ----------
    message
        What is wrong and where, for a person.
    code
        Name of the problem type.
    """

    def __init__(self, message: str, code: str = "unreadable-json") -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class LiteralFloat(float):
    """A float that remembers how it was written, ``0.10`` and not 0.1."""

    __slots__ = ("literal",)
    literal: str

    def __new__(cls, literal: str) -> "LiteralFloat":
        """Read the literal."""
        number = super().__new__(cls, literal)
        number.literal = literal
        return number


def parse_strict_json(text: bytes) -> Any:
    """Return the value that a JSON text denotes.

    Parameters
    ----------
    text
        The whole body.

    Returns
    -------
    Any
        dict, list, str, int, LiteralFloat, bool or None.

    Raises
    ------
    UnreadableJsonError
        If the text breaks a rule of this module.
    """
    if not text.strip(_JSON_SPACE):
        raise UnreadableJsonError("The body is empty; a JSON object is expected.", "empty-body")
    try:
        # orjson is strict about everything but duplicate keys and depth, and it does not recurse
        # without bound; once it has passed, the standard parser below cannot fail on syntax.
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _explained(error, text) from None
    if text.count(b"[") + text.count(b"{") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise UnreadableJsonError(f"The body is nested deeper than {MAX_DEPTH} levels.", "nested-too-deep")
    try:
        return json.loads(text.decode(), object_pairs_hook=_unique_pairs, parse_float=LiteralFloat)
    except ValueError as error:
        # Only the interpreter's limit on the digits of an integer is left.
        raise UnreadableJsonError(f"A number cannot be read: {error}.") from None


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) == len(pairs):
        return result
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise UnreadableJsonError(
                f"The key {key[:80]!r} appears twice in one object; which one is meant is not guessed.",
                "duplicate-key",
            )
        seen.add(key)
    return result


def _depth(text: bytes) -> int:
    """Return the deepest nesting of a syntactically valid text, without recursion."""
    marks = np.frombuffer(_STRING.sub(b"", text), dtype=np.uint8)
    return int(np.cumsum(_NESTING[marks], dtype=np.int32).max(initial=0))


def _explained(error: orjson.JSONDecodeError, text: bytes) -> UnreadableJsonError:
    reason = str(error.msg)
    where = f"line {error.lineno}, column {error.colno}"
    if "depth" in reason:
        return UnreadableJsonError(f"The body is nested deeper than {MAX_DEPTH} levels.", "nested-too-deep")
    if "BOM" in reason or text.startswith(b"\xef\xbb\xbf"):
        return UnreadableJsonError("The body starts with a byte order mark; send plain UTF-8.")
    if "UTF-8" in reason:
        return UnreadableJsonError("The body is not valid UTF-8.")
    if "surrogate" in reason:
        return UnreadableJsonError(f"The body holds a lone surrogate ({where}); no text contains one.")
    if "infinity" in reason:
        return UnreadableJsonError(f"The body holds a number beyond what a double can carry ({where}).")
    # Positions count characters, so the text is shown only where those are bytes.
    near = text[error.pos : error.pos + 16].decode() if text.isascii() else ""
    hint = " NaN and Infinity are not JSON." if re.match(r"N|-?I", near) else ""
    shown = f", at {near!r}" if near else ""
    return UnreadableJsonError(f"The body is not JSON: {reason} ({where}{shown}).{hint}")
