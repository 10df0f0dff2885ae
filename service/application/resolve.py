"""A request and a snapshot become engine inputs; every default is chosen here and named.

What the caller left out is filled in and listed in ``defaulted``, so that posting ``resolved`` back
gives the same answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeVar

import numpy as np

from service.application.errors import InvalidRequestError, LimitExceededError
from service.application.formats import choose_formats
from service.application.gpu_price import ChosenPrice, choose_gpu_price
from service.application.ports import AcceleratorRecord, CatalogSnapshot, ModelRecord
from service.application.requests import (
    EstimateRequest,
    FormatsRequest,
    LayoutRequest,
    OperatingPointRequest,
    PriceRequest,
    ServingRequest,
    WorkloadClass,
)
from service.engine.layout import allowed_tensor_parallel
from service.engine.replica import weights_bytes
from service.engine.types import Accelerator, Calibration, EnginePolicy, Formats, Layout, ModelWork
from service.engine.workload import Mix, make_mix

DEFAULT_WORKLOAD: Final = (WorkloadClass(name="default", weight=1.0, input_tokens=4096, output_tokens=512),)
DEFAULT_ENGINE: Final = "vllm"
DEFAULT_UTILISATION: Final = 0.5
DEFAULT_MAX_TPOT_SECONDS: Final = 0.05
DEFAULT_MAX_TTFT_SECONDS: Final = 5.0
DEFAULT_WEIGHTS_SHARE: Final = 0.7
"""A default layout leaves at least the rest of the usable memory to the cache."""
MAX_CLASSES: Final = 256
MAX_SAMPLES: Final = 4_096
MAX_ACCELERATORS: Final = 65_536

T = TypeVar("T")


@dataclass(frozen=True)
class Resolved:
    """Everything an estimate needs, and the request that says so in full."""

    request: EstimateRequest
    model_id: str
    work: ModelWork
    model: ModelRecord | None
    accelerator: AcceleratorRecord
    layout: Layout
    policy: EnginePolicy
    formats: Formats
    calibration: Calibration
    mix: Mix
    class_names: tuple[str, ...]
    price: ChosenPrice
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Subject:
    """What a request is about, before any default is chosen."""

    model_id: str
    work: ModelWork
    model: ModelRecord | None
    native_formats: Mapping[str, str]


def resolve(request: EstimateRequest, subject: Subject, snapshot: CatalogSnapshot, now: datetime) -> Resolved:
    """Fill in a request.

    Raises
    ------
    UnknownIdError, InvalidRequestError, LimitExceededError, NoPriceError, EngineError
        Whatever the request gets wrong, with its field.
    """
    accelerator = snapshot.accelerator(request.accelerator)
    serving, policy, serving_defaults = _serving(snapshot, request.serving or ServingRequest())
    chosen = choose_formats(
        snapshot, request.formats or FormatsRequest(), subject.native_formats, accelerator.spec, policy
    )
    layout, layout_defaults = _layout(
        request.layout or LayoutRequest(), subject.work, (accelerator.spec, chosen.formats, policy)
    )
    point, point_defaults = _operating_point(request.operating_point)
    price = choose_gpu_price(
        snapshot, request.price or PriceRequest(), accelerator.id, request.as_of or now, request.known_at
    )
    calibration = snapshot.calibration(
        request.calibration, accelerator.spec.family, accelerator.spec.vendor, policy.name
    )
    defaults = (*layout_defaults, *serving_defaults, *point_defaults, *chosen.defaulted, *price.defaulted)
    filled = replace(
        _with_plain_defaults(request, point, snapshot, now),
        model=None if request.config is not None else subject.model_id,
        accelerator=accelerator.id,
        layout=LayoutRequest(layout.tp, layout.pp, layout.attention_dp, layout.moe_ep),
        serving=serving,
        formats=chosen.request,
        operating_point=point,
        price=price.request,
        calibration=calibration.name,
        defaulted=_defaulted(request, point, defaults),
    )
    mix, names = _mix(filled.workload or (), subject.work)
    return Resolved(
        request=filled,
        model_id=subject.model_id,
        work=subject.work,
        model=subject.model,
        accelerator=accelerator,
        layout=layout,
        policy=policy,
        formats=chosen.formats,
        calibration=calibration,
        mix=mix,
        class_names=names,
        price=price,
        warnings=chosen.warnings,
    )


def _with_plain_defaults(
    request: EstimateRequest, point: OperatingPointRequest, snapshot: CatalogSnapshot, now: datetime
) -> EstimateRequest:
    """Fill in the fields whose default needs no look-up."""
    return replace(
        request,
        workload=request.workload if request.workload is not None else DEFAULT_WORKLOAD,
        utilisation=_utilisation(request.utilisation, point),
        split=request.split or "shapley",
        kv_view=request.kv_view or "by_pass",
        as_of=request.as_of or now,
        known_at=request.known_at if request.known_at is not None else snapshot.info.revision,
    )


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


def _serving(
    snapshot: CatalogSnapshot, asked: ServingRequest
) -> tuple[ServingRequest, EnginePolicy, list[str]]:
    policy = snapshot.engine_policy(asked.engine or DEFAULT_ENGINE, asked.release)
    names = ("token_budget", "reserve", "memory_utilisation", "max_batch")
    given = {name: getattr(asked, name) for name in names if getattr(asked, name) is not None}
    if given:
        _check_serving(given)
        # A stated budget is kept, also by an engine that would stretch its own over the prompt.
        stretch = policy.token_budget_covers_prompt and "token_budget" not in given
        policy = replace(policy, **given, token_budget_covers_prompt=stretch)
    filled = ServingRequest(
        engine=policy.name,
        release=policy.release or asked.release,
        token_budget=None if policy.token_budget_covers_prompt else policy.token_budget,
        reserve=policy.reserve,
        memory_utilisation=policy.memory_utilisation,
        max_batch=policy.max_batch,
    )
    fields = ("engine", "release", *names)
    return filled, policy, [f"serving.{name}" for name in fields if getattr(asked, name) is None]


def _check_serving(given: Mapping[str, object]) -> None:
    for name in ("token_budget", "max_batch"):
        value = given.get(name)
        if isinstance(value, int | float) and value < 1:
            raise InvalidRequestError(
                f"serving.{name} is {value}; it must be at least 1.", field=f"serving.{name}"
            )
    share = given.get("memory_utilisation")
    if isinstance(share, int | float) and not 0 < share <= 1:
        raise InvalidRequestError(
            f"serving.memory_utilisation is {share}; it must be above 0 and at most 1.",
            field="serving.memory_utilisation",
        )


def _layout(
    asked: LayoutRequest, work: ModelWork, machine: tuple[Accelerator, Formats, EnginePolicy]
) -> tuple[Layout, list[str]]:
    pp, attention_dp, moe_ep = asked.pp or 1, asked.attention_dp or 1, asked.moe_ep or 1
    tp = asked.tp if asked.tp is not None else _smallest_tp(work, machine, (pp, attention_dp, moe_ep))
    layout = Layout(
        tp,
        asked.pp if asked.pp is not None else 1,
        asked.attention_dp if asked.attention_dp is not None else 1,
        asked.moe_ep if asked.moe_ep is not None else 1,
    )
    if layout.accelerators > MAX_ACCELERATORS:
        raise LimitExceededError(
            f"The layout uses {layout.accelerators} accelerators; at most {MAX_ACCELERATORS} are accepted.",
            field="layout",
            accepted={"maximum_accelerators": MAX_ACCELERATORS},
        )
    names = ("tp", "pp", "attention_dp", "moe_ep")
    return layout, [f"layout.{name}" for name in names if getattr(asked, name) is None]


def _smallest_tp(
    work: ModelWork, machine: tuple[Accelerator, Formats, EnginePolicy], others: tuple[int, int, int]
) -> int:
    """Return the smallest power of two that leaves room for the cache; the largest allowed if none does."""
    accelerator, formats, policy = machine
    room = accelerator.memory_bytes * policy.memory_utilisation * DEFAULT_WEIGHTS_SHARE
    sizes = [tp for tp in allowed_tensor_parallel(work) if tp & (tp - 1) == 0]
    pp, attention_dp, moe_ep = others
    sizes = [tp for tp in sizes if (tp * attention_dp) % moe_ep == 0] or sizes
    for tp in sizes:
        if weights_bytes(work, Layout(tp, pp, attention_dp, moe_ep), formats) <= room:
            return tp
    return sizes[-1]


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
        if value is not None and not (np.isfinite(value) and value > 0):
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


def _mix(workload: Sequence[WorkloadClass], work: ModelWork) -> tuple[Mix, tuple[str, ...]]:
    if len(workload) == 0:
        raise InvalidRequestError(
            "The mix is empty; give at least one class.", field="workload.classes", code="empty-mix"
        )
    if len(workload) > MAX_CLASSES:
        raise LimitExceededError(
            f"The mix has {len(workload)} classes; at most {MAX_CLASSES} are accepted.",
            field="workload.classes",
            accepted={"maximum_classes": MAX_CLASSES},
        )
    rows: list[tuple[float, float, float]] = []
    index: list[int] = []
    weights: list[float] = []
    for number, one in enumerate(workload):
        samples = _class_samples(one, f"workload.classes.{number}")
        rows.extend(samples)
        index.extend([number] * len(samples))
        weights.extend([one.weight / len(samples)] * len(samples))
    if len(rows) > MAX_SAMPLES:
        raise LimitExceededError(
            f"The samples hold {len(rows)} requests; at most {MAX_SAMPLES} are accepted.",
            field="workload.classes",
            accepted={"maximum_samples": MAX_SAMPLES},
        )
    longest = max(row[0] + row[2] for row in rows)
    if longest > work.max_context_tokens:
        raise InvalidRequestError(
            f"The longest request has {longest:.0f} tokens; {work.name} takes {work.max_context_tokens}.",
            field="workload.classes",
            code="context-too-long",
            accepted={"maximum_context_tokens": work.max_context_tokens},
        )
    names = tuple(one.name for one in workload)
    if len(set(names)) != len(names):
        raise InvalidRequestError(
            "Class names must differ.", field="workload.classes", code="duplicate-class"
        )
    return make_mix(rows, index, weights), names


def _class_samples(one: WorkloadClass, field: str) -> list[tuple[float, float, float]]:
    if not (np.isfinite(one.weight) and one.weight >= 0):
        raise InvalidRequestError(
            f"{field}.weight is {one.weight}; it must be 0 or more.", field=f"{field}.weight"
        )
    if one.sample is not None:
        if not one.sample:
            raise InvalidRequestError(f"{field}.sample is empty.", field=f"{field}.sample", code="empty-mix")
        if one.input_tokens is not None or one.output_tokens is not None or one.cached_share is not None:
            raise InvalidRequestError(
                f"{field} gives a sample and fixed lengths; give one of the two.", field=field
            )
        return [(float(s.input_tokens), float(s.cached_tokens), float(s.output_tokens)) for s in one.sample]
    share = one.cached_share or 0.0
    _require(one.input_tokens, f"{field}.input_tokens")
    _require(one.output_tokens, f"{field}.output_tokens")
    if not 0 <= share <= 1:
        raise InvalidRequestError(
            f"{field}.cached_share is {share}; it must lie between 0 and 1.",
            field=f"{field}.cached_share",
            accepted={"minimum": 0, "maximum": 1},
        )
    prompt, output = float(one.input_tokens or 0), float(one.output_tokens or 0)
    for name, value in (("input_tokens", prompt), ("output_tokens", output)):
        if value < 1:
            raise InvalidRequestError(
                f"{field}.{name} is {value:.0f}; it must be at least 1.", field=f"{field}.{name}"
            )
    return [(prompt, prompt * share, output)]
