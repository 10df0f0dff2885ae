"""Whole estimates on a catalog in memory: identities, edges, and the same answer for the same question."""

from dataclasses import replace
from decimal import Decimal
from math import isfinite
from typing import Any

import pytest

from service.application.answers import EstimateAnswer
from service.application.estimate import estimate
from service.application.requests import (
    FormatsRequest,
    LayoutRequest,
    OperatingPointRequest,
    PriceRequest,
    SampleRequest,
    ServingRequest,
    WorkloadClass,
)
from service.engine.errors import EngineError
from tests.builders.estimates import NOW, SNAPSHOT, make_estimate, make_estimate_request, workload

FP8 = FormatsRequest(precision="fp8")
FLEET = OperatingPointRequest(kind="arrival_rate", requests_per_second=6.0, replicas=3)
CHEAPEST = OperatingPointRequest(kind="cheapest", max_tpot_seconds=0.05, max_ttft_seconds=2.0)


def _costs(answer: EstimateAnswer) -> dict[str, float]:
    return {rate.kind: rate.per_million_tokens for rate in answer.rates}


def test_cost_is_linear_in_the_price() -> None:
    once, thrice = (
        make_estimate(price=PriceRequest(amount=Decimal(amount), currency="USD")) for amount in (2, 6)
    )
    assert thrice.cost_per_request == pytest.approx(3 * once.cost_per_request)
    for kind, rate in _costs(once).items():
        assert _costs(thrice)[kind] == pytest.approx(3 * rate)


def test_cost_is_inverse_in_utilisation() -> None:
    full, half = make_estimate(utilisation=1.0), make_estimate(utilisation=0.5)
    assert half.cost_per_request == pytest.approx(2 * full.cost_per_request)
    assert half.ttft_seconds == full.ttft_seconds


def test_a_request_costs_accelerators_times_price_over_throughput() -> None:
    answer = make_estimate(layout=LayoutRequest(tp=2), utilisation=0.4)
    rate = answer.operating_point.requests_per_second
    assert answer.cost_per_request == pytest.approx(2 * 2.0 / 3600 / (rate * 0.4))
    assert answer.accelerators_per_replica == 2


MANY: list[dict[str, Any]] = [
    {},
    {"split": "phase"},
    {"kv_view": "by_cause"},
    {"workload": workload((1, 4000, 200, 0.5), (2, 300, 900, 0.0), (0, 9000, 10, 0.1))},
    {"workload": workload((1, 4000, 200, 1.0))},  # all of the prompt is cached
    {"workload": workload((1, 4000, 200, 1.0)), "kv_view": "by_cause"},
    {"workload": workload((1, 500, 1, 0.0))},  # prefill alone
    {"workload": workload((1, 1, 1, 0.0))},
    {"workload": workload((1, 1, 1, 1.0))},
    {"workload": workload((1, 100, 100_000, 0.0))},
    {"workload": workload((1, 120_000, 20, 0.3))},
    {"workload": workload((1, 60, 10, 0.0)), "operating_point": OperatingPointRequest("concurrency", 900.0)},
    {"layout": LayoutRequest(tp=2, pp=4)},
    {"layout": LayoutRequest(attention_dp=4)},
    {"model": "llama-3.1-70b", "layout": LayoutRequest(tp=8), "formats": FP8},
    {"model": "deepseek-v3", "accelerator": "h200-sxm", "layout": LayoutRequest(tp=8)},
    {"model": "deepseek-v3", "accelerator": "h200-sxm",
     "layout": LayoutRequest(attention_dp=16, moe_ep=16), "kv_view": "by_cause"},
    {"model": "gpt-oss-120b"},
    {"model": "qwen3.5-35b-a3b", "layout": LayoutRequest(tp=2)},
    {"model": "qwen3-0.6b"},
    {"operating_point": FLEET, "utilisation": None},
    {"operating_point": replace(FLEET, requests_per_second=1e-6), "utilisation": None},
    {"operating_point": CHEAPEST},
    {"operating_point": replace(CHEAPEST, statistic="p99")},
    {"operating_point": OperatingPointRequest("concurrency", 1.0)},
    {"operating_point": OperatingPointRequest("concurrency", 1e6)},
    {"serving": ServingRequest(engine="trtllm")},
    {"serving": ServingRequest(token_budget=256, max_batch=16)},
    {"split": "phase", "kv_view": "by_cause", "workload": workload((1, 4000, 200, 0.5))},
]  # fmt: skip


