"""From the validated bodies of curves, tariffs and comparisons to the requests that the use cases take."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from service.api.from_body import dataclass_of
from service.api.schemas.economics_request import CompareBody, CurveBody, TariffBody
from service.api.translate import estimate_request
from service.api.validation import problem_from_pydantic
from service.application.compare_requests import CompareRequest, PricedAs
from service.application.curve_requests import CounterfactualSpec, CurveRequest, CurveSpec
from service.application.ports import CatalogSnapshot
from service.application.tariff_requests import (
    PrefixRequest,
    PriceSheet,
    SubscriptionRequest,
    TariffRequest,
    TraceRequest,
)

Body = TypeVar("Body", bound=BaseModel)
Part = TypeVar("Part")


def read_curve(value: object, snapshot: CatalogSnapshot) -> CurveRequest:
    """Return the request that a parsed JSON body makes.

    Raises
    ------
    ProblemError
        With every field at fault.
    """
    body = _validated(CurveBody, value)
    return CurveRequest(
        estimate=estimate_request(body, snapshot),
        curve=dataclass_of(CurveSpec, body.curve),
        counterfactuals=tuple(dataclass_of(CounterfactualSpec, one) for one in body.counterfactuals or ()),
    )


def read_tariff(value: object, snapshot: CatalogSnapshot) -> TariffRequest:
    """Return the request that a parsed JSON body makes.

    Raises
    ------
    ProblemError
        With every field at fault.
    """
    body = _validated(TariffBody, value)
    return TariffRequest(
        estimate=estimate_request(body, snapshot),
        trace=_part(TraceRequest, body.trace),
        prices=tuple(dataclass_of(PriceSheet, one) for one in body.prices),
        long_output_tokens=body.long_output_tokens,
        prefix=_part(PrefixRequest, body.prefix),
        subscription=_part(SubscriptionRequest, body.subscription),
    )


def read_comparison(value: object, snapshot: CatalogSnapshot) -> CompareRequest:
    """Return the request that a parsed JSON body makes.

    Raises
    ------
    ProblemError
        With every field at fault.
    """
    body = _validated(CompareBody, value)
    return CompareRequest(
        estimate=estimate_request(body, snapshot),
        priced_as=_part(PricedAs, body.priced_as),
        target_margin=body.target_margin,
        across_models=body.across_models,
    )


def _validated(model: type[Body], value: object) -> Body:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise problem_from_pydantic(error, model) from None


def _part(owner: type[Part], body: BaseModel | None) -> Part | None:
    return None if body is None else dataclass_of(owner, body)
