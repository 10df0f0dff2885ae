"""The bill on every cost basis: what is billed is one of them."""

from decimal import Decimal
from typing import Any

import pytest

from service.application.cost_requests import CostBasisName, CostTermsRequest, LoadProfileRequest
from service.application.requests import OperatingPointRequest, PriceRequest
from tests.builders.estimates import make_estimate

TERMS = CostTermsRequest(
    currency="USD",
    electricity_per_kilowatt_hour=Decimal("0.1"),
    capital_per_accelerator=Decimal(30_000),
)
POINTS: dict[str, dict[str, Any]] = {
    "concurrency": {"utilisation": 0.5},
    "arrivals": {
        "utilisation": None,
        "operating_point": OperatingPointRequest(kind="arrival_rate", requests_per_second=2.0),
    },
    "a day": {
        "utilisation": None,
        "load_profile": LoadProfileRequest(tuple(float(5 + hour % 12) for hour in range(24))),
    },
}


@pytest.mark.parametrize("basis", ["rental", "tco", "energy"])
@pytest.mark.parametrize("name", POINTS)
def test_the_basis_that_is_billed_is_the_bill(name: str, basis: CostBasisName) -> None:
    price = (
        PriceRequest(amount=Decimal(2), currency="USD") if basis == "rental" else PriceRequest(basis=basis)
    )
    answer = make_estimate(**POINTS[name], costs=TERMS, price=price)
    (line,) = [item for item in answer.cost_bases if item.basis == basis]
    # The hourly cost of a modelled basis is rounded to nine decimals.
    assert line.reserved_per_request == pytest.approx(answer.cost_per_request, rel=1e-7)
    assert line.active_per_request <= line.reserved_per_request
