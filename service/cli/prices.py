"""``pertoken prices``: what accelerators cost, and what providers charge, both dated."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from service.cli.lists import JSON_OPTION

prices = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Dated prices, each with its source.")

AsOf = Annotated[
    str | None, typer.Option(metavar="TIME", help="Valid at this day or time; now where left out.")
]
KnownAt = Annotated[
    str | None, typer.Option(metavar="rN|TIME", help="As believed at this revision or time; the newest.")
]
History = Annotated[bool, typer.Option("--history", help="All valid times instead of one.")]


@prices.command("gpu")
def gpu_prices(
    accelerator: Annotated[str | None, typer.Option(help="Only of this accelerator.")] = None,
    provider: Annotated[str | None, typer.Option(help="Only of this provider.")] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    history: History = False,
    as_json: JSON_OPTION = False,
) -> None:
    """Print what an accelerator-hour costs."""
    from service.cli.catalog_access import current_snapshot
    from service.cli.lists import print_records

    snapshot = current_snapshot()
    wanted = snapshot.accelerator(accelerator).id if accelerator else None
    when, believed = _axes(snapshot, as_of, known_at, history)
    rows = [
        {
            "provider": record.provider,
            "accelerator": record.accelerator,
            "region": record.region,
            "commitment": record.commitment,
            "gpus_per_instance": record.gpus_per_instance,
            **_price(record.price),
            **_validity(record),
        }
        for record in snapshot.gpu_prices(wanted, when, believed)
        if provider in (None, record.provider)
    ]
    columns = ("accelerator", "provider", "region", "commitment", "gpus_per_instance")
    print_records(rows, (*columns, "amount", "currency", "per", "valid_from", "source"), as_json=as_json)


@prices.command("list")
def list_prices(
    model: Annotated[str | None, typer.Option(help="Only of listings of this model.")] = None,
    provider: Annotated[str | None, typer.Option(help="Only of this provider.")] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    history: History = False,
    as_json: JSON_OPTION = False,
) -> None:
    """Print what providers charge for each meter."""
    from service.cli.catalog_access import current_snapshot
    from service.cli.lists import print_records

    snapshot = current_snapshot()
    when, believed = _axes(snapshot, as_of, known_at, history)
    relations = _relations(snapshot, model)
    rows = [
        {
            "provider": record.provider,
            "provider_model_id": record.provider_model_id,
            "relation": relations.get((record.provider, record.provider_model_id)),
            "meter": record.meter,
            "selector": _selector(record.selector),
            **_price(record.price),
            **_validity(record),
        }
        for record in snapshot.list_prices(provider, None, when, believed)
        if model is None or (record.provider, record.provider_model_id) in relations
    ]
    columns = ["provider", "provider_model_id", "meter", "selector", "amount", "currency", "per"]
    if model is not None:
        columns.insert(2, "relation")
    print_records(rows, (*columns, "valid_from", "source"), as_json=as_json)


def _axes(snapshot: Any, as_of: str | None, known_at: str | None, history: bool) -> tuple[Any, int | None]:
    """Return valid time and revision; None for all valid times, for the newest revision."""
    from service.cli.catalog_access import now
    from service.cli.moments import read_known_at, read_moment

    believed = read_known_at(known_at, snapshot) if known_at else None
    if history:
        return None, believed
    return (read_moment(as_of, "as_of") if as_of else now()), believed


def _relations(snapshot: Any, model: str | None) -> Mapping[tuple[str, str], str]:
    """Return how the listings are related to a model, or each to its own where none is named."""
    listings = snapshot.listings(snapshot.model(model).id if model else None)
    return {(listing.provider, listing.provider_model_id): listing.relation for listing in listings}


def _price(price: Any) -> Mapping[str, Any]:
    from service.application.render import render_decimal

    return {"amount": render_decimal(price.amount), "currency": price.currency, "per": price.per}


def _validity(record: Any) -> Mapping[str, Any]:
    stamp = record.stamp
    return {
        "valid_from": stamp.valid_from,
        "valid_to": stamp.valid_to,
        "valid_from_basis": stamp.valid_from_basis,
        "revision_from": stamp.revision_from,
        "row_id": stamp.row_id,
        "source": record.source,
    }


def _selector(selector: Any) -> Mapping[str, Any]:
    """Return the axes that a selector binds."""
    from dataclasses import asdict

    return {name: value for name, value in asdict(selector).items() if value is not None}


def register(app: Any) -> None:
    """Add the commands to the application."""
    app.add_typer(prices, name="prices")
