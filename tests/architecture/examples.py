"""Commands that documents show, with what they are shown to print.

A fenced block marked ``console`` holds ``$ pertoken ...`` lines, each followed by its output. A line
``...`` stands for any lines left out. ``make examples`` writes what the commands print now.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.source import REPOSITORY

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
OMITTED = "..."


@dataclass(frozen=True)
class Example:
    """One command with what it is shown to print."""

    document: Path
    prompt: str
    """The command as the document has it, its continued lines included."""
    shown: str

    @property
    def arguments(self) -> list[str]:
        """Return the words after ``pertoken``."""
        return shlex.split(self.prompt.replace("\\\n", " "))[1:]


def examples() -> list[Example]:
    """Find the examples of all documents that a test can run: not those that serve."""
    documents = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
    return [example for path in documents for example in _examples_of(path)]


def _examples_of(path: Path) -> Iterator[Example]:
    for block in BLOCK.findall(path.read_text(encoding="utf-8")):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            match = re.match(r"((?:.*\\\n)*.*\n?)((?s:.*))", part)
            assert match
            prompt, shown = match[1].rstrip("\n"), match[2].strip("\n")
            if prompt.startswith("pertoken ") and not prompt.startswith("pertoken serve"):
                yield Example(path, prompt, shown)


def run(example: Example, database_url: str) -> str:
    """Return what the command prints now."""
    done = subprocess.run(
        [sys.executable, "-m", "service.cli.main", *example.arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "PERTOKEN_DATABASE_URL": database_url},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip("\n")


def matches(shown: str, printed: str) -> bool:
    """Tell whether a document shows what was printed, but for marked omissions."""
    parts = re.split(rf"^{re.escape(OMITTED)}$\n?", shown + "\n", flags=re.MULTILINE)
    pattern = "(?:.*\n)*?".join(re.escape(part) for part in parts)
    return re.fullmatch(pattern, printed.strip("\n") + "\n") is not None


def shortened(printed: str, shown: str) -> str:
    """Leave out what the document left out: all between as many first and last lines as it shows."""
    lines, new = shown.splitlines(), printed.splitlines()
    if lines.count(OMITTED) != 1:
        return printed
    first = lines.index(OMITTED)
    last = len(lines) - first - 1
    return "\n".join([*new[:first], OMITTED, *(new[-last:] if last else [])])


def refresh() -> None:
    """Write what the commands print now into the documents, keeping omissions where they still fit."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/pertoken.db"
        for example in examples():
            printed = run(example, url)
            if matches(example.shown, printed):
                continue
            text = example.document.read_text(encoding="utf-8")
            printed = shortened(printed, example.shown)
            before = f"$ {example.prompt}\n{example.shown}".rstrip("\n")
            assert before in text
            example.document.write_text(
                text.replace(before, f"$ {example.prompt}\n{printed}"), encoding="utf-8"
            )
            sys.stdout.write(f"{example.document.name}: {example.prompt.splitlines()[0]}\n")


if __name__ == "__main__":
    refresh()
