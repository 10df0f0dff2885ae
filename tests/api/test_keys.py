"""Keys over HTTP on both databases: made, scoped, expired, revoked, never told."""

import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient

from service import bootstrap
from service.api.access import needed_scope
from service.api.app import create_app
from service.settings import Settings
from tests.builders.live import bearer, fill, make_key, running

UNKNOWN = f"ptk_{'0' * 12}_{'0' * 64}"


@pytest.fixture
def url(catalog_url: str) -> str:
    fill(catalog_url)
    return catalog_url


@pytest.fixture
def live(url: str) -> Iterator[TestClient]:
    with running(url) as client:
        yield client


@pytest.fixture
def admin(url: str) -> dict[str, str]:
    return bearer(make_key(url, "admin"))


def test_a_key_is_shown_once_and_kept_as_a_digest(live: TestClient, admin: dict[str, str]) -> None:
    made = live.post("/v1/keys", json={"label": "billing", "scopes": ["price", "read"]}, headers=admin)
    assert made.status_code == 201
    body = made.json()
    key = body.pop("key")
    assert key.startswith(f"ptk_{body['id']}_")
    assert len(key.rpartition("_")[2]) * 4 == 256
    assert body["scopes"] == ["read", "price"]
    assert made.headers["Cache-Control"] == "no-store"
    shown = live.get(made.headers["Location"], headers=admin)
    assert shown.json() == body
    listed = live.get("/v1/keys", headers=admin)
    assert body in listed.json()["data"]
    assert key not in shown.text + listed.text


@pytest.mark.parametrize(
    ("header", "status", "problem"),
    [
        (None, 401, "key-missing"),
        ("Bearer nonsense", 401, "key-invalid"),
        ("Basic dXNlcjpwYXNz", 401, "key-invalid"),
        (f"Bearer {UNKNOWN}", 401, "key-invalid"),
        (f"Bearer {UNKNOWN} {UNKNOWN}", 401, "key-invalid"),
    ],
)
def test_administration_needs_a_key_in_force(
    live: TestClient, header: str | None, status: int, problem: str
) -> None:
    answer = live.get("/v1/keys", headers={} if header is None else {"Authorization": header})
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{problem}")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert UNKNOWN not in answer.text


def test_a_right_id_with_a_wrong_secret_is_refused(live: TestClient, url: str) -> None:
    key = make_key(url, "admin")
    wrong = key[:-1] + ("0" if key[-1] != "0" else "1")
    assert live.get("/v1/keys", headers=bearer(wrong)).status_code == 401
    assert live.get("/v1/keys", headers=bearer(key)).status_code == 200


@pytest.mark.parametrize("scope", ["read", "price", "write"])
def test_only_an_admin_key_administers(live: TestClient, url: str, scope: str) -> None:
    answer = live.get("/v1/keys", headers=bearer(make_key(url, scope)))
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/scope-missing")
    assert answer.json()["accepted"] == {"scopes": ["admin"]}


def test_reading_is_open_unless_it_is_closed(url: str) -> None:
    reader, pricer, writer = (make_key(url, scope) for scope in ("read", "price", "write"))
    with running(url, open_read=False, open_price=False) as closed:
        assert closed.get("/healthz").status_code == closed.get("/readyz").status_code == 200
        assert closed.get("/v1/models").status_code == 401
        assert closed.post("/v1/estimates", json={}).status_code == 401
        assert closed.post("/v1/usage/price", json={}).status_code == 401
        assert closed.get("/v1/models", headers=bearer(reader)).status_code == 200
        assert closed.get("/v1/models", headers=bearer(writer)).status_code == 200
        assert closed.get("/v1/models", headers=bearer(pricer)).status_code == 403
        assert closed.post("/v1/usage/price", json={}, headers=bearer(reader)).status_code == 403
    with running(url) as opened:
        assert opened.get("/v1/models").status_code == 200


def test_a_key_that_is_sent_is_checked_even_where_none_is_needed(live: TestClient) -> None:
    assert live.get("/v1/models", headers=bearer(UNKNOWN)).status_code == 401


def test_a_revoked_key_is_dead_on_every_worker_within_two_seconds(url: str, admin: dict[str, str]) -> None:
    key = bearer(make_key(url, "read"))
    with running(url, poll_interval_seconds=1.0) as one, running(url, poll_interval_seconds=1.0) as other:
        assert [client.get("/v1/models", headers=key).status_code for client in (one, other)] == [200, 200]
        key_id = key["Authorization"].split("_")[1]
        revoked = one.delete(f"/v1/keys/{key_id}", headers=admin)
        assert revoked.json()["revoked_at"] is not None
        end = time.monotonic() + 2
        while {
            one.get("/v1/models", headers=key).status_code,
            other.get("/v1/models", headers=key).status_code,
        } != {401}:
            assert time.monotonic() < end
            time.sleep(0.05)


def test_a_revoked_admin_key_is_dead_at_once(live: TestClient, admin: dict[str, str]) -> None:
    key_id = admin["Authorization"].split("_")[1]
    assert live.delete(f"/v1/keys/{key_id}", headers=admin).status_code == 200
    answer = live.get("/v1/keys", headers=admin)
    assert answer.status_code == 401
    assert "revoked" in answer.json()["detail"]


