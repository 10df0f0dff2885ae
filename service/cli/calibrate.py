"""``pertoken calibrate``: a calibration set fitted to measured runs."""

from pathlib import Path
from typing import Annotated, Any

import typer


def calibrate(
    data: Annotated[list[Path], typer.Argument(metavar="DATA.csv...", help="Measured runs, one a row.")],
    out: Annotated[Path, typer.Option(metavar="SET.yaml", help="Where the set is written.")],
    models: Annotated[
        Path | None, typer.Option(metavar="DIR", help="config.json files named <org>--<name>.json.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the set.")] = "default",
    suspect: Annotated[bool, typer.Option(help="Fit rows marked suspect too.")] = False,
) -> None:
    """Fit efficiencies to measured runs and print how the fit does on runs it has not seen."""
    from service.application.calibration_set import SetRequest, make_set
    from service.application.cases import CaseBuilder
    from service.cli.calibration_file import check_writable, write_set
    from service.cli.catalog_access import current_snapshot
    from service.cli.measured_files import config_reader, read_csv

    check_writable(out)
    rows = [row for path in data for row in read_csv(path)[1]]
    made = make_set(rows, CaseBuilder(current_snapshot(), config_reader(models)), SetRequest(name, suspect))
    write_set(out, made.document)
    print(made.report())
    print(f"{out}: written")


def register(app: Any) -> None:
    """Add the command to the application."""
    app.command("calibrate")(calibrate)
