"""Options of ``pertoken estimate`` spell the body of the API."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from service.application.errors import InvalidRequestError
from service.cli.estimate_body import body_of
from service.cli.estimate_options import EstimateOptions


def make_body(**options: Any) -> dict[str, Any]:
    return body_of(EstimateOptions(**options))


def test_two_arguments_are_model_and_accelerator() -> None:
    body = make_body(model_argument="llama", accelerator_argument="h100")
    assert body == {"model": "llama", "accelerator": "h100"}


def test_a_lone_argument_beside_a_config_is_the_accelerator(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"rope_theta": 500000.0, "hidden_size": 8}')
    body = make_body(model_argument="h100", config=config)
    assert body == {"accelerator": "h100", "config": {"rope_theta": 500000.0, "hidden_size": 8}}
    assert isinstance(body["config"]["rope_theta"], float)


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        make_body(model_argument="llama", model="qwen", accelerator="h100")
    assert caught.value.field == "model"


@pytest.mark.parametrize(
    ("options", "layout"),
    [
        ({"gpus": 8}, {"tp": 8}),
        ({"gpus": 8, "tp": 8}, {"tp": 8}),
        ({"gpus": 8, "pp": 2}, {"tp": 4, "pp": 2}),
        ({"gpus": 16, "attention_dp": 8, "moe_ep": 16}, {"tp": 2, "attention_dp": 8, "moe_ep": 16}),
        ({"tp": 4}, {"tp": 4}),
    ],
)
def test_gpus_leave_tensor_parallelism_what_the_other_axes_do_not_take(
    options: dict[str, Any], layout: dict[str, int]
) -> None:
    assert make_body(**options)["layout"] == layout


def test_intervals_are_asked_for_by_a_flag_or_by_what_belongs_to_them() -> None:
    assert "uncertainty" not in make_body(accelerator="h100")
    assert make_body(uncertainty=True)["uncertainty"] == {}
    assert make_body(samples=64, seed=7)["uncertainty"] == {"samples": 64, "seed": 7}


@pytest.mark.parametrize("options", [{"gpus": 8, "tp": 4}, {"gpus": 8, "pp": 3}, {"gpus": 0}, {"gpus": -8}])
def test_gpus_that_do_not_match_the_layout_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        make_body(**options)
    assert caught.value.field == "layout"


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"concurrency": 64.0}, "concurrency"),
        ({"requests_per_second": 3.0, "replicas": 2}, "arrival_rate"),
        ({"max_ttft_seconds": 1.0}, "cheapest"),
        ({"max_tpot_seconds": 0.02, "statistic": "p99"}, "cheapest"),
    ],
)
def test_the_kind_of_operating_point_follows_from_what_is_given(options: dict[str, Any], kind: str) -> None:
    assert make_body(**options)["operating_point"] == {"kind": kind, **options}


def test_two_operating_points_are_refused() -> None:
    with pytest.raises(InvalidRequestError, match="2 ways"):
        make_body(concurrency=4.0, max_tpot_seconds=0.02)


def test_a_price_keeps_the_digits_that_were_typed() -> None:
    body = make_body(price_per_gpu_hour="2.10", currency="EUR")
    assert body["price"] == {"amount": "2.10", "currency": "EUR"}


def make_file(folder: Path, body: object) -> Path:
    path = folder / "request.json"
    path.write_text(body if isinstance(body, str) else json.dumps(body))
    return path


def test_options_replace_parts_of_a_request_file(tmp_path: Path) -> None:
    path = make_file(
        tmp_path,
        {
            "model": "llama",
            "accelerator": "h100",
            "utilisation": 0.5,
            "layout": {"tp": 8, "pp": 2},
            "operating_point": {"kind": "cheapest", "max_tpot_seconds": 0.05},
            "workload": {"classes": [{"name": "chat", "input_tokens": 100, "output_tokens": 10}]},
        },
    )
    body = make_body(request=path, accelerator="b200", tp=4, concurrency=8.0, output_tokens=20)
    assert body == {
        "model": "llama",
        "accelerator": "b200",
        "utilisation": Decimal("0.5"),
        "layout": {"tp": 4, "pp": 2},
        "operating_point": {"kind": "concurrency", "concurrency": 8.0},
        "workload": {"classes": [{"name": "chat", "input_tokens": 100, "output_tokens": 20}]},
    }


def test_one_length_is_enough_and_the_other_is_said_to_be_chosen() -> None:
    body = make_body(model="llama", accelerator="h100", cached_share=0.5, output_tokens=7)
    (item,) = body["workload"]["classes"]
    assert (item["output_tokens"], item["cached_share"]) == (7, 0.5)
    assert item["input_tokens"] > 0
    assert body["defaulted"] == ["workload.classes.0.input_tokens"]


def test_a_length_does_not_fit_a_file_of_several_classes(tmp_path: Path) -> None:
    path = make_file(tmp_path, {"workload": {"classes": [{"name": "a"}, {"name": "b"}]}})
    with pytest.raises(InvalidRequestError, match="has 2"):
        make_body(request=path, input_tokens=5)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expecting value"),
        ("{", "Expecting property name"),
        ("[1]", "holds no object"),
        ("# no JSON", "it is not JSON: Expecting value: line 1 column 1"),
        ('{"utilisation": NaN}', "NaN is not JSON"),
        ('{"model": "a", "model": "b"}', "'model' stands there twice"),
        ("[" * 100_000, "recursion"),
        ('{"n": ' + "9" * 5000 + "}", "digits"),
    ],
)
def test_a_file_that_is_no_request_is_refused_with_the_reason(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(InvalidRequestError, match=why):
        make_body(request=make_file(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="No such file"):
        make_body(request=tmp_path / "absent.json")


@pytest.mark.parametrize("part", ["layout", "operating_point", "price", "workload"])
def test_a_part_of_the_wrong_type_is_named(tmp_path: Path, part: str) -> None:
    path = make_file(tmp_path, {part: [1]})
    with pytest.raises(InvalidRequestError) as caught:
        make_body(request=path, tp=2, concurrency=1.0, currency="USD", input_tokens=3)
    assert caught.value.field == part
