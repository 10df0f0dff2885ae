"""What the routes need, handed to the application by whoever composes it."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from starlette.requests import Request

from service.api.limits import ApiLimits
from service.api.management import Management
from service.api.pool import BoundedPool
from service.api.problems import ProblemError
from service.application.answers import EstimateAnswer
from service.application.compare_answers import CompareAnswer
from service.application.compare_requests import CompareRequest
from service.application.curve_answers import CurveAnswer
from service.application.curve_requests import CurveRequest
from service.application.errors import UnavailableError
from service.application.ports import CatalogSnapshot, SnapshotSource
from service.application.requests import EstimateRequest
from service.application.tariff_answers import TariffAnswer
from service.application.tariff_requests import TariffRequest
from service.application.usage_answers import UsageAnswer
from service.application.usage_requests import UsageRequest

EstimateUseCase = Callable[[EstimateRequest, CatalogSnapshot, datetime], EstimateAnswer]
UsageUseCase = Callable[[UsageRequest, CatalogSnapshot, datetime], UsageAnswer]
CurveUseCase = Callable[[CurveRequest, CatalogSnapshot, datetime], CurveAnswer]
TariffUseCase = Callable[[TariffRequest, CatalogSnapshot, datetime], TariffAnswer]
CompareUseCase = Callable[[CompareRequest, CatalogSnapshot, datetime], CompareAnswer]


class CatalogPort(SnapshotSource, Protocol):
    """The current snapshot, and what an operator wants to know of it."""

    async def at_least(self, revision: int) -> CatalogSnapshot:
        """Return a snapshot of at least this revision, reloading first where needed."""
        ...

    def age_seconds(self) -> float | None:
        """Return for how long the database has not confirmed the snapshot; None without a snapshot."""
        ...

    def database_reachable(self) -> bool:
        """Whether the last look at the database succeeded."""
        ...


@dataclass(frozen=True, slots=True)
class Economics:
    """The use cases that look at prices from the side of cost."""

    draw_curve: CurveUseCase
    make_tariff: TariffUseCase
    compare: CompareUseCase


@dataclass(frozen=True, slots=True)
class Services:
    """The use cases and ports of one running application."""

    catalog: CatalogPort
    estimate: EstimateUseCase
    price_usage: UsageUseCase
    economics: Economics | None
    """Curves, tariffs and comparisons; None where they are not set up."""
    clock: Callable[[], datetime]
    limits: ApiLimits
    heavy: BoundedPool
    batches: BoundedPool
    management: Management | None = None
    """Keys, writes and imports; None where they are not set up."""


ServicesFactory = Callable[[], AbstractAsyncContextManager[Services]]


def _no_usage(request: UsageRequest, snapshot: CatalogSnapshot, now: datetime) -> UsageAnswer:
    """Stand for usage pricing where whoever composes the services gives none."""
    raise UnavailableError("Usage pricing is not set up in this service.")


def make_services(
    catalog: CatalogPort,
    estimate: EstimateUseCase,
    clock: Callable[[], datetime],
    limits: ApiLimits | None = None,
    *,
    price_usage: UsageUseCase = _no_usage,
    economics: Economics | None = None,
) -> Services:
    """Return services with pools of the size that the limits state."""
    chosen = limits or ApiLimits()
    return Services(
        catalog=catalog,
        estimate=estimate,
        price_usage=price_usage,
        economics=economics,
        clock=clock,
        limits=chosen,
        heavy=BoundedPool(chosen.pool_workers, chosen.pool_waiting),
        batches=BoundedPool(chosen.batches, chosen.batches_waiting),
    )


def services_of(request: Request) -> Services:
    """Return the services that the lifespan opened."""
    services: Services = request.app.state.services
    return services


async def snapshot_of(request: Request, services: Services) -> CatalogSnapshot:
    """Return the snapshot that this request keeps to its end.

    The header ``Catalog-Min-Revision`` makes the worker reload first where it is behind: a caller
    reads its own write.

    Raises
    ------
    ProblemError
        422 for a header that is no revision or one that the catalog has not reached.
    """
    wanted = request.headers.get("catalog-min-revision")
    if wanted is None:
        return services.catalog.current()
    text = wanted.removeprefix("r")
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise ProblemError(
            "unknown-revision",
            f"Catalog-Min-Revision is {wanted[:40]!r}; a number such as 12 is expected.",
        )
    snapshot = services.catalog.current()
    if snapshot.info.revision < int(text):
        snapshot = await services.catalog.at_least(int(text))
    if snapshot.info.revision < int(text):
        raise ProblemError(
            "unknown-revision",
            f"Catalog-Min-Revision is {text}; the newest revision is {snapshot.info.revision}.",
            accepted={"newest": snapshot.info.revision},
        )
    return snapshot
