"""Options of separate pools as the body that the API would take."""

from pathlib import Path
from typing import Any

import pytest

from service.application.errors import InvalidRequestError
from service.cli.pool_body import pooled_body_of
from service.cli.pool_options import PooledEstimateOptions
from service.cli.request_body import read_estimate_request


def _body(**options: Any) -> dict[str, Any]:
    return pooled_body_of(
        PooledEstimateOptions(model_argument="llama", accelerator_argument="h100", **options)
    )


def test_without_an_option_of_pools_there_are_none() -> None:
    assert "pools" not in _body()


def test_the_flag_alone_asks_for_planned_pools() -> None:
    assert _body(pools=True)["pools"] == {}


def test_options_spell_the_prefill_pool() -> None:
    body = _body(
        prefill_workers=2,
        decode_workers=3,
        prefill_accelerator="a100",
        prefill_tp=4,
        prefill_pp=1,
        prefill_attention_dp=2,
        prefill_moe_ep=8,
        prefill_precision="fp8",
        prefill_engine="sglang",
        prefill_price_per_gpu_hour="1.50",
        currency="USD",
        price_per_gpu_hour="2",
    )
    assert body["pools"] == {
        "prefill": {
            "accelerator": "a100",
            "workers": 2,
            "layout": {"tp": 4, "pp": 1, "attention_dp": 2, "moe_ep": 8},
            "formats": {"precision": "fp8"},
            "serving": {"engine": "sglang"},
            "price": {"amount": "1.50", "currency": "USD"},
        },
        "decode": {"workers": 3},
    }
    request = read_estimate_request(body, lambda _: 1)
    assert request.pools is not None
    assert request.pools.prefill is not None
    assert str(request.pools.prefill.price and request.pools.prefill.price.amount) == "1.50"


def test_a_load_alone_asks_for_pools() -> None:
    assert _body(prefill_load=0.7)["pools"] == {"prefill": {"load": 0.7}}
    assert _body(prefill_provider="acme")["pools"] == {"prefill": {"price": {"provider": "acme"}}}


def test_options_go_on_top_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "body.json"
    file.write_text('{"pools": {"prefill": {"layout": {"tp": 2, "pp": 2}, "load": 0.5}}}')
    body = _body(request=file, prefill_tp=8)
    assert body["pools"] == {"prefill": {"layout": {"tp": 8, "pp": 2}, "load": 0.5}}


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"pools": 3}', "pools"),
        ('{"pools": {"prefill": []}}', "pools.prefill"),
        ('{"pools": {"prefill": {"layout": "wide"}}}', "pools.prefill.layout"),
        ('{"pools": {"decode": 2}}', "pools.decode"),
    ],
)
def test_something_else_in_the_place_of_an_object_is_named(tmp_path: Path, text: str, field: str) -> None:
    file = tmp_path / "body.json"
    file.write_text(text)
    with pytest.raises(InvalidRequestError) as refused:
        _body(request=file, prefill_tp=8, decode_workers=2)
    assert refused.value.field == field


def test_a_currency_that_is_none_is_refused_under_its_path() -> None:
    body = {
        "accelerator": "h100",
        "model": "llama",
        "pools": {"prefill": {"price": {"amount": "1", "currency": "dollars"}}},
    }
    with pytest.raises(InvalidRequestError) as refused:
        read_estimate_request(body, lambda _: 1)
    assert refused.value.field == "pools.prefill.price.currency"
