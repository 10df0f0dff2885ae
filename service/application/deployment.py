"""A model on hardware under a serving engine: the part of a request that a workload does not touch.

Deployments are compiled once for a catalog state and kept; answers never are.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from service.application.errors import InvalidRequestError, LimitExceededError
from service.application.formats import choose_formats
from service.application.kept import Kept
from service.application.ports import AcceleratorRecord, CatalogSnapshot, ModelRecord
from service.application.requests import EstimateRequest, FormatsRequest, LayoutRequest, ServingRequest
from service.application.subject import Subject, read_subject
from service.engine.layout import allowed_tensor_parallel
from service.engine.replica import compile_replica, weights_bytes
from service.engine.speculation import ACCEPTANCE_SPREAD, DEFAULT_ACCEPTANCE
from service.engine.tables import ReplicaTable
from service.engine.types import (
    Accelerator,
    Calibration,
    EnginePolicy,
    Formats,
    Layout,
    ModelWork,
    Speculation,
)

DEFAULT_ENGINE: Final = "vllm"
DEFAULT_WEIGHTS_SHARE: Final = 0.7
"""A default layout leaves at least the rest of the usable memory to the cache."""
MAX_ACCELERATORS: Final = 65_536
MAX_DRAFT_TOKENS: Final = 16
KEPT_DEPLOYMENTS: Final = 512


@dataclass(frozen=True)
class Deployment:
    """What runs where, compiled; and the parts of the request that say so in full."""

    model_id: str
    work: ModelWork
    model: ModelRecord | None
    accelerator: AcceleratorRecord
    layout: Layout
    policy: EnginePolicy
    formats: Formats
    calibration: Calibration
    table: ReplicaTable
    layout_request: LayoutRequest
    serving_request: ServingRequest
    formats_request: FormatsRequest
    defaulted: tuple[str, ...]
    warnings: tuple[str, ...]
    content: str
    """Digest of the model, accelerator, formats, policy and calibration behind the figures."""


class Deployments:
    """Compiles deployments and keeps the latest of one catalog state."""

    def __init__(self) -> None:
        self._kept: Kept[Deployment] = Kept(KEPT_DEPLOYMENTS)

    def of(self, request: EstimateRequest, snapshot: CatalogSnapshot) -> Deployment:
        """Return the deployment of a request; see :func:`deploy`."""
        if request.config is not None:
            return deploy(request, snapshot)
        key = (
            request.model,
            request.accelerator,
            request.layout,
            request.serving,
            request.formats,
            request.calibration,
        )
        return self._kept.get(snapshot.state_of("references"), key, lambda: deploy(request, snapshot))


def deploy(request: EstimateRequest, snapshot: CatalogSnapshot) -> Deployment:
    """Compile the deployment of a request.

    Raises
    ------
    UnknownIdError, InvalidRequestError, LimitExceededError, EngineError
        Whatever the request gets wrong, with its field.
    """
    subject = read_subject(request, snapshot)
    accelerator = snapshot.accelerator(request.accelerator)
    serving, policy, serving_defaults = _serving(snapshot, request.serving or ServingRequest())
    chosen = choose_formats(
        snapshot,
        request.formats or FormatsRequest(),
        subject.native_formats,
        accelerator.spec,
        policy,
        has_experts=any(layer.experts for layer in subject.work.layers),
    )
    layout, layout_defaults = _layout(
        request.layout or LayoutRequest(), subject.work, (accelerator.spec, chosen.formats, policy)
    )
    spec = accelerator.spec
    calibration = snapshot.calibration(request.calibration, spec.family, spec.vendor, policy.name)
    speculation = Speculation(serving.draft_tokens or 0, serving.acceptance or 0.0)
    table = replace(
        compile_replica(subject.work, spec, layout, chosen.formats, calibration, speculation),
        overlaps=serving.overlap == "two_batch",
    )
    return Deployment(
        model_id=subject.model_id,
        work=subject.work,
        model=subject.model,
        accelerator=accelerator,
        layout=layout,
        policy=policy,
        formats=chosen.formats,
        calibration=calibration,
        table=table,
        layout_request=LayoutRequest(layout.tp, layout.pp, layout.attention_dp, layout.moe_ep),
        serving_request=serving,
        formats_request=chosen.request,
        defaulted=(*layout_defaults, *serving_defaults, *chosen.defaulted),
        warnings=(
            *chosen.warnings,
            *_speculation_warnings(subject.work, serving),
            *_overlap_warnings(table),
            *_vendor_warnings(policy, accelerator),
        ),
        content=_digest(subject, accelerator, (chosen.formats, policy, calibration, speculation)),
    )


def _digest(subject: Subject, accelerator: AcceleratorRecord, others: tuple[object, ...]) -> str:
    return hashlib.sha256(repr((subject.work, accelerator.spec, others)).encode()).hexdigest()


def _speculation_warnings(work: ModelWork, serving: ServingRequest) -> tuple[str, ...]:
    """Return what is assumed of a deployment that speculates."""
    if not serving.draft_tokens:
        return ()
    said = []
    if serving.acceptance == DEFAULT_ACCEPTANCE:
        said.append(
            f"Each draft is taken to be accepted with probability {serving.acceptance:g}, give or take "
            f"{ACCEPTANCE_SPREAD:g}: measure it, or state it as serving.acceptance."
        )
    if work.mtp_parameters == 0:
        said.append(
            "The model has no multi-token-prediction layer: drafts are costed as a further layer of its own."
        )
    return tuple(said)


def _overlap_warnings(table: ReplicaTable) -> tuple[str, ...]:
    """Return that there is nothing to overlap, where that is so."""
    if not table.overlaps or table.exchange is not None:
        return ()
    return (
        "serving.overlap changes nothing: it hides the exchange of tokens between experts on several "
        "attention-DP ranks, and this deployment has none.",
    )


def _vendor_warnings(policy: EnginePolicy, accelerator: AcceleratorRecord) -> tuple[str, ...]:
    """Return that an engine is not made for an accelerator, where that is known."""
    vendor = accelerator.spec.vendor
    if not policy.vendors or vendor in policy.vendors:
        return ()
    return (
        f"{policy.name} is not made for {accelerator.id}: it runs on accelerators of "
        f"{', '.join(policy.vendors)}, this one is of {vendor}. The figures are those of its defaults there.",
    )


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
    drafts = _draft_tokens(asked)
    filled = ServingRequest(
        engine=policy.name,
        release=policy.release or asked.release,
        token_budget=None if policy.token_budget_covers_prompt else policy.token_budget,
        reserve=policy.reserve,
        memory_utilisation=policy.memory_utilisation,
        max_batch=policy.max_batch,
        draft_tokens=drafts,
        acceptance=_acceptance(asked) if drafts else None,
        overlap=asked.overlap or "none",
    )
    fields = ("engine", "release", *names, "draft_tokens", *(("acceptance",) if drafts else ()), "overlap")
    return filled, policy, [f"serving.{name}" for name in fields if getattr(asked, name) is None]


def _draft_tokens(asked: ServingRequest) -> int:
    drafts = asked.draft_tokens or 0
    if not 0 <= drafts <= MAX_DRAFT_TOKENS:
        raise InvalidRequestError(
            f"serving.draft_tokens is {drafts}; it must be 0 to {MAX_DRAFT_TOKENS}.",
            field="serving.draft_tokens",
        )
    if drafts == 0 and asked.acceptance is not None:
        raise InvalidRequestError(
            "serving.acceptance is of drafts, but serving.draft_tokens is 0; give both or neither.",
            field="serving.acceptance",
        )
    return drafts


def _acceptance(asked: ServingRequest) -> float:
    if asked.acceptance is None:
        return DEFAULT_ACCEPTANCE
    if not 0 <= asked.acceptance <= 1:
        raise InvalidRequestError(
            f"serving.acceptance is {asked.acceptance}; it must be 0 to 1.", field="serving.acceptance"
        )
    return asked.acceptance


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
    check_accelerators(layout.accelerators, "layout")
    names = ("tp", "pp", "attention_dp", "moe_ep")
    return layout, [f"layout.{name}" for name in names if getattr(asked, name) is None]


def check_accelerators(count: int, field: str) -> None:
    """Refuse more accelerators than are reckoned with.

    Raises
    ------
    LimitExceededError
        With the field that asks for them.
    """
    if count > MAX_ACCELERATORS:
        raise LimitExceededError(
            f"{field} comes to {count} accelerators; at most {MAX_ACCELERATORS} are accepted.",
            field=field,
            accepted={"maximum_accelerators": MAX_ACCELERATORS},
        )


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
