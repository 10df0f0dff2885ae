"""A batch in process: order, errors in place, the summary; sockets are in test_server.py."""

import asyncio
import hashlib
import json
import threading
import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.api.limits import ApiLimits
from service.api.pool import BoundedPool
from service.api.problems import ProblemError

GOOD = b'{"model": "llama-3.1-70b", "accelerator": "h100-sxm"}'
HEADERS = {"content-type": "application/x-ndjson"}
LARGEST_LINE = 4096


@pytest.fixture
def limits() -> ApiLimits:
    return ApiLimits(body_bytes=LARGEST_LINE, batch_bytes=2**20, spool_bytes=1024, inline_body_bytes=512)


def _post(client: TestClient, body: bytes) -> list[dict[str, Any]]:
    response = client.post("/v1/estimates/batch", content=body, headers=HEADERS)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/x-ndjson"
    assert response.content.endswith(b"\n")
    return [json.loads(line) for line in response.content.splitlines()]


def test_one_result_a_line_in_order_then_the_summary(client: TestClient) -> None:
    lines = [GOOD, b'{"model": "nonesuch", "accelerator": "h100-sxm"}', b"not json", b"", GOOD]
    body = b"\n".join(lines) + b"\n"
    *results, last = _post(client, body)
    assert [result["line"] for result in results] == [1, 2, 3, 4, 5]
    assert [result["status"] for result in results] == [200, 422, 400, 400, 200]
    assert results[1]["problem"]["type"] == "/problems/unknown-model"
    summary = last["summary"]
    assert (summary["lines"], summary["errors"]) == (5, 3)
    assert summary["input_sha256"] == hashlib.sha256(body).hexdigest()
    assert summary["catalog_revision"] == 3
    one = results[0]["answer"]["cost_per_request"]
    assert summary["totals"]["cost_per_request"] == {"USD": pytest.approx(2 * one)}


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_the_last_line_may_end_with_or_without_a_newline(client: TestClient, ending: bytes) -> None:
    *results, last = _post(client, GOOD + b"\n" + GOOD + ending)
    assert [result["status"] for result in results] == [200, 200]
    assert last["summary"]["lines"] == 2


def test_a_line_is_answered_like_a_request(client: TestClient) -> None:
    alone = client.post("/v1/estimates", content=GOOD, headers={"content-type": "application/json"})
    results = _post(client, GOOD)
    assert results[0]["answer"] == alone.json()


def test_a_line_over_the_limit_is_an_error_and_the_next_is_not(client: TestClient) -> None:
    padded = GOOD.ljust(LARGEST_LINE)
    body = b"\n".join([padded, padded + b" ", b"x" * (5 * LARGEST_LINE + 3), GOOD])
    *results, last = _post(client, body)
    assert [result["status"] for result in results] == [200, 413, 413, 200]
    assert last["summary"]["lines"] == 4


def test_an_unexpected_error_in_one_line_spares_the_others(client: TestClient) -> None:
    bad = b'{"model": "llama-3.1-70b", "accelerator": "h100-sxm", "utilisation": 0.002}'
    *results, last = _post(client, b"\n".join([bad, GOOD]))
    assert [result["status"] for result in results] == [500, 200]
    assert "secret" not in json.dumps(results)
    assert last["summary"]["errors"] == 1


def test_a_batch_over_the_limit_is_413(client: TestClient) -> None:
    response = client.post("/v1/estimates/batch", content=b" " * (2**20 + 1), headers=HEADERS)
    assert response.status_code == 413


def test_an_empty_batch_is_400(client: TestClient) -> None:
    response = client.post("/v1/estimates/batch", content=b"", headers=HEADERS)
    assert response.status_code == 400


def test_a_batch_not_declared_as_ndjson_is_415(client: TestClient) -> None:
    response = client.post(
        "/v1/estimates/batch", content=GOOD, headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert response.status_code == 415
    assert "application/x-ndjson" in response.json()["detail"]


def test_a_pool_admits_so_many_and_refuses_the_next() -> None:
    async def scene() -> None:
        pool = BoundedPool(running=1, waiting=1)
        release = threading.Event()
        first = asyncio.create_task(pool.run(release.wait))
        second = asyncio.create_task(pool.run(release.wait))
        await asyncio.sleep(0.05)
        with pytest.raises(ProblemError) as refused:
            await pool.run(time.monotonic)
        assert refused.value.status == 503
        release.set()
        assert await asyncio.gather(first, second) == [True, True]
        assert await pool.run(lambda: "free again") == "free again"

    asyncio.run(scene())
