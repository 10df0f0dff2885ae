"""JSON on standard output, indented, keys in the order of the answer."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import orjson


def print_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write a value as JSON and a newline."""
    sys.stdout.flush()
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()
