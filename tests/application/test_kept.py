"""Values kept for one catalog state: made once, never mixed between states, bounded."""

from typing import cast

from service.application.kept import Kept
from service.application.ports import CatalogSnapshot

FIRST, SECOND = cast(CatalogSnapshot, object()), cast(CatalogSnapshot, object())


def test_a_value_is_made_once_for_a_snapshot() -> None:
    made: list[str] = []
    kept: Kept[str] = Kept(8)
    for _ in range(3):
        assert kept.get(FIRST, "key", lambda: made.append("made") or "value") == "value"
    assert made == ["made"]


def test_another_snapshot_has_values_of_its_own() -> None:
    kept: Kept[str] = Kept(8)
    assert kept.get(FIRST, "key", lambda: "old") == "old"
    assert kept.get(SECOND, "key", lambda: "new") == "new"


def test_a_value_made_while_the_snapshot_moved_does_not_reach_the_new_one() -> None:
    kept: Kept[str] = Kept(8)

    def make_slowly() -> str:
        # Another thread answers from the newer snapshot meanwhile.
        kept.get(SECOND, "other", lambda: "new")
        return "old"

    assert kept.get(FIRST, "key", make_slowly) == "old"
    assert kept.get(SECOND, "key", lambda: "new") == "new"


def test_at_most_so_many_values_are_held() -> None:
    kept: Kept[int] = Kept(2)
    made: list[int] = []

    def make(number: int) -> int:
        made.append(number)
        return number

    for number in (1, 2, 3, 1):
        assert kept.get(FIRST, number, lambda number=number: make(number)) == number
    assert made == [1, 2, 3, 1]
