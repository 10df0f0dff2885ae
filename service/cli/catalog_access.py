"""What commands need of the outside: settings, a catalog that answers, the time."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from service import bootstrap
from service.application.errors import InvalidRequestError, UnavailableError
from service.application.keys import Keys
from service.application.ports import CatalogSnapshot
from service.settings import Settings

_SQLITE = "sqlite:///"
_WAY_OUT = "`pertoken migrate` and `pertoken seed` make and fill a catalog."


def now() -> datetime:
    """Return the time, UTC."""
    return datetime.now(UTC)


def load_settings() -> Settings:
    """Return the settings of the environment.

    Raises
    ------
    InvalidRequestError
        Where one of them is not usable; names the variable.
    """
    try:
        return bootstrap.load_settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = f"PERTOKEN_{str(first['loc'][0]).upper()}"
        raise InvalidRequestError(
            f"{name} is {first['input']!r}: {first['msg']}.", field=name, code="invalid-setting"
        ) from error


def current_snapshot() -> CatalogSnapshot:
    """Return the catalog of the configured database, filling an embedded one that is not there yet.

    A fresh SQLite file takes about a second to fill and makes every later command quick, so it is
    made rather than a catalog in memory on each call.

    Raises
    ------
    UnavailableError
        Where the database does not answer or holds nothing.
    """
    settings = load_settings()
    if _is_missing_file(settings.database_url):
        with _progress(f"making the catalog in {settings.database_url.removeprefix(_SQLITE)} ..."):
            bootstrap.migrate(settings)
            bootstrap.seed(settings)
    # The message below says what the reader of the snapshot would log.
    logging.getLogger("service").addHandler(logging.NullHandler())
    try:
        snapshot = bootstrap.read_snapshot(settings)
    except UnavailableError as error:
        raise UnavailableError(f"{error.message} {_WAY_OUT}") from error
    if snapshot.info.revision == 0:
        raise UnavailableError(f"The catalog is empty. {_WAY_OUT}")
    return snapshot


@contextmanager
def open_keys() -> Iterator[Keys]:
    """Open the API keys of the configured database, which must have its tables already.

    Raises
    ------
    UnavailableError
        Where an SQLite file is not there; a key in a fresh file would open nothing.
    """
    settings = load_settings()
    if _is_missing_file(settings.database_url):
        raise UnavailableError(f"{settings.database_url} does not exist. {_WAY_OUT}")
    with bootstrap.open_keys(settings) as keys:
        yield keys


def migrate(settings: Settings) -> str:
    """Bring the tables up to date; return what to tell."""
    return f"The tables are at version {bootstrap.migrate(settings)}."


def seed(settings: Settings) -> tuple[str, bool]:
    """Load the catalog of this release; return what to tell, and whether all of it is in force."""
    report = bootstrap.seed(settings)
    lines = []
    for name, outcome in report.outcomes.items():
        revision = "" if outcome.revision is None else f" as revision r{outcome.revision}"
        lines.append(f"{name}: {outcome.state}{revision}")
    lines += [f"held for a person to look at: {reason}" for reason in report.held]
    return "\n".join(lines), not report.held


def _is_missing_file(database_url: str) -> bool:
    return database_url.startswith(_SQLITE) and not Path(database_url.removeprefix(_SQLITE)).exists()


def tell(text: str) -> None:
    """Say on a terminal which step is taken; say nothing in a pipe."""
    if sys.stderr.isatty():
        print(f"pertoken: {text}", file=sys.stderr, flush=True)


@contextmanager
def _progress(text: str) -> Iterator[None]:
    """Say on a terminal what takes a moment; say nothing in a pipe."""
    if sys.stderr.isatty():
        print(f"pertoken: {text}", file=sys.stderr, flush=True)
    yield
