"""Model documents: every seed is valid, and what is not is refused by its field."""

import copy
import csv
import datetime
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.engine.errors import InvalidInputError
from service.model_configs import parse_config, parse_model_document
from service.model_configs.normalise import main, model_document
from service.model_configs.schema import model_document_values

_MODELS = Path(__file__).parents[2] / "hardware_catalog" / "models"
_FILES = sorted(_MODELS.glob("*.yaml"))
_DATA = Path(__file__).parent / "data"


def _document(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((_MODELS / f"{name}.yaml").read_text())
    return document


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem)
def test_a_seed_is_valid_is_named_as_its_file_and_survives_a_round_trip(path: Path) -> None:
    document = parse_model_document(yaml.safe_load(path.read_text()))
    assert document.id == path.stem
    assert document.source.repository
    assert parse_model_document(model_document_values(document)) == document


def test_no_two_seeds_share_a_name() -> None:
    names = [
        name.casefold()
        for path in _FILES
        for name in (path.stem, *parse_model_document(yaml.safe_load(path.read_text())).aliases)
    ]
    assert len(set(names)) == len(names)


def test_a_stated_date_names_its_source() -> None:
    for path in _FILES:
        document = parse_model_document(yaml.safe_load(path.read_text()))
        assert (document.released_on is None) == (document.released_on_source is None)


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("id",), "No Slug", "id"),
        (("colour",), "red", "colour"),
        (("aliases",), ["a", "A"], "aliases"),
        (("released_on",), "soon", "released_on"),
        (("native_formats", "weights"), "fp7", "native_formats.weights"),
        (("spec", "hidden_size"), 0, "spec.hidden_size"),
        (("spec", "hidden_size"), True, "spec.hidden_size"),
        (("spec", "hidden_size"), 8192.0, "spec.hidden_size"),
        (("spec", "hidden_size"), 2**60, "spec.hidden_size"),
        (("spec", "colour"), "red", "spec.colour"),
        (("spec", "layer_groups"), [], "spec.layer_groups"),
        (("spec", "layer_groups", 0, "count"), 4000, "spec.layer_groups"),
        (("spec", "layer_groups", 0, "mixers", 0, "kind"), "rope", "spec.layer_groups[0].mixers[0].kind"),
        (("spec", "layer_groups", 0, "mixers", 0, "kv_heads"), 7, "spec.layer_groups[0].mixers[0].kv_heads"),
    ],
)
def test_a_wrong_field_is_refused_by_its_path(path: tuple[Any, ...], value: object, field: str) -> None:
    document = copy.deepcopy(_document("llama-3.1-70b"))
    holder: Any = document
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    with pytest.raises(InvalidInputError) as caught:
        parse_model_document(document)
    assert caught.value.field == field


def test_a_missing_field_is_named() -> None:
    document = _document("llama-3.1-70b")
    del document["spec"]["vocab_size"]
    with pytest.raises(InvalidInputError) as caught:
        parse_model_document(document)
    assert caught.value.field == "spec.vocab_size"


def test_a_date_may_be_a_date() -> None:
    document = {**_document("llama-3.1-70b"), "released_on": datetime.date(2024, 7, 23)}
    assert parse_model_document(document).released_on == datetime.date(2024, 7, 23)


@pytest.mark.parametrize(
    ("fixture", "seed"),
    [("llama", "llama-3.1-70b"), ("gpt-oss", "gpt-oss-120b"), ("qwen3.5", "qwen3.5-397b-a17b")],
)
def test_a_seed_is_what_its_configuration_says(fixture: str, seed: str) -> None:
    config = json.loads((_DATA / "configs" / f"{fixture}.json").read_text())
    document = parse_model_document(_document(seed))
    assert parse_config(config, seed).spec == document.spec


def test_the_command_writes_a_valid_document(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(_DATA / "configs" / "llama.json")
    arguments = [
        path,
        "--id",
        "mine",
        "--organisation",
        "Me",
        "--repository",
        "me/mine",
        "--alias",
        "me/Mine",
    ]
    assert main(arguments) == 0
    document = parse_model_document(yaml.safe_load(capsys.readouterr().out))
    assert (document.id, document.aliases) == ("mine", ("me/Mine",))


def test_the_command_reports_what_it_cannot_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model_type": "rwkv"}))
    with pytest.raises(SystemExit) as caught:
        main([str(path), "--id", "x", "--organisation", "Me", "--repository", "me/x"])
    assert caught.value.code == 2
    assert "model_type" in capsys.readouterr().err


def test_a_document_keeps_its_assumptions() -> None:
    config = json.loads((_DATA / "configs" / "kimi-k3.json").read_text())
    identity: dict[str, object] = {
        "id": "k3",
        "display_name": "K3",
        "organisation": "Moonshot AI",
        "source": {"repository": "moonshotai/Kimi-K3", "file": "config.json"},
    }
    assert parse_model_document(model_document(config, identity)).assumptions


def test_every_seed_with_a_reference_count_has_a_row() -> None:
    lines = [line for line in (_DATA / "parameters.csv").read_text().splitlines() if line[0] != "#"]
    assert {row["id"] for row in csv.DictReader(lines)} <= {path.stem for path in _FILES}
