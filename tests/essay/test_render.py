"""The template's language: formats, tables, marks, and when two pages say the same."""

import pytest

from essay.figures import Figures
from essay.render import (
    FalseClaimError,
    format_figure,
    look_up,
    percent,
    reflow,
    render,
    same_but_for_rounding,
    significant,
)

THIN = "\u202f"


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.37587, 3, "0.376"),
        (2.3751, 3, "2.38"),
        (9.996, 3, "10.0"),
        (283.2, 3, "283"),
        (52224.0, 3, f"52{THIN}200"),
        (0.0, 3, "0"),
        (0.00599, 2, "0.0060"),
        (-1.1, 2, "\u22121.1"),
    ],
)
def test_significant_digits(value: float, digits: int, text: str) -> None:
    assert significant(value, digits) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.012157, "1.2 %"),
        (0.4607, "46 %"),
        (0.00332, "0.33 %"),
        (2.405, "240 %"),
        (0.0997, "10 %"),
        (0.0, "0 %"),
    ],
)
def test_percent_has_two_digits_at_least(value: float, text: str) -> None:
    assert percent(value) == text.replace(" ", "\u00a0")


def test_a_group_of_figures_is_no_figure() -> None:
    with pytest.raises(TypeError, match="dict"):
        format_figure({}, "3")


def test_numbers_are_keys_where_the_figures_have_them() -> None:
    assert look_up({"input": {11: 0.5}, "at": {"7": 2}}, "input.11") == 0.5
    assert look_up({"input": {11: 0.5}, "at": {"7": 2}}, "at.7") == 2


@pytest.mark.parametrize(
    ("committed", "written", "same"),
    [
        ("costs 0.376 here", "costs 0.377 here", True),
        ("costs 0.376 here", "costs 0.378 here", False),
        ("costs 0.376 here", "costs 0.376 there", False),
        (f"at 52{THIN}224 tokens", f"at 52{THIN}225 tokens", True),
        (f"at 52{THIN}224 tokens", f"at 52{THIN}234 tokens", False),
        ("46 %", "47 %", True),
        ("46 %", "48 %", False),
        ("one two\nthree", "one\ntwo three", True),
        ("one\n\ntwo", "one two 3", False),
        ("99 %", "100 %", True),
    ],
)
def test_pages_are_the_same_but_for_the_last_digit(committed: str, written: str, same: bool) -> None:
    assert same_but_for_rounding(committed, written) is same


def test_drawings_may_shift_by_a_pixel() -> None:
    assert same_but_for_rounding("M1.25,300", "M2.25,301", 1.5)
    assert not same_but_for_rounding("M1.25,300", "M4.25,301", 1.5)


def test_only_prose_is_wrapped() -> None:
    long = " ".join(["word"] * 40)
    table = "| " + " | ".join(["cell"] * 40) + " |"
    text = reflow(f"{long}\n\n- {long}\n- {long}\n\n{table}\n\n```sh\n{long}\n\n{long}\n```\n\nend\n")
    assert table in text
    assert f"```sh\n{long}\n\n{long}\n```" in text
    assert max(len(line) for line in text.split("\n\n")[0].split("\n")) <= 118
    assert text.count("\n- ") == 2
    assert text.count("\n  word") >= 2
    assert text.endswith("\n\nend\n")


def test_every_claim_is_marked_in_the_template(figures: Figures) -> None:
    with pytest.raises(ValueError, match="marked but not checked"):
        render("No mark at all.", figures.tree)


def test_a_false_sentence_is_named_and_nothing_is_written(
    figures: Figures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("essay.render.CLAIMS", {"true": lambda _: True, "false": lambda _: False})
    with pytest.raises(FalseClaimError, match=r"false: .*Pigs fly") as raised:
        render("Grass grows.[!true] Pigs fly.[!false]", figures.tree)
    assert "Grass" not in str(raised.value).split("Pigs")[1]
