"""Charges in another currency over HTTP, on both databases: dated rates, the pivot, both times."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.builders.drafts import SOURCE
from tests.builders.live import bearer, fill, make_key, running

# One million input tokens of acme's m-1 cost 1.50 USD.
RECORD = {"provider": "acme", "model": "m-1", "at": "2026-03-04T23:30:00Z", "usage": {"input": 1_000_000}}


@pytest.fixture
def live(catalog_url: str) -> Iterator[TestClient]:
    fill(catalog_url)
    key = make_key(catalog_url, "write", "price")
    with running(catalog_url, poll_interval_seconds=0.5) as client:
        client.headers.update(bearer(key))
        state(client, "EUR", "USD", "2026-03-02", "1.25")
        state(client, "EUR", "GBP", "2026-03-03", "0.85")
        yield client


def state(live: TestClient, base: str, quote: str, day: str, rate: str) -> None:
    body = {"source": SOURCE, "rates": [{"base": base, "quote": quote, "day": day, "rate": rate}]}
    assert live.post("/v1/fx-rates", json=body).status_code in (200, 201)


def price(live: TestClient, **changes: Any) -> Any:
    return live.post("/v1/usage/price", json={**RECORD, **changes})


def test_a_charge_is_converted_at_the_last_rate_before_its_day(live: TestClient) -> None:
    found = price(live, convert_to="EUR").json()
    # 1.50 / 1.25
    assert (found["total"], found["currency"]) == ("1.5", "USD")
    assert Decimal(found["converted"]["total"]) == Decimal("1.2")
    (used,) = found["converted"]["rates"]
    assert (used["base"], used["quote"], used["day"], used["rate"]) == ("EUR", "USD", "2026-03-02", "1.25")
    assert (
        live.get("/v1/fx-rates", params={"base": "EUR", "quote": "USD"}).json()["data"][0]["id"]
        == used["row_id"]
    )


def test_two_currencies_meet_in_the_pivot(live: TestClient) -> None:
    found = price(live, convert_to="GBP").json()["converted"]
    # 1.50 / 1.25 * 0.85
    assert (Decimal(found["total"]), len(found["rates"])) == (Decimal("1.02"), 2)


def test_the_same_currency_needs_no_rate(live: TestClient) -> None:
    found = price(live, convert_to="USD").json()["converted"]
    assert (found["total"], found["rates"]) == ("1.5", [])


def test_a_conversion_is_rounded_half_even_as_asked(live: TestClient) -> None:
    state(live, "EUR", "USD", "2026-03-04", "0.7")
    exact = price(live, convert_to="EUR").json()["converted"]["total"]
    # 1.5 / 0.7 to 18 digits
    assert exact == "2.142857142857142857"
    assert price(live, convert_to="EUR", round_digits=2).json()["converted"]["total"] == "2.14"


@pytest.mark.parametrize(
    ("at", "convert_to"),
    [("2026-03-09T23:59:59Z", "JPY"), ("2026-03-10T00:00:00Z", "EUR"), ("2026-03-01T23:59:59Z", "EUR")],
)
def test_without_a_rate_of_the_last_seven_days_it_is_refused(
    live: TestClient, at: str, convert_to: str
) -> None:
    assert price(live, at="2026-03-09T23:59:59Z", convert_to="EUR").status_code == 200
    refused = price(live, at=at, convert_to=convert_to)
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/no-exchange-rate")


def test_a_corrected_rate_can_still_be_had_as_it_was_known(live: TestClient) -> None:
    before = live.get("/readyz").json()["catalog_revision"]
    first = price(live, convert_to="EUR").json()
    state(live, "EUR", "USD", "2026-03-02", "1.2")
    assert Decimal(price(live, convert_to="EUR").json()["converted"]["total"]) == Decimal("1.25")
    again = price(live, convert_to="EUR", known_at=f"r{before}").json()
    assert (again["converted"], again["digest"]) == (first["converted"], first["digest"])