def _floats(value: object) -> list[float]:
    if isinstance(value, float):
        return [value]
    if isinstance(value, dict):
        return [number for item in value.values() for number in _floats(item)]
    if isinstance(value, tuple | list):
        return [number for item in value for number in _floats(item)]
    if hasattr(value, "__dataclass_fields__"):
        return [n for name in value.__dataclass_fields__ for n in _floats(getattr(value, name))]
    return []


@pytest.mark.parametrize("changes", MANY, ids=range(len(MANY)))
def test_an_answer_conserves_and_holds_no_impossible_number(changes: dict[str, Any]) -> None:
    answer = make_estimate(**changes)
    assert all(isfinite(number) for number in _floats(answer))
    assert answer.conservation.relative_difference < 1e-9
    paid = sum(rate.per_million_tokens * rate.tokens_per_request for rate in answer.rates) / 1e6
    assert paid == pytest.approx(answer.cost_per_request)
    for rate in (*answer.rates, *answer.rates_by_class):
        assert rate.per_million_tokens >= 0
        assert min(rate.share_by_resource.values()) >= -1e-12
        for shares in (rate.share_by_resource, rate.share_by_component):
            if rate.per_million_tokens > 0:
                assert sum(shares.values()) == pytest.approx(1.0)
    assert answer.explanation


@pytest.mark.parametrize("changes", MANY, ids=range(len(MANY)))
def test_posting_what_was_resolved_gives_the_same_answer(changes: dict[str, Any]) -> None:
    first = make_estimate(**changes)
    again = estimate(first.resolved, SNAPSHOT, NOW)
    assert again == first
    assert again.digest == first.digest


def test_a_model_and_an_accelerator_are_enough_and_every_default_is_named() -> None:
    request = make_estimate_request(workload=None, operating_point=None, utilisation=None, price=None)
    first = estimate(request, SNAPSHOT, NOW)
    for name in (
        "workload",
        "utilisation",
        "layout.tp",
        "serving.engine",
        "formats.precision",
        "operating_point.kind",
        "price.provider",
        "split",
        "as_of",
    ):
        assert name in first.resolved.defaulted
    assert estimate(first.resolved, SNAPSHOT, NOW) == first


def test_an_uneven_answer_to_the_same_question_later_keeps_its_digest() -> None:
    later = replace(make_estimate_request(), as_of=NOW)
    assert estimate(later, SNAPSHOT, NOW).digest == make_estimate().digest
    assert make_estimate(utilisation=0.9).digest != make_estimate().digest


def test_mixed_precision_experts_read_back_their_warnings() -> None:
    first = make_estimate(model="gpt-oss-120b")
    assert any("mxfp4" in warning for warning in first.warnings)
    assert estimate(first.resolved, SNAPSHOT, NOW).warnings == first.warnings


def test_classes_add_up_to_the_mix() -> None:
    answer = make_estimate(workload=workload((1, 4000, 200, 0.5), (3, 300, 900, 0.0)))
    by_kind = {
        kind: sum(
            weight * rate.cost_per_request
            for weight, name in ((0.25, "class-0"), (0.75, "class-1"))
            for rate in answer.rates_by_class
            if (rate.class_name, rate.kind) == (name, kind)
        )
        for kind in ("uncached_input", "cached_input", "output")
    }
    for rate in answer.rates:
        assert by_kind[rate.kind] == pytest.approx(rate.cost_per_request)


def test_operators_outside_the_roofline_are_bound_by_what_they_wait_for() -> None:
    answer = make_estimate(layout=LayoutRequest(tp=2))
    bounds = {item.operator: item.bound for item in answer.operators}
    assert bounds["collectives"] == "network"
    assert bounds["host"] == "overhead"
    assert {bounds["feed_forward"], bounds["attention_decode"]} <= {"compute", "memory"}


def test_equal_classes_are_one_class() -> None:
    whole = make_estimate(workload=workload((1, 3000, 400, 0.2)))
    halves = make_estimate(workload=workload((1, 3000, 400, 0.2), (1, 3000, 400, 0.2)))
    assert _costs(halves) == pytest.approx(_costs(whole))
    assert halves.ttft_seconds == pytest.approx(whole.ttft_seconds)


def test_a_sample_stands_for_its_requests() -> None:
    sample = (SampleRequest(3000, 400), SampleRequest(1000, 100, 500))
    one = make_estimate(workload=(WorkloadClass("chat", 1.0, sample=sample),))
    two = make_estimate(workload=workload((1, 3000, 400, 0.0), (1, 1000, 100, 0.5)))
    assert _costs(one) == pytest.approx(_costs(two))


