"""What commands need of the outside: settings, a catalog that answers, the time."""

from datetime import UTC, datetime
from typing import Any

from service.application.ports import CatalogSnapshot


def now() -> datetime:
    """Return the time, UTC."""
    return datetime.now(UTC)


def load_settings() -> Any:
    """Return the settings of the environment."""
    from service import bootstrap

    return bootstrap.load_settings()


def current_snapshot() -> CatalogSnapshot:
    """Return the catalog of the configured database, filling an embedded one that is not there yet."""
    raise NotImplementedError


def migrate_and_seed(settings: Any) -> str:
    """Bring the database up to date; return what was done."""
    from service import bootstrap

    bootstrap.migrate(settings)
    return seed_report(bootstrap.seed(settings))


def seed_report(report: Any) -> str:
    """Return what seeding did, as text."""
    return str(report)
