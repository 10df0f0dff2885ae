"""What a request gets wrong: each mistake has its own error, with the field and the way out."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from service.application.errors import (
    ApplicationError,
    InvalidRequestError,
    LimitExceededError,
    NoPriceError,
    UnknownIdError,
)
from service.application.requests import (
    FormatsRequest,
    LayoutRequest,
    OperatingPointRequest,
    PriceRequest,
    SampleRequest,
    ServingRequest,
    WorkloadClass,
)
from service.engine.errors import EngineError, InfeasibleError, InvalidInputError, UnsupportedError
from tests.builders.estimates import NOW, make_estimate, workload

NAN = float("nan")
CHAT = WorkloadClass("chat", 1.0, 3000, 400)
POINT = OperatingPointRequest(kind="concurrency", concurrency=32.0)
ARRIVALS = OperatingPointRequest(kind="arrival_rate", requests_per_second=2.0)

REFUSED: list[tuple[dict[str, Any], type[Exception], str, str]] = [
    # what is asked, error, field, code
    ({"model": "llama-3.1-7b"}, UnknownIdError, "model", "unknown-model"),
    ({"model": None}, InvalidRequestError, "model", "model-missing"),
    ({"config": {"model_type": "llama"}}, InvalidRequestError, "model", "model-given-twice"),
    ({"accelerator": "h100-smx"}, UnknownIdError, "accelerator", "unknown-accelerator"),
    ({"calibration": "mine"}, UnknownIdError, "calibration", "unknown-calibration"),
    ({"serving": ServingRequest(engine="vlm")}, UnknownIdError, "serving.engine", "unknown-engine"),
    ({"formats": FormatsRequest(weights="fp9")}, UnknownIdError, "formats", "unknown-number-format"),
    ({"formats": FormatsRequest("fp9")}, InvalidRequestError, "formats.precision", "unknown-precision"),
    # the model does not fit, or the layout does not suit it
    ({"model": "deepseek-v3", "layout": LayoutRequest(8)}, InfeasibleError, "layout", "model-does-not-fit"),
    ({"workload": workload((1, 130_000, 999, 0.0)), "layout": LayoutRequest(1),
      "serving": ServingRequest(memory_utilisation=0.25)},
     InfeasibleError, "workload", "model-does-not-fit"),
    ({"layout": LayoutRequest(tp=3)}, InvalidInputError, "layout.tp", "invalid-layout"),
    ({"layout": LayoutRequest(tp=0)}, InvalidInputError, "layout.tp", "invalid-layout"),
    ({"layout": LayoutRequest(pp=-1)}, InvalidInputError, "layout.pp", "invalid-layout"),
    ({"layout": LayoutRequest(pp=33)}, InvalidInputError, "layout.pp", "invalid-layout"),
    ({"layout": LayoutRequest(tp=1, attention_dp=0)}, InvalidInputError, "layout.attention_dp",
     "invalid-layout"),
    ({"layout": LayoutRequest(tp=2, moe_ep=2)}, InvalidInputError, "layout.moe_ep", "invalid-layout"),
    ({"layout": LayoutRequest(tp=32, attention_dp=4096)}, LimitExceededError, "layout", "limit-exceeded"),
    # formats the accelerator lacks
    ({"accelerator": "a100-sxm", "formats": FormatsRequest("fp8")}, UnsupportedError, "formats.weights",
     "format-not-supported"),
    # serving
    ({"serving": ServingRequest(token_budget=0)}, InvalidRequestError, "serving.token_budget", ""),
    ({"serving": ServingRequest(max_batch=-4)}, InvalidRequestError, "serving.max_batch", ""),
    ({"serving": ServingRequest(memory_utilisation=1.5)}, InvalidRequestError,
     "serving.memory_utilisation", ""),
    ({"serving": ServingRequest(memory_utilisation=NAN)}, InvalidRequestError,
     "serving.memory_utilisation", ""),
    # the mix
    ({"workload": ()}, InvalidRequestError, "workload.classes", "empty-mix"),
    ({"workload": (replace(CHAT, sample=(), input_tokens=None, output_tokens=None),)}, InvalidRequestError,
     "workload.classes.0.sample", "empty-mix"),
    ({"workload": (replace(CHAT, sample=(SampleRequest(9, 9),)),)}, InvalidRequestError,
     "workload.classes.0", ""),
    ({"workload": (CHAT, CHAT)}, InvalidRequestError, "workload.classes", "duplicate-class"),
    ({"workload": (replace(CHAT, weight=-1.0),)}, InvalidRequestError, "workload.classes.0.weight", ""),
    ({"workload": (replace(CHAT, weight=NAN),)}, InvalidRequestError, "workload.classes.0.weight", ""),
    ({"workload": (replace(CHAT, weight=0.0),)}, InvalidInputError, "workload", ""),
    ({"workload": (replace(CHAT, cached_share=1.01),)}, InvalidRequestError,
     "workload.classes.0.cached_share", ""),
    ({"workload": (replace(CHAT, cached_share=NAN),)}, InvalidRequestError,
     "workload.classes.0.cached_share", ""),
    ({"workload": (replace(CHAT, input_tokens=None),)}, InvalidRequestError,
     "workload.classes.0.input_tokens", ""),
    ({"workload": (replace(CHAT, output_tokens=None),)}, InvalidRequestError,
     "workload.classes.0.output_tokens", ""),
    ({"workload": (replace(CHAT, input_tokens=0),)}, InvalidRequestError,
     "workload.classes.0.input_tokens", ""),
    ({"workload": (replace(CHAT, output_tokens=-5),)}, InvalidRequestError,
     "workload.classes.0.output_tokens", ""),
    ({"workload": (WorkloadClass("s", 1.0, sample=(SampleRequest(10, 5, 11),)),)}, InvalidInputError,
     "workload", ""),
    ({"workload": (replace(CHAT, input_tokens=131_000),)}, InvalidRequestError, "workload.classes",
     "context-too-long"),
    ({"workload": workload(*((1, 10, 10, 0.0) for _ in range(257)))}, LimitExceededError,
     "workload.classes", "limit-exceeded"),
    ({"workload": (WorkloadClass("s", 1.0, sample=(SampleRequest(10, 5),) * 4097),)}, LimitExceededError,
     "workload.classes", "limit-exceeded"),
    # the operating point
    ({"operating_point": replace(POINT, concurrency=None)}, InvalidRequestError,
     "operating_point.concurrency", ""),
    ({"operating_point": replace(POINT, concurrency=0.5)}, InvalidRequestError,
     "operating_point.concurrency", ""),
    ({"operating_point": replace(POINT, concurrency=NAN)}, InvalidRequestError,
     "operating_point.concurrency", ""),
    ({"operating_point": replace(POINT, concurrency=float("inf"))}, InvalidRequestError,
     "operating_point.concurrency", ""),
    ({"operating_point": replace(ARRIVALS, requests_per_second=None), "utilisation": None},
     InvalidRequestError, "operating_point.requests_per_second", ""),
    ({"operating_point": replace(ARRIVALS, requests_per_second=-1.0), "utilisation": None},
     InvalidRequestError, "operating_point.requests_per_second", ""),
    ({"operating_point": replace(ARRIVALS, replicas=0), "utilisation": None}, InvalidRequestError,
     "operating_point.replicas", ""),
    ({"operating_point": replace(ARRIVALS, requests_per_second=1e6), "utilisation": None}, InfeasibleError,
     "operating_point.requests_per_second", "arrival-rate-too-high"),
    ({"operating_point": OperatingPointRequest("cheapest", max_tpot_seconds=1e-6)}, InfeasibleError,
     "operating_point.max_tpot_seconds", "limits-unmet"),
    ({"operating_point": OperatingPointRequest("cheapest", max_ttft_seconds=1e-6)}, InfeasibleError,
     "operating_point.max_ttft_seconds", "limits-unmet"),
    ({"operating_point": OperatingPointRequest("cheapest", max_ttft_seconds=0.0)}, InvalidRequestError,
     "operating_point.max_ttft_seconds", ""),
    # utilisation and price
    ({"operating_point": ARRIVALS, "utilisation": 0.5}, InvalidRequestError, "utilisation",
     "utilisation-is-an-output"),
    ({"utilisation": 0.0}, InvalidRequestError, "utilisation", ""),
    ({"utilisation": 1.1}, InvalidRequestError, "utilisation", ""),
    ({"utilisation": NAN}, InvalidRequestError, "utilisation", ""),
    ({"price": PriceRequest(amount=Decimal(2))}, InvalidRequestError, "price.currency", "currency-missing"),
    ({"price": PriceRequest(amount=Decimal(-2), currency="USD")}, InvalidRequestError, "price.amount", ""),
    ({"price": PriceRequest(amount=Decimal("NaN"), currency="USD")}, InvalidRequestError, "price.amount", ""),
    ({"price": PriceRequest(amount=Decimal(2), currency="USD", provider="acme")}, InvalidRequestError,
     "price.provider", "price-given-twice"),
    ({"price": PriceRequest(amount=Decimal(2), currency="USD", gpus_per_instance=8)}, InvalidRequestError,
     "price.gpus_per_instance", "price-given-twice"),
    ({"price": PriceRequest(provider="nobody")}, NoPriceError, "price.provider", "price-not-found"),
    ({"price": None, "accelerator": "h200-sxm"}, NoPriceError, "price", "price-not-found"),
    ({"price": None, "as_of": NOW.replace(year=2020)}, NoPriceError, "as_of", "price-not-known-at"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "error", "field", "code"), REFUSED, ids=range(len(REFUSED)))
def test_a_mistake_is_refused_naming_its_field(
    changes: dict[str, Any], error: type[Exception], field: str, code: str
) -> None:
    with pytest.raises((ApplicationError, EngineError)) as refused:
        make_estimate(**changes)
    assert type(refused.value) is error
    assert refused.value.field == field
    assert refused.value.code == code or not code
    assert refused.value.message.endswith((".", "?"))


def test_an_unknown_id_names_near_matches() -> None:
    with pytest.raises(UnknownIdError) as refused:
        make_estimate(model="llama-3.1-7b")
    assert "llama-3.1-70b" in refused.value.near
    assert "Near matches" in str(refused.value)


def test_aliases_are_resolved_to_ids() -> None:
    answer = make_estimate(accelerator="h100_sxm")
    assert answer.resolved.accelerator == "h100-sxm"


def test_the_default_layout_is_the_smallest_that_leaves_room_for_the_cache() -> None:
    # 70 billion parameters in bf16 are 141 GB: at most 70 % of 0.9 x 80 GB on each needs four.
    resolved = make_estimate(model="llama-3.1-70b", layout=None).resolved
    assert resolved.layout == LayoutRequest(4, 1, 1, 1)
    assert "layout.tp" in resolved.defaulted
    assert make_estimate(layout=None).resolved.layout == LayoutRequest(1, 1, 1, 1)


def test_a_default_tensor_parallelism_suits_the_expert_parallelism_asked_for() -> None:
    layout = make_estimate(
        model="qwen3.5-35b-a3b", layout=LayoutRequest(attention_dp=2, moe_ep=4)
    ).resolved.layout
    assert layout == LayoutRequest(2, 1, 2, 4)


def test_a_stated_token_budget_is_kept_by_an_engine_that_stretches_its_own() -> None:
    stretched = make_estimate(serving=ServingRequest(engine="trtllm"), workload=workload((1, 20_000, 9, 0.0)))
    stated = make_estimate(
        serving=ServingRequest(engine="trtllm", token_budget=1024), workload=workload((1, 20_000, 9, 0.0))
    )
    assert stretched.operating_point.chunk_tokens == pytest.approx(20_000)
    assert stretched.resolved.serving is not None
    assert stretched.resolved.serving.token_budget is None
    assert stated.operating_point.chunk_tokens < 1024


def test_accelerators_of_all_replicas_count_whatever_the_layout_is_chosen_to_be() -> None:
    point = OperatingPointRequest(kind="arrival_rate", requests_per_second=1.0, replicas=40_000)
    with pytest.raises(LimitExceededError) as refused:
        make_estimate(model="llama-3.1-70b", layout=None, operating_point=point, utilisation=None)
    assert refused.value.field == "operating_point.replicas"
