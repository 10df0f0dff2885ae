"""From the validated body to the usage record that the use case takes."""

from pydantic import ValidationError

from service.api.schemas.usage_request import UsageBody
from service.api.translate import estimate_request, resolve_known_at
from service.api.validation import problem_from_pydantic
from service.application.ports import CatalogSnapshot
from service.application.usage_requests import AdjustmentRequest, UsageRequest


def read_usage(value: object, snapshot: CatalogSnapshot) -> UsageRequest:
    """Return the record that a parsed JSON body makes.

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
        body = UsageBody.model_validate(value)
    except ValidationError as error:
        raise problem_from_pydantic(error, UsageBody) from None
    return UsageRequest(
        provider=body.provider,
        at=body.at,
        model=body.model,
        usage=body.usage,
        response=body.response,
        response_format=body.response_format,
        api_flavor=body.api_flavor,
        service_tier=body.service_tier,
        region=body.region,
        variant=body.variant,
        currency=body.currency,
        convert_to=body.convert_to,
        known_at=None if body.known_at is None else resolve_known_at(body.known_at, snapshot),
        backdate=body.backdate,
        adjustments=() if body.adjustments is None else _adjustments(body),
        round_digits=body.round_digits,
        deployment=None if body.deployment is None else estimate_request(body.deployment, snapshot),
        reference=body.reference,
    )


def _adjustments(body: UsageBody) -> tuple[AdjustmentRequest, ...]:
    return tuple(
        AdjustmentRequest(
            item.name, item.kind, item.percent, None if item.meters is None else tuple(item.meters)
        )
        for item in body.adjustments or ()
    )
