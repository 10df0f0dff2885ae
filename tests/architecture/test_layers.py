"""Imports run one way (DESIGN 2); each room says what it may reach."""

import re
import sys
import tomllib

import pytest

from tests.architecture.source import REPOSITORY, Import, imports, modules

EDGES: dict[str, set[str]] = {
    "engine": {"engine"},
    "economics": {"economics", "engine"},
    "billing": {"billing"},
    "model_configs": {"model_configs", "engine"},
    "calibration": {"calibration", "engine"},
    "application": {"application", "engine", "economics", "billing", "model_configs", "calibration"},
    "catalog": {
        "catalog",
        "application.ports",
        "application.write_ports",
        "application.errors",
        "engine",
        "billing",
        "model_configs",
        "resources",
    },
    # Errors pass through the use cases unchanged and units are words, so the outer rooms may name them.
    "api": {
        "api",
        "application",
        "engine.errors",
        "engine.units",
        "billing.errors",
        "billing.money",
        "settings",
        "resources",
    },
    "web": {"web", "application", "settings"},
    "cli": {
        "cli",
        "application",
        "engine.errors",
        "engine.units",
        "billing.errors",
        "billing.money",
        "settings",
        "bootstrap",
    },
    "settings": {"engine.units"},
    "resources": set(),
    "interpreter": set(),
    "service": set(),
}
"""Room -> what of the package it may import: a whole room, or one module of it. Bootstrap knows everybody."""

NUMERICS = {
    "__future__", "abc", "bisect", "collections", "dataclasses", "enum", "fractions", "functools",
    "itertools", "math", "operator", "types", "typing",
}  # fmt: skip
"""The part of the standard library with no file, clock, log, process or network behind it."""

EXTERNAL: dict[str, set[str]] = {
    "engine": NUMERICS | {"numpy", "scipy"},
    "economics": NUMERICS | {"numpy", "scipy"},
    "billing": NUMERICS | {"datetime", "decimal", "json", "re", "zoneinfo"},
}
"""Rooms whose imports from outside the package are limited."""

WEB_FRAMEWORKS = {"fastapi", "starlette", "uvicorn"}
SQL = {"sqlalchemy", "alembic", "psycopg", "sqlite3"}


def _internal() -> list[Import]:
    return [found for found in imports() if found.target.split(".")[0] == "service"]


def _is_allowed(found: Import) -> bool:
    target = found.target.removeprefix("service").removeprefix(".")
    allowed = EDGES[found.importer.room]
    return any(target == edge or target.startswith(f"{edge}.") for edge in allowed)


def test_every_room_has_a_rule() -> None:
    assert {module.room for module in modules()} - {"bootstrap"} <= set(EDGES)


def test_imports_run_one_way() -> None:
    wrong = [
        str(found) for found in _internal() if found.importer.room != "bootstrap" and not _is_allowed(found)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("room", sorted(EXTERNAL))
def test_pure_rooms_reach_for_nothing_outside(room: str) -> None:
    wrong = [
        str(found)
        for found in imports()
        if found.importer.room == room and found.target.split(".")[0] not in EXTERNAL[room] | {"service"}
    ]
    assert not wrong, "\n".join(wrong)


def test_http_is_known_to_the_outer_rooms_only() -> None:
    rooms = {"api", "web", "bootstrap", "cli"}
    wrong = [
        str(found)
        for found in imports()
        if found.target.split(".")[0] in WEB_FRAMEWORKS and found.importer.room not in rooms
    ]
    assert not wrong, "\n".join(wrong)


def test_sql_is_known_to_the_catalog_only() -> None:
    wrong = [
        str(found)
        for found in imports()
        if found.target.split(".")[0] in SQL and found.importer.room not in {"catalog", "bootstrap"}
    ]
    assert not wrong, "\n".join(wrong)


def test_only_the_command_line_defers_imports() -> None:
    extras = {"altair", "vl_convert", "gpuhunt"}
    wrong = [
        str(found)
        for found in imports()
        if found.deferred and found.importer.room not in {"cli"} and found.target.split(".")[0] not in extras
    ]
    assert not wrong, "\n".join(wrong)


def test_only_modules_that_draw_import_the_extra_that_draws() -> None:
    # Each of them is loaded by a command that was asked for a plot, after ``check_plot``.
    drawing = re.compile(r"service\.cli\.(charts|[a-z]+_plot)")
    wrong = [
        str(found)
        for found in imports()
        if found.target.split(".")[0] in {"altair", "vl_convert"}
        and not drawing.fullmatch(found.importer.name)
    ]
    assert not wrong, "\n".join(wrong)


def test_nothing_that_is_imported_is_missing_from_the_declared_dependencies() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["plots"]]
    names = {re.split(r"[^A-Za-z0-9_-]", line)[0].lower().replace("-", "_") for line in lines}
    declared = names - {"pyyaml"} | {"yaml"}
    come_along = {"starlette", "pydantic_core"}  # parts of fastapi and pydantic
    known = declared | come_along | set(sys.stdlib_module_names) | {"service"}
    wrong = [str(found) for found in imports() if found.target.split(".")[0] not in known]
    assert not wrong, "\n".join(wrong)
