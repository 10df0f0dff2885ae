"""A file of usage records becomes ``UsageRequest`` values; rules between values are the use case's."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from service.application.errors import InvalidRequestError
from service.application.ports import CatalogSnapshot
from service.application.usage_requests import AdjustmentRequest, UsageRequest
from service.billing.errors import AmountError
from service.billing.money import parse_amount
from service.cli.files import parse_json_object
from service.cli.moments import read_known_at, read_moment
from service.cli.request_body import read_estimate_request

_NAMES: Final = tuple(field.name for field in fields(UsageRequest))
_TEXTS: Final = frozenset(
    {
        "provider",
        "model",
        "response_format",
        "api_flavor",
        "service_tier",
        "region",
        "variant",
        "currency",
        "convert_to",
        "backdate",
        "reference",
    }
)


def read_usage_records(path: Path, snapshot: CatalogSnapshot) -> Iterator[UsageRequest]:
    """Yield the records of a file: one JSON object, or one a line.

    Raises
    ------
    InvalidRequestError
        With the line and the field at fault.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequestError(f"{path} cannot be read: {error}.", field="file") from error
    lines = text.splitlines()
    whole = len(lines) > 1 and lines[0].strip() in ("{", "")
    for number, line in [(1, text)] if whole else enumerate(lines, 1):
        if line.strip():
            yield _record(parse_json_object(line, f"line {number}"), f"line {number}", snapshot)


def _record(values: Mapping[str, Any], where: str, snapshot: CatalogSnapshot) -> UsageRequest:
    unknown = sorted(set(values) - set(_NAMES))
    if unknown:
        raise InvalidRequestError(
            f"{where}: {unknown[0]!r} is not a known field.",
            field=unknown[0],
            accepted={"fields": list(_NAMES)},
        )
    given = {name: value for name, value in values.items() if value is not None}
    for name in ("provider", "at"):
        if name not in given:
            raise InvalidRequestError(f"{where}: {name} is required.", field=name, code="missing-field")
    if ("usage" in given) == ("response" in given):
        raise InvalidRequestError(f"{where}: give exactly one of usage and response.", field="usage")
    for name in _TEXTS & given.keys():
        if not isinstance(given[name], str):
            raise InvalidRequestError(f"{where}: {name} is {given[name]!r}; text is wanted.", field=name)
    return UsageRequest(**_converted(given, snapshot))


def _converted(given: Mapping[str, Any], snapshot: CatalogSnapshot) -> dict[str, Any]:
    found = dict(given)
    found["at"] = read_moment(str(given["at"]), "at")
    if "usage" in given:
        if not isinstance(given["usage"], dict):
            raise InvalidRequestError("usage is an object of quantities by meter.", field="usage")
        found["usage"] = {meter: _quantity(value, meter) for meter, value in given["usage"].items()}
    if "known_at" in given:
        found["known_at"] = read_known_at(str(given["known_at"]), snapshot)
    if "adjustments" in given:
        found["adjustments"] = tuple(_adjustment(item) for item in given["adjustments"])
    if "deployment" in given:
        found["deployment"] = read_estimate_request(
            given["deployment"], lambda text: read_known_at(text, snapshot)
        )
    return found


def _quantity(value: object, meter: str) -> int | Decimal:
    if type(value) is int and value >= 0:
        return value
    try:
        amount = parse_amount(value)
    except AmountError as error:
        raise InvalidRequestError(error.message, field=f"usage.{meter}") from error
    if amount < 0:
        raise InvalidRequestError(f"{amount} is negative.", field=f"usage.{meter}", code="out-of-range")
    return amount


def _adjustment(item: Any) -> AdjustmentRequest:
    if not isinstance(item, dict) or not {"name", "kind", "percent"} <= item.keys() <= {
        "name",
        "kind",
        "percent",
        "meters",
    }:
        raise InvalidRequestError(
            "An adjustment has name, kind and percent, and may have meters.", field="adjustments"
        )
    if item["kind"] not in ("discount", "margin", "markup"):
        raise InvalidRequestError(f"{item['kind']!r} is no kind of adjustment.", field="adjustments.kind")
    try:
        percent = parse_amount(item["percent"])
    except AmountError as error:
        raise InvalidRequestError(error.message, field="adjustments.percent") from error
    meters = item.get("meters")
    return AdjustmentRequest(
        str(item["name"]), item["kind"], percent, None if meters is None else tuple(meters)
    )
