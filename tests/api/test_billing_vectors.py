"""Published charges and recorded usage objects over HTTP, to the digit, on both databases.

The prices come in as an import over HTTP; the charges go out of the service as it runs.
"""

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.catalog.database import migrate, open_engine
from service.catalog.seeding import seed
from service.resources import hardware_catalog_directory
from tests.builders.catalogs import seeded_database_url
from tests.builders.live import bearer, make_key, running

__all__ = ["seeded_database_url"]

RECORDED: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "catalog" / "data" / "usage_objects.json").read_text(encoding="utf-8")
)
AT = "2026-11-20T12:00:00Z"
RATES = {"input": "1", "cache_read": "0.1", "cache_write": "2", "cache_write_1h": "4", "output": "10"}
"""Dollars per million tokens at which recorded objects are charged; reasoning is charged as output."""
PRICES = {
    # BerriAI/litellm issue 35127 and issue 31714
    ("acme", "issue-35127"): {"input": "5", "cache_read": "0.50", "cache_write": "6.25"},
    ("openai", "issue-31714"): {"input": "1.40", "cache_read": "0.26", "output": "4.40"},
    **{(provider, "recorded"): RATES for provider in ("openai", "anthropic", "google", "aws")},
}


def _file() -> str:
    header = "provider,provider_model_id,meter,amount,currency,per,valid_from,valid_from_basis\n"
    return header + "".join(
        f"{provider},{model},{meter},{amount},USD,million_tokens,2026-01-01,stated\n"
        for (provider, model), rates in PRICES.items()
        for meter, amount in rates.items()
    )


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A seeded catalog of this test's own."""
    if request.param == "sqlite":
        seeded: str = request.getfixturevalue("seeded_database_url")
        shutil.copy(seeded.removeprefix("sqlite:///"), tmp_path / "catalog.db")
        return f"sqlite:///{tmp_path / 'catalog.db'}"
    found: str = request.getfixturevalue("postgresql_url")
    engine = open_engine(found)
    migrate(engine)
    seed(engine, hardware_catalog_directory())
    engine.dispose()
    return found


@pytest.fixture
def live(url: str) -> Iterator[TestClient]:
    key = make_key(url, "write", "price")
    with running(url, poll_interval_seconds=0.5) as client:
        client.headers.update(bearer(key))
        posted = client.post("/v1/imports", json={"source": "own-csv", "content": _file()})
        place = posted.headers["Location"]
        deadline = time.monotonic() + 60
        while client.get(place).json()["state"] == "validating" and time.monotonic() < deadline:
            time.sleep(0.05)
        match = {"If-Match": client.get(place).headers["ETag"]}
        assert client.post(f"{place}/apply", json={}, headers=match).status_code == 200
        yield client


def charge(live: TestClient, **record: Any) -> Mapping[str, Any]:
    answer = live.post("/v1/usage/price", json={"at": AT, **record})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert sum(Decimal(line["charge"]) for line in found["lines"]) == Decimal(found["total"])
    return found


def by_hand(meters: Mapping[str, int]) -> Decimal:
    """Return what a recorded object costs at RATES; wholes include their parts."""
    read, written = meters.get("cache_read", 0), meters.get("cache_write", 0)
    hour = meters.get("cache_write_1h", 0)
    fresh = meters["input"] - read - written
    dollars = fresh + Decimal("0.1") * read + 2 * (written - hour) + 4 * hour + 10 * meters["output"]
    return dollars / 1_000_000


# Portkey-AI/models issue 900: $0.66, $0.022 and $1.98 off-peak, double at peak, Monday to Friday 01:00-04:00
# and 06:00-10:00 UTC, from 2026-08-16 16:00 UTC. A million tokens fresh, a million cached, a million out.
WINDOWS = {
    "2026-11-16T00:59:59Z": "2.662",
    "2026-11-16T01:00:00Z": "5.324",
    "2026-11-16T03:59:59Z": "5.324",
    "2026-11-16T04:00:00Z": "2.662",
    "2026-11-20T09:59:59Z": "5.324",
    "2026-11-20T10:00:00Z": "2.662",
    "2026-11-21T02:00:00Z": "2.662",
}


def test_published_and_recorded_charges_come_out_to_the_digit(live: TestClient) -> None:
    usage = {"input": 172_000, "cache_read": 155_000, "cache_write": 3_000}
    assert charge(live, provider="acme", model="issue-35127", usage=usage)["total"] == "0.16625"
    response = {
        "prompt_tokens": 27_147,
        "completion_tokens": 351,
        "prompt_tokens_details": {"cached_tokens": 27_146},
    }
    found = charge(live, provider="openai", model="issue-31714", response=response)
    assert found["total"] == "0.00860376"
    assert {line["price"]["source"] for line in found["lines"]} == {"own-file"}
    million = {"input": 2_000_000, "cache_read": 1_000_000, "output": 1_000_000}
    for at, total in WINDOWS.items():
        found = charge(live, provider="deepseek", model="deepseek-v4-pro", usage=million, at=at)
        assert found["total"] == total, at
    for recorded in RECORDED:
        found = charge(live, provider=recorded["provider"], model="recorded", response=recorded["response"])
        assert Decimal(found["total"]) == by_hand(recorded["meters"]), recorded["name"]


def test_a_batch_of_recorded_objects_sums_to_the_charges_one_by_one(live: TestClient) -> None:
    records = [
        {"at": AT, "provider": item["provider"], "model": "recorded", "response": item["response"]}
        for item in RECORDED
    ]
    body = "".join(json.dumps(record) + "\n" for record in records)
    answer = live.post(
        "/v1/usage/price/batch", content=body, headers={"content-type": "application/x-ndjson"}
    )
    summary = json.loads(answer.text.splitlines()[-1])["summary"]
    assert (summary["lines"], summary["errors"]) == (len(RECORDED), 0)
    assert Decimal(summary["totals"]["charge"]["USD"]) == sum(by_hand(item["meters"]) for item in RECORDED)
