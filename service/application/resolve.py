"""A request becomes engine inputs; every default is chosen and named.

What the caller left out is filled in and listed in ``defaulted``, so that posting ``resolved`` back
gives the same answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import Final

from service.application.bases import (
    LEAST_REQUESTS_PER_SECOND,
    LEAST_UTILISATION,
    resolve_profile,
    resolve_terms,
)
from service.application.deployment import Deployment, check_accelerators
from service.application.errors import InvalidRequestError, LimitExceededError
from service.application.gpu_price import ChosenPrice, GpuPriceChooser
from service.application.mix import mix_of
from service.application.ports import CatalogSnapshot
from service.application.requests import (
    EstimateRequest,
    OperatingPointRequest,
    PriceRequest,
    UncertaintyRequest,
    WorkloadClass,
)
from service.engine.workload import Mix

DEFAULT_WORKLOAD: Final = (WorkloadClass(name="default", weight=1.0, input_tokens=4096, output_tokens=512),)
DEFAULT_UTILISATION: Final = 0.5
UTILISATION_AROUND_DEFAULT: Final = 0.2
"""Where utilisation is a default, intervals let it lie so far below and above."""
DEFAULT_SAMPLES: Final = 256
LEAST_SAMPLES: Final = 16
MOST_SAMPLES: Final = 4_096
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
    check_accelerators(deployment.layout.accelerators * (point.replicas or 1), "operating_point.replicas")
    as_of = request.as_of or now
    where = (deployment.accelerator.id, as_of, request.known_at)
    price = _modelled_price(request) or prices.choose(snapshot, request.price or PriceRequest(), where)
    costs, cost_defaults = resolve_terms(request.costs, price.currency)
    profile, profile_defaults = resolve_profile(request.load_profile)
    workload = request.workload if request.workload is not None else DEFAULT_WORKLOAD
    mix, names = mix_of(workload, deployment.work)
    utilisation = _utilisation(request, point)
    uncertainty, uncertainty_defaults = _uncertainty(request, utilisation)
    nested = (
        *uncertainty_defaults,
        *deployment.defaulted,
        *point_defaults,
        *price.defaulted,
        *cost_defaults,
        *profile_defaults,
    )
    filled = EstimateRequest(
        accelerator=deployment.accelerator.id,
        model=None if request.config is not None else deployment.model_id,
        config=request.config,
        layout=deployment.layout_request,
        serving=deployment.serving_request,
        formats=deployment.formats_request,
        workload=workload,
        operating_point=point,
        utilisation=utilisation,
        price=price.request,
        split=request.split or "shapley",
        kv_view=request.kv_view or "by_pass",
        calibration=deployment.calibration.name,
        as_of=as_of,
        known_at=request.known_at if request.known_at is not None else snapshot.info.revision,
        closure=request.closure or ("tpot_and_ttft_limits" if request.split == "marginal" else None),
        include=request.include,
        costs=costs,
        load_profile=profile,
        utilisation_range=_utilisation_range(request.utilisation_range),
        uncertainty=uncertainty,
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
    if point.kind == "arrival_rate" or request.load_profile is not None:
        # Utilisation is then an output and has no default.
        plain.discard("utilisation")
    if request.split == "marginal" and request.closure is None:
        plain.add("closure")
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
    if asked.requests_per_second is not None and asked.requests_per_second < LEAST_REQUESTS_PER_SECOND:
        raise InvalidRequestError(
            f"operating_point.requests_per_second is {asked.requests_per_second}; at least "
            f"{LEAST_REQUESTS_PER_SECOND:g}, one request in thirty years, can be reckoned with.",
            field="operating_point.requests_per_second",
            accepted={"minimum": LEAST_REQUESTS_PER_SECOND},
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


def _modelled_price(request: EstimateRequest) -> ChosenPrice | None:
    """Return the place of a price that follows from ``costs`` once the power at the point is known."""
    asked = request.price
    if asked is None or asked.basis not in ("tco", "energy"):
        return None
    if request.costs is None:
        raise InvalidRequestError(
            f"price.basis is {asked.basis}, which follows from costs; costs is missing.", field="costs"
        )
    if asked.basis == "tco" and request.costs.capital_per_accelerator is None:
        raise InvalidRequestError(
            "price.basis is tco, which needs costs.capital_per_accelerator; it has no default.",
            field="costs.capital_per_accelerator",
        )
    if asked.amount is not None or (asked.currency not in (None, request.costs.currency)):
        raise InvalidRequestError(
            f"price.basis is {asked.basis}, so its amount and currency follow from costs; leave them out.",
            field="price.amount" if asked.amount is not None else "price.currency",
            code="price-given-twice",
        )
    currency = request.costs.currency
    return ChosenPrice(Decimal(0), currency, None, PriceRequest(basis=asked.basis, currency=currency), ())


def _utilisation_range(asked: tuple[float, ...] | None) -> tuple[float, ...] | None:
    for value in asked or ():
        if not LEAST_UTILISATION <= value <= 1:
            raise InvalidRequestError(
                f"utilisation_range has {value}; each must be from {LEAST_UTILISATION:g} to 1.",
                field="utilisation_range",
                accepted={"minimum": LEAST_UTILISATION, "maximum": 1},
            )
    return asked


def _utilisation(request: EstimateRequest, point: OperatingPointRequest) -> float | None:
    asked = request.utilisation
    if request.load_profile is not None:
        if asked is not None or point.kind == "arrival_rate":
            raise InvalidRequestError(
                "utilisation follows from load_profile, which takes the place of utilisation and of an "
                "arrival rate; give one of the three.",
                field="utilisation" if asked is not None else "operating_point.kind",
                code="utilisation-is-an-output",
            )
        return None
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
    if not LEAST_UTILISATION <= asked <= 1:
        raise InvalidRequestError(
            f"utilisation is {asked}; it must be from {LEAST_UTILISATION:g} to 1.",
            field="utilisation",
            accepted={"minimum": LEAST_UTILISATION, "maximum": 1},
        )
    return asked


def _uncertainty(
    request: EstimateRequest, utilisation: float | None
) -> tuple[UncertaintyRequest | None, list[str]]:
    """Fill in what intervals are wanted; return it and the paths of what was chosen."""
    asked = request.uncertainty
    if asked is None:
        return None, []
    samples = DEFAULT_SAMPLES if asked.samples is None else asked.samples
    if samples > MOST_SAMPLES:
        raise LimitExceededError(
            f"uncertainty.samples is {samples}; at most {MOST_SAMPLES} are drawn.",
            field="uncertainty.samples",
            accepted={"maximum": MOST_SAMPLES},
        )
    if samples < LEAST_SAMPLES:
        raise InvalidRequestError(
            f"uncertainty.samples is {samples}; fewer than {LEAST_SAMPLES} give no P10.",
            field="uncertainty.samples",
            accepted={"minimum": LEAST_SAMPLES},
        )
    low, high = _utilisation_between(request, asked, utilisation)
    filled = UncertaintyRequest(samples, asked.seed or 0, low, high)
    names = ("samples", "seed", "utilisation_low", "utilisation_high")
    chosen = [name for name in names if getattr(asked, name) is None and getattr(filled, name) is not None]
    return filled, [f"uncertainty.{name}" for name in chosen]


def _utilisation_between(
    request: EstimateRequest, asked: UncertaintyRequest, utilisation: float | None
) -> tuple[float | None, float | None]:
    given = (asked.utilisation_low, asked.utilisation_high)
    if utilisation is None:
        if given != (None, None):
            raise InvalidRequestError(
                "uncertainty.utilisation_low and utilisation_high have no meaning where utilisation follows "
                "from arrivals or a load profile; leave them out.",
                field="uncertainty.utilisation_low"
                if given[0] is not None
                else "uncertainty.utilisation_high",
                code="utilisation-is-an-output",
            )
        return given
    around = UTILISATION_AROUND_DEFAULT if request.utilisation is None else 0.0
    ends = request.utilisation_range or (utilisation - around, utilisation + around)
    low = min(ends) if given[0] is None else given[0]
    high = max(ends) if given[1] is None else given[1]
    if not LEAST_UTILISATION <= low <= high <= 1:
        raise InvalidRequestError(
            f"uncertainty has utilisation between {low:g} and {high:g}; it must lie from "
            f"{LEAST_UTILISATION:g} to 1, the lower end first.",
            field="uncertainty.utilisation_low",
            accepted={"minimum": LEAST_UTILISATION, "maximum": 1},
        )
    return low, high