def test_256_classes_answer() -> None:
    classes = workload(*((1 + k % 7, 100 + 37 * k, 1 + 11 * k, (k % 10) / 10) for k in range(256)))
    answer = make_estimate(workload=classes)
    assert len(answer.rates_by_class) == 3 * 256
    assert answer.conservation.relative_difference < 1e-9


def test_a_class_of_weight_zero_has_no_rates_and_costs_nothing() -> None:
    alone = make_estimate()
    both = make_estimate(workload=(WorkloadClass("chat", 1.0, 3000, 400), WorkloadClass("none", 0.0, 9, 9)))
    assert _costs(both) == pytest.approx(_costs(alone))
    assert {rate.class_name for rate in both.rates_by_class} == {"chat"}


def test_under_an_arrival_rate_utilisation_is_an_answer() -> None:
    answer = make_estimate(operating_point=FLEET, utilisation=None)
    point = answer.operating_point
    assert point.requests_per_second == pytest.approx(2.0, rel=1e-3)
    assert point.replicas == 3
    assert 0 < point.utilisation < 1
    # Replicas are paid whether they work or not.
    assert answer.cost_per_request == pytest.approx(2.0 / 3600 / 2.0, rel=1e-3)


def test_twice_the_arrivals_on_twice_the_replicas_cost_the_same() -> None:
    one = make_estimate(operating_point=FLEET, utilisation=None)
    two = make_estimate(
        operating_point=replace(FLEET, requests_per_second=12.0, replicas=6), utilisation=None
    )
    assert two.cost_per_request == pytest.approx(one.cost_per_request)


def test_arrivals_that_break_a_latency_limit_are_refused() -> None:
    with pytest.raises(EngineError) as refused:
        make_estimate(operating_point=replace(FLEET, max_tpot_seconds=0.0075), utilisation=None)
    assert refused.value.code == "limits-unmet"


def test_time_in_the_system_is_requests_in_flight_over_throughput() -> None:
    for changes in MANY[:8]:
        answer = make_estimate(**changes)
        point = answer.operating_point
        in_flight = point.requests_per_second * answer.latency.end_to_end_seconds
        assert in_flight == pytest.approx(point.concurrency, rel=0.01)


def test_the_phase_split_shows_both_increments() -> None:
    answer = make_estimate(split="phase", workload=workload((1, 4000, 200, 0.5)))
    over_decode, over_prefill = (
        answer.phase_increments[name] for name in ("increment_over_decode", "increment_over_prefill")
    )
    tokens = {rate.kind: rate.tokens_per_request for rate in answer.rates}
    for rates in (over_decode, over_prefill):
        paid = sum(rates[kind] * tokens[kind] for kind in tokens) / 1e6
        assert paid == pytest.approx(answer.cost_per_request)
    assert over_decode["uncached_input"] < over_prefill["uncached_input"]
    assert _costs(answer) == pytest.approx(dict(over_decode))


def test_by_cause_moves_cost_from_output_to_input_and_changes_no_total() -> None:
    passed, caused = (make_estimate(kv_view=view) for view in ("by_pass", "by_cause"))
    assert caused.cost_per_request == pytest.approx(passed.cost_per_request)
    assert _costs(caused)["uncached_input"] > _costs(passed)["uncached_input"]
    assert _costs(caused)["output"] < _costs(passed)["output"]


def test_a_smaller_cache_format_leaves_room_for_more() -> None:
    wide, narrow = (
        make_estimate(formats=FormatsRequest(kv_cache=name), operating_point=CHEAPEST)
        for name in ("bf16", "fp8")
    )
    assert narrow.memory.max_batch == pytest.approx(2 * wide.memory.max_batch, rel=0.05)


def test_an_inline_configuration_answers_like_the_catalog_does() -> None:
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "max_position_embeddings": 131072,
        "num_attention_heads": 32,
        "num_hidden_layers": 32,
        "num_key_value_heads": 8,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "vocab_size": 128256,
    }
    inline = make_estimate(model=None, config=config)
    assert _costs(inline) == pytest.approx(_costs(make_estimate()))
    assert inline.list_prices == ()
    assert estimate(inline.resolved, SNAPSHOT, NOW) == inline


@pytest.mark.parametrize("concurrency", [4.0, 500.0, 100_000.0])
def test_among_a_fixed_number_of_requests_nobody_waits_for_more_than_all_others(concurrency: float) -> None:
    answer = make_estimate(
        operating_point=OperatingPointRequest(kind="concurrency", concurrency=concurrency),
        workload=workload((1, 4000, 50, 0.0)),
    )
    everyone = concurrency / answer.operating_point.requests_per_second
    assert answer.ttft_seconds <= answer.latency.ttft_p99_seconds <= everyone * (1 + 1e-9)
