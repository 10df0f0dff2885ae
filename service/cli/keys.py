"""``pertoken keys``: make, list and revoke API keys; the first admin key comes from here."""

from typing import Annotated, Any

import typer

from service.cli.lists import JSON_OPTION

keys = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="API keys; changed here, on the server's database."
)
ACTOR = "cli"


@keys.command("create")
def create(
    label: Annotated[str, typer.Option(help="Whose key it is, for people.")],
    scope: Annotated[
        list[str],
        typer.Option(help="read, price, write (includes read) or admin (includes all); may be repeated."),
    ],
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="Day or time from which it is refused; never.")
    ] = None,
    as_json: JSON_OPTION = False,
) -> None:
    """Make a key and print it, this once."""
    from service.cli.catalog_access import open_keys
    from service.cli.lists import print_record
    from service.cli.moments import read_moment

    until = read_moment(expires, "expires") if expires else None
    with open_keys() as store:
        made = store.create(label, scope, until, ACTOR)
    print_record({"key": made.text, **_shown(made.record)}, as_json=as_json)


@keys.command("list")
def list_keys(as_json: JSON_OPTION = False) -> None:
    """Print all keys, those revoked or expired too; never their text."""
    from service.cli.catalog_access import open_keys
    from service.cli.lists import print_records

    with open_keys() as store:
        rows = [_shown(record) for record in store.all()]
    columns = ("id", "label", "scopes", "created_at", "expires_at", "revoked_at")
    print_records(rows, columns, as_json=as_json)


@keys.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The part of a key between its underscores.")],
    as_json: JSON_OPTION = False,
) -> None:
    """Revoke a key for good."""
    from service.cli.catalog_access import open_keys
    from service.cli.lists import print_record

    with open_keys() as store:
        record = store.revoke(key_id, ACTOR)
    print_record(_shown(record), as_json=as_json)


def _shown(record: Any) -> dict[str, Any]:
    return {
        "id": record.id,
        "label": record.label,
        "scopes": list(record.scopes),
        "created_at": record.created_at,
        "expires_at": record.expires_at,
        "revoked_at": record.revoked_at,
    }


def register(app: Any) -> None:
    """Add the commands to the application."""
    app.add_typer(keys, name="keys")
