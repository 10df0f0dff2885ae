"""What counts as JSON, and what merely looks like it."""

import json
import math
import re
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api import strict_json
from service.api.strict_json import MAX_DEPTH, LiteralFloat, UnreadableJsonError, parse_strict_json

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",)))
)
json_values = st.recursive(
    scalars,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text("abcdé", max_size=3), children),
    max_leaves=20,
)


@given(json_values)
def test_whatever_the_standard_writer_writes_reads_back_equal(value: object) -> None:
    assert parse_strict_json(json.dumps(value).encode()) == value
    assert parse_strict_json(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b'{"a": NaN}', "unreadable-json"),
        (b"[Infinity]", "unreadable-json"),
        (b"[-Infinity]", "unreadable-json"),
        (b"[1e400]", "unreadable-json"),  # beyond a double
        (b"[-1e400]", "unreadable-json"),
        (b"[" + b"9" * 400 + b"]", "unreadable-json"),  # beyond a double, spelt out
        (b"[" + b"9" * 5000 + b"]", "unreadable-json"),  # beyond the interpreter's limit, too
        (b'{"a": 1, "a": 2}', "duplicate-key"),
        (b'{"a": 1, "\\u0061": 2}', "duplicate-key"),  # the same key, written differently
        (b'[{"b": {"a": 1, "a": 1}}]', "duplicate-key"),
        (b'"\\ud800"', "unreadable-json"),  # a high surrogate alone
        (b'"\\udc00\\ud800"', "unreadable-json"),  # a pair the wrong way round
        (b'"\xff"', "unreadable-json"),  # not UTF-8
        (b'"\xed\xa0\x80"', "unreadable-json"),  # a surrogate encoded as if it were a character
        (b"\xef\xbb\xbf{}", "unreadable-json"),  # byte order mark
        ("{}".encode("utf-16"), "unreadable-json"),
        (b"", "empty-body"),
        (b" \r\n\t", "empty-body"),
        (b"{", "unreadable-json"),
        (b"{} {}", "unreadable-json"),
        (b"{'a': 1}", "unreadable-json"),
        (b'{"a": 1,}', "unreadable-json"),
        (b"[01]", "unreadable-json"),
        (b"[+1]", "unreadable-json"),
        (b"[.5]", "unreadable-json"),
        (b'["a\nb"]', "unreadable-json"),  # a raw control character
        (b"// comment\n{}", "unreadable-json"),
        (b"[" * 65 + b"]" * 65, "nested-too-deep"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "nested-too-deep"),
        (b"[" * 100_000 + b"]" * 100_000, "nested-too-deep"),
        (b"[" * 100_000, "nested-too-deep"),
    ],
)
def test_text_that_is_not_json_is_refused_with_its_cause(text: bytes, code: str) -> None:
    with pytest.raises(UnreadableJsonError) as refused:
        parse_strict_json(text)
    assert refused.value.code == code


def test_nesting_to_the_limit_is_read() -> None:
    value = parse_strict_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    for _ in range(MAX_DEPTH - 1):
        (value,) = value
    assert value == []


def test_brackets_inside_strings_are_no_nesting() -> None:
    text = json.dumps(["[" * 500, '\\"' + "{" * 500, "]" * 500])
    assert parse_strict_json(text.encode()) == json.loads(text)


def test_an_underflow_is_zero_and_not_a_refusal() -> None:
    assert parse_strict_json(b"[1e-400]") == [0.0]


def test_a_fraction_keeps_its_literal() -> None:
    (value,) = parse_strict_json(b"[0.10]")
    assert isinstance(value, LiteralFloat)
    assert value.literal == "0.10"
    assert math.isclose(value, 0.1)


@pytest.mark.parametrize(
    "bomb",
    [
        b"[" * 1_000_000,
        b'{"a":' * 200_000,
        b'"' + b'\\"' * 400_000,  # a string that never ends, full of escaped quotes
        b"[" + b'"[",' * 250_000 + b"0]",
        b"[" + b"[]," * 300_000 + b"0]",
    ],
    ids=["lists", "objects", "quotes", "brackets in strings", "many short lists"],
)
def test_a_megabyte_made_to_hurt_is_gone_through_a_few_times_and_no_more(
    bomb: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Counts what every pass is given to read instead of looking at a clock, which a busy machine fools.
    read: list[int] = []

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            read.append(sum(len(one) for one in arguments if isinstance(one, bytes | str | list)))
            return function(*arguments, **options)

        return call

    errors = orjson.JSONDecodeError
    pairs = counted(strict_json._unique_pairs)
    monkeypatch.setattr(strict_json, "_STRING", SimpleNamespace(sub=counted(strict_json._STRING.sub)))
    monkeypatch.setattr(strict_json, "_depth", counted(strict_json._depth))
    monkeypatch.setattr(strict_json, "_unique_pairs", pairs)
    monkeypatch.setattr(
        strict_json, "orjson", SimpleNamespace(loads=counted(orjson.loads), JSONDecodeError=errors)
    )
    monkeypatch.setattr(strict_json, "json", SimpleNamespace(loads=counted(json.loads)))
    with suppress(UnreadableJsonError):
        parse_strict_json(bomb)
    assert len(bomb) <= sum(read) <= 5 * len(bomb)


def test_looking_for_strings_never_goes_back() -> None:
    # Possessive repeats alone, and no alternatives: each byte of a valid text is looked at once.
    steps = str(re._parser.parse(strict_json._STRING.pattern.decode("latin-1"), re.DOTALL))  # type: ignore[attr-defined]
    assert steps.count("POSSESSIVE_REPEAT") == 3
    assert not re.search(r"\b(MAX_REPEAT|MIN_REPEAT|BRANCH)\b", steps)


def test_a_text_is_valid_before_strings_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    # In a string that never ends, each of its quotes would begin another search to the end.
    def unexpected(text: bytes) -> int:
        raise AssertionError(f"{len(text)} bytes of text that is not JSON")

    monkeypatch.setattr(strict_json, "_depth", unexpected)
    with pytest.raises(UnreadableJsonError):
        parse_strict_json(b'"' + b'\\"[' * 300_000)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_read_or_refused_and_nothing_else(text: bytes) -> None:
    with suppress(UnreadableJsonError):
        parse_strict_json(text)
