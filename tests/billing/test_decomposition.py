"""Wholes less the parts that are charged apart: nothing is charged twice, nothing is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.billing.decomposition import decompose, with_wholes
from service.billing.errors import UsageError


def charged(usage: dict[str, int], *priced: str) -> dict[str, int]:
    whole = with_wholes(usage)
    plan = decompose(frozenset(whole), frozenset(priced))
    quantities = plan.quantities(whole)
    return {share.meter: int(left) for share, left in zip(plan.shares, quantities, strict=True) if left}


def test_cached_tokens_are_a_part_of_the_input() -> None:
    usage = {"input": 100, "cache_read": 60, "cache_write": 10, "output": 5}
    assert charged(usage) == {"input": 30, "cache_read": 60, "cache_write": 10, "output": 5}


def test_writes_of_a_lifetime_are_a_part_of_all_writes() -> None:
    usage = {"input": 100, "cache_write": 30, "cache_write_5m": 10, "cache_write_1h": 15}
    expected = {"input": 70, "cache_write": 5, "cache_write_5m": 10, "cache_write_1h": 15}
    assert charged(usage) == expected


def test_a_modality_without_a_price_is_counted_in_its_whole() -> None:
    usage = {"input": 100, "input_text": 90, "input_audio": 10, "cache_read": 40}
    assert charged(usage) == {"input": 60, "cache_read": 40}
    plan = decompose(frozenset(usage), frozenset())
    assert dict(plan.folded) == {"input_text": "input", "input_audio": "input"}


def test_what_two_priced_meters_share_is_charged_once() -> None:
    usage = {"input": 100, "input_audio": 50, "cache_read": 40, "cache_audio_read": 20}
    expected = {"input": 30, "input_audio": 30, "cache_read": 20, "cache_audio_read": 20}
    assert charged(usage, "input_audio", "cache_audio_read") == expected
    assert charged(usage, "input_audio") == expected


def test_overlap_of_unknown_size_is_refused() -> None:
    with pytest.raises(UsageError, match="may count the same tokens"):
        charged({"input": 100, "input_audio": 50, "cache_read": 40}, "input_audio")


def test_a_split_by_modality_that_leaves_one_out_has_none_of_it() -> None:
    usage = {"input": 100, "input_audio": 50, "cache_read": 40, "cache_text_read": 40}
    assert charged(usage, "input_audio") == {"input": 10, "input_audio": 50, "cache_read": 40}


def test_parts_beyond_their_whole_are_refused() -> None:
    with pytest.raises(UsageError, match="exceed its 5 by 4"):
        charged({"input": 5, "cache_read": 9})


def test_a_part_alone_implies_its_whole() -> None:
    assert with_wholes({"cache_read": 9, "output_reasoning": 2, "output": 0}) == {
        "cache_read": 9,
        "output_reasoning": 2,
        "input": 9,
        "output": 2,
    }


@given(
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 9),
)
def test_the_charged_quantities_sum_to_the_wholes(
    fresh: int, read: int, five: int, hour: int, answer: int
) -> None:
    usage = {
        "input": fresh + read + five + hour,
        "cache_read": read,
        "cache_write": five + hour,
        "cache_write_5m": five,
        "cache_write_1h": hour,
        "output": answer + 3,
        "output_reasoning": 3,
    }
    found = charged(usage)
    assert sum(found.values()) == usage["input"] + usage["output"]
    assert found.get("cache_write", 0) == 0
