"""From the validated body to the request that the use case takes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from service.api.from_body import dataclass_of
from service.api.problems import FieldError, ProblemError
from service.api.schemas.estimate_request import (
    ArrivalRateBody,
    CheapestBody,
    ConcurrencyBody,
    EstimateBody,
    PriceBody,
    WorkloadClassBody,
)
from service.api.schemas.fields import MAX_ACCELERATORS, MAX_INTEGER, MAX_LAYERS
from service.api.validation import problem_from_pydantic
from service.application.cost_requests import CostTermsRequest, LoadProfileRequest
from service.application.ports import CatalogSnapshot
from service.application.requests import (
    EstimateRequest,
    FormatsRequest,
    LayoutRequest,
    OperatingPointRequest,
    PoolsRequest,
    PriceRequest,
    SampleRequest,
    ServingRequest,
    UncertaintyRequest,
    WorkloadClass,
)

_LAYER_LISTS = frozenset({"layer_types", "layers_block_type", "mlp_layer_types"})
_LAYER_COUNTS = frozenset({"num_hidden_layers", "n_layer", "n_layers", "num_layers"})


def read_estimate(value: object, snapshot: CatalogSnapshot) -> EstimateRequest:
    """Return the request that a parsed JSON body makes.

    Parameters
    ----------
    value
        What the strict parser returned.
    snapshot
        Resolves ``known_at`` where it is a time.

    Raises
    ------
    ProblemError
        With every field at fault.
    """
    try:
        body = EstimateBody.model_validate(value)
    except ValidationError as error:
        raise problem_from_pydantic(error, EstimateBody) from None
    return estimate_request(body, snapshot)


def estimate_request(body: EstimateBody, snapshot: CatalogSnapshot) -> EstimateRequest:
    """Return the request that a validated body makes.

    Raises
    ------
    ProblemError
        Where a limit is exceeded, or ``known_at`` is a revision that the catalog has not reached.
    """
    workload, unnamed = _workload(body)
    _check_accelerators(body)
    return EstimateRequest(
        accelerator=body.accelerator,
        model=body.model,
        config=None if body.config is None else _plain_config(body.config),
        layout=_layout(body),
        serving=_serving(body),
        formats=_formats(body),
        workload=workload,
        operating_point=_operating_point(body.operating_point),
        utilisation=body.utilisation,
        price=None if body.price is None else _price(body.price),
        split=body.split,
        kv_view=body.kv_view,
        calibration=body.calibration,
        as_of=body.as_of,
        known_at=resolve_known_at(body.known_at, snapshot),
        closure=body.closure,
        include=None if body.include is None else tuple(body.include),
        costs=None if body.costs is None else dataclass_of(CostTermsRequest, body.costs),
        load_profile=None
        if body.load_profile is None
        else dataclass_of(LoadProfileRequest, body.load_profile),
        utilisation_range=None if body.utilisation_range is None else tuple(body.utilisation_range),
        uncertainty=None if body.uncertainty is None else dataclass_of(UncertaintyRequest, body.uncertainty),
        pools=None if body.pools is None else dataclass_of(PoolsRequest, body.pools),
        defaulted=(*(body.defaulted or ()), *unnamed),
    )


def resolve_known_at(value: int | datetime | None, snapshot: CatalogSnapshot) -> int | None:
    """Return the revision that ``known_at`` means.

    Raises
    ------
    ProblemError
        For a revision that the catalog has not reached.
    """
    if value is None:
        return None
    newest = snapshot.info.revision
    revision = snapshot.revision_at(value) if isinstance(value, datetime) else value
    if revision > newest:
        error = FieldError(
            "known_at",
            f"the newest revision is r{newest}",
            "unknown-revision",
            f"r{revision}",
            {"newest": f"r{newest}"},
        )
        raise ProblemError(
            "unknown-revision",
            f"known_at: revision r{revision} does not exist yet; the newest is r{newest}.",
            errors=[error],
        )
    return revision


def _layout(body: EstimateBody) -> LayoutRequest | None:
    given = body.layout
    if given is None:
        return None
    return LayoutRequest(tp=given.tp, pp=given.pp, attention_dp=given.attention_dp, moe_ep=given.moe_ep)


def _serving(body: EstimateBody) -> ServingRequest | None:
    given = body.serving
    if given is None:
        return None
    return ServingRequest(
        engine=given.engine,
        release=given.release,
        token_budget=given.token_budget,
        reserve=given.reserve,
        memory_utilisation=given.memory_utilisation,
        max_batch=given.max_batch,
        draft_tokens=given.draft_tokens,
        acceptance=given.acceptance,
        overlap=given.overlap,
    )


def _formats(body: EstimateBody) -> FormatsRequest | None:
    given = body.formats
    if given is None:
        return None
    return FormatsRequest(
        precision=given.precision,
        weights=given.weights,
        experts=given.experts,
        activations=given.activations,
        kv_cache=given.kv_cache,
    )


def _workload(body: EstimateBody) -> tuple[tuple[WorkloadClass, ...] | None, tuple[str, ...]]:
    """Return the classes, and the paths of the names and weights that were chosen for the caller."""
    if body.workload is None:
        return None, ()
    classes = []
    chosen: list[str] = []
    for index, item in enumerate(body.workload.classes):
        path = f"workload.classes.{index}"
        chosen += [f"{path}.name"] if item.name is None else []
        chosen += [f"{path}.weight"] if item.weight is None else []
        classes.append(_workload_class(item, index))
    return tuple(classes), tuple(chosen)


def _workload_class(item: WorkloadClassBody, index: int) -> WorkloadClass:
    sample = None
    if item.sample is not None:
        sample = tuple(
            SampleRequest(one.input_tokens, one.output_tokens, one.cached_tokens) for one in item.sample
        )
    return WorkloadClass(
        name=item.name or f"class-{index + 1}",
        weight=1.0 if item.weight is None else item.weight,
        input_tokens=item.input_tokens,
        output_tokens=item.output_tokens,
        cached_share=item.cached_share,
        sample=sample,
    )


def _operating_point(
    given: ConcurrencyBody | ArrivalRateBody | CheapestBody | None,
) -> OperatingPointRequest | None:
    if given is None:
        return None
    if isinstance(given, ConcurrencyBody):
        return OperatingPointRequest(
            kind="concurrency", concurrency=given.concurrency, replicas=given.replicas
        )
    if isinstance(given, ArrivalRateBody):
        return OperatingPointRequest(
            kind="arrival_rate", requests_per_second=given.requests_per_second, replicas=given.replicas
        )
    return OperatingPointRequest(
        kind="cheapest",
        max_ttft_seconds=given.max_ttft_seconds,
        max_tpot_seconds=given.max_tpot_seconds,
        statistic=given.statistic,
        replicas=given.replicas,
    )


def _price(given: PriceBody) -> PriceRequest:
    return PriceRequest(
        basis=given.basis,
        amount=given.amount,
        currency=given.currency,
        provider=given.provider,
        region=given.region,
        commitment=given.commitment,
        gpus_per_instance=given.gpus_per_instance,
        source=given.source,
    )


def _check_accelerators(body: EstimateBody) -> None:
    layout = body.layout
    if layout is None:
        return
    total = (layout.tp or 1) * (layout.pp or 1) * (layout.attention_dp or 1)
    if body.operating_point is not None:
        total *= body.operating_point.replicas or 1
    if total > MAX_ACCELERATORS:
        raise _limit(
            "layout",
            f"tp x pp x attention_dp x replicas is {total} accelerators; the limit is {MAX_ACCELERATORS}",
            {"maximum": MAX_ACCELERATORS},
        )


def _plain_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object with plain floats, its integers and layer counts within the limits."""
    plain: dict[str, Any] = _plain_value(config, "config")
    return plain


def _plain_value(value: Any, path: str) -> Any:
    if isinstance(value, dict):
        for key in (_LAYER_COUNTS | _LAYER_LISTS) & value.keys():
            count = len(value[key]) if isinstance(value[key], list) else value[key]
            if isinstance(count, int) and count > MAX_LAYERS:
                raise _limit(f"{path}.{key}", f"is more than {MAX_LAYERS} layers", {"maximum": MAX_LAYERS})
        return {key: _plain_value(item, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [_plain_value(item, f"{path}.{index}") for index, item in enumerate(value)]
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise _limit(path, "is not below 2^53", {"maximum": MAX_INTEGER})
    return value


def _limit(path: str, message: str, accepted: Mapping[str, object]) -> ProblemError:
    error = FieldError(path, message, "limit-exceeded", None, accepted)
    return ProblemError("limit-exceeded", f"{path}: {message}.", errors=[error], accepted=accepted)
