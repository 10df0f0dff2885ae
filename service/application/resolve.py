"""A request becomes engine inputs; every default is chosen and named.

What the caller left out is filled in and listed in ``defaulted``, so that posting ``resolved`` back
gives the same answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import isfinite
from typing import Final

from service.application.deployment import Deployment
from service.application.errors import InvalidRequestError
from service.application.gpu_price import ChosenPrice, GpuPriceChooser
from service.application.mix import mix_of
from service.application.ports import CatalogSnapshot
from service.application.requests import (
    EstimateRequest,
    OperatingPointRequest,
    PriceRequest,
    WorkloadClass,
)
from service.engine.workload import Mix

DEFAULT_WORKLOAD: Final = (WorkloadClass(name="default", weight=1.0, input_tokens=4096, output_tokens=512),)
DEFAULT_UTILISATION: Final = 0.5
DEFAULT_MAX_TPOT_SECONDS: Final = 0.05
DEFAULT_MAX_TTFT_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Resolved:
    """Everything an estimate needs, and the request that says so in full."""

    request: EstimateRequest
    point: OperatingPointRequest
    deployment: Deployment
    mix: Mix
    class_names: tuple[str, ...]
    price: ChosenPrice


def resolve(
    request: EstimateRequest,
    deployment: Deployment,
    snapshot: CatalogSnapshot,
    now: datetime,
    prices: GpuPriceChooser,
) -> Resolved:
    """Fill in a request.

    Raises
    ------
    InvalidRequestError, LimitExceededError, NoPriceError, EngineError
        Whatever the request gets wrong, with its field.
    """
    point, point_defaults = _operating_point(request.operating_point)
    as_of = request.as_of or now
    price = prices.choose(
        snapshot, request.price or PriceRequest(), (deployment.accelerator.id, as_of, request.known_at)
    )
    workload = request.workload if request.workload is not None else DEFAULT_WORKLOAD
    mix, names = mix_of(workload, deployment.work)
    nested = (*deployment.defaulted, *point_defaults, *price.defaulted)
    filled = EstimateRequest(
        accelerator=deployment.accelerator.id,
        model=None if request.config is not None else deployment.model_id,
        config=request.config,
        layout=deployment.layout_request,
        serving=deployment.serving_request,
        formats=deployment.formats_request,
        workload=workload,
        operating_point=point,
        utilisation=_utilisation(request.utilisation, point),
        price=price.request,
        split=request.split or "shapley",
        kv_view=request.kv_view or "by_pass",
        calibration=deployment.calibration.name,
        as_of=as_of,
        known_at=request.known_at if request.known_at is not None else snapshot.info.revision,
        defaulted=_defaulted(request, point, nested),
    )
    return Resolved(filled, point, deployment, mix, names, price)


PLAIN_FIELDS: Final = ("workload", "utilisation", "split", "kv_view", "calibration", "as_of", "known_at")
"""Fields of a request that are a default where they are None."""


def _defaulted(
    request: EstimateRequest, point: OperatingPointRequest, nested: Sequence[str]
) -> tuple[str, ...]:
    """Join the paths of all defaults; those an earlier answer chose are carried through."""
    plain = {name for name in PLAIN_FIELDS if getattr(request, name) is None}
    if point.kind == "arrival_rate":
        # Utilisation is then an output and has no default.
        plain.discard("utilisation")
    return tuple(sorted(plain.union(nested, request.defaulted)))


def _operating_point(asked: OperatingPointRequest | None) -> tuple[OperatingPointRequest, list[str]]:
    if asked is None:
        point = OperatingPointRequest(
            kind="cheapest",
            max_ttft_seconds=DEFAULT_MAX_TTFT_SECONDS,
            max_tpot_seconds=DEFAULT_MAX_TPOT_SECONDS,
            statistic="mean",
        )
        names = ("kind", "max_ttft_seconds", "max_tpot_seconds", "statistic")
        return point, [f"operating_point.{name}" for name in names]
    for name in ("concurrency", "requests_per_second", "replicas", "max_ttft_seconds", "max_tpot_seconds"):
        value = getattr(asked, name)
        if value is not None and not (isfinite(value) and value > 0):
            raise InvalidRequestError(
                f"operating_point.{name} is {value}; it must be greater than 0.",
                field=f"operating_point.{name}",
            )
    if asked.kind == "concurrency":
        _require(asked.concurrency, "operating_point.concurrency")
        if asked.concurrency is not None and asked.concurrency < 1:
            raise InvalidRequestError(
                f"operating_point.concurrency is {asked.concurrency}; at least 1 request is in flight.",
                field="operating_point.concurrency",
            )
        return asked, []
    if asked.kind == "arrival_rate":
        _require(asked.requests_per_second, "operating_point.requests_per_second")
        if asked.replicas is None:
            return replace(asked, replicas=1), ["operating_point.replicas"]
        return asked, []
    if asked.statistic is None:
        return replace(asked, statistic="mean"), ["operating_point.statistic"]
    return asked, []


def _require(value: float | None, field: str) -> None:
    if value is None:
        raise InvalidRequestError(f"{field} is missing; this kind of operating point needs it.", field=field)


def _utilisation(asked: float | None, point: OperatingPointRequest) -> float | None:
    if point.kind == "arrival_rate":
        if asked is not None:
            raise InvalidRequestError(
                "utilisation follows from the arrival rate and may not be given with it; leave it out.",
                field="utilisation",
                code="utilisation-is-an-output",
            )
        return None
    if asked is None:
        return DEFAULT_UTILISATION
    if not 0 < asked <= 1:
        raise InvalidRequestError(
            f"utilisation is {asked}; it must be above 0 and at most 1.",
            field="utilisation",
            accepted={"above": 0, "at_most": 1},
        )
    return asked
