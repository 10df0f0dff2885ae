"""Fetches a source over HTTPS (CONTRACT 5): known hosts, public addresses, bounded size and time."""

import ipaddress
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import httpx

from service.catalog.importers.reading import SourceError

HOSTS: Final = frozenset({"openrouter.ai", "raw.githubusercontent.com"})
"""Exactly these names; a redirect elsewhere is refused."""
MAX_BYTES: Final = 64 * 2**20
"""After decompression."""
MAX_SECONDS: Final = 30.0
"""For the whole exchange, redirects included."""
MAX_REDIRECTS: Final = 5
_STEP_SECONDS: Final = 10.0

Resolver = Callable[[str], Iterable[str]]


def resolve(host: str) -> list[str]:
    """Return the addresses of a host."""
    found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    return sorted({str(item[4][0]) for item in found})


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetches sources; transport, resolver and clock can be replaced by tests."""

    transport: httpx.BaseTransport | None = None
    resolver: Resolver = resolve
    clock: Callable[[], float] = time.monotonic
    hosts: frozenset[str] = HOSTS
    max_bytes: int = MAX_BYTES

    def fetch(self, url: str) -> bytes:
        """Return the content behind an address.

        Raises
        ------
        SourceError
            Where a rule forbids the address or a redirect, the answer is not 200, or size or time run out.
        """
        deadline = self.clock() + MAX_SECONDS
        # No proxy and no netrc of the environment: what is checked is what is asked.
        with httpx.Client(
            transport=self.transport, trust_env=False, follow_redirects=False, timeout=_STEP_SECONDS
        ) as client:
            for _ in range(MAX_REDIRECTS + 1):
                self._check(url)
                content, url = self._step(client, url, deadline)
                if content is not None:
                    return content
        raise SourceError(f"The source redirects more than {MAX_REDIRECTS} times.")

    def _step(self, client: httpx.Client, url: str, deadline: float) -> tuple[bytes | None, str]:
        """Return the content, or where a redirect leads."""
        try:
            with client.stream("GET", url, headers={"Accept-Encoding": "gzip"}) as response:
                self._check_peer(response)
                if response.has_redirect_location:
                    return None, str(response.url.join(response.headers.get("location", "")))
                if response.status_code != httpx.codes.OK:
                    raise SourceError(f"{url} answers {response.status_code}.")
                return self._body(response, deadline), url
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SourceError(f"{url} cannot be fetched: {type(error).__name__}: {error}") from error

    def _body(self, response: httpx.Response, deadline: float) -> bytes:
        parts: list[bytes] = []
        size = 0
        for part in response.iter_bytes(2**16):
            size += len(part)
            if size > self.max_bytes:
                raise SourceError(f"The source is larger than {self.max_bytes} bytes.")
            if self.clock() > deadline:
                raise SourceError(f"The source took longer than {MAX_SECONDS:g} seconds.")
            parts.append(part)
        return b"".join(parts)

    def check_address(self, url: str) -> str:
        """Return the host of an address; asks nobody.

        Raises
        ------
        SourceError
            Where it is not HTTPS on a known host.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise SourceError(f"{url[:200]!r} is no address: {error}.") from error
        if parts.scheme != "https" or port not in (None, 443) or parts.username or parts.password:
            raise SourceError(f"{url[:200]!r}: plain https without port and password is wanted.")
        host = parts.hostname or ""
        if host not in self.hosts:
            raise SourceError(
                f"{host[:200]!r} is none of the hosts that are asked: {', '.join(sorted(self.hosts))}."
            )
        return host

    def _check(self, url: str) -> None:
        """Refuse an address that is not HTTPS on a known host with public addresses only."""
        host = self.check_address(url)
        try:
            addresses = list(self.resolver(host))
        except OSError as error:
            raise SourceError(f"{host} cannot be found: {error}.") from error
        for address in addresses:
            _check_public(host, address)
        if not addresses:
            raise SourceError(f"{host} has no address.")

    def _check_peer(self, response: httpx.Response) -> None:
        """Refuse an answer from an address that is not public, whatever the name said a moment ago."""
        stream = response.extensions.get("network_stream")
        peer = stream.get_extra_info("server_addr") if stream is not None else None
        if peer is not None:
            _check_public(str(response.url.host), str(peer[0]))


def _check_public(host: str, address: str) -> None:
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    if not (mapped or found).is_global or found.is_multicast:
        raise SourceError(f"{host} leads to {address}, which is no public address.")
