"""Ids, aliases and near matches."""

import pytest

from service.application.errors import UnknownIdError
from service.catalog.names import NameIndex

NAMES = NameIndex(
    "model",
    {
        "llama-3.1-70b": ("meta-llama/Llama-3.1-70B", "meta-llama/Meta-Llama-3.1-70B"),
        "llama-3.1-8b": ("meta-llama/Llama-3.1-8B",),
        "twin-a": ("one/Twin",),
        "twin-b": ("other/Twin",),
    },
)


@pytest.mark.parametrize(
    "name",
    [
        "llama-3.1-70b",
        "LLAMA-3.1-70B",
        "meta-llama/Llama-3.1-70B",
        "Meta-Llama-3.1-70B",
        "meta-llama/llama-3.1-70b",
    ],
)
def test_a_row_is_found_by_id_alias_and_unique_tail(name: str) -> None:
    assert NAMES.resolve(name) == "llama-3.1-70b"


def test_a_tail_that_two_rows_share_names_neither() -> None:
    with pytest.raises(UnknownIdError) as caught:
        NAMES.resolve("Twin")
    assert set(caught.value.near) == {"twin-a", "twin-b"}


def test_an_unknown_name_like_no_other_says_where_all_are() -> None:
    with pytest.raises(UnknownIdError, match=r"nor one of a like name; the list of models has all\."):
        NAMES.resolve("zzz")


def test_an_unknown_name_brings_near_matches_without_repeats() -> None:
    with pytest.raises(UnknownIdError, match=r"Near matches: llama-3\.1-70b") as caught:
        NAMES.resolve("llama-3-70b")
    assert len(set(caught.value.near)) == len(caught.value.near)
    assert caught.value.code == "unknown-model"


@pytest.mark.parametrize("name", ["", "x" * 100_000, "\x00", "é" * 50])
def test_hostile_names_are_only_unknown(name: str) -> None:
    with pytest.raises(UnknownIdError) as caught:
        NAMES.resolve(name)
    assert len(caught.value.message) < 1000
