"""Usage charges as table rows: plain, and in the columns of FinOps FOCUS 1.2.

FOCUS: https://focus.finops.org/focus-specification/v1-2/. A charge line is a row of category Usage; an
adjustment one of category Credit (a discount) or Adjustment (a margin or markup). List cost is what the
catalog's row says; billed, effective and contracted cost are what is charged, adjustments apart. Columns
that FOCUS does not have begin with ``x_``; those that only an invoice knows are left empty.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from service.application.render import render_datetime
from service.application.usage_answers import AdjustmentAnswer, UsageAnswer, UsageLine
from service.billing.money import format_amount

Cells = dict[str, str]

PLAIN_COLUMNS: Final = (
    "reference",
    "provider",
    "model",
    "at",
    "kind",
    "meter",
    "quantity",
    "charge",
    "currency",
    "exact",
    "unit_amount",
    "per",
    "priced_as",
    "row_id",
    "revision_from",
    "source",
    "valid_from",
    "valid_to",
    "valid_from_basis",
    "selector",
    "known_at",
)

FOCUS_COLUMNS: Final = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceId",
    "SubAccountId",
    "Tags",
    "x_CatalogRevision",
    "x_PriceSource",
    "x_Reference",
    "x_ServiceTier",
    "x_ValidFromBasis",
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_NUMERIC: Final = frozenset(
    {"charge", "quantity", "unit_amount", "BilledCost", "ContractedCost", "EffectiveCost", "ListCost"}
)
_UNITS: Final[Mapping[str, int]] = {
    "million_tokens": 1_000_000,
    "thousand_tokens": 1_000,
    "million_characters": 1_000_000,
}


def plain_rows(answer: UsageAnswer) -> Iterator[Cells]:
    """Yield one row for each line and each adjustment of an answer."""
    shared = {
        "reference": answer.reference or "",
        "provider": answer.provider,
        "model": answer.model,
        "at": render_datetime(answer.at),
        "currency": answer.currency,
        "known_at": answer.known_at,
    }
    for line in answer.lines:
        yield {**shared, **_plain_line(line)}
    for item in answer.adjustments:
        yield {
            **shared,
            "kind": item.kind,
            "meter": item.name,
            "charge": format_amount(item.charge),
            "exact": str(item.exact).lower(),
        }


def focus_rows(answer: UsageAnswer) -> Iterator[Cells]:
    """Yield the same in the columns of FOCUS 1.2."""
    shared = _focus_shared(answer)
    for line in answer.lines:
        yield {**shared, **_focus_line(answer, line)}
    for item in answer.adjustments:
        yield {**shared, **_focus_adjustment(item)}


def csv_text(columns: Sequence[str], rows: Iterable[Cells]) -> str:
    """Return rows as CSV lines without the header; cells that a spreadsheet would compute are quoted.

    A cell that starts with ``=``, ``+``, ``-`` or ``@`` gets an apostrophe before it, amounts excepted.
    """
    return "".join(",".join(_cell(name, row.get(name, "")) for name in columns) + "\r\n" for row in rows)


def _cell(column: str, text: str) -> str:
    if text.startswith(_FORMULA) and column not in _NUMERIC:
        text = f"'{text}"
    if any(character in text for character in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _plain_line(line: UsageLine) -> Cells:
    price = line.price
    return {
        "kind": "usage",
        "meter": line.meter,
        "quantity": format_amount(line.quantity),
        "charge": format_amount(line.charge),
        "exact": str(line.exact).lower(),
        "unit_amount": format_amount(price.amount),
        "per": price.per,
        "priced_as": " -> ".join(line.priced_as),
        "row_id": str(price.row_id),
        "revision_from": str(price.revision_from),
        "source": price.source,
        "valid_from": render_datetime(price.valid_from),
        "valid_to": "" if price.valid_to is None else render_datetime(price.valid_to),
        "valid_from_basis": price.valid_from_basis,
        "selector": "; ".join(f"{axis}={value}" for axis, value in price.selector.items()),
    }


def _focus_shared(answer: UsageAnswer) -> Cells:
    at = answer.at.astimezone(UTC)
    start, end = _month(at)
    hour = at.replace(minute=0, second=0, microsecond=0)
    return {
        "BillingCurrency": answer.currency,
        "BillingPeriodStart": render_datetime(start),
        "BillingPeriodEnd": render_datetime(end),
        "ChargePeriodStart": render_datetime(hour),
        "ChargePeriodEnd": render_datetime(hour + timedelta(hours=1)),
        "ChargeFrequency": "Usage-Based",
        "InvoiceIssuerName": answer.provider,
        "ProviderName": answer.provider,
        "PublisherName": answer.provider,
        "ResourceId": answer.model,
        "ResourceName": answer.model,
        "ResourceType": "Model",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": answer.model,
        "ServiceSubcategory": "Generative AI",
        "Tags": "{}",
        "x_CatalogRevision": answer.known_at,
        "x_Reference": answer.reference or "",
        "x_ServiceTier": answer.service_tier or "",
    }


def _focus_line(answer: UsageAnswer, line: UsageLine) -> Cells:
    price, charge = line.price, format_amount(line.charge)
    return {
        "ChargeCategory": "Usage",
        "ChargeDescription": f"{line.meter} of {answer.provider} {answer.model}",
        "BilledCost": charge,
        "EffectiveCost": charge,
        "ContractedCost": charge,
        "ListCost": charge,
        "ContractedUnitPrice": format_amount(price.amount),
        "ListUnitPrice": format_amount(price.amount),
        "ConsumedQuantity": format_amount(line.quantity),
        "ConsumedUnit": _consumed_unit(line.meter),
        "PricingCategory": "Standard",
        "PricingQuantity": format_amount(line.quantity / _UNITS.get(price.per, 1)),
        "PricingUnit": price.per if price.per in _UNITS else _consumed_unit(line.meter),
        "RegionId": price.selector.get("region", ""),
        "SkuId": f"{answer.provider}/{answer.model}/{line.meter}",
        "SkuMeter": line.meter,
        "SkuPriceId": str(price.row_id),
        "x_PriceSource": price.source,
        "x_ValidFromBasis": price.valid_from_basis,
    }


def _focus_adjustment(item: AdjustmentAnswer) -> Cells:
    charge = format_amount(item.charge)
    return {
        "ChargeCategory": "Credit" if item.kind == "discount" else "Adjustment",
        "ChargeDescription": f"{item.name}: {item.kind} of {format_amount(item.percent)} %",
        "BilledCost": charge,
        "EffectiveCost": charge,
        "ContractedCost": charge,
        "ListCost": format_amount(Decimal(0)),
    }


def _consumed_unit(meter: str) -> str:
    if "seconds" in meter:
        return "Seconds"
    known = ("pages", "searches", "requests", "characters", "pixels", "messages", "executions")
    return next((name.capitalize() for name in known if meter.endswith(name)), "Tokens")


def _month(at: datetime) -> tuple[datetime, datetime]:
    start = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    after = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return start, after
