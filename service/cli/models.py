"""``pertoken models``: what the catalog knows, and what follows from a ``config.json``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.lists import JSON_OPTION

models = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Models, and what follows from one.")


@models.command("list")
def list_models(as_json: JSON_OPTION = False) -> None:
    """Print the models of the catalog."""
    from service.cli.catalog_access import current_snapshot
    from service.cli.lists import print_records

    rows = [
        {
            "id": record.id,
            "name": record.display_name,
            "organisation": record.organisation,
            "released_on": record.released_on,
            "context_tokens": record.work.max_context_tokens,
            "aliases": list(record.aliases),
        }
        for record in current_snapshot().models()
    ]
    print_records(rows, ("id", "organisation", "released_on", "context_tokens", "aliases"), as_json=as_json)


@models.command("show")
def show_model(
    model: Annotated[str, typer.Argument(help="Catalog id or alias.")], as_json: JSON_OPTION = False
) -> None:
    """Print one model: its specification and where it comes from."""
    from service.cli.catalog_access import current_snapshot
    from service.cli.lists import print_record

    record = current_snapshot().model(model)
    values = {
        "id": record.id,
        "aliases": list(record.aliases),
        "name": record.display_name,
        "organisation": record.organisation,
        "released_on": record.released_on,
        "source": record.source,
        "native_formats": dict(record.native_formats),
        "spec": dict(record.spec),
    }
    print_record(values, as_json=as_json)


@models.command("inspect")
def inspect(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.json", help="A Hugging Face config.json.")],
    as_json: JSON_OPTION = False,
) -> None:
    """Print parameters, FLOP, cache and layers that follow from a config.json; runs no code of the model."""
    from service.application.inspect_config import inspect_config
    from service.cli.files import read_config
    from service.cli.lists import print_record

    print_record(inspect_config(read_config(config), config.stem), as_json=as_json)


@models.command("unmatched")
def unmatched(
    every: Annotated[
        bool, typer.Option("--all", help="Also ids that resemble no model of the catalog.")
    ] = False,
    as_json: JSON_OPTION = False,
) -> None:
    """Print provider ids that no reviewed listing ties to a model, and the models that they resemble."""
    from dataclasses import asdict

    from service.application.unmatched import unmatched_ids
    from service.cli.catalog_access import current_snapshot
    from service.cli.lists import print_records

    rows = [asdict(item) for item in unmatched_ids(current_snapshot(), all_ids=every)]
    print_records(rows, ("provider", "provider_model_id", "resembles"), as_json=as_json)


def register(app: Any) -> None:
    """Add the commands to the application."""
    app.add_typer(models, name="models")
