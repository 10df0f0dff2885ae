"""Imports over HTTP on both databases: posted, looked at, applied; held, refused, overtaken, lost."""

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text, update

from service.api.app import create_app
from service.catalog import tables
from service.catalog.database import open_engine, writing
from service.catalog.import_store import LOST
from service.catalog.importing import run_import
from tests.builders.drafts import SOURCE, batch, gpu_price
from tests.builders.live import bearer, fill, make_key, running

DOCUMENT = create_app().openapi()
HEADER = "source,provider,provider_model_id,meter,amount,currency,per,valid_from,valid_from_basis\n"


def rows(*amounts: str, source: str = SOURCE, meter: str = "input") -> str:
    """Return an own CSV file with one price for each of the models m-1, m-2, ... of acme."""
    lines = (
        f"{source},acme,m-{number},{meter},{amount},USD,million_tokens,2026-01-01,stated\n"
        for number, amount in enumerate(amounts, 1)
    )
    return HEADER + "".join(lines)


@pytest.fixture
def url(catalog_url: str) -> str:
    """A catalog at revision 2 with one list price: 1.50 for the input of acme's m-1, from 2025 on."""
    fill(catalog_url)
    return catalog_url


@pytest.fixture
def live(url: str) -> Iterator[TestClient]:
    # Made before the service starts, so that it knows the keys from its first look at the database on.
    key = make_key(url, "write")
    with running(url, poll_interval_seconds=0.5) as client:
        client.headers.update(bearer(key))
        yield client