def test_an_expired_key_is_refused(live: TestClient, url: str) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1.5)
    key = bearer(make_key(url, "admin", expires_at=soon))
    assert live.get("/v1/keys", headers=key).status_code == 200
    time.sleep(1.6)
    answer = live.get("/v1/keys", headers=key)
    assert answer.status_code == 401
    assert "expired" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"label": "x"}, "scopes"),
        ({"label": "x", "scopes": []}, "scopes"),
        ({"label": "x", "scopes": ["root"]}, "scopes.0"),
        ({"label": "", "scopes": ["read"]}, "label"),
        ({"label": "   ", "scopes": ["read"]}, "label"),
        ({"label": "x", "scopes": ["read"], "expires_at": "2001-01-01"}, "expires_at"),
        ({"label": "x", "scopes": ["read"], "id": "mine"}, "id"),
    ],
)
def test_a_bad_key_body_names_the_field(
    live: TestClient, admin: dict[str, str], body: dict[str, object], field: str
) -> None:
    answer = live.post("/v1/keys", json=body, headers=admin)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


def test_an_unknown_key_is_404(live: TestClient, admin: dict[str, str]) -> None:
    for method in ("GET", "DELETE"):
        answer = live.request(method, "/v1/keys/nobody", headers=admin)
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/unknown-key")


def test_the_audit_log_tells_who_made_and_who_ended_a_key(live: TestClient, admin: dict[str, str]) -> None:
    made = live.post("/v1/keys", json={"label": "short", "scopes": ["read"]}, headers=admin).json()
    for _ in range(2):
        live.delete(f"/v1/keys/{made['id']}", headers=admin)
    events = live.get("/v1/audit-events", headers=admin).json()["data"]
    actor = f"key:{admin['Authorization'].split('_')[1]}"
    mine = [(event["actor"], event["action"]) for event in events if event["target"] == f"key:{made['id']}"]
    assert mine == [(actor, "key.create"), (actor, "key.revoke")]
    assert next(event["actor"] for event in events if event["action"] == "key.create") == "cli"
    page = live.get("/v1/audit-events?limit=1", headers=admin).json()
    rest = live.get(f"/v1/audit-events?after={page['next_after']}", headers=admin).json()
    assert page["data"] + rest["data"] == events
    assert rest["next_after"] is None


@pytest.mark.parametrize("after", [2**31 - 1, 2**31, 2**53 - 1])
def test_nothing_comes_after_the_last_line_of_the_audit_log(
    live: TestClient, admin: dict[str, str], after: int
) -> None:
    answer = live.get("/v1/audit-events", params={"after": after}, headers=admin)
    assert (answer.status_code, answer.json()) == (200, {"data": [], "next_after": None})


def test_logs_show_the_id_of_a_key_only(
    url: str, admin: dict[str, str], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with running(url, log_level="debug") as live:
        made = live.post("/v1/keys", json={"label": "x", "scopes": ["read"]}, headers=admin).json()
        live.get("/v1/models", headers=bearer(made["key"]))
        live.get("/v1/keys", headers=bearer(made["key"][:-2]))
    told = caplog.text + "".join(capfd.readouterr())
    for key in (made["key"], admin["Authorization"].split()[1]):
        assert key.rpartition("_")[2] not in told


def test_in_an_outage_readers_go_on_and_administrators_wait(url: str, admin: dict[str, str]) -> None:
    reader = bearer(make_key(url, "read"))
    with running(url, open_read=False) as live:
        holder = live.app.state.services.catalog  # type: ignore[attr-defined]
        holder._engine = bootstrap.database.open_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
        while holder.database_reachable():
            time.sleep(0.01)
        assert live.get("/readyz").json()["status"] == "degraded"
        assert live.get("/v1/models", headers=reader).status_code == 200
        answer = live.get("/v1/keys", headers=admin)
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/database-unavailable")
        assert "Retry-After" in answer.headers


def test_read_keys_die_with_the_catalog_at_the_staleness_limit(url: str) -> None:
    reader = bearer(make_key(url, "read"))
    with running(url, open_read=False, max_staleness_seconds=2) as live:
        holder = live.app.state.services.catalog  # type: ignore[attr-defined]
        assert live.get("/v1/models", headers=reader).status_code == 200
        holder._engine = bootstrap.database.open_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
        time.sleep(2.2)
        assert live.get("/v1/models", headers=reader).status_code == 503


def test_every_operation_has_a_scope_and_what_changes_something_is_never_open() -> None:
    document = create_app().openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if not path.startswith("/v1"):
                assert "security" not in operation
                continue
            scope = needed_scope(method.upper(), path)
            assert {"key": [scope]} in operation["security"]
            assert ({} in operation["security"]) == (scope in ("read", "price"))
            assert {"401", "403"} <= set(operation["responses"])


def test_what_is_not_known_to_compute_needs_the_scope_write() -> None:
    assert needed_scope("POST", "/v1/something-new") == "write"
    assert needed_scope("PATCH", "/v1/models/x") == "write"
    assert needed_scope("POST", "/v1/estimates/batch") == "read"
    assert needed_scope("GET", "/docs") is None


def test_settings_close_reading_and_pricing() -> None:
    assert (Settings().open_read, Settings().open_price) == (True, True)
