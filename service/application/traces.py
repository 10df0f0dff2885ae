"""Traces of real services become requests: lengths, and what a prefix cache would have held.

Two public formats are read: the Azure LLM traces (CSV with TIMESTAMP, ContextTokens, GeneratedTokens)
and the Mooncake traces (JSON lines with input_length, output_length and hash_ids of prefix blocks).
Rows that cannot be used are told by line; more than 1 % of them refuse the trace.
"""

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import orjson

from service.application.errors import InvalidRequestError, LimitExceededError
from service.economics.rates import Array

TraceFormat = Literal["azure_csv", "mooncake_jsonl"]
CachePolicy = Literal["none", "prefix"]
MAX_BAD_SHARE: Final = 0.01
MAX_BAD_SHOWN: Final = 20
BLOCK_TOKENS: Final = 512
"""Tokens behind one hash of the Mooncake traces."""
AZURE_COLUMNS: Final = ("ContextTokens", "GeneratedTokens")
MAX_TOKENS: Final = 2**31
MAX_REQUESTS: Final = 1_000_000
"""Of one trace; each takes about 600 bytes while it is priced."""
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that was left out."""

    line: int
    """1-based, as an editor counts."""
    reason: str


@dataclass(frozen=True)
class Trace:
    """The usable requests of a trace."""

    requests: Array
    """Input, cached and output tokens, shape (N, 3)."""
    bad: tuple[BadLine, ...]
    bad_count: int

    @property
    def lines(self) -> int:
        """Return how many requests there were, bad ones included."""
        return int(self.requests.shape[0]) + self.bad_count


@dataclass(frozen=True, slots=True)
class TraceLimits:
    """What a request of a trace must keep to, and what the cache holds."""

    context_tokens: int
    cache: CachePolicy = "prefix"
    cache_blocks: int | None = None
    """Blocks that the prefix cache holds, least recently used ones dropped; all where None."""


def read_trace(text: str, form: TraceFormat, limits: TraceLimits) -> Trace:
    """Read a trace.

    Parameters
    ----------
    text
        The whole file.
    form
        Its format.
    limits
        The model's context and the prefix cache.

    Raises
    ------
    InvalidRequestError
        No header, no request, or more than 1 % bad lines (codes ``invalid-trace``, ``too-many-bad-lines``).
    LimitExceededError
        More than 1 000 000 requests.
    """
    rows = _azure_rows(text) if form == "azure_csv" else _mooncake_rows(text)
    cache = PrefixCache(limits.cache_blocks) if limits.cache == "prefix" else None
    good: list[tuple[float, float, float]] = []
    bad: list[BadLine] = []
    for line, row in rows:
        reason = row if isinstance(row, str) else _fault(row, limits.context_tokens)
        if reason or isinstance(row, str):
            bad.append(BadLine(line, reason))
            continue
        prompt, output, blocks = row
        cached = min(cache.hit(blocks) * BLOCK_TOKENS, prompt - 1) if cache is not None else 0
        good.append((float(prompt), float(cached), float(output)))
        if len(good) > MAX_REQUESTS:
            raise LimitExceededError(
                f"The trace has more than {MAX_REQUESTS} requests; take a sample of it.",
                field="trace.text",
                accepted={"maximum_requests": MAX_REQUESTS},
            )
    _refuse_bad(len(good), bad)
    return Trace(np.array(good, dtype=np.float64), tuple(bad[:MAX_BAD_SHOWN]), len(bad))


Row = tuple[int, int, Sequence[int]]


class PrefixCache:
    """Blocks of prefixes seen so far; a hit is the run of leading blocks that are there."""

    def __init__(self, capacity: int | None) -> None:
        self._blocks: OrderedDict[int, None] = OrderedDict()
        self._capacity = capacity

    def hit(self, blocks: Sequence[int]) -> int:
        """Return how many leading blocks are cached, and remember all of them."""
        found, kept = 0, self._blocks
        for block in blocks:
            if block not in kept:
                break
            found += 1
        for block in blocks:
            kept[block] = None
            if self._capacity is not None:
                kept.move_to_end(block)
                if len(kept) > self._capacity:
                    kept.popitem(last=False)
        return found


def _azure_rows(text: str) -> Iterator[tuple[int, Row | str]]:
    lines = _lines(text)
    header = next(lines, (1, ""))[1]
    names = [name.strip().lstrip("\ufeff") for name in header.split(",")]
    if not set(AZURE_COLUMNS) <= set(names):
        raise InvalidRequestError(
            f"The first line of the trace is {header[:80]!r}; a header with "
            f"{' and '.join(AZURE_COLUMNS)} is expected.",
            field="trace.text",
            code="invalid-trace",
            accepted={"columns": list(AZURE_COLUMNS)},
        )
    places = [names.index(name) for name in AZURE_COLUMNS]
    for line, content in lines:
        if content.strip():
            yield line, _azure_row(content, places, len(names))


def _azure_row(content: str, places: Sequence[int], wanted: int) -> Row | str:
    # No line continues on the next: a quotation mark left open must not swallow the rest of the file.
    cells = [cell.strip().strip('"') for cell in content.split(",")]
    if len(cells) <= max(places):
        return f"{len(cells)} cells, {wanted} expected"
    prompt, output = (cells[place] for place in places)
    if not (_WHOLE.fullmatch(prompt) and _WHOLE.fullmatch(output)):
        return f"no whole numbers: {prompt[:20]!r}, {output[:20]!r}"
    return int(prompt), int(output), ()


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with their numbers, as an editor counts them."""
    for number, content in enumerate(text.split("\n"), 1):
        yield number, content.rstrip("\r")


def _mooncake_rows(text: str) -> Iterator[tuple[int, Row | str]]:
    for line, content in _lines(text):
        if content.strip():
            yield line, _mooncake_row(content)


def _mooncake_row(content: str) -> Row | str:
    try:
        value: Any = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        return f"no JSON: {str(error)[:60]}"
    if not isinstance(value, dict):
        return "no JSON object"
    prompt, output, blocks = value.get("input_length"), value.get("output_length"), value.get("hash_ids", [])
    if type(prompt) is not int or type(output) is not int:
        return "input_length and output_length must be whole numbers"
    if not isinstance(blocks, list) or any(type(block) is not int for block in blocks):
        return "hash_ids must be a list of whole numbers"
    return prompt, output, blocks


def _fault(row: Row, context_tokens: int) -> str:
    prompt, output, _ = row
    if prompt < 1:
        return f"{prompt} input tokens; at least 1 is needed"
    if output < 1:
        return f"{output} output tokens; at least 1 is needed"
    if prompt + output > min(context_tokens, MAX_TOKENS):
        return f"{prompt + output} tokens; the model takes {context_tokens}"
    return ""


def _refuse_bad(good: int, bad: list[BadLine]) -> None:
    total = good + len(bad)
    if total == 0:
        raise InvalidRequestError("The trace has no request.", field="trace.text", code="invalid-trace")
    if len(bad) > MAX_BAD_SHARE * total:
        shown = [{"line": one.line, "reason": one.reason} for one in bad[:MAX_BAD_SHOWN]]
        first = bad[0]
        raise InvalidRequestError(
            f"{len(bad)} of {total} lines of the trace cannot be used, more than {MAX_BAD_SHARE:.0%}; "
            f"the first is line {first.line}: {first.reason}.",
            field="trace.text",
            code="too-many-bad-lines",
            accepted={"bad_lines": shown},
        )
