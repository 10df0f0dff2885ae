"""Over a real socket: odd and slow clients, batches by curl and httpx, latency beside a batch."""

import hashlib
import http.client
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.server_app import BATCH_BYTES, IDLE_SECONDS
from tests.builders.server import serving

GOOD = b'{"model": "llama-3.1-70b", "accelerator": "h100-sxm"}'
BAD = b'{"model": "nonesuch", "accelerator": "h100-sxm"}'
LINES = 10_000
NDJSON = "application/x-ndjson"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving("tests.api.server_app:make_app") as number:
        yield number


def _raw(port: int, request: bytes, *, shut: bool = False) -> tuple[int, dict[str, Any]]:
    """Send bytes as they are; return the status and the problem or answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        if shut:
            connection.shutdown(socket.SHUT_WR)
        response = http.client.HTTPResponse(connection)
        response.begin()
        return response.status, json.loads(response.read())


def _head(*lines: str) -> bytes:
    start = ("POST /v1/estimates HTTP/1.1", "Host: localhost", "Content-Type: application/json")
    return "\r\n".join((*start, *lines, "", "")).encode()


def test_a_chunked_body_in_small_pieces_is_read(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(_head("Transfer-Encoding: chunked"))
        for start in range(0, len(GOOD), 7):
            piece = GOOD[start : start + 7]
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            time.sleep(0.01)
        connection.sendall(b"0\r\n\r\n")
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert response.status == 200
        assert json.loads(response.read())["model"] == "llama-3.1-70b"


def test_a_chunked_body_over_the_limit_is_413_while_it_still_arrives(port: int) -> None:
    piece = b" " * 2**18
    request = _head("Transfer-Encoding: chunked") + b"%x\r\n%s\r\n" % (len(piece), piece) * 5
    status, problem = _raw(port, request)
    assert (status, problem["type"]) == (413, "/problems/body-too-large")


def test_an_announced_length_over_the_limit_is_413_before_any_byte(port: int) -> None:
    status, problem = _raw(port, _head(f"Content-Length: {2**20 + 1}"))
    assert (status, problem["type"]) == (413, "/problems/body-too-large")


def test_a_client_that_waits_for_continue_is_refused_without_sending(port: int) -> None:
    status, _ = _raw(port, _head("Content-Length: 99999999", "Expect: 100-continue"))
    assert status == 413


def test_a_body_shorter_than_announced_is_400_once_the_client_pauses_too_long(port: int) -> None:
    started = time.monotonic()
    status, problem = _raw(port, _head(f"Content-Length: {len(GOOD) + 10}") + GOOD)
    assert (status, problem["type"]) == (400, "/problems/incomplete-body")
    assert time.monotonic() - started < 10 * IDLE_SECONDS


def test_a_body_longer_than_announced_is_cut_where_it_was_announced(port: int) -> None:
    status, _ = _raw(port, _head(f"Content-Length: {len(GOOD)}", "Connection: close") + GOOD + b"trailing")
    assert status == 200


def test_the_connection_goes_on_after_a_refusal(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for body, status in ((b"{", 400), (GOOD, 200), (b" " * (2**20 + 1), 413), (GOOD, 200)):
        connection.request("POST", "/v1/estimates", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
        assert response.status == status
    connection.close()


def _batch(lines: int) -> bytes:
    return b"".join((BAD if number % 10 == 3 else GOOD) + b"\n" for number in range(lines))


def _check(answer: bytes, body: bytes) -> None:
    *results, last = answer.splitlines()
    lines = body.count(b"\n")
    assert len(results) == lines
    assert [json.loads(results[index])["line"] for index in (0, lines // 2, -1)] == [1, lines // 2 + 1, lines]
    summary = json.loads(last)["summary"]
    assert summary["lines"] == lines
    assert summary["errors"] == body.count(BAD)
    assert summary["input_sha256"] == hashlib.sha256(body).hexdigest()


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("expect", ["Expect:", "Expect: 100-continue"], ids=["without", "with"])
def test_curl_gets_every_line_back(port: int, tmp_path: Path, expect: str) -> None:
    body = _batch(LINES)
    source = tmp_path / "lines.ndjson"
    source.write_bytes(body)
    command = ["curl", "-sS", "-H", f"Content-Type: {NDJSON}", "-H", expect, "--data-binary", f"@{source}"]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}/v1/estimates/batch"], capture_output=True, check=True
    )
    _check(done.stdout, body)


def test_httpx_gets_every_line_back(port: int) -> None:
    body = _batch(LINES)
    response = httpx.post(
        f"http://127.0.0.1:{port}/v1/estimates/batch",
        content=body,
        headers={"Content-Type": NDJSON},
        timeout=120,
    )
    _check(response.content, body)


def test_a_generator_without_a_length_gets_every_line_back(port: int) -> None:
    body = _batch(2_000)
    pieces = (body[start : start + 1000] for start in range(0, len(body), 1000))
    response = httpx.post(
        f"http://127.0.0.1:{port}/v1/estimates/batch",
        content=pieces,
        headers={"Content-Type": NDJSON},
        timeout=120,
    )
    _check(response.content, body)


def test_a_slow_reader_gets_every_line_back(port: int) -> None:
    body = _batch(3_000)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/v1/estimates/batch", body, {"Content-Type": NDJSON})
    response = connection.getresponse()
    parts = []
    while part := response.read(2**18):
        parts.append(part)
        time.sleep(0.01)
    connection.close()
    _check(b"".join(parts), body)


def test_a_batch_over_the_limit_is_refused_by_its_length(port: int) -> None:
    head = _head(f"Content-Length: {BATCH_BYTES + 1}", "Expect: 100-continue")
    head = head.replace(b"/v1/estimates ", b"/v1/estimates/batch ").replace(
        b"application/json", NDJSON.encode()
    )
    assert _raw(port, head)[0] == 413


def test_a_client_that_leaves_frees_its_place(port: int) -> None:
    body = _batch(LINES)
    for _ in range(4):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("POST", "/v1/estimates/batch", body, {"Content-Type": NDJSON})
        connection.getresponse().read(100)
        connection.close()
    # Two batches run at once: were the four above still running, this one would wait for them.
    small = _batch(10)
    response = httpx.post(
        f"http://127.0.0.1:{port}/v1/estimates/batch",
        content=small,
        headers={"Content-Type": NDJSON},
        timeout=20,
    )
    _check(response.content, small)


def test_other_requests_are_served_between_the_lines_of_a_batch(port: int) -> None:
    answers: list[bytes] = []

    def run_batch() -> None:
        response = httpx.post(
            f"http://127.0.0.1:{port}/v1/estimates/batch",
            content=_batch(LINES),
            headers={"Content-Type": NDJSON},
            timeout=120,
        )
        answers.append(response.content)

    batch = threading.Thread(target=run_batch)
    batch.start()
    served = 0
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        while batch.is_alive():
            client.post("/v1/estimates", content=GOOD, headers={"Content-Type": "application/json"})
            served += 1
            time.sleep(0.005)
    batch.join()
    _check(answers[0], _batch(LINES))
    # Without slices one request would wait for the whole batch; how long each waits is a benchmark's to
    # measure, and a slow machine slows the batch as it slows them.
    assert served >= 10
