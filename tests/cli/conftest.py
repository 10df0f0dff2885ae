"""The command in this process, on a catalog that a test gives it."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from service.cli.main import main
from tests.builders.catalogs import seeded_database_url

__all__ = ["RunCommand", "seeded_database_url"]


@dataclass(frozen=True)
class Outcome:
    """What a person sees after a command."""

    code: int
    out: str
    err: str


RunCommand = Callable[..., Outcome]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> RunCommand:
    """Run ``pertoken`` with arguments and catch what it prints and its exit code."""

    def run_command(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["pertoken", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        sys.stdout.flush()
        sys.stderr.flush()
        printed = capsysbinary.readouterr()
        return Outcome(code, printed.out.decode(), printed.err.decode())

    return run_command
