"""The wheel works by itself: an empty environment, an empty directory, another user, no checkout."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = ("pyproject.toml", "setup.py", "README.md", "service", "migrations", "hardware_catalog")
NOBODY = 65534
SYSTEM_INTERPRETERS = ("/usr/local/bin/python3.11", "/usr/bin/python3.11")
START_SECONDS = 60.0

pytestmark = [pytest.mark.packaging, pytest.mark.xdist_group("packaging")]


@pytest.fixture(scope="session")
def workshop() -> Iterator[Path]:
    """Make a directory that other users may read; pytest's own are closed to them."""
    folder = Path(mkdtemp(prefix="pertoken-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def wheel(workshop: Path) -> Path:
    """Build from a copy, so that the checkout keeps no build folder."""
    source = workshop / "source"
    source.mkdir()
    unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.db*")
    for name in SOURCES:
        path = REPOSITORY / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=unwanted)
        else:
            shutil.copy(path, source / name)
    build = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", "."]
    subprocess.run([sys.executable, *build, str(source)], check=True, cwd=workshop)
    (built,) = workshop.glob("pertoken-*.whl")
    return built


@dataclass(frozen=True)
class Stranger:
    """Another user, and an interpreter that this user may run."""

    interpreter: str
    identity: dict[str, Any]


@pytest.fixture(scope="session")
def stranger() -> Stranger:
    """Find one; where we may not become another user, it is ourselves with an empty HOME."""
    own = Stranger(sys._base_executable, {})  # type: ignore[attr-defined]
    if os.geteuid() != 0:
        return own
    identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    for interpreter in (own.interpreter, *SYSTEM_INTERPRETERS):
        try:
            subprocess.run([interpreter, "-c", "import venv"], check=True, cwd="/", **identity)
        except (OSError, subprocess.CalledProcessError):
            continue
        return Stranger(interpreter, identity)
    return own


@pytest.fixture(scope="session")
def command(wheel: Path, workshop: Path, stranger: Stranger) -> Path:
    """Install the wheel and nothing else into an empty environment; return its ``pertoken``."""
    environment = workshop / "environment"
    subprocess.run([stranger.interpreter, "-m", "venv", "--without-pip", str(environment)], check=True)
    into = ["-m", "pip", "--python", str(environment / "bin" / "python")]
    constraints = ["-c", str(REPOSITORY / "requirements.lock")]
    subprocess.run([sys.executable, *into, "install", "--quiet", *constraints, str(wheel)], check=True)
    return environment / "bin" / "pertoken"


@pytest.fixture
def place(workshop: Path, tmp_path: Path, stranger: Stranger) -> dict[str, Any]:
    """Make an empty directory with an empty HOME, of another user where possible."""
    folder = workshop / tmp_path.name
    for path in (folder, folder / "work", folder / "home"):
        path.mkdir()
        if stranger.identity:
            os.chown(path, NOBODY, NOBODY)
    environment = {"PATH": os.defpath, "HOME": str(folder / "home")}
    return {"cwd": folder / "work", "env": environment, **stranger.identity}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _fetch(address: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def _wait_until_ready(address: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert server.poll() is None, "the service ended before it was ready"
        try:
            _fetch(f"{address}/readyz")
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    pytest.fail(f"not ready after {START_SECONDS} s")


def test_the_wheel_carries_migrations_and_seeds(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.startswith("service/_migrations/versions/") for name in names)
    assert "service/_hardware_catalog/units.yaml" in names
    assert {"service/web/static/index.html", "service/web/static/main.js"} <= set(names)
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]


def test_it_serves_in_an_empty_directory(command: Path, place: dict[str, Any]) -> None:
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    server = subprocess.Popen([command, "serve", "--init", "--port", str(port)], **place)
    try:
        _wait_until_ready(address, server)
        with urllib.request.urlopen(f"{address}/explore", timeout=10) as page:
            assert page.headers["Content-Type"].startswith("text/html")
        answer = _fetch(f"{address}/v1/estimates", {"model": "llama-3.1-70b", "accelerator": "h100-sxm"})
        assert [rate["kind"] for rate in answer["rates"]] == ["uncached_input", "cached_input", "output"]
        health = [command.with_name("python"), "-m", "service.cli.healthcheck"]
        place["env"] = {**place["env"], "PERTOKEN_PORT": str(port)}
        assert subprocess.run(health, check=False, **place).returncode == 0
    finally:
        server.terminate()
        server.wait(timeout=20)


def test_it_estimates_without_a_server(command: Path, place: dict[str, Any]) -> None:
    arguments = [command, "estimate", "llama-3.1-70b", "h100-sxm", "--json"]
    done = subprocess.run(arguments, check=True, capture_output=True, **place)
    answer = json.loads(done.stdout)
    assert answer["conservation"]["sum_per_request"] == pytest.approx(
        answer["conservation"]["bill_per_request"], rel=1e-9
    )
    assert done.stderr == b"", "quiet in a pipe"
