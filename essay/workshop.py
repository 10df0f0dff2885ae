"""The deployments that the essay is about, and the use cases that answer for them."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from service import bootstrap
from service.application.answers import EstimateAnswer
from service.application.compare_answers import CompareAnswer
from service.application.compare_requests import CompareRequest
from service.application.comparisons import Comparer
from service.application.cost_requests import CostTermsRequest
from service.application.curve_answers import CurveAnswer
from service.application.curve_requests import CounterfactualSpec, CurveRequest, CurveSpec
from service.application.curves import CurveDrawer
from service.application.estimate import Estimator
from service.application.ports import CatalogSnapshot
from service.application.requests import (
    EstimateRequest,
    FormatsRequest,
    LayoutRequest,
    OperatingPointRequest,
    PriceRequest,
    SampleRequest,
    ServingRequest,
    WorkloadClass,
)
from service.application.tariff_answers import TariffAnswer
from service.application.tariff_requests import TariffRequest
from service.application.tariffs import TariffMaker
from service.engine.types import ModelWork
from service.settings import Settings

AS_OF: Final = datetime(2026, 11, 20, tzinfo=UTC)
"""Prices are those of this day, so that only a changed engine, calibration or row changes the essay."""
ELECTRICITY: Final = Decimal("0.10")
"""Assumed, USD per kWh; the essay says so."""
INPUT_TOKENS, OUTPUT_TOKENS, CONCURRENCY = 4_000, 1_000, 64
TTFT_LIMIT, TPOT_LIMIT = 2.0, 0.05

LLAMA: Final = EstimateRequest(
    accelerator="h100-sxm",
    model="llama-3.1-70b",
    layout=LayoutRequest(tp=8),
    serving=ServingRequest(engine="vllm"),
    formats=FormatsRequest(precision="fp8"),
    workload=(WorkloadClass("chat", 1.0, INPUT_TOKENS, OUTPUT_TOKENS, 0.0),),
    operating_point=OperatingPointRequest("concurrency", concurrency=CONCURRENCY),
    utilisation=0.5,
    price=PriceRequest(provider="nebius", commitment="on_demand"),
    as_of=AS_OF,
    include=("splits",),
    costs=CostTermsRequest("USD", electricity_per_kilowatt_hour=ELECTRICITY),
)
DEEPSEEK: Final = replace(
    LLAMA, model="deepseek-r1", accelerator="h200-sxm", serving=ServingRequest(engine="sglang")
)


def filled(request: EstimateRequest) -> EstimateRequest:
    """Return a request served as full as latencies bearable in a chat allow, rather than at 64 in flight."""
    limits = OperatingPointRequest("cheapest", max_ttft_seconds=TTFT_LIMIT, max_tpot_seconds=TPOT_LIMIT)
    return replace(request, operating_point=limits)


def in_flight(request: EstimateRequest, concurrency: float) -> EstimateRequest:
    """Return a request with so many always in flight."""
    return replace(request, operating_point=OperatingPointRequest("concurrency", concurrency=concurrency))


def served(request: EstimateRequest, sample: tuple[SampleRequest, ...]) -> EstimateRequest:
    """Return a request over the lengths of a real service."""
    return replace(request, workload=(WorkloadClass("trace", 1.0, sample=sample),))


@dataclass(frozen=True)
class Workshop:
    """A catalog and the use cases over it."""

    snapshot: CatalogSnapshot
    estimator: Estimator = field(default_factory=Estimator)

    def work(self, model: str) -> ModelWork:
        """Return what a model does."""
        return self.snapshot.model(model).work

    def estimate(self, request: EstimateRequest) -> EstimateAnswer:
        """Answer an estimate."""
        return self.estimator.estimate(request, self.snapshot, AS_OF)

    def curve(self, deployment: EstimateRequest, *what_ifs: CounterfactualSpec, **curve: Any) -> CurveAnswer:
        """Draw a curve."""
        wanted = CurveRequest(deployment, CurveSpec(**curve), what_ifs)
        return CurveDrawer(self.estimator).draw(wanted, self.snapshot, AS_OF)

    def tariff(self, request: EstimateRequest) -> TariffAnswer:
        """Make a tariff."""
        return TariffMaker(self.estimator).make(TariffRequest(request), self.snapshot, AS_OF)

    def compare(self, request: EstimateRequest, *, across: bool = False) -> CompareAnswer:
        """Compare with list prices."""
        wanted = CompareRequest(request, across_models=across)
        return Comparer(self.estimator).compare(wanted, self.snapshot, AS_OF)


def open_workshop(database_url: str) -> Workshop:
    """Return a workshop over a seeded database."""
    return Workshop(bootstrap.read_snapshot(Settings(database_url=database_url)))


@contextmanager
def own_workshop() -> Iterator[Workshop]:
    """Seed a database of this release's files, and drop it afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(database_url=f"sqlite:///{folder}/pertoken.db")
        bootstrap.migrate(settings)
        bootstrap.seed(settings)
        yield open_workshop(settings.database_url)
