"""``pertoken accelerators``: the hardware that the catalog knows."""

from typing import Annotated, Any

import typer

from service.cli.lists import JSON_OPTION

accelerators = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Accelerators and their figures."
)


@accelerators.command("list")
def list_accelerators(as_json: JSON_OPTION = False) -> None:
    """Print the accelerators of the catalog."""
    from service.cli.catalog_access import current_snapshot
    from service.cli.lists import print_records
    from service.cli.tables import figure
    from service.engine.units import GIGA, TERA

    records = current_snapshot().accelerators()
    if as_json:
        print_records([_values(record) for record in records], (), as_json=True)
        return
    rows = [
        {
            "id": record.id,
            "vendor": record.spec.vendor,
            "memory_GB": figure(record.spec.memory_bytes / GIGA),
            "TB/s": figure(record.spec.memory_bandwidth_bytes_per_second / TERA),
            "dense TFLOP/s": ", ".join(
                f"{name} {figure(peak / TERA)}" for name, peak in record.spec.peak_flop_per_second.items()
            ),
            "watts": figure(record.spec.max_power_watts),
            "source": record.source_kind,
        }
        for record in records
    ]
    print_records(rows, tuple(rows[0]) if rows else (), as_json=False)


@accelerators.command("show")
def show_accelerator(
    accelerator: Annotated[str, typer.Argument(help="Catalog id or alias.")], as_json: JSON_OPTION = False
) -> None:
    """Print one accelerator with the source of each figure."""
    from service.cli.catalog_access import current_snapshot
    from service.cli.lists import print_record

    record = current_snapshot().accelerator(accelerator)
    print_record(_values(record) | {"facts": dict(record.facts)}, as_json=as_json)


def _values(record: Any) -> dict[str, Any]:
    """Return a record as JSON values; SI units as the engine holds them."""
    from service.application.render import to_json_values

    return {
        "id": record.id,
        "aliases": list(record.aliases),
        "name": record.display_name,
        **{name: value for name, value in to_json_values(record.spec).items() if name != "name"},
        "source": record.source,
        "source_kind": record.source_kind,
        "second_source": record.second_source,
    }


def register(app: Any) -> None:
    """Add the commands to the application."""
    app.add_typer(accelerators, name="accelerators")
