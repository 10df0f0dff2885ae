"""What the documents show a command to print is what it prints.

A fenced block marked ``console`` holds ``$ pertoken ...`` lines, each followed by its output. The
output has to be equal, but for a line ``...`` that stands for any lines left out.
"""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.architecture.source import REPOSITORY

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
OMITTED = "..."


@dataclass(frozen=True)
class Example:
    """One command with what it is shown to print."""

    document: str
    command: str
    shown: str


def _examples() -> list[Example]:
    documents = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
    return [example for path in documents for example in _examples_of(path)]


def _examples_of(path: Path) -> list[Example]:
    found = []
    for block in BLOCK.findall(path.read_text(encoding="utf-8")):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, shown = _split_command(part)
            if command.startswith("pertoken ") and not command.startswith("pertoken serve"):
                found.append(Example(path.name, command, shown))
    return found


def _split_command(part: str) -> tuple[str, str]:
    """Return a command, its continued lines joined, and the text after it."""
    lines = part.splitlines()
    command = lines.pop(0)
    while command.endswith("\\"):
        command = command[:-1] + lines.pop(0).strip()
    return " ".join(command.split()), "\n".join(lines).strip("\n")


def _pattern(shown: str) -> re.Pattern[str]:
    """Return what the output must match: the text, with ``...`` lines standing for any lines."""
    parts = re.split(rf"^[ ]*{re.escape(OMITTED)}$\n?", shown, flags=re.MULTILINE)
    return re.compile("(?:.*\n)*?".join(re.escape(part) for part in parts) + r"\s*")


@pytest.mark.parametrize("example", _examples(), ids=lambda example: f"{example.document}: {example.command}")
def test_shown_output_is_real(example: Example, seeded_database_url: str) -> None:
    arguments = shlex.split(example.command)[1:]
    environment = {**os.environ, "PERTOKEN_DATABASE_URL": seeded_database_url}
    done = subprocess.run(
        [sys.executable, "-m", "service.cli.main", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    if not _pattern(example.shown).fullmatch(done.stdout):
        # An assertion on the texts shows their difference.
        assert done.stdout.strip("\n") == example.shown


@pytest.mark.parametrize(
    ("shown", "printed", "matches"),
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
def test_only_marked_lines_may_be_left_out(shown: str, printed: str, matches: bool) -> None:
    assert bool(_pattern(shown).fullmatch(printed)) is matches
