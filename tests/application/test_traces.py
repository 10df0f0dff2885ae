"""Traces of real services: what of a line is used, what a prefix cache holds, what refuses a file."""

import json

import pytest

from service.application import traces
from service.application.errors import InvalidRequestError, LimitExceededError
from service.application.traces import PrefixCache, Trace, TraceLimits, read_trace

LIMITS = TraceLimits(context_tokens=1_000_000)
HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens"


def _azure(*rows: str, limits: TraceLimits = LIMITS) -> Trace:
    return read_trace("\n".join([HEADER, *rows]), "azure_csv", limits)


def _line(prompt: object, output: object, blocks: object = ()) -> str:
    return json.dumps({"timestamp": 0, "input_length": prompt, "output_length": output, "hash_ids": blocks})


def test_an_azure_trace_has_a_request_a_line() -> None:
    trace = _azure("2023-11-16 18:15:46.6805900,374,44", "", "2023-11-16 18:15:50.9951690,396,109")
    assert trace.requests.tolist() == [[374, 0, 44], [396, 0, 109]]
    assert (trace.bad_count, trace.lines) == (0, 2)


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("\ufeffTIMESTAMP,ContextTokens,GeneratedTokens", "t,7,3"),
        ("GeneratedTokens, ContextTokens ,region", "3,7,west"),
    ],
)
def test_columns_are_found_by_name(head: str, row: str) -> None:
    assert read_trace(f"{head}\r\n{row}\r\n", "azure_csv", LIMITS).requests.tolist() == [[7, 0, 3]]


def test_leading_blocks_seen_before_are_cached_and_the_last_token_never_is() -> None:
    text = "\n".join(
        [
            _line(1100, 5, [0, 1, 2]),  # nothing seen before
            _line(1600, 5, [0, 1, 3, 4]),  # two blocks of 512 in front are the same
            _line(700, 5, [3, 0]),  # 3 was seen, and 0 after it as well
            _line(1024, 5, [0, 1]),  # all of it was seen; the last prompt token is computed anyhow
        ]
    )
    trace = read_trace(text, "mooncake_jsonl", LIMITS)
    assert trace.requests[:, 1].tolist() == [0, 1024, 699, 1023]
    none = read_trace(text, "mooncake_jsonl", TraceLimits(1_000_000, cache="none"))
    assert none.requests[:, 1].tolist() == [0, 0, 0, 0]


def test_a_full_cache_drops_what_was_used_longest_ago() -> None:
    cache = PrefixCache(2)
    assert cache.hit([1, 2]) == 0
    assert cache.hit([1]) == 1
    assert cache.hit([3]) == 0  # drops 2, for 1 was used since
    assert cache.hit([1, 2]) == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("t,5,0", "0 output tokens"),
        ("t,0,5", "0 input tokens"),
        ("t,-3,5", "-3 input tokens"),
        ("t,5", "2 cells, 3 expected"),
        ("t,5.5,1", "no whole numbers: '5.5', '1'"),
        ("t,many,1", "no whole numbers: 'many', '1'"),
        ("t,1_000,1", "no whole numbers: '1_000', '1'"),
        ("t,\u0665,1", "no whole numbers"),
        ("t," + "9" * 5000 + ",1", "no whole numbers"),
        ("x" * 200_000, "1 cells, 3 expected"),
        ("t,\0,1", "no whole numbers"),
        ("t,5\r6,1", "no whole numbers"),
        ('"t,5,x', "no whole numbers"),
        ("t,999999,2", "1000001 tokens; the model takes 1000000"),
    ],
)
def test_a_bad_line_is_told_by_its_number_and_the_rest_is_used(row: str, reason: str) -> None:
    trace = _azure(*["t,10,10"] * 60, row, *["t,10,10"] * 60)
    assert trace.requests.shape == (120, 3)
    assert trace.bad_count == 1
    assert trace.bad[0].line == 62  # the header is line 1
    assert reason in trace.bad[0].reason


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "no JSON"),
        ("[1]", "no JSON object"),
        (_line("5", 5), "whole numbers"),
        (_line(True, 5), "whole numbers"),
        (_line(5, 5.0), "whole numbers"),
        (_line(5, 0), "0 output tokens"),
        (_line(5, 5, "ab"), "hash_ids"),
        (_line(5, 5, [1, None]), "hash_ids"),
    ],
)
def test_a_bad_line_of_json_is_told_too(line: str, reason: str) -> None:
    trace = read_trace("\n".join([_line(9, 9)] * 100 + [line]), "mooncake_jsonl", LIMITS)
    assert (trace.bad_count, trace.bad[0].line) == (1, 101)
    assert reason in trace.bad[0].reason


def test_one_line_in_a_hundred_may_be_bad_and_no_more() -> None:
    assert _azure(*["t,10,10"] * 99, "t,x,y").bad_count == 1
    with pytest.raises(InvalidRequestError) as refused:
        _azure(*["t,10,10"] * 98, "t,x,y")
    assert refused.value.code == "too-many-bad-lines"
    assert "1 of 99 lines" in refused.value.message
    assert "line 100: no whole numbers" in refused.value.message
    shown = refused.value.accepted["bad_lines"]
    assert shown == [{"line": 100, "reason": "no whole numbers: 'x', 'y'"}]


@pytest.mark.parametrize("text", ["", "a,b\n1,2", HEADER, '{"input_length": 1, "output_length": 1}'])
def test_what_is_no_azure_trace_is_refused_whole(text: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        read_trace(text, "azure_csv", LIMITS)
    assert (refused.value.code, refused.value.field) == ("invalid-trace", "trace.text")


def test_a_quotation_mark_left_open_swallows_nothing() -> None:
    trace = _azure('"2023-11-16 18:15:46,374,44', *["t,10,10"] * 5, '"t","7","3"')
    assert trace.requests[:, 0].tolist() == [374, 10, 10, 10, 10, 10, 7]


def test_a_trace_has_at_most_a_million_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "MAX_REQUESTS", 3)
    assert _azure(*["t,10,10"] * 3).lines == 3
    with pytest.raises(LimitExceededError):
        _azure(*["t,10,10"] * 4)


def test_an_empty_mooncake_trace_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="no request"):
        read_trace("\n \n", "mooncake_jsonl", LIMITS)
