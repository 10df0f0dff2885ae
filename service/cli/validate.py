"""``pertoken validate``: predictions beside measured runs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.lists import JSON_OPTION

if TYPE_CHECKING:
    from service.application.validate import Statistics, Validation

SHOWN_ERRORS = 5


def validate(
    data: Annotated[Path, typer.Argument(metavar="DATA.csv", help="Measured runs, one a row.")],
    models: Annotated[
        Path | None, typer.Option(metavar="DIR", help="config.json files named <org>--<name>.json.")
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(metavar="OUT.csv", help="Write every row with its prediction.")
    ] = None,
    calibration: Annotated[str | None, typer.Option(help="Name of a calibration set.")] = None,
    as_json: JSON_OPTION = False,
) -> None:
    """Predict measured runs under their own protocol and print how far off the predictions are.

    Rows that cannot be predicted say why in their column ``error``; the exit status is then 1.
    """
    from service.application.cases import CaseBuilder
    from service.application.validate import PREDICTED_COLUMNS, validate_rows
    from service.cli.catalog_access import current_snapshot
    from service.cli.json_output import print_json
    from service.cli.measured_files import config_reader, read_csv, write_csv

    columns, rows = read_csv(data)
    builder = CaseBuilder(current_snapshot(), config_reader(models), calibration)
    found = validate_rows(rows, builder)
    if predictions is not None:
        own = [name for name in columns if name not in PREDICTED_COLUMNS]
        write_csv(predictions, [*own, *PREDICTED_COLUMNS], [row.cells() for row in found.rows])
    if as_json:
        print_json(_as_values(found))
    else:
        print(_text(found))
    if found.failed:
        raise typer.Exit(1)


def _as_values(found: "Validation") -> Mapping[str, Any]:
    return {
        "rows": len(found.rows),
        "failed": found.failed,
        "statistics": {
            name: [asdict(group) for group in groups] for name, groups in found.statistics.items()
        },
        "errors": [
            {"row": number, "error": row.error} for number, row in enumerate(found.rows, start=1) if row.error
        ],
    }


def _text(found: "Validation") -> str:
    lines = [f"{len(found.rows)} rows, {found.failed} without a prediction"]
    for name, groups in found.statistics.items():
        lines += ["", f"{name}: |predicted / measured - 1|", _statistics_table(groups)]
    errors = [(number, row.error) for number, row in enumerate(found.rows, start=1) if row.error]
    if errors:
        lines += [
            "",
            "not predicted:",
            *(f"  row {number}: {error}" for number, error in errors[:SHOWN_ERRORS]),
        ]
        if len(errors) > SHOWN_ERRORS:
            lines.append(f"  ... and {len(errors) - SHOWN_ERRORS} more; --predictions writes them all")
    return "\n".join(lines)


def _statistics_table(groups: "Sequence[Statistics]") -> str:
    from service.cli.tables import table

    return table(
        ("group", "rows", "median", "p90", "bias"),
        [
            (
                group.group,
                str(group.rows),
                f"{100 * group.median:.1f} %",
                f"{100 * group.p90:.1f} %",
                f"{100 * group.bias:+.1f} %",
            )
            for group in groups
        ],
    )


def register(app: Any) -> None:
    """Add the command to the application."""
    app.command("validate")(validate)
