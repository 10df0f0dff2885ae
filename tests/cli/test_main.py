"""The command as typed: quick help, errors without tracebacks, the answer printed."""

import json
import os
import subprocess
import sys
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from service.application.errors import UnavailableError
from service.application.render import to_json_values
from service.application.requests import EstimateRequest
from service.cli import catalog_access
from tests.builders.answers import make_answer
from tests.cli.conftest import RunCommand


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[EstimateRequest]:
    """Stand in for catalog and use case; the list collects what the use case was asked."""
    requests: list[EstimateRequest] = []

    def estimate(request: EstimateRequest, snapshot: object, now: datetime) -> Any:
        requests.append(request)
        return make_answer()

    snapshot = SimpleNamespace(info=SimpleNamespace(revision=12))
    monkeypatch.setattr(catalog_access, "current_snapshot", lambda: snapshot)
    monkeypatch.setitem(
        sys.modules,
        "service.application.estimate",
        SimpleNamespace(estimate=estimate),  # type: ignore[misc]
    )
    return requests


def test_help_loads_nothing_that_takes_time() -> None:
    # benchmarks/startup.py measures the time; these are what would take it.
    code = (
        "import sys, contextlib, io\n"
        "from service.cli.main import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as told:\n"
        "    sys.argv = ['pertoken', '--help']\n"
        "    main()\n"
        "assert 'serve' in told.getvalue()\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    heavy = {"numpy", "fastapi", "starlette", "pydantic", "sqlalchemy", "uvicorn", "genai_prices", "asyncio"}
    assert not heavy.intersection(done.stdout.split())


def test_the_command_keeps_blas_to_one_thread_before_numpy_is_loaded() -> None:
    told = (
        "import os, sys, service.cli.main; print(os.environ['OPENBLAS_NUM_THREADS'], 'numpy' in sys.modules)"
    )
    for given, expected in ((None, "1 False"), ("4", "4 False")):
        environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
        environment |= {} if given is None else {"OPENBLAS_NUM_THREADS": given}
        command = [sys.executable, "-c", told]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        assert done.stdout.strip() == expected


def test_help_names_every_command(run: RunCommand) -> None:
    outcome = run("--help")
    assert outcome.code == 0
    for command in ("serve", "migrate", "seed", "estimate", "models", "accelerators", "prices"):
        assert f"\n  {command} " in outcome.out


def test_the_version_is_that_of_the_distribution(run: RunCommand) -> None:
    outcome = run("--version")
    assert (outcome.code, outcome.out) == (0, f"pertoken {version('pertoken')}\n")


def test_json_is_what_the_api_answers(run: RunCommand, asked: list[EstimateRequest]) -> None:
    outcome = run("estimate", "llama", "h100", "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out) == orjson.loads(orjson.dumps(to_json_values(make_answer())))


def test_options_reach_the_use_case(run: RunCommand, asked: list[EstimateRequest]) -> None:
    outcome = run(
        *("estimate", "llama", "h100", "--gpus", 8, "--input-tokens", 100, "--output-tokens", 10),
        *("--cached-share", 0.5, "--concurrency", 4, "--price-per-gpu-hour", "2.10", "--currency", "USD"),
        *("--as-of", "2026-01-31", "--known-at", "r3", "--split", "phase", "--utilisation", "0.4"),
    )
    assert outcome.code == 0, outcome.err
    request = asked[0]
    assert request.layout is not None
    assert request.workload is not None
    assert request.price is not None
    assert (request.layout.tp, request.workload[0].cached_share, request.known_at) == (8, 0.5, 3)
    assert (str(request.price.amount), request.split, request.utilisation) == ("2.10", "phase", 0.4)


def test_a_table_shows_rates_latency_memory_list_prices_and_sources(
    run: RunCommand, asked: list[EstimateRequest]
) -> None:
    text = run("estimate", "llama", "h100").out
    for shown in (
        "llama-3.1-70b on 8 x h100-sxm",
        "USD 2 per accelerator-hour, 60 % of it at work",
        "1000 tokens in, 50 % of it cached, 1000 out",
        "uncached input",
        "output : input = 3",
        "tokens x rates give 0.0018125",
        "15 ms = 66.7 a second",
        "9 GB weights + 62 GB cache of 72 GB usable",
        "quantised",
        "Output costs 3x input because decode waits for memory.",
        "2.00 acme/h100-sxm (skypilot, observed 2026-01-31)",
        "layout, utilisation",
    ):
        assert shown in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["estimate", "llama"], "accelerator is missing"),
        (["estimate", "llama", "h100", "--known-at", "r13"], "r13 does not exist yet"),
        (["estimate", "llama", "h100", "--as-of", "noon"], "'noon' is not a day"),
        (["estimate", "llama", "h100", "--price-per-gpu-hour", "1e3"], "not a plain decimal"),
        (["estimate", "llama", "h100", "--utilisation", "nan"], "finite"),
        (["estimate", "llama", "h100", "--split", "half"], "half"),
        (["estimate", "llama", "h100", "--tp", "two"], "valid integer"),
        (["estimate", "llama", "h100", "--tpp", "2"], "--tpp"),
        (["estimate", "--request", "absent.json"], "absent.json cannot be used"),
        (["models", "inspect", "absent.json"], "absent.json cannot be used"),
        (["estimat"], "estimat"),
    ],
)
def test_bad_input_is_exit_code_2_and_a_message(
    run: RunCommand, asked: list[EstimateRequest], arguments: list[str], said: str
) -> None:
    outcome = run(*arguments)
    assert outcome.code == 2
    assert said in outcome.err
    assert "Traceback" not in outcome.err
    assert not outcome.out


def test_a_catalog_out_of_reach_is_exit_code_1(run: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable() -> None:
        raise UnavailableError("connection refused")

    monkeypatch.setattr(catalog_access, "current_snapshot", unreachable)
    outcome = run("models", "list")
    assert outcome.code == 1
    assert outcome.err == "pertoken: the catalog cannot be reached: connection refused\n"


def test_a_reader_that_has_seen_enough_ends_the_command_quietly(tmp_path: Path) -> None:
    command = f"{sys.executable} -m service.cli.main --help | head -c 1"
    done = subprocess.run(["/bin/sh", "-c", command], check=True, capture_output=True)
    assert done.stderr == b""
