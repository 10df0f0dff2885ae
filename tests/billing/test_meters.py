"""Which meters are parts of which, and which price stands in for which."""

import pytest

from service.billing.meters import cache_lifetime_of, fallback_of, is_part_of, joint_properties, properties_of


@pytest.mark.parametrize(
    ("part", "whole"),
    [
        ("cache_read", "input"),
        ("cache_write_1h", "cache_write"),
        ("cache_audio_read", "cache_read"),
        ("cache_audio_read", "input_audio"),
        ("input_audio", "input"),
        ("output_reasoning", "output"),
        ("output_audio_reasoning", "output_audio"),
        ("input_audio_seconds", "audio_seconds"),
        ("input_annotated_document_pages", "input_document_pages"),
    ],
)
def test_a_part_has_all_properties_of_its_whole(part: str, whole: str) -> None:
    assert is_part_of(part, whole)
    assert not is_part_of(whole, part)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("input", "output"),
        ("cache_read", "cache_write"),
        ("input_audio", "input_image"),
        ("web_searches", "input"),
        ("input_audio_seconds", "input_audio"),
    ],
)
def test_these_count_nothing_in_common(one: str, other: str) -> None:
    assert not is_part_of(one, other)
    assert joint_properties(one, other) is None


def test_audio_input_and_cache_reads_share_the_cached_audio() -> None:
    assert joint_properties("input_audio", "cache_read") == properties_of("cache_audio_read")


@pytest.mark.parametrize(
    ("meter", "chain"),
    [
        ("cache_write_1h", ["cache_write", "input"]),
        ("cache_read", ["input"]),
        ("output_reasoning", ["output"]),
        ("input_audio", ["input"]),
        ("cache_audio_write_1h", ["cache_write_1h", "cache_write", "input"]),
        ("input", []),
        ("web_searches", []),
    ],
)
def test_fallbacks_end_in_the_whole(meter: str, chain: list[str]) -> None:
    found = []
    name = fallback_of(meter)
    while name is not None:
        found.append(name)
        name = fallback_of(name)
    assert found == chain


@pytest.mark.parametrize(
    ("meter", "lifetime"), [("cache_write_5m", "5m"), ("cache_write_1h", "1h"), ("cache_write", None)]
)
def test_a_cache_write_may_name_its_lifetime(meter: str, lifetime: str | None) -> None:
    assert cache_lifetime_of(meter) == lifetime
