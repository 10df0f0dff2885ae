"""``pertoken curve``, ``tariff`` and ``compare`` on the seeded catalog: pages, JSON, plots, bad input."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from service.application.ports import CatalogSnapshot
from service.bootstrap import read_snapshot
from service.cli import catalog_access
from service.settings import Settings
from tests.cli.conftest import RunCommand

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens"
PLACE = ("llama-3.1-70b", "h100-sxm", "--gpus", 8, "--precision", "fp8", "--concurrency", 32)
OWN_PRICE = ("--price-per-gpu-hour", "2.50", "--currency", "USD")
MAGIC = {"png": b"\x89PNG\r\n\x1a\n", "svg": b"<svg"}


@pytest.fixture(scope="module")
def snapshot(seeded_database_url: str) -> CatalogSnapshot:
    return read_snapshot(Settings(database_url=seeded_database_url))


@pytest.fixture(autouse=True)
def on_seeded_catalog(snapshot: CatalogSnapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    # Read once: forty commands would read the whole catalog forty times.
    monkeypatch.setattr(catalog_access, "current_snapshot", lambda: snapshot)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.csv"
    path.write_text("\n".join([HEADER, *["t,900,90", "t,4000,30"] * 99, "t,10,0"]), encoding="utf-8")
    return path


def test_a_curve_of_positions_shows_tokens_crossings_and_the_sum(run: RunCommand) -> None:
    text = run("curve", *PLACE).out
    for shown in (
        "llama-3.1-70b on h100-sxm",
        "A request of 4096 tokens in, 0 of them cached, and 512 out",
        "share of requests",
        "all positions add up to USD",
        "Attention FLOP of the token at this position reach the linear FLOP (prefill).",
        "curve.points, curve.view",
    ):
        assert shown in text


def test_options_of_a_curve_reach_the_use_case(run: RunCommand) -> None:
    options = ("--axis", "output_tokens", "--points", 7, "--start", 10, "--stop", 1000, "--spacing", "linear")
    one = ("--request-input-tokens", 5000, "--request-output-tokens", 9, "--request-cached-tokens", 100)
    answer = json.loads(run("curve", *PLACE, *options, *one, "--json").out)
    assert answer["resolved"]["curve"] == {
        "axis": "output_tokens",
        "points": 7,
        "start": 10.0,
        "stop": 1000.0,
        "spacing": "linear",
        "request": {"input_tokens": 5000, "output_tokens": 9, "cached_tokens": 100},
    }
    assert answer["x"] == [10, 175, 340, 505, 670, 835, 1000]


def test_what_ifs_stand_beside_the_curve(run: RunCommand) -> None:
    kinds = (
        "no-kv-cache",
        "window=4096",
        "eviction=1024",
        "kv-format=bf16",
        "kv_heads=1",
        "sparse-attention=2048",
    )
    text = run(
        "curve", *PLACE, "--axis", "utilisation", *(word for kind in kinds for word in ("--what-if", kind))
    ).out
    for shown in (
        "no kv cache",
        "window 4096",
        "eviction 1024",
        "kv format bf16",
        "kv heads 1",
        "sparse attention 2048",
    ):
        assert shown in text


def test_an_estimate_shows_bases_splits_and_resources_where_asked(run: RunCommand, tmp_path: Path) -> None:
    body = {
        "costs": {
            "currency": "USD",
            "electricity_per_kilowatt_hour": "0.08",
            "capital_per_accelerator": "30000",
        },
        "load_profile": {"requests_per_second": [5, 20] * 12, "spare_replicas": 1},
        "utilisation_range": [0.1],
    }
    path = tmp_path / "request.json"
    path.write_text(json.dumps(body), encoding="utf-8")
    asked = ("--request", path, "--include", "splits", "--include", "resource_prices")
    text = run("estimate", *PLACE, *OWN_PRICE, *asked).out
    for shown in ("Cost bases, USD", "\ntco ", "\nenergy ", "at 10 %", "Over the day", "Splits side by side"):
        assert shown in text
    for shown in ("increment over prefill", "tpot and ttft limits", "per PFLOP", "KV cache is worth"):
        assert shown in text
    plain = run("estimate", *PLACE, *OWN_PRICE).out
    for hidden in ("Cost bases", "Splits side by side", "Resources, USD"):
        assert hidden not in plain


def test_a_tariff_of_a_trace_shows_rates_margins_and_who_pays(run: RunCommand, trace: Path) -> None:
    text = run(
        *("tariff", *PLACE, *OWN_PRICE, "--trace", trace, "--try-prices", "mine=0.5/0.05/1.5"),
        *("--prefix-tokens", 8000, "--prefix-seconds", 300, "--tier", "host=0.002@5e10"),
        *(
            "--subscription-price",
            20,
            "--median-requests",
            300,
            "--p90-requests",
            3000,
            "--target-margin",
            0.2,
        ),
    ).out
    for shown in (
        "198 requests, on average 2450 tokens in",
        "1 bad lines left out",
        "Fair linear tariff",
        "\nmine ",
        "Who pays for whom under the fair tariff",
        "a hit earns",
        "65536 tokens out",
        "Keeping a prefix of 8000 tokens",
        "for 300 s",
        "\nhost ",
        "A flat plan at USD 20",
        "line 200: 0 output tokens",
    ):
        assert shown in text


def test_a_comparison_shows_listings_and_the_catalog(run: RunCommand) -> None:
    text = run("compare", *PLACE, "--across-models", "--target-margin", 0.4).out
    for shown in (
        "Beside list prices",
        "40 % at",
        "x median",
        "Output : input over the models",
        "deepseek-r1",
    ):
        assert shown in text


def test_a_closed_model_is_compared_under_an_assumption(run: RunCommand, tmp_path: Path) -> None:
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
        "max_position_embeddings": 131072,
    }
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    outcome = run("compare", "h100-sxm", "--config", tmp_path / "config.json", "--priced-as", "openai/gpt-4o")
    assert "Modelled cost of an assumed architecture" in outcome.out
    assert "The architecture is an assumption" in outcome.out


def test_a_request_file_may_hold_the_whole_body(run: RunCommand, tmp_path: Path) -> None:
    place: dict[str, Any] = {"model": "llama-3.1-70b", "accelerator": "h100-sxm", "as_of": "2026-11-20"}
    bodies: dict[str, dict[str, Any]] = {
        "curve": {
            "curve": {"axis": "price", "points": 3},
            "counterfactuals": [{"kind": "window", "tokens": 9}],
        },
        "tariff": {
            "prices": [{"name": "x", "currency": "USD", "input": "1", "output": "2"}],
            "long_output_tokens": 9000,
            "prefix": {"tokens": 9},
            "subscription": {"price": "9", "currency": "USD", "requests": [1, 2]},
        },
        "compare": {"target_margin": 0.25, "across_models": False},
    }
    for command, own in bodies.items():
        path = tmp_path / f"{command}.json"
        path.write_text(json.dumps({**place, **own}), encoding="utf-8")
        answer = json.loads(run(command, "--request", path, "--json").out)
        for name, value in own.items():
            if value is not False and name != "prefix":
                assert answer["resolved"][name] == value
        again = tmp_path / "again.json"
        again.write_text(json.dumps(answer["resolved"]), encoding="utf-8")
        assert json.loads(run(command, "--request", again, "--json").out)["digest"] == answer["digest"]


@pytest.mark.parametrize("ending", ["png", "svg"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["curve", *PLACE],
        ["curve", *PLACE, "--axis", "batch"],
        ["tariff", *PLACE],
        ["compare", *PLACE, "--across-models"],
    ],
    ids=["positions", "batch", "tariff", "compare"],
)
def test_a_plot_is_drawn_into_the_file(
    run: RunCommand, tmp_path: Path, arguments: list[object], ending: str
) -> None:
    path = tmp_path / f"plot.{ending}"
    outcome = run(*arguments, "--plot", path)
    assert outcome.code == 0, outcome.err
    assert path.read_bytes().startswith(MAGIC[ending])
    if ending == "svg":
        drawn = path.read_text(encoding="utf-8")
        assert "llama-3.1-70b on h100-sxm" in drawn
        assert "NaN" not in drawn


def test_without_the_extra_a_plot_says_how_to_get_it(
    run: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    outcome = run("curve", *PLACE, "--plot", tmp_path / "plot.png")
    assert (outcome.code, outcome.out) == (2, "")
    assert "pip install 'pertoken[plots]'" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["curve", *PLACE, "--plot", "curve.pdf"], ".png or .svg"),
        (["curve", *PLACE, "--plot", "nowhere/at/all.png"], "there is no folder"),
        (["curve", *PLACE, "--axis", "length"], "length"),
        (["curve", *PLACE, "--points", "1"], "at least 2"),
        (["curve", *PLACE, "--points", "20001"], "at most 20000"),
        (["curve", *PLACE, "--stop", "5000"], "given as curve.request"),
        (["curve", *PLACE, "--request-input-tokens", "200000"], "curve.request.output_tokens is missing"),
        (["curve", *PLACE, "--what-if", "magic"], "none that is known"),
        (["curve", *PLACE, "--what-if", "window"], "needs tokens"),
        (["curve", *PLACE, "--what-if", "window=all"], "no whole number"),
        (["curve", *PLACE, "--what-if", "kv_heads=7"], "do not divide"),
        (["tariff", *PLACE, "--trace", "absent.csv"], "cannot be used"),
        (["tariff", *PLACE, "--trace", "trace.txt"], "name its format"),
        (["tariff", *PLACE, "--try-prices", "mine=1/2"], "needs --currency"),
        (["tariff", *PLACE, *OWN_PRICE, "--try-prices", "mine=1"], "is expected"),
        (["tariff", *PLACE, *OWN_PRICE, "--try-prices", "mine=a/b"], "prices.0.input"),
        (["tariff", *PLACE, *OWN_PRICE, "--prefix-tokens", 9, "--tier", "host=1"], "is expected"),
        (["tariff", *PLACE, "--tier", "host=1@1"], "need --prefix-tokens"),
        (["tariff", *PLACE, *OWN_PRICE, "--subscription-price", 9], "needs requests"),
        (["tariff", *PLACE, "--long-output-tokens", 200000], "exceed the context"),
        (["compare", *PLACE, "--priced-as", "openai"], "PROVIDER/MODEL_ID"),
        (["compare", *PLACE, "--target-margin", 1], "below 1"),
        (["compare", "gpt-4o", "h100-sxm"], "architecture is not known"),
        (["compare", "nonesuch", "h100-sxm"], "nonesuch"),
    ],
)
def test_bad_input_is_exit_code_2_and_a_message(run: RunCommand, arguments: list[object], said: str) -> None:
    outcome = run(*arguments)
    assert outcome.code == 2
    assert said in outcome.err
    assert "Traceback" not in outcome.err
    assert not outcome.out


def test_a_trace_of_bad_lines_is_refused_with_the_first(run: RunCommand, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(f"{HEADER}\nt,1,1\nt,1,x\n", encoding="utf-8")
    outcome = run("tariff", *PLACE, "--trace", path)
    assert outcome.code == 2
    assert "line 3: no whole numbers" in outcome.err
