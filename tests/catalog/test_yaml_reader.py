"""YAML as seeds and imports may use it."""

from decimal import Decimal

import pytest

from service.catalog.yaml_reader import MAX_DEPTH, YamlError, parse_yaml


def test_numbers_are_exact_and_the_rest_is_text() -> None:
    document = parse_yaml("{a: 1.10, b: 7, c: 2024-05-13, d: yes, e: true, f: , g: ~, h: '1.5', i: 1e9}")
    assert document == {
        "a": Decimal("1.10"),
        "b": 7,
        "c": "2024-05-13",
        "d": "yes",
        "e": True,
        "f": None,
        "g": None,
        "h": "1.5",
        "i": "1e9",
    }
    assert str(document["a"]) == "1.10"
    assert isinstance(parse_yaml("a: 1.5", exact=False)["a"], float)


@pytest.mark.parametrize("text", ["0x10", "1_000", "010", "12:30", ".5", "1.", "+1", "NaN", ".inf", "9" * 40])
def test_what_only_looks_like_a_number_is_text(text: str) -> None:
    assert parse_yaml(f"a: {text}") == {"a": text}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("a: &x [1]\nb: *x", "line 2: aliases", id="alias"),
        pytest.param("a: 1\na: 2", "line 2: key 'a' appears twice", id="duplicate key"),
        pytest.param("a: !!python/object:os.system x", "tag", id="python tag"),
        pytest.param("!!set {a}", "tag", id="set"),
        pytest.param("a: !!int 5", "tag", id="explicit int"),
        pytest.param("<<: {a: 1}", "merge", id="merge key"),
        pytest.param("? [a]\n: 1", "key must be a plain text", id="list as key"),
        pytest.param("--- 1\n--- 2", "only one document", id="two documents"),
        pytest.param("a: [", "flow", id="cut"),
        pytest.param("\t- a", "token", id="tab"),
        pytest.param(b"\xff\xfe\x00", "UTF-16", id="not text"),
        pytest.param(b"a: \x80\x81", "UTF-8", id="not UTF-8"),
        pytest.param("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "nested deeper", id="deep"),
        # libyaml's composer would overflow the C stack and end the process here.
        pytest.param("[" * 300_000, "nested deeper", id="very deep"),
    ],
)
def test_what_is_refused_says_where_and_why(text: str | bytes, reason: str) -> None:
    with pytest.raises(YamlError, match=reason):
        parse_yaml(text)


def test_an_empty_file_is_nothing() -> None:
    assert parse_yaml("") is None
