"""Documents fail like code: what exists is named in them, and what they name exists."""

import ast
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from service.cli.main import app
from service.settings import Settings
from tests.architecture.source import REPOSITORY, modules

README = REPOSITORY / "README.md"
OPERATIONS = REPOSITORY / "docs" / "operations.md"
API = REPOSITORY / "docs" / "api.md"
OPENAPI = REPOSITORY / "openapi.json"
METHODS = ("get", "post", "put", "patch", "delete")
LINK = re.compile(r"\[[^\]]*\]\(([^)#]+)(?:#[^)]*)?\)")


def _documents() -> list[Path]:
    return [README, REPOSITORY / "CHANGELOG.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


def _commands(command: Any, path: str) -> Iterator[str]:
    children = getattr(command, "commands", None)
    if not children:
        yield path
        return
    for name, child in children.items():
        yield from _commands(child, f"{path} {name}")


def test_every_command_is_documented() -> None:
    text = OPERATIONS.read_text(encoding="utf-8")
    missing = [path for path in _commands(get_command(app), "pertoken") if f"`{path}" not in text]
    assert not missing


def _settings_rows() -> list[str]:
    """Return the table of settings as their docstrings have it; only those know the meaning."""
    module = next(module for module in modules() if module.name == "service.settings")
    (owner,) = [node for node in module.tree.body if isinstance(node, ast.ClassDef)]
    rows = []
    for node, after in pairwise(owner.body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            assert isinstance(after, ast.Expr), f"{node.target.id} has no docstring"
            meaning = " ".join(ast.literal_eval(after.value).replace("``", "`").split()).rstrip(".")
            default = Settings.model_fields[node.target.id].default
            rows.append(f"| `PERTOKEN_{node.target.id.upper()}` | `{default}` | {meaning} |")
    return rows


def test_the_table_of_settings_is_that_of_the_code() -> None:
    lines = OPERATIONS.read_text(encoding="utf-8").splitlines()
    shown = [line for line in lines if line.startswith("| `PERTOKEN_")]
    assert shown == _settings_rows()


def test_every_documented_setting_exists() -> None:
    not_settings = {"PERTOKEN_TRACEBACK"}
    test_settings = {"PERTOKEN_TEST_POSTGRESQL_URL", "PERTOKEN_REQUIRE_POSTGRESQL"}
    known = {f"PERTOKEN_{name.upper()}" for name in Settings.model_fields} | not_settings | test_settings
    for path in _documents():
        named = set(re.findall(r"PERTOKEN_[A-Z_]+[A-Z]", path.read_text(encoding="utf-8")))
        assert named <= known, path.name


def test_every_route_is_documented() -> None:
    text = API.read_text(encoding="utf-8")
    paths = json.loads(OPENAPI.read_text(encoding="utf-8"))["paths"]
    routes = [
        f"{method.upper()} {path}" for path, item in paths.items() for method in METHODS if method in item
    ]
    assert routes
    assert not [route for route in routes if f"`{route}`" not in text]


@pytest.mark.parametrize("path", _documents(), ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    targets = LINK.findall(path.read_text(encoding="utf-8"))
    relative = [target for target in targets if not target.startswith(("http://", "https://", "mailto:"))]
    missing = [target for target in relative if not (path.parent / target).exists()]
    assert not missing


def test_ci_runs_the_tests_with_the_command_of_the_readme() -> None:
    script = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    readme = README.read_text(encoding="utf-8")
    assert "readme_command test-command" in script
    command = readme.split("<!-- test-command -->")[1].split("```")[1].splitlines()[1]
    assert command.startswith("python3.11 -m venv .venv && ")
    assert command.endswith(" && .venv/bin/python -m pytest")


def test_nothing_names_a_machine_or_a_registry_host() -> None:
    words = re.compile("|".join(["/wo" + "rk/", "/opt" + "/", "pypi" + r"\.org", "pythonhosted"]))
    texts = [
        *_documents(),
        REPOSITORY / "requirements.lock",
        REPOSITORY / "Dockerfile",
        REPOSITORY / ".ci" / "run",
    ]
    named = [path.name for path in texts if words.search(path.read_text(encoding="utf-8"))]
    assert not named
