"""Lists: filters, pages pinned to a revision, both time axes, entity tags."""

from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.builders.catalog import FakeCatalog, FakeSnapshot, make_gpu_price, make_model

PATHS = [
    "/v1/models",
    "/v1/accelerators",
    "/v1/calibrations",
    "/v1/gpu-prices",
    "/v1/list-prices",
    "/v1/listings",
]


def _ids(response: Any) -> list[object]:
    return [row["id"] for row in response.json()["data"]]


@pytest.mark.parametrize("path", PATHS)
def test_every_list_has_the_same_envelope(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    body = response.json()
    assert list(body) == ["data", "next_cursor", "catalog_revision"]
    assert body["data"]
    assert body["next_cursor"] is None
    assert body["catalog_revision"] == 3


@pytest.mark.parametrize("path", PATHS)
def test_unknown_filters_are_refused_by_name(client: TestClient, path: str) -> None:
    response = client.get(path, params={"limti": "1"})
    assert response.status_code == 422
    assert response.json()["type"] == "/problems/unknown-field"
    assert response.json()["errors"][0]["accepted"]["near_matches"] == ["limit"]


@pytest.mark.parametrize("limit", ["0", "1001", "x", "1.5", "", "9" * 40])
def test_a_limit_outside_1_to_1000_is_refused(client: TestClient, limit: str) -> None:
    response = client.get("/v1/models", params={"limit": limit})
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "limit"


def test_an_alias_finds_its_model(client: TestClient) -> None:
    assert _ids(client.get("/v1/models", params={"alias": "openai/gpt-oss-120b"})) == ["gpt-oss-120b"]
    assert _ids(client.get("/v1/models", params={"alias": "nonesuch"})) == []


def test_filters_narrow(client: TestClient) -> None:
    assert _ids(client.get("/v1/gpu-prices", params={"provider": "budget"})) == [3]
    assert _ids(client.get("/v1/gpu-prices", params={"accelerator": "h200-sxm"})) == []
    assert _ids(client.get("/v1/list-prices", params={"model": "llama-3.1-70b", "meter": "output"})) == [12]
    assert _ids(client.get("/v1/list-prices", params={"model": "gpt-oss-120b"})) == []
    listings = client.get("/v1/listings", params={"provider": "budget"}).json()["data"]
    assert [row["model"] for row in listings] == ["gpt-oss-120b"]


def test_a_filter_by_an_unknown_id_is_told(client: TestClient) -> None:
    response = client.get("/v1/gpu-prices", params={"accelerator": "h100-sxn"})
    assert response.status_code == 422
    assert response.json()["type"] == "/problems/unknown-accelerator"


@pytest.mark.parametrize(
    ("as_of", "known_at", "expected"),
    [
        # Row 1 was believed in revisions 1 and 2, row 2 corrects it from 3; row 3 is valid from July.
        ("2025-03-01", "r1", [1]),
        ("2025-03-01", "r3", [2]),
        ("2025-08-01", "r2", [1, 3]),
        ("2025-08-01", "r3", [2, 3]),
        ("2024-12-31", "r3", []),
        (None, "r2", [1, 3]),
        (None, None, [2, 3]),
        (None, "2026-01-03T12:00:00Z", [1, 3]),  # revision 2 was the newest then
    ],
)
def test_both_time_axes(
    client: TestClient, as_of: str | None, known_at: str | None, expected: list[int]
) -> None:
    asked = {"as_of": as_of, "known_at": known_at}
    response = client.get("/v1/gpu-prices", params={name: text for name, text in asked.items() if text})
    assert _ids(response) == expected


def _walk(client: TestClient, path: str, **params: object) -> list[object]:
    found: list[object] = []
    cursor = None
    while True:
        page = client.get(path, params={**params, **({"cursor": cursor} if cursor else {})}).json()
        found += [row["id"] for row in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def test_pages_add_up_to_the_list(client: TestClient, catalog: FakeCatalog) -> None:
    rows = [make_gpu_price(number, revision_from=1) for number in range(1, 24)]
    catalog.snapshot = FakeSnapshot(all_gpu_prices=rows)
    for limit in (1, 7, 22, 23, 24):
        assert _walk(client, "/v1/gpu-prices", limit=limit) == list(range(1, 24))


def test_a_page_stays_on_the_revision_of_the_first(client: TestClient, catalog: FakeCatalog) -> None:
    rows = [make_gpu_price(number, revision_from=1) for number in (1, 2, 3)]
    catalog.snapshot = FakeSnapshot(revision=1, all_gpu_prices=rows)
    first = client.get("/v1/gpu-prices", params={"limit": 1}).json()
    # Meanwhile row 3 is retired and row 4 takes its place.
    retired = replace(rows[2], stamp=replace(rows[2].stamp, revision_to=2))
    later = [*rows[:2], retired, make_gpu_price(4, revision_from=2)]
    catalog.snapshot = FakeSnapshot(revision=2, all_gpu_prices=later)
    second = client.get("/v1/gpu-prices", params={"limit": 5, "cursor": first["next_cursor"]}).json()
    assert [row["id"] for row in second["data"]] == [2, 3]
    assert second["catalog_revision"] == 1
    assert _walk(client, "/v1/gpu-prices") == [1, 2, 4]


def test_a_cursor_over_reference_rows_ends_with_its_revision(
    client: TestClient, catalog: FakeCatalog
) -> None:
    first = client.get("/v1/models", params={"limit": 1}).json()
    catalog.snapshot = FakeSnapshot(revision=4)
    response = client.get("/v1/models", params={"limit": 1, "cursor": first["next_cursor"]})
    assert response.status_code == 409
    assert response.json()["type"] == "/problems/cursor-expired"


@pytest.mark.parametrize("cursor", ["x", "AAAA", "WzEsMl0", "é", "W10", "bnVsbA", "=" * 8, "W1tdLFtdLFtdXQ"])
def test_a_made_up_cursor_is_refused(client: TestClient, cursor: str) -> None:
    response = client.get("/v1/models", params={"cursor": cursor})
    assert response.status_code == 422
    assert response.json()["type"] == "/problems/invalid-cursor"


def test_a_cursor_belongs_to_its_filters(client: TestClient, catalog: FakeCatalog) -> None:
    cursor = client.get("/v1/gpu-prices", params={"limit": 1}).json()["next_cursor"]
    other = client.get("/v1/gpu-prices", params={"limit": 1, "provider": "acme", "cursor": cursor})
    assert other.status_code == 422
    elsewhere = client.get("/v1/models", params={"limit": 1, "cursor": cursor})
    assert elsewhere.status_code == 422


def test_an_unchanged_list_is_304(client: TestClient, catalog: FakeCatalog) -> None:
    first = client.get("/v1/models")
    tag = first.headers["etag"]
    again = client.get("/v1/models", headers={"If-None-Match": tag})
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["etag"] == tag
    assert client.get("/v1/models", headers={"If-None-Match": f'"x", W/{tag}'}).status_code == 304
    assert client.get("/v1/models?limit=1", headers={"If-None-Match": tag}).status_code == 200
    catalog.snapshot = FakeSnapshot(revision=4, all_models=[make_model()])
    assert client.get("/v1/models", headers={"If-None-Match": tag}).status_code == 200


def test_one_row_by_id_and_by_alias(client: TestClient) -> None:
    assert client.get("/v1/models/llama-3.1-70b").json()["spec"] == {"hidden_size": 8}
    assert client.get("/v1/accelerators/h100_sxm").json()["id"] == "h100-sxm"
    assert client.get("/v1/list-prices/12").json()["amount"] == "1.80"
    assert client.get("/v1/listings/acme/acme/llama-3.1-70b").json()["model"] == "llama-3.1-70b"


def test_a_retired_row_is_found_with_the_revision_that_believed_it(client: TestClient) -> None:
    assert client.get("/v1/gpu-prices/1").status_code == 404
    assert client.get("/v1/gpu-prices/1", params={"known_at": "r2"}).json()["amount"] == "2.99"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/x",
        "/v1/accelerators/x",
        "/v1/calibrations/x",
        "/v1/gpu-prices/x",
        "/v1/list-prices/99",
        "/v1/listings/a/b",
    ],
)
def test_an_id_that_names_nothing_is_404(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert response.json()["type"].startswith("/problems/unknown-")


def test_a_calibration_set_is_shown_with_what_it_says(client: TestClient) -> None:
    shown = client.get("/v1/calibrations/default").json()
    assert (shown["default"], shown["entries"]) == (True, [{"basis": "assumed"}])
    assert client.get("/v1/calibrations").json()["data"] == [shown]
