"""The service as it runs, over a real database, and keys to talk to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi.testclient import TestClient

from service import bootstrap
from service.catalog.database import open_engine
from service.catalog.importing import run_import
from service.settings import Settings
from tests.builders.drafts import batch, foundation, gpu_price, list_price


def fill(url: str) -> None:
    """Write the registries as revision 1 and two prices as revision 2."""
    engine = open_engine(url)
    run_import(engine, foundation(), actor="test")
    run_import(engine, batch(gpu_price("4"), list_price("1.50")), actor="test")
    engine.dispose()


def make_key(url: str, *scopes: str, expires_at: Any = None) -> str:
    """Make a key as the command line does; return its text."""
    with bootstrap.open_keys(Settings(database_url=url)) as keys:
        return keys.create("test", scopes, expires_at, "cli").text


def bearer(text: str) -> dict[str, str]:
    """Return the header that carries a key."""
    return {"Authorization": f"Bearer {text}"}


@contextmanager
def running(url: str, **settings: Any) -> Iterator[TestClient]:
    """Run the service in this process."""
    chosen = Settings(database_url=url, **{"poll_interval_seconds": 0.2, **settings})
    with TestClient(bootstrap.create_service(chosen), raise_server_exceptions=False) as client:
        yield client
