"""A server in a process of its own, for tests that need a socket."""

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
START_SECONDS = 30.0


@contextmanager
def serving(factory: str, environment: Mapping[str, str] | None = None, workers: int = 1) -> Iterator[int]:
    """Serve an application factory; yield the port.

    The test binds the socket and hands it over, so that no port is raced for.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    port: int = listener.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--factory", factory]
    command += ["--fd", str(listener.fileno()), "--log-level", "warning", "--workers", str(workers)]
    server = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        pass_fds=[listener.fileno()],
        env=None if environment is None else {**environment},
    )
    try:
        _wait_until_alive(port)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=10)
        listener.close()


def _wait_until_alive(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise TimeoutError("the server did not start")
