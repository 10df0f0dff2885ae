"""Records of the catalog on standard output: a table for a person, JSON for a program."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any

import typer

JSON_OPTION = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def print_records(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """Print rows as JSON with all their values, or the named columns as a table."""
    if as_json:
        from service.cli.json_output import print_json

        print_json([{name: _json_value(value) for name, value in row.items()} for row in rows])
        return
    from service.cli.tables import table

    if rows:
        titles = [column.replace("_", " ") for column in columns]
        print(table(titles, [[_cell(row[column]) for column in columns] for row in rows]))
    print(f"{len(rows)} row{'' if len(rows) == 1 else 's'}")


def print_record(values: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one record as JSON, or as indented names and values."""
    if as_json:
        from service.cli.json_output import print_json

        print_json({name: _json_value(value) for name, value in values.items()})
        return
    print("\n".join(_lines(values, "")))


def _lines(values: Mapping[str, Any], indent: str) -> list[str]:
    width = max((len(str(name)) for name, value in values.items() if not _is_nested(value)), default=0)
    lines = []
    for name, value in values.items():
        if not _is_nested(value):
            lines.append(f"{indent}{str(name).ljust(width)}  {_cell(value)}".rstrip())
            continue
        lines.append(f"{indent}{name}")
        children = value if isinstance(value, Mapping) else _numbered(value)
        lines.extend(_lines(children, indent + "  "))
    return lines


def _numbered(values: Sequence[Any]) -> Mapping[str, Any]:
    return {str(number): value for number, value in enumerate(values, start=1)}


def _is_nested(value: Any) -> bool:
    """Tell whether a value needs lines of its own; a list of plain values fits on one."""
    if isinstance(value, Mapping):
        return bool(value)
    return isinstance(value, list | tuple) and any(isinstance(item, Mapping | list) for item in value)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, Mapping):
        return " ".join(f"{name}={_cell(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_cell(item) for item in value) or "-"
    return f"{value:,}".replace(",", " ") if isinstance(value, int) and abs(value) >= 10**6 else str(value)


def _json_value(value: Any) -> Any:
    from service.application.render import render_date, render_datetime

    if isinstance(value, datetime):
        return render_datetime(value)
    return render_date(value) if isinstance(value, date) else value
