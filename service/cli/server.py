"""``pertoken serve``, ``migrate`` and ``seed``."""

import os
from typing import Annotated, Any

import typer

DatabaseUrl = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Instead of PERTOKEN_DATABASE_URL, for example sqlite:///pertoken.db."),
]


def serve(
    init: Annotated[
        bool, typer.Option("--init", help="First bring the tables up to date and load the catalog.")
    ] = False,
    host: Annotated[str | None, typer.Option(help="Instead of PERTOKEN_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Instead of PERTOKEN_PORT.", min=0, max=65535)] = None,
    workers: Annotated[int | None, typer.Option(help="Instead of PERTOKEN_WORKERS.", min=1)] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Serve the API until stopped."""
    _override(HOST=host, PORT=port, WORKERS=workers, DATABASE_URL=database_url)
    from service.cli import catalog_access

    settings = catalog_access.load_settings()
    if init:
        # Once, here in the parent: workers would only wait for each other's lock.
        print(catalog_access.migrate(settings))
        # Prices held back do not keep a service from starting; those before them stay in force.
        print(catalog_access.seed(settings)[0], flush=True)

    import uvicorn

    uvicorn.run(
        "service.bootstrap:create_service",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_level=settings.log_level,
    )


def migrate(database_url: DatabaseUrl = None) -> None:
    """Bring the database's tables up to date."""
    _override(DATABASE_URL=database_url)
    from service.cli import catalog_access

    print(catalog_access.migrate(catalog_access.load_settings()))


def seed(database_url: DatabaseUrl = None) -> None:
    """Load the catalog of this release; a second time changes nothing."""
    _override(DATABASE_URL=database_url)
    from service.cli import catalog_access

    told, complete = catalog_access.seed(catalog_access.load_settings())
    print(told)
    if not complete:
        raise typer.Exit(1)


def _override(**values: object) -> None:
    """Set settings through the environment, where worker processes find them too."""
    for name, value in values.items():
        if value is not None:
            os.environ[f"PERTOKEN_{name}"] = str(value)


def register(app: Any) -> None:
    """Add the commands to the application."""
    app.command("serve")(serve)
    app.command("migrate")(migrate)
    app.command("seed")(seed)
