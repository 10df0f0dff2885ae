"""Price rows for billing, with defaults that fit together."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any

from service.billing.charges import PriceRow
from service.billing.selectors import selector_from_mapping

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
_NUMBERS = count(1)


def price_row(meter: str, amount: str, **changes: Any) -> PriceRow:
    """Return a row per million tokens from January 2026 on; selector axes are given by name."""
    own = {"source", "precedence", "currency", "per", "unit_size", "valid_from", "valid_to", "basis"}
    axes = {name: value for name, value in changes.items() if name not in own}
    values: dict[str, Any] = {
        "source": "price-page",
        "precedence": 100,
        "currency": "USD",
        "per": "million_tokens",
        "unit_size": Decimal(1_000_000),
        "valid_from": JANUARY,
        "valid_to": None,
        "basis": "stated",
    }
    values |= {name: value for name, value in changes.items() if name in own}
    return PriceRow(
        row_id=next(_NUMBERS),
        revision_from=1,
        meter=meter,
        selector=selector_from_mapping(axes),
        amount=Decimal(amount),
        **values,
    )