@pytest.fixture(scope="module")
def hardened(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One service for all that is refused or rejected; none of it changes a price."""
    path = tmp_path_factory.mktemp("hardened") / "catalog.db"
    shutil.copy(sqlite_template, path)
    url = f"sqlite:///{path}"
    fill(url)
    key = make_key(url, "write")
    with running(url, poll_interval_seconds=0.5) as client:
        client.headers.update(bearer(key))
        yield client


def post(live: TestClient, content: str, **more: Any) -> Any:
    return live.post("/v1/imports", json={"source": "own-csv", "content": content, **more})


def seen(live: TestClient, location: str) -> dict[str, Any]:
    """Return an import once it is no longer validated."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answer = live.get(location)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        if found["state"] != "validating":
            return found
        time.sleep(0.05)
    raise TimeoutError(location)


def submitted(live: TestClient, content: str, **more: Any) -> dict[str, Any]:
    answer = post(live, content, **more)
    assert answer.status_code == 202, answer.text
    return seen(live, answer.headers["Location"])


def apply(live: TestClient, found: dict[str, Any], revision: int | None = None, **body: Any) -> Any:
    headers = {"If-Match": f'"r{found["base_revision"] if revision is None else revision}"'}
    return live.post(f"/v1/imports/{found['id']}/apply", json=body, headers=headers)


def amounts(live: TestClient, **query: str) -> dict[str, str]:
    listed = live.get("/v1/list-prices", params={"as_of": "2026-02-01", **query}).json()["data"]
    return {row["provider_model_id"]: row["amount"] for row in listed}


def test_an_import_is_posted_looked_at_and_applied(live: TestClient, url: str) -> None:
    answer = post(live, rows("1.80", "2"), reason="new price page")
    assert (answer.status_code, answer.json()["state"]) == (202, "validating")
    found = seen(live, answer.headers["Location"])
    assert (found["state"], found["base_revision"], found["applied_revision"]) == ("preview", 2, None)
    assert found["counts"] == {
        **dict.fromkeys(("withdrawn", "unchanged", "rejected", "held", "disagreements"), 0),
        "added": 1,
        "changed": 1,
    }
    # (1.80 - 1.50) / 1.50 = 20 %
    assert [row["percent"] for row in found["changed"]] == ["+20.0 %"]
    assert amounts(live) == {"m-1": "1.5"}
    applied = apply(live, found, reason="checked")
    assert (applied.status_code, applied.headers["Catalog-Revision"]) == (200, "3")
    assert (applied.json()["state"], applied.json()["applied_revision"]) == ("applied", 3)
    assert amounts(live) == {"m-1": "1.8", "m-2": "2"}
    assert amounts(live, known_at="r2") == {"m-1": "1.5"}
    audit = live.get("/v1/audit-events", headers=bearer(make_key(url, "admin"))).json()["data"]
    told = [event for event in audit if event["action"].startswith("import.") and event["actor"] != "test"]
    assert [(event["action"], event["revision"], event["detail"]["reason"]) for event in told] == [
        ("import.submit", None, "new price page"),
        ("import.apply", 3, "checked"),
    ]
    assert told[0]["actor"].startswith("key:")


def test_what_is_shown_is_what_the_document_says(live: TestClient) -> None:
    found = submitted(live, rows("1.80", "-1"))
    for name, value in (("ImportView", found), ("ImportPage", live.get("/v1/imports").json())):
        schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
        errors = jsonschema.Draft202012Validator(schema).iter_errors(value)
        assert [f"{error.json_path}: {error.message}" for error in errors] == []


def test_the_same_content_twice_writes_nothing(live: TestClient) -> None:
    first = submitted(live, rows("1.80"))
    assert apply(live, first).status_code == 200
    again = submitted(live, rows("1.80"))
    assert (again["state"], again["applied_revision"]) == ("applied", None)
    assert "very content" in again["detail"]
    assert again["content_sha256"] == first["content_sha256"]
    assert live.get("/readyz").json()["catalog_revision"] == 3


def test_rows_that_are_known_already_write_nothing(live: TestClient) -> None:
    assert apply(live, submitted(live, rows("1.80", "2"))).status_code == 200
    fewer = submitted(live, rows("1.80"))
    assert (fewer["state"], fewer["counts"]["unchanged"], fewer["applied_revision"]) == ("applied", 1, None)


def test_a_change_of_more_than_three_times_is_held_until_somebody_looked(live: TestClient) -> None:
    found = submitted(live, rows("4.51"))
    assert found["state"] == "held"
    assert "more than 3 times" in found["held"][0]
    refused = apply(live, found)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/import-held")
    assert amounts(live) == {"m-1": "1.5"}
    assert apply(live, found, despite_hold=True).json()["state"] == "applied"
    assert amounts(live) == {"m-1": "4.51"}


@pytest.mark.parametrize(
    ("currency", "state", "told"),
    [
        ("EUR", "held", "another currency so far"),
        ("XYZ", "rejected", "none of ISO 4217"),
        ("usd", "rejected", "currency"),
    ],
)
def test_a_wrong_currency_is_held_or_rejected(
    hardened: TestClient, currency: str, state: str, told: str
) -> None:
    found = submitted(hardened, rows("1.80").replace("USD", currency))
    assert found["state"] == state
    assert told in str(found["held"] + found["rejected"])


def test_a_currency_that_is_new_for_a_new_thing_is_not_held(hardened: TestClient) -> None:
    assert submitted(hardened, rows("1.80", meter="output").replace("USD", "EUR"))["state"] == "preview"


def test_disagreement_is_shown_with_the_precedence_that_decides(hardened: TestClient) -> None:
    found = submitted(hardened, rows("1.80", source="other-page"))
    assert found["counts"]["disagreements"] == 1
    (told,) = found["disagreements"]
    assert (told["source"], told["amount"], told["other_source"], told["other_amount"]) == (
        "other-page",
        "1.8",
        SOURCE,
        "1.5",
    )
    # Both pages have the same precedence; of equals the first by name counts.
    assert told["decides"] == "other-page"
    assert "precedence" in told["because"]


def test_a_change_of_three_times_is_not_held(live: TestClient) -> None:
    assert submitted(live, rows("4.50"))["state"] == "preview"


def _fill_openrouter(url: str, count: int) -> None:
    """Fill the catalog with the models of one reading of a complete source."""
    engine = open_engine(url)
    with writing(engine) as connection:
        document = {"id": "openrouter-models", "title": "x", "kind": "router", "precedence": 60}
        stamp = connection.execute(text("SELECT max(revision) FROM revision")).scalar_one()
        connection.execute(
            tables.reference["source"]
            .insert()
            .values(
                id="openrouter-models",
                source="",
                document=document,
                revision_from=stamp,
                recorded_at=datetime.now(UTC),
            )
        )
    engine.dispose()


def _router(*models: int) -> str:
    listed = ", ".join(f'{{"id": "acme/m-{n}", "pricing": {{"prompt": "0.000001"}}}}' for n in models)
    return f'{{"data": [{listed}]}}'


@pytest.mark.parametrize(("gone", "state"), [(2, "preview"), (3, "held")])
def test_more_than_five_percent_withdrawn_is_held(live: TestClient, url: str, gone: int, state: str) -> None:
    # 40 rows in force: 2 of them are 5 %, 3 are 7.5 %.
    _fill_openrouter(url, 40)
    whole = submitted(live, _router(*range(40)), source="openrouter", observed_on="2026-01-01")
    assert whole["counts"]["added"] == 40
    assert apply(live, whole).status_code == 200
    fewer = submitted(live, _router(*range(gone, 40)), source="openrouter", observed_on="2026-01-02")
    assert (fewer["state"], fewer["counts"]["withdrawn"]) == (state, gone)
    assert len(fewer["withdrawn"]) == gone
    assert apply(live, fewer, despite_hold=True).status_code == 200
    in_force = live.get("/v1/list-prices", params={"as_of": "2026-01-03", "limit": 1000}).json()["data"]
    assert sum(row["source"] == "openrouter-models" for row in in_force) == 40 - gone


def test_bad_rows_are_rejected_one_by_one_and_the_rest_goes_on(live: TestClient) -> None:
    content = rows("1.80", "-1", "1e308", "NaN") + rows("2", meter="dreams").removeprefix(HEADER)
    found = submitted(live, content)
    assert (found["state"], found["counts"]["changed"], found["counts"]["rejected"]) == ("preview", 1, 4)
    reasons = {row["origin"]: row["reason"] for row in found["rejected"]}
    assert "negative" in reasons["line 3"] or "0" in reasons["line 3"]
    assert len(reasons) == 4
    assert apply(live, found).status_code == 200
    assert amounts(live) == {"m-1": "1.8"}


@pytest.mark.parametrize(
    ("source", "content", "reason"),
    [
        ("openrouter", "<!doctype html><title>Sign in</title>", "web page"),
        ("openrouter", '{"data": [{"id": "a", "pricing": {"prompt": "0.1"', "half a file"),
        ("litellm", '{"m": {"input_cost_per_token": NaN}}', "NaN"),
        ("litellm", '{"m": 1, "m": 2}', "twice"),
        ("own-yaml", "prices: [&a {x: 1}, *a]", "aliases"),
        ("own-yaml", "prices: !!python/object:os.system {}", "tag"),
        ("own-csv", "provider,amount\nacme,1", "lacks the column"),
        ("own-csv", rows("-1", "1e308"), "No row"),
    ],
)
def test_a_hostile_source_is_rejected_and_the_catalog_stays_as_it_was(
    hardened: TestClient, source: str, content: str, reason: str
) -> None:
    before = hardened.get("/v1/list-prices").content
    found = submitted(hardened, content, source=source)
    assert found["state"] == "rejected"
    assert reason in found["detail"]
    assert hardened.get("/v1/list-prices").content == before
    refused = apply(hardened, found)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/import-finished")


@pytest.mark.parametrize(
    ("body", "field", "problem"),
    [
        ({"source": "nonesuch"}, "source", "unknown-import-source"),
        ({"source": "own-csv"}, "content", "import-source-unusable"),
        ({"source": "own-csv", "content": ""}, "content", "out-of-range"),
        ({"source": "openrouter", "content": "{}", "url": "https://openrouter.ai/x"}, "content", None),
        ({"source": "openrouter", "provider": "aws"}, "provider", None),
        ({"source": "skypilot", "content": "x"}, "provider", None),
        ({"source": "genai-prices", "content": "x"}, "content", None),
        ({"source": "genai-prices", "observed_on": "2026-01-01"}, "observed_on", None),
        ({"source": "openrouter", "observed_on": "2999-01-01"}, "observed_on", None),
        ({"source": "openrouter", "observed_on": "2026-02-30"}, "observed_on", "invalid-time"),
        ({"source": "litellm", "url": "http://raw.githubusercontent.com/x"}, "url", "wrong-type"),
        ({"source": "litellm", "url": "https://127.0.0.1/x"}, "url", None),
        ({"source": "litellm", "url": "https://raw.githubusercontent.com.evil.example/x"}, "url", None),
        ({"source": "litellm", "url": "https://user:pw@raw.githubusercontent.com/x"}, "url", None),
        ({"source": "litellm", "url": "https://raw.githubusercontent.com:8443/x"}, "url", None),
        ({"source": "/etc/passwd.csv"}, "source", "wrong-type"),
        ({"source": "own-csv", "content": "x", "path": "/etc/passwd"}, "path", "unknown-field"),
    ],
)
def test_what_cannot_be_read_whatever_it_holds_is_refused_at_once(
    hardened: TestClient, body: dict[str, Any], field: str, problem: str | None
) -> None:
    newest = hardened.get("/v1/imports").json()["data"][0]["id"]
    answer = hardened.post("/v1/imports", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["type"] == f"/problems/{problem or 'import-source-unusable'}"
    assert answer.json()["errors"][0]["field"] == field
    assert hardened.get("/v1/imports").json()["data"][0]["id"] == newest


def test_applying_names_the_revision_that_was_looked_at(live: TestClient) -> None:
    found = submitted(live, rows("1.80"))
    place = f"/v1/imports/{found['id']}/apply"
    for headers, status, problem in (
        ({}, 428, "precondition-required"),
        ({"If-Match": "*"}, 422, "invalid-precondition"),
        ({"If-Match": '"r1"'}, 412, "precondition-failed"),
        ({"If-Match": '"r3"'}, 412, "precondition-failed"),
    ):
        answer = live.post(place, json={}, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{problem}")
    tag = live.get(f"/v1/imports/{found['id']}").headers["ETag"]
    assert live.post(place, json={}, headers={"If-Match": tag}).status_code == 200


def test_an_import_is_not_applied_once_the_catalog_moved(live: TestClient, url: str) -> None:
    found = submitted(live, rows("1.80"))
    engine = open_engine(url)
    run_import(engine, batch(gpu_price("5"), digest="2"), actor="test")
    answer = apply(live, found)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/revision-moved")
    assert amounts(live) == {"m-1": "1.5"}
    again = submitted(live, rows("1.80"))
    assert (again["id"], again["base_revision"]) == (found["id"] + 2, 3)
    assert apply(live, again).status_code == 200
    with engine.connect() as connection:
        # Nothing of what was read is kept once it can no longer be applied.
        assert connection.execute(text("SELECT count(*) FROM import_work")).scalar_one() == 0
    engine.dispose()


def test_of_two_imports_on_one_revision_one_is_told_that_the_catalog_moved(live: TestClient) -> None:
    answers = [post(live, rows("1.80")), post(live, rows("1.90"))]
    found = [seen(live, answer.headers["Location"]) for answer in answers]
    assert [item["base_revision"] for item in found] == [2, 2]
    with ThreadPoolExecutor(2) as pool:
        applied = list(pool.map(lambda item: apply(live, item), found))
    assert sorted(answer.status_code for answer in applied) == [200, 409]
    won = next(n for n, answer in enumerate(applied) if answer.status_code == 200)
    assert amounts(live) == {"m-1": ("1.8", "1.9")[won]}


def test_a_repeated_post_is_one_import(live: TestClient) -> None:
    headers = {"Idempotency-Key": "one"}
    body = {"source": "own-csv", "content": rows("1.80")}
    first = live.post("/v1/imports", json=body, headers=headers)
    again = live.post("/v1/imports", json=body, headers=headers)
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["Location"] == first.headers["Location"]
    other = live.post("/v1/imports", json={**body, "content": rows("2")}, headers=headers)
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
    found = seen(live, first.headers["Location"])
    place, match = f"/v1/imports/{found['id']}/apply", {"If-Match": '"r2"', "Idempotency-Key": "two"}
    applied = live.post(place, json={}, headers=match)
    repeated = live.post(place, json={}, headers=match)
    assert (repeated.status_code, repeated.content) == (200, applied.content)
    assert live.get("/readyz").json()["catalog_revision"] == 3


def test_imports_are_listed_the_newest_first_page_by_page(live: TestClient) -> None:
    found = [submitted(live, rows(amount))["id"] for amount in ("1.60", "-1")]
    first = live.get("/v1/imports", params={"limit": 3}).json()
    assert [item["id"] for item in first["data"]] == [*reversed(found), 2]
    rest = live.get("/v1/imports", params={"limit": 3, "cursor": first["next_cursor"]}).json()
    assert ([item["name"] for item in rest["data"]], rest["next_cursor"]) == (["foundation"], None)
    rejected = live.get("/v1/imports", params={"state": "rejected"}).json()["data"]
    assert [item["id"] for item in rejected] == found[1:]
    refused = live.get("/v1/imports", params={"state": "rejected", "cursor": first["next_cursor"]})
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/invalid-cursor")


@pytest.mark.parametrize("name", ["0", "99", "x", "1e3", "9" * 30])
def test_an_unknown_import_is_404(hardened: TestClient, name: str) -> None:
    for answer in (
        hardened.get(f"/v1/imports/{name}"),
        hardened.post(f"/v1/imports/{name}/apply", json={}, headers={"If-Match": '"r2"'}),
    ):
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/unknown-import")


def test_an_unchanged_import_is_not_sent_again(live: TestClient) -> None:
    place = f"/v1/imports/{submitted(live, rows('1.80'))['id']}"
    tag = live.get(place).headers["ETag"]
    assert live.get(place, headers={"If-None-Match": tag}).status_code == 304
    live.post(f"{place}/apply", json={}, headers={"If-Match": tag})
    assert live.get(place, headers={"If-None-Match": tag}).status_code == 200


def test_importing_needs_the_scope_write(live: TestClient, url: str) -> None:
    del live.headers["Authorization"]
    assert post(live, rows("1.80")).status_code == 401
    reader = bearer(make_key(url, "read", "price"))
    body = {"source": "own-csv", "content": rows("1.80")}
    assert live.post("/v1/imports", json=body, headers=reader).status_code == 403
    match = {**reader, "If-Match": "r1"}
    assert live.post("/v1/imports/1/apply", json={}, headers=match).status_code == 403
    assert live.get("/v1/imports/1").json()["state"] == "applied"


def test_a_body_beyond_the_limit_of_imports_is_413(url: str) -> None:
    with running(url, import_body_limit_bytes=4096) as client:
        client.headers.update(bearer(make_key(url, "write")))
        answer = post(client, "x" * 5000)
        assert (answer.status_code, answer.json()["type"]) == (413, "/problems/body-too-large")


def test_an_import_whose_reader_died_is_rejected_by_the_next_one(url: str) -> None:
    key = make_key(url, "write")
    with running(url, poll_interval_seconds=0.5) as client:
        client.headers.update(bearer(key))
        submitted(client, rows("1.80"))
    engine = open_engine(url)
    # As a process leaves it that is killed while it reads.
    with writing(engine) as connection:
        record, work = tables.import_record, tables.import_work
        connection.execute(update(record).where(record.c.id == 3).values(state="validating"))
        connection.execute(work.delete())
        past = datetime(2026, 1, 1, tzinfo=UTC)
        connection.execute(work.insert().values(import_id=3, lease_until=past))
    engine.dispose()
    with running(url) as client:
        found = seen(client, "/v1/imports/3")
        assert (found["state"], found["detail"]) == ("rejected", LOST)


def test_a_held_import_of_the_command_line_can_be_applied_over_http(live: TestClient, url: str) -> None:
    engine = open_engine(url)
    held = run_import(engine, batch(gpu_price("40"), digest="2"), actor="cli")
    engine.dispose()
    assert held.state == "held"
    found = live.get(f"/v1/imports/{held.import_id}").json()
    assert apply(live, found, despite_hold=True).json()["applied_revision"] == 3


def test_more_imports_than_places_are_told_to_come_back(
    live: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.catalog.import_reader.PLACES", 2)
    answers = [post(live, rows("1.80", str(number))) for number in range(1, 5)]
    assert [answer.status_code for answer in answers] == [202, 202, 503, 503]
    assert (answers[2].json()["type"], "Retry-After" in answers[2].headers) == ("/problems/overloaded", True)
    for answer in answers[:2]:
        assert seen(live, answer.headers["Location"])["state"] == "preview"
    assert submitted(live, rows("1.80", "9"))["state"] == "preview"


def test_contents_that_wait_are_bounded_together(live: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    content = rows("1.80")
    monkeypatch.setattr("service.catalog.import_reader.WAITING_CHARACTERS", len(content))
    first, second = post(live, content), post(live, content)
    assert (first.status_code, second.status_code) == (202, 503)
    seen(live, first.headers["Location"])
    assert submitted(live, content)["state"] == "preview"
