"""Fetching by the rules: exact hosts, public addresses, redirects, size, time. No network."""

import gzip
from collections.abc import Callable, Iterator

import httpx
import pytest

from service.catalog.importers.fetching import Fetcher
from service.catalog.importers.reading import SourceError

URL = "https://openrouter.ai/api/v1/models"
Handler = Callable[[httpx.Request], httpx.Response]


def fetcher(handler: Handler, addresses: list[str] | None = None, **changes: object) -> Fetcher:
    found = ["104.18.2.115"] if addresses is None else addresses
    return Fetcher(httpx.MockTransport(handler), lambda host: found, **changes)  # type: ignore[arg-type]


def answer(content: bytes = b"{}", status: int = 200, **headers: str) -> Handler:
    return lambda request: httpx.Response(status, content=content, headers=headers)


def test_a_known_host_with_a_public_address_is_read() -> None:
    assert fetcher(answer(b'{"data": []}')).fetch(URL) == b'{"data": []}'


@pytest.mark.parametrize(
    "url",
    [
        "http://openrouter.ai/api/v1/models",
        "https://openrouter.ai.evil.example/",
        "https://evil.example/openrouter.ai",
        "https://openrouter.ai@evil.example/",
        "https://user:secret@openrouter.ai/",
        "https://openrouter.ai:8443/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "file:///etc/passwd",
        "https://openrouter.ai:port/",
        "https://",
    ],
)
def test_other_addresses_are_never_asked(url: str) -> None:
    def asked(request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"asked {request.url}")

    with pytest.raises(SourceError):
        fetcher(asked).fetch(url)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - an address to refuse
        "224.0.0.1",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:10.0.0.1",
    ],
)
def test_a_name_that_leads_to_an_address_that_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(SourceError, match="no public address"):
        fetcher(answer(), ["104.18.2.115", address]).fetch(URL)


def test_the_address_that_answered_is_checked_too() -> None:
    class Stream:
        def get_extra_info(self, name: str) -> object:
            return ("10.0.0.5", 443)

    def rebound(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b"inside", extensions={"network_stream": Stream()})

    with pytest.raises(SourceError, match=r"10\.0\.0\.5"):
        fetcher(rebound).fetch(URL)


def test_a_redirect_among_the_known_hosts_is_followed() -> None:
    def moved(request: httpx.Request) -> httpx.Response:
        if request.url.host == "openrouter.ai":
            return httpx.Response(302, headers={"location": "https://raw.githubusercontent.com/x"})
        return httpx.Response(200, content=b"there")

    assert fetcher(moved).fetch(URL) == b"there"


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/x", "http://openrouter.ai/x", "https://169.254.169.254/latest", "file:///x"],
)
def test_a_redirect_elsewhere_is_refused(target: str) -> None:
    with pytest.raises(SourceError):
        fetcher(answer(status=302, location=target)).fetch(URL)


def test_redirects_without_end_are_refused() -> None:
    with pytest.raises(SourceError, match="more than 5 times"):
        fetcher(answer(status=302, location=URL)).fetch(URL)


def test_size_counts_after_decompression() -> None:
    packed = gzip.compress(b"0" * 100_000)
    assert len(packed) < 1_000
    with pytest.raises(SourceError, match="larger than 5000 bytes"):
        fetcher(answer(packed, **{"content-encoding": "gzip"}), max_bytes=5_000).fetch(URL)


def test_a_slow_source_is_given_up() -> None:
    now = iter([0.0, 10.0, 31.0])

    def trickle() -> Iterator[bytes]:
        yield b"a" * 2**16
        yield b"b" * 2**16

    def slow(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=trickle())

    with pytest.raises(SourceError, match="30 seconds"):
        fetcher(slow, clock=lambda: next(now)).fetch(URL)


@pytest.mark.parametrize("status", [204, 304, 403, 404, 500])
def test_anything_but_success_is_refused(status: int) -> None:
    with pytest.raises(SourceError, match=str(status)):
        fetcher(answer(status=status)).fetch(URL)


def test_a_lost_connection_is_told_as_such() -> None:
    def lost(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(SourceError, match="ConnectError"):
        fetcher(lost).fetch(URL)


def test_a_name_that_is_not_found_is_told_as_such() -> None:
    def unknown(host: str) -> list[str]:
        raise OSError("name not known")

    with pytest.raises(SourceError, match="cannot be found"):
        Fetcher(httpx.MockTransport(answer()), unknown).fetch(URL)
