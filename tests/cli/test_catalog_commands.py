"""Commands on the real, seeded catalog."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import RunCommand


@pytest.fixture(autouse=True)
def on_seeded_catalog(seeded_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERTOKEN_DATABASE_URL", seeded_database_url)


def test_models_are_listed_and_shown_by_alias(run: RunCommand) -> None:
    assert "llama-3.1-70b" in run("models", "list").out
    shown = json.loads(run("models", "show", "meta-llama/Llama-3.1-70B", "--json").out)
    assert shown["id"] == "llama-3.1-70b"
    assert shown["spec"]["hidden_size"] == 8192


def test_accelerators_are_listed_and_shown_by_alias(run: RunCommand) -> None:
    assert "h100-sxm" in run("accelerators", "list").out
    shown = json.loads(run("accelerators", "show", "h100_sxm", "--json").out)
    # NVIDIA's H100 datasheet: 3.35 TB/s.
    assert shown["memory_bandwidth_bytes_per_second"] == 3.35e12
    assert shown["facts"]


def test_an_unknown_id_is_told_what_it_resembles(run: RunCommand) -> None:
    outcome = run("models", "show", "lama-3.1-70b")
    assert outcome.code == 2
    assert "near matches: llama-3.1-70b" in outcome.err


def test_gpu_prices_name_row_date_and_source(run: RunCommand) -> None:
    rows = json.loads(run("prices", "gpu", "--accelerator", "h100_sxm", "--json").out)
    assert rows
    for row in rows:
        assert row["accelerator"] == "h100-sxm"
        assert isinstance(row["amount"], str)
        assert row["currency"]
        assert row["valid_from"].endswith("Z")
        assert row["source"]


def test_list_prices_of_a_model_tell_how_the_listing_is_related(run: RunCommand) -> None:
    rows = json.loads(run("prices", "list", "--model", "llama-3.1-70b", "--json").out)
    assert {row["meter"] for row in rows} >= {"input", "output"}
    assert {row["relation"] for row in rows} >= {"same"}


def test_prices_are_asked_for_at_a_time_and_as_believed(run: RunCommand) -> None:
    long_ago = ("prices", "list", "--provider", "openai", "--as-of", "2024-06-01", "--json")
    now = ("prices", "list", "--provider", "openai", "--json")
    before_anything = (*now, "--known-at", "r0")
    assert len(json.loads(run(*long_ago).out)) < len(json.loads(run(*now).out))
    assert json.loads(run(*before_anything).out) == []


def test_history_shows_prices_that_have_ended(run: RunCommand) -> None:
    rows = json.loads(run("prices", "list", "--provider", "openai", "--history", "--json").out)
    # GPT-4o cost $5 per million input tokens from 2024-05-13 until the price was cut.
    plain = [
        row
        for row in rows
        if row["provider_model_id"] == "gpt-4o" and row["meter"] == "input" and not row["selector"]
    ]
    first = min(plain, key=lambda row: row["valid_from"])
    assert (first["amount"], first["valid_from"]) == ("5", "2024-05-13T00:00:00Z")
    assert first["valid_to"] is not None


def test_seeding_again_changes_nothing(run: RunCommand) -> None:
    before = run("prices", "list", "--provider", "openai", "--history", "--json").out
    outcome = run("seed")
    assert outcome.code == 0
    assert "revision" not in outcome.out
    assert run("prices", "list", "--provider", "openai", "--history", "--json").out == before


def test_a_config_of_a_known_model_yields_its_figures(run: RunCommand, tmp_path: Path) -> None:
    # Llama 3.1 8B as published: 8 030 261 248 parameters; 2 x 32 layers x 8 heads x 128 x 2 bytes of cache.
    config = tmp_path / "config.json"
    config.write_text(
        json.dumps(
            {
                "architectures": ["LlamaForCausalLM"],
                "model_type": "llama",
                "hidden_size": 4096,
                "intermediate_size": 14336,
                "num_hidden_layers": 32,
                "num_attention_heads": 32,
                "num_key_value_heads": 8,
                "vocab_size": 128256,
                "max_position_embeddings": 131072,
                "tie_word_embeddings": False,
                "torch_dtype": "bfloat16",
                "some_step_limit": float("inf"),
            }
        )
    )
    outcome = run("models", "inspect", config, "--json")
    assert outcome.code == 0, outcome.err
    answer = json.loads(outcome.out)
    assert answer["parameters_total"] == 8_030_261_248
    assert answer["kv_cache_bytes_per_token"] == 2 * 32 * 8 * 128 * 2
    assert answer["layer_groups"]


def test_a_missing_sqlite_file_is_made_quietly(
    run: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERTOKEN_DATABASE_URL", f"sqlite:///{tmp_path / 'new.db'}")
    outcome = run("accelerators", "list")
    assert (outcome.code, outcome.err) == (0, "")
    assert "h100-sxm" in outcome.out


@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        ("mysql://localhost/x", 2, "not in mysql"),
        ("nonsense", 2, "not readable"),
        ("postgresql+psycopg://nobody@127.0.0.1:1/x", 1, "cannot be reached"),
        ("sqlite:////nowhere/at/all.db", 1, "unable to open"),
    ],
)
def test_a_database_that_does_not_answer_is_told_in_a_line(
    run: RunCommand, monkeypatch: pytest.MonkeyPatch, url: str, code: int, said: str
) -> None:
    monkeypatch.setenv("PERTOKEN_DATABASE_URL", url)
    outcome = run("models", "list")
    assert outcome.code == code
    assert said in outcome.err
    assert "Traceback" not in outcome.err


def test_a_file_without_a_catalog_says_how_to_make_one(
    run: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty.db").touch()
    monkeypatch.setenv("PERTOKEN_DATABASE_URL", f"sqlite:///{tmp_path / 'empty.db'}")
    outcome = run("models", "list")
    assert outcome.code == 1
    assert "pertoken seed" in outcome.err


def test_a_setting_that_is_not_usable_is_named(run: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERTOKEN_PORT", "http")
    outcome = run("models", "list")
    assert outcome.code == 2
    assert "PERTOKEN_PORT is 'http'" in outcome.err
