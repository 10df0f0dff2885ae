"""Charges as table rows: plain and in the columns of FOCUS."""

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal

from service.application.usage_answers import AdjustmentAnswer, PriceUsed, UsageAnswer, UsageLine
from service.application.usage_csv import FOCUS_COLUMNS, PLAIN_COLUMNS, csv_text, focus_rows, plain_rows

# The columns that FOCUS 1.2 requires of every dataset (feature level Mandatory).
MANDATORY = {
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd",
    "ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost",
    "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName",
}  # fmt: skip
DECEMBER = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)


def answer(reference: str = "r-1") -> UsageAnswer:
    price = PriceUsed(
        row_id=7,
        revision_from=2,
        source="price-page",
        amount=Decimal("0.50"),
        currency="USD",
        per="million_tokens",
        valid_from=datetime(2026, 1, 1, tzinfo=UTC),
        valid_to=None,
        valid_from_basis="stated",
        selector={"service_tier": "batch", "region": "eu"},
    )
    return UsageAnswer(
        reference=reference,
        provider="acme",
        model="m,1",
        at=DECEMBER,
        service_tier="batch",
        usage={"input": "3000000"},
        currency="USD",
        lines=(UsageLine("input", ("input",), price, Decimal(3_000_000), Decimal("1.50"), True),),
        adjustments=(
            AdjustmentAnswer("agreement", "discount", Decimal(10), Decimal("1.5"), Decimal("-0.15"), True),
        ),
        folded={},
        total=Decimal("1.35"),
        rounded_to_digits=None,
        converted=None,
        deployment=None,
        known_at="r2",
        catalog_revision=2,
        catalog_age_seconds=0.0,
        digest="sha256:0",
    )


def read(text: str, columns: tuple[str, ...]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(",".join(columns) + "\r\n" + text, newline="")))


def test_lines_and_adjustments_are_rows_whose_charges_sum_to_the_total() -> None:
    rows = read(csv_text(PLAIN_COLUMNS, plain_rows(answer())), PLAIN_COLUMNS)
    assert [row["kind"] for row in rows] == ["usage", "discount"]
    assert sum(Decimal(row["charge"]) for row in rows) == Decimal("1.35")
    assert (rows[0]["model"], rows[0]["row_id"], rows[0]["selector"]) == (
        "m,1",
        "7",
        "service_tier=batch; region=eu",
    )


def test_focus_has_every_mandatory_column() -> None:
    assert set(FOCUS_COLUMNS) >= MANDATORY
    assert all(name.startswith("x_") or name[0].isupper() for name in FOCUS_COLUMNS)


def test_focus_costs_are_list_price_times_pricing_quantity() -> None:
    usage, credit = read(csv_text(FOCUS_COLUMNS, focus_rows(answer())), FOCUS_COLUMNS)
    assert Decimal(usage["ListUnitPrice"]) * Decimal(usage["PricingQuantity"]) == Decimal(usage["ListCost"])
    assert (usage["ChargeCategory"], usage["PricingUnit"], usage["RegionId"]) == (
        "Usage",
        "million_tokens",
        "eu",
    )
    assert (credit["ChargeCategory"], credit["BilledCost"]) == ("Credit", "-0.15")


def test_the_billing_period_is_the_calendar_month_and_the_charge_period_the_hour() -> None:
    usage, _ = read(csv_text(FOCUS_COLUMNS, focus_rows(answer())), FOCUS_COLUMNS)
    assert (usage["BillingPeriodStart"], usage["BillingPeriodEnd"]) == (
        "2026-12-01T00:00:00Z",
        "2027-01-01T00:00:00Z",
    )
    assert (usage["ChargePeriodStart"], usage["ChargePeriodEnd"]) == (
        "2026-12-31T23:00:00Z",
        "2027-01-01T00:00:00Z",
    )


def test_cells_that_a_spreadsheet_would_compute_are_defused() -> None:
    for formula in ("=1+1", "+1", "-1", "@x", "\t=1"):
        rows = read(csv_text(PLAIN_COLUMNS, plain_rows(answer(formula))), PLAIN_COLUMNS)
        assert rows[0]["reference"] == f"'{formula}"
        assert rows[1]["charge"] == "-0.15"
