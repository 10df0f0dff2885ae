"""The use cases that change something, as one part of the services; None of it where only estimates run."""

from dataclasses import dataclass, field

from service.api.pool import BoundedPool
from service.application.imports import Imports
from service.application.keys import Keys
from service.application.write_ports.keys import AuditReader, KeyRing
from service.application.writes import CatalogWrites

SQL_THREADS = 4
SQL_WAITING = 64


@dataclass(frozen=True, slots=True)
class AccessRules:
    """What needs no key."""

    open_read: bool = True
    open_price: bool = True


def _sql_pool() -> BoundedPool:
    # A pool of its own: writers wait for each other's lock, and estimates must not wait with them.
    return BoundedPool(SQL_THREADS, SQL_WAITING)


@dataclass(frozen=True, slots=True)
class Management:
    """The use cases that change something, and who may."""

    rules: AccessRules
    ring: KeyRing
    keys: Keys
    audit: AuditReader
    writes: CatalogWrites
    imports: Imports
    pool: BoundedPool = field(default_factory=_sql_pool)
    """Where all work runs that talks to the database."""
