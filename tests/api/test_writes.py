"""Writes over HTTP on both databases: both times, preconditions, repetition, audit, what is refused."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from service.catalog.database import open_engine, writing
from tests.builders.drafts import SOURCE
from tests.builders.live import bearer, fill, make_key, running

GPU = {
    "source": SOURCE,
    "provider": "acme",
    "accelerator": "H100_SXM",
    "gpus_per_instance": 8,
    "amount": "5.00",
    "currency": "USD",
    "valid_from": "2026-03-01",
}
LIST = {
    "source": SOURCE,
    "provider": "acme",
    "provider_model_id": "m-1",
    "meter": "input",
    "amount": "2",
    "currency": "USD",
    "valid_from": "2026-03-01",
}
AT_2 = {"If-Match": '"r2"'}


@pytest.fixture
def url(catalog_url: str) -> str:
    """A catalog at revision 2 with one GPU price of 4 and one list price of 1.50, both from 2025."""
    fill(catalog_url)
    return catalog_url


@pytest.fixture
def live(url: str) -> Iterator[TestClient]:
    with running(url) as client:
        client.headers.update(bearer(make_key(url, "write")))
        yield client


def _gpu_rows(live: TestClient, **query: str) -> list[tuple[str, str, str | None]]:
    rows = live.get("/v1/gpu-prices", params=query).json()["data"]
    return [(row["amount"], row["valid_from"][:10], (row["valid_to"] or "")[:10] or None) for row in rows]


def test_a_change_holds_from_its_time_and_leaves_the_past(live: TestClient) -> None:
    answer = live.post("/v1/gpu-prices", json=GPU, headers=AT_2)
    assert answer.status_code == 201
    assert answer.headers["Catalog-Revision"] == "3"
    body = answer.json()
    assert (body["catalog_revision"], body["retired"]) == (3, [1])
    assert live.get(answer.headers["Location"]).json()["amount"] == "5"
    assert _gpu_rows(live) == [("4", "2025-01-01", "2026-03-01"), ("5", "2026-03-01", None)]
    assert _gpu_rows(live, as_of="2026-02-28") == [("4", "2025-01-01", "2026-03-01")]
    assert _gpu_rows(live, known_at="r2") == [("4", "2025-01-01", None)]


def test_a_correction_replaces_what_was_believed(live: TestClient) -> None:
    answer = live.post("/v1/gpu-prices/1/corrections", json={"amount": "3.9", "note": "typo"}, headers=AT_2)
    assert (answer.status_code, answer.json()["rows"][0]["note"]) == (201, "typo")
    assert _gpu_rows(live) == [("3.9", "2025-01-01", None)]
    assert _gpu_rows(live, known_at="r2") == [("4", "2025-01-01", None)]


def test_a_correction_of_the_interval_can_give_and_take_the_end(live: TestClient) -> None:
    first = live.post("/v1/gpu-prices/1/corrections", json={"valid_to": "2026-01-01"}, headers=AT_2)
    assert _gpu_rows(live) == [("4", "2025-01-01", "2026-01-01")]
    row = first.json()["rows"][0]["id"]
    live.post(f"/v1/gpu-prices/{row}/corrections", json={"valid_to": None}, headers={"If-Match": "r3"})
    assert _gpu_rows(live) == [("4", "2025-01-01", None)]


def test_a_withdrawal_ends_a_row_at_a_time(live: TestClient) -> None:
    answer = live.post("/v1/gpu-prices/1/withdrawal", json={"at": "2026-02-01"}, headers=AT_2)
    assert answer.status_code == 200
    assert _gpu_rows(live) == [("4", "2025-01-01", "2026-02-01")]
    assert _gpu_rows(live, as_of="2026-02-01") == []


def test_list_prices_are_changed_corrected_and_withdrawn_alike(live: TestClient) -> None:
    changed = live.post("/v1/list-prices", json=LIST, headers=AT_2)
    assert changed.status_code == 201
    row = changed.headers["Location"]
    corrected = live.post(f"{row}/corrections", json={"amount": "2.10"}, headers={"If-Match": '"3"'})
    new = corrected.json()["rows"][0]
    assert new["amount"] == "2.1"
    tag = live.get(f"/v1/list-prices/{new['id']}").headers["ETag"]
    ended = live.post(
        f"/v1/list-prices/{new['id']}/withdrawal", json={"at": "2026-06-01"}, headers={"If-Match": tag}
    )
    assert ended.json()["rows"][0]["valid_to"] == "2026-06-01T00:00:00Z"
    assert [row["amount"] for row in live.get("/v1/list-prices").json()["data"]] == ["1.5", "2.1"]


def test_the_same_price_again_writes_nothing(live: TestClient) -> None:
    same = {**GPU, "amount": "4.0", "valid_from": "2025-01-01"}
    answer = live.post("/v1/gpu-prices", json=same, headers=AT_2)
    assert (answer.status_code, answer.json()["catalog_revision"], answer.json()["rows"]) == (200, 2, [])


def test_another_worker_reads_a_write_when_asked_for_its_revision(url: str, live: TestClient) -> None:
    with running(url, poll_interval_seconds=60) as other:
        assert len(_gpu_rows(other)) == 1
        written = live.post("/v1/gpu-prices", json=GPU, headers=AT_2)
        headers = {"Catalog-Min-Revision": written.headers["Catalog-Revision"]}
        assert len(other.get("/v1/gpu-prices", headers=headers).json()["data"]) == 2


@pytest.mark.parametrize(
    ("headers", "status", "problem"),
    [
        ({}, 428, "precondition-required"),
        ({"If-Match": '"r1"'}, 412, "precondition-failed"),
        ({"If-Match": '"r3"'}, 412, "precondition-failed"),
        ({"If-Match": "*"}, 422, "invalid-precondition"),
        ({"If-Match": '"abc"'}, 422, "invalid-precondition"),
        ({**AT_2, "Idempotency-Key": ""}, 422, "invalid-idempotency-key"),
        ({**AT_2, "Idempotency-Key": "x" * 256}, 422, "invalid-idempotency-key"),
    ],
)
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/gpu-prices", GPU),
        ("/v1/list-prices", LIST),
        ("/v1/gpu-prices/1/corrections", {"amount": "3"}),
        ("/v1/list-prices/1/withdrawal", {"at": "2026-01-01"}),
    ],
)
def test_a_write_says_on_which_revision_it_builds(
    live: TestClient, path: str, body: Any, headers: dict[str, str], status: int, problem: str
) -> None:
    answer = live.post(path, json=body, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{problem}")
    assert live.get("/readyz").json()["catalog_revision"] == 2


def test_of_two_writers_on_one_revision_one_is_told_that_the_catalog_moved(live: TestClient) -> None:
    bodies = [{**GPU, "amount": str(amount)} for amount in range(1, 9)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda body: live.post("/v1/gpu-prices", json=body, headers=AT_2), bodies))
    assert sorted(answer.status_code for answer in answers) == [201, *[412] * 7]
    assert live.get("/readyz").json()["catalog_revision"] == 3


def test_a_repeated_write_gets_the_first_answer_and_writes_nothing(live: TestClient) -> None:
    headers = {**AT_2, "Idempotency-Key": "one"}
    first = live.post("/v1/gpu-prices", json=GPU, headers=headers)
    again = live.post("/v1/gpu-prices", json=GPU, headers=headers)
    assert (again.status_code, again.content) == (201, first.content)
    for name in ("Catalog-Revision", "Location"):
        assert again.headers[name] == first.headers[name]
    assert live.get("/readyz").json()["catalog_revision"] == 3


def test_the_key_of_one_write_does_not_fit_another_body(live: TestClient) -> None:
    headers = {**AT_2, "Idempotency-Key": "one"}
    live.post("/v1/gpu-prices", json=GPU, headers=headers)
    answer = live.post("/v1/gpu-prices", json={**GPU, "amount": "6"}, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/idempotency-key-reused")


def test_an_idempotency_key_belongs_to_one_caller_and_one_path(live: TestClient, url: str) -> None:
    live.post("/v1/gpu-prices", json=GPU, headers={**AT_2, "Idempotency-Key": "one"})
    elsewhere = live.post("/v1/list-prices", json=LIST, headers={"If-Match": "r3", "Idempotency-Key": "one"})
    assert elsewhere.status_code == 201
    other = {**bearer(make_key(url, "write")), "If-Match": "r4", "Idempotency-Key": "one"}
    assert live.post("/v1/gpu-prices", json={**GPU, "amount": "6"}, headers=other).status_code == 201


def test_a_refused_write_is_not_remembered(live: TestClient) -> None:
    headers = {"Idempotency-Key": "one"}
    assert live.post("/v1/gpu-prices", json=GPU, headers={**headers, "If-Match": "r1"}).status_code == 412
    assert live.post("/v1/gpu-prices", json=GPU, headers={**headers, **AT_2}).status_code == 201


def test_an_idempotency_key_is_forgotten_after_a_day(live: TestClient, url: str) -> None:
    headers = {"Idempotency-Key": "one"}
    live.post("/v1/gpu-prices", json=GPU, headers={**headers, **AT_2})
    engine = open_engine(url)
    with writing(engine) as connection:
        connection.execute(text("UPDATE idempotency SET created_at = '2020-01-01T00:00:00.000000Z'"))
    engine.dispose()
    answer = live.post("/v1/gpu-prices", json={**GPU, "amount": "6"}, headers={**headers, "If-Match": "r3"})
    assert answer.status_code == 201


def test_a_write_that_is_still_being_carried_out_is_409(live: TestClient, url: str) -> None:
    engine = open_engine(url)
    headers = {**AT_2, "Idempotency-Key": "one"}
    first: list[Any] = []
    with writing(engine):
        waiting = threading.Thread(
            target=lambda: first.append(live.post("/v1/gpu-prices", json=GPU, headers=headers))
        )
        waiting.start()
        time.sleep(0.3)
        second = live.post("/v1/gpu-prices", json=GPU, headers=headers)
    waiting.join()
    engine.dispose()
    assert (second.status_code, second.json()["type"]) == (409, "/problems/request-in-flight")
    assert first[0].status_code == 201
    assert live.post("/v1/gpu-prices", json=GPU, headers=headers).content == first[0].content


@pytest.mark.postgresql
def test_a_write_being_carried_out_by_another_worker_is_409(postgresql_catalog_url: str) -> None:
    url = postgresql_catalog_url
    fill(url)
    headers = {**AT_2, "Idempotency-Key": "one", **bearer(make_key(url, "write"))}
    engine = open_engine(url)
    with running(url) as one, running(url) as other, ThreadPoolExecutor(1) as pool:
        with writing(engine):
            waiting = pool.submit(one.post, "/v1/gpu-prices", json=GPU, headers=headers)
            time.sleep(0.3)
            second = other.post("/v1/gpu-prices", json=GPU, headers=headers)
        assert waiting.result().status_code == 201
    engine.dispose()
    assert (second.status_code, second.json()["type"]) == (409, "/problems/request-in-flight")


def test_every_write_leaves_a_line_in_the_audit_log(live: TestClient, url: str) -> None:
    live.post("/v1/gpu-prices", json={**GPU, "reason": "new contract"}, headers=AT_2)
    events = live.get("/v1/audit-events", headers=bearer(make_key(url, "admin"))).json()["data"]
    (written,) = [event for event in events if event["action"] == "price.change"]
    assert written["revision"] == 3
    assert written["actor"].startswith("key:")
    assert written["detail"]["reason"] == "new contract"


@pytest.mark.parametrize(
    ("path", "body", "status", "problem"),
    [
        ("/v1/gpu-prices/99/corrections", {"amount": "3"}, 404, "unknown-id"),
        ("/v1/gpu-prices/x/withdrawal", {}, 404, "unknown-id"),
        ("/v1/gpu-prices/99999999999999999999/withdrawal", {}, 404, "unknown-id"),
        ("/v1/gpu-prices/1/corrections", {}, 422, "conflicting-fields"),
        ("/v1/gpu-prices/1/corrections", {"valid_to": "2024-01-01"}, 422, "unusable-row"),
        ("/v1/gpu-prices", {**GPU, "accelerator": "h100-sxn"}, 422, "unknown-accelerator"),
        ("/v1/gpu-prices", {**GPU, "source": "nowhere"}, 422, "unusable-row"),
        ("/v1/gpu-prices", {**GPU, "per": "million_tokens"}, 422, "unusable-row"),
        ("/v1/gpu-prices", {**GPU, "per": "fortnight"}, 422, "unusable-row"),
        ("/v1/gpu-prices", {**GPU, "amount": -1}, 422, "out-of-range"),
        ("/v1/gpu-prices", {**GPU, "amount": 1e30}, 422, "invalid-amount"),
        ("/v1/gpu-prices", {**GPU, "currency": "usd"}, 422, "invalid-currency"),
        ("/v1/gpu-prices", {**GPU, "provider": "a\x00b"}, 422, "wrong-type"),
        ("/v1/gpu-prices", {**GPU, "note": "a\x00b"}, 422, "wrong-type"),
        ("/v1/gpu-prices", {**GPU, "valid_from": "2026-03-01T00:00:00"}, 422, "invalid-time"),
        ("/v1/gpu-prices", {**GPU, "valid_to": "2026-01-01"}, 422, "unusable-row"),
        ("/v1/list-prices", {**LIST, "meter": "nonsense"}, 422, "unusable-row"),
        ("/v1/list-prices", {**LIST, "selector": {"start_time": "10:00"}}, 422, "invalid-selector"),
        ("/v1/list-prices", {**LIST, "selector": {"colour": "red"}}, 422, "unknown-field"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(
    live: TestClient, path: str, body: Any, status: int, problem: str
) -> None:
    answer = live.post(path, json=body, headers=AT_2)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{problem}"), answer.text
    assert live.get("/readyz").json()["catalog_revision"] == 2


def test_a_row_that_was_replaced_cannot_be_corrected_again(live: TestClient) -> None:
    live.post("/v1/gpu-prices/1/corrections", json={"amount": "3"}, headers=AT_2)
    answer = live.post("/v1/gpu-prices/1/corrections", json={"amount": "2"}, headers={"If-Match": "r3"})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/row-superseded")


def test_a_correction_may_not_run_into_the_next_row(live: TestClient) -> None:
    live.post("/v1/gpu-prices", json=GPU, headers=AT_2)
    rows = live.get("/v1/gpu-prices").json()["data"]
    answer = live.post(
        f"/v1/gpu-prices/{rows[0]['id']}/corrections", json={"valid_to": None}, headers={"If-Match": "r3"}
    )
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/price-overlap")


def test_a_price_that_would_leave_a_request_without_a_winner_is_refused(live: TestClient) -> None:
    batch = {**LIST, "selector": {"service_tier": "batch"}}
    region = {**LIST, "selector": {"region": "eu"}}
    assert live.post("/v1/list-prices", json=batch, headers=AT_2).status_code == 201
    answer = live.post("/v1/list-prices", json=region, headers={"If-Match": "r3"})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/ambiguous-price")
    assert live.get("/readyz").json()["catalog_revision"] == 3


def test_only_a_write_key_writes(url: str) -> None:
    with running(url) as live:
        for path, body in (("/v1/gpu-prices", GPU), ("/v1/fx-rates", {"rates": []})):
            assert live.post(path, json=body, headers=AT_2).status_code == 401
            for scope in ("read", "price"):
                headers = {**AT_2, **bearer(make_key(url, scope))}
                assert live.post(path, json=body, headers=headers).status_code == 403
        admin = {**AT_2, **bearer(make_key(url, "admin"))}
        assert live.post("/v1/gpu-prices", json=GPU, headers=admin).status_code == 201


RATE = {"base": "EUR", "quote": "USD", "day": "2026-11-20", "rate": "1.1587"}


def test_exchange_rates_are_dated_rows_that_can_be_corrected(live: TestClient) -> None:
    first = live.post("/v1/fx-rates", json={"source": SOURCE, "rates": [RATE]})
    assert (first.status_code, first.headers["Catalog-Revision"]) == (201, "3")
    again = live.post("/v1/fx-rates", json={"source": SOURCE, "rates": [RATE]})
    assert (again.status_code, again.json()["rows"]) == (200, [])
    wrong = live.post("/v1/fx-rates", json={"source": SOURCE, "rates": [{**RATE, "rate": "1.16"}]})
    assert (wrong.status_code, wrong.json()["retired"]) == (201, [1])
    now = live.get("/v1/fx-rates").json()["data"]
    before = live.get("/v1/fx-rates?known_at=r3").json()["data"]
    assert [row["rate"] for row in now] == ["1.16"]
    assert [row["rate"] for row in before] == ["1.1587"]


@pytest.mark.parametrize(
    "rates",
    [
        [],
        [{**RATE, "rate": "0"}],
        [{**RATE, "rate": "-1"}],
        [{**RATE, "quote": "EUR"}],
        [{**RATE, "day": "2026-02-30"}],
        [RATE, {**RATE, "rate": "2"}],
    ],
)
def test_what_is_no_exchange_rate_is_refused(live: TestClient, rates: list[Any]) -> None:
    assert live.post("/v1/fx-rates", json={"source": SOURCE, "rates": rates}).status_code == 422


def test_an_exchange_rate_of_an_unknown_source_is_refused(live: TestClient) -> None:
    answer = live.post("/v1/fx-rates", json={"source": "nobody", "rates": [RATE]})
    assert answer.json()["errors"][0]["field"] == "source"
