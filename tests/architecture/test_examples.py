"""What the documents show a command to print is what it prints."""

import pytest

from tests.architecture.examples import Example, examples, matches, run, shortened


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.prompt.splitlines()[0])
def test_shown_output_is_real(example: Example, seeded_database_url: str) -> None:
    printed = run(example, seeded_database_url)
    if not matches(example.shown, printed):
        # Comparing the texts shows where they differ; `make examples` writes the new one.
        assert printed == example.shown


@pytest.mark.parametrize(
    ("shown", "short"),
    [("a\n...\nz", "1\n...\n4"), ("a\n...", "1\n..."), ("...", "..."), ("a", "1\n2\n3\n4")],
)
def test_a_refreshed_example_leaves_out_what_it_left_out(shown: str, short: str) -> None:
    assert shortened("1\n2\n3\n4", shown) == short


@pytest.mark.parametrize(
    ("shown", "printed", "expected"),
    [
        ("a\nb", "a\nb\n", True),
        ("a\n...\nd", "a\nb\nc\nd\n", True),
        ("a\n...\nd", "a\nd\n", True),
        ("a\n...", "a\nb\n", True),
        ("a\nb", "a\nb\nc\n", False),
        ("a\n...\nd", "a\nb\n", False),
        ("1.5", "1a5\n", False),
    ],
)
def test_only_marked_lines_may_be_left_out(shown: str, printed: str, expected: bool) -> None:
    assert matches(shown, printed) is expected
