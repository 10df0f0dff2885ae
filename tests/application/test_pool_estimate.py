"""Estimates with pools: the bill of both pools divided, identities, the same answer for the same question."""

from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from math import isfinite
from typing import Any

import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from service.application.answers import EstimateAnswer
from service.application.estimate import estimate
from service.application.predict import Predictor
from service.application.predict_pools import predict_pools
from service.application.requests import (
    FormatsRequest,
    LayoutRequest,
    OperatingPointRequest,
    PoolsRequest,
    PriceRequest,
    ServingRequest,
)
from service.engine.errors import InfeasibleError
from tests.application.test_estimate import _floats
from tests.application.test_predict_pools import _case
from tests.builders.estimates import NOW, SNAPSHOT, make_estimate, workload
from tests.builders.pools import CHEAPEST, PLANNED, arrivals, given, in_flight, make_pooled, planned

MIX = workload((1, 4000, 200, 0.5), (2, 300, 900, 0.0), (1, 2000, 1, 0.3), (0, 9000, 10, 0.1))
DEEPSEEK: dict[str, Any] = {"model": "deepseek-v3", "accelerator": "h200-sxm"}
OTHER = planned(
    accelerator="a100-sxm", layout=LayoutRequest(tp=2), price=PriceRequest(amount=Decimal(1), currency="USD")
)
MANY: list[dict[str, Any]] = [
    {},
    {"operating_point": CHEAPEST},
    {"operating_point": replace(CHEAPEST, statistic="p99")},
    {"operating_point": None},
    {"pools": given(2, 3)},
    {"pools": given(2, 3), "operating_point": in_flight(1.0)},
    {"pools": given(2, 3), "operating_point": in_flight(1e6)},
    {"pools": given(1, 2, load=0.5), "operating_point": CHEAPEST},
    {"pools": given(9, 9), "operating_point": arrivals(12.0), "utilisation": None},
    {"operating_point": arrivals(1e-6), "utilisation": None},
    {"operating_point": arrivals(300.0), "utilisation": None},
    {"workload": MIX},
    {"workload": MIX, "split": "phase"},
    {"workload": MIX, "kv_view": "by_cause"},
    {"workload": workload((1, 4000, 200, 1.0)), "kv_view": "by_cause"},
    {"workload": workload((1, 1, 2, 0.0))},
    {"workload": workload((1, 120_000, 20, 0.3))},
    {"workload": workload((1, 60, 10, 0.0)), "operating_point": in_flight(900.0)},
    {"layout": LayoutRequest(tp=2, pp=4)},
    {"pools": OTHER, "workload": MIX},
    {"pools": PoolsRequest(), "serving": ServingRequest(draft_tokens=2, acceptance=0.8)},
    {"serving": ServingRequest(engine="trtllm")},
    {**DEEPSEEK, "layout": LayoutRequest(tp=8), "workload": MIX},
    {**DEEPSEEK, "layout": LayoutRequest(attention_dp=16, moe_ep=16), "kv_view": "by_cause",
     "pools": given(1, 1, layout=LayoutRequest(attention_dp=8, moe_ep=8)), "operating_point": in_flight(500)},
    {**DEEPSEEK, "layout": LayoutRequest(attention_dp=16, moe_ep=16), "operating_point": in_flight(2000),
     "serving": ServingRequest(overlap="two_batch"), "workload": MIX},
    {"model": "qwen3.5-35b-a3b", "layout": LayoutRequest(tp=2)},
    {"formats": FormatsRequest(precision="fp8")},
]  # fmt: skip


def _costs(answer: EstimateAnswer) -> dict[str, float]:
    return {rate.kind: rate.per_million_tokens for rate in answer.rates}


@pytest.mark.parametrize("changes", MANY, ids=range(len(MANY)))
def test_an_answer_conserves_over_both_pools_and_holds_no_impossible_number(changes: dict[str, Any]) -> None:
    answer, pools = make_pooled(**changes)
    assert all(isfinite(number) for number in _floats(answer))
    assert answer.conservation.relative_difference < 1e-12
    bill = pools.prefill.cost_per_request + pools.decode.cost_per_request
    assert answer.cost_per_request == pytest.approx(bill, rel=1e-12)
    for rate in (*answer.rates, *answer.rates_by_class):
        assert rate.per_million_tokens >= 0
        if rate.per_million_tokens > 0:
            assert sum(rate.share_by_resource.values()) == pytest.approx(1.0)
            assert sum(rate.share_by_component.values()) == pytest.approx(1.0)
    for rate in answer.rates:
        by_pool = pools.prefill.cost_by_kind[rate.kind] + pools.decode.cost_by_kind[rate.kind]
        assert rate.cost_per_request == pytest.approx(by_pool, rel=1e-12, abs=1e-18)
    for pool in (pools.prefill, pools.decode):
        assert 0 <= pool.utilisation <= 1 + 1e-9
        assert 0 <= pool.idle_cost_per_request <= pool.cost_per_request
    assert answer.energy.sum_per_request == pytest.approx(answer.energy.joules_per_request["working"])
    assert answer.phase_increments == {}


@pytest.mark.parametrize("changes", MANY, ids=range(len(MANY)))
def test_posting_what_was_resolved_gives_the_same_answer(changes: dict[str, Any]) -> None:
    first, _ = make_pooled(**changes)
    again = estimate(first.resolved, SNAPSHOT, NOW)
    assert again == first
    assert again.digest == first.digest


lengths = st.tuples(
    st.floats(0.1, 5.0), st.integers(1, 20_000), st.integers(1, 3_000), st.sampled_from([0.0, 0.3, 0.9, 1.0])
)


@examples(
    classes=st.lists(lengths, min_size=1, max_size=4),
    workers=st.none() | st.tuples(st.integers(1, 40), st.integers(1, 40)),
    concurrency=st.floats(1.0, 3000.0),
    prices=st.tuples(st.integers(1, 900), st.integers(1, 900)),
    rule=st.sampled_from([("shapley", "by_pass"), ("shapley", "by_cause"), ("phase", "by_pass")]),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_mix_on_any_pools_is_paid_exactly(
    classes: list[tuple[float, int, int, float]],
    workers: tuple[int, int] | None,
    concurrency: float,
    prices: tuple[int, int],
    rule: tuple[str, str],
) -> None:
    longer = [(weight, prompt, output + 1, share) for weight, prompt, output, share in classes[:1]]
    price, prefill_price = (PriceRequest(amount=Decimal(cents) / 100, currency="USD") for cents in prices)
    pools = planned(price=prefill_price) if workers is None else given(*workers, price=prefill_price)
    answer, found = make_pooled(
        workload=workload(*longer, *classes[1:]),
        pools=pools,
        price=price,
        operating_point=in_flight(concurrency),
        split=rule[0],
        kv_view=rule[1],
    )
    assert answer.conservation.relative_difference < 1e-12
    total = 0.0
    for pool, cents in zip((found.decode, found.prefill), prices, strict=True):
        paid = pool.accelerators * cents / 100 / 3600 / found.requests_per_second
        assert pool.cost_per_request == pytest.approx(paid, rel=1e-12)
        total += paid
    assert answer.cost_per_request == pytest.approx(total, rel=1e-12)


def test_a_planned_prefill_pool_has_the_workers_that_carry_the_rate_at_its_load() -> None:
    for load in (None, 0.5, 0.99):
        _, pools = make_pooled(pools=planned(load=load))
        carried = pools.prefill.requests_per_second_capacity * (load or 0.9)
        assert carried == pytest.approx(pools.requests_per_second, rel=1e-12)
        assert pools.decode.workers == 1
        assert pools.decode.utilisation == 1


def test_a_price_of_prefill_moves_the_prefill_bill_alone_and_in_proportion() -> None:
    def at(amount: int) -> EstimateAnswer:
        price = PriceRequest(amount=Decimal(amount), currency="USD")
        return make_pooled(pools=given(1, 1, price=price), split="phase")[0]

    once, twice, thrice = at(1), at(2), at(3)
    added = _costs(twice)["uncached_input"] - _costs(once)["uncached_input"]
    assert added == pytest.approx(_costs(once)["uncached_input"], rel=1e-12)
    assert _costs(thrice)["uncached_input"] == pytest.approx(_costs(once)["uncached_input"] + 2 * added)
    assert _costs(thrice)["output"] == pytest.approx(_costs(once)["output"], rel=1e-12)


def test_by_phase_output_stands_to_input_as_pools_and_lengths_do() -> None:
    # METHOD 8: (decode accelerators x ISL) / (prefill accelerators x OSL), whatever binds.
    for concurrency in (1.0, 64.0, 5000.0):
        answer, _ = make_pooled(
            pools=given(3, 2, layout=LayoutRequest(tp=2)),
            split="phase",
            operating_point=in_flight(concurrency),
        )
        assert answer.output_to_input_ratio == pytest.approx(2 * 1 * 3000 / (3 * 2 * 400), rel=1e-12)


def test_planned_and_whole_workers_agree_where_whole_ones_match() -> None:
    _, whole = make_pooled(pools=given(1, 1))
    planned_answer, fractional = make_pooled(pools=planned(load=whole.prefill.utilisation))
    whole_answer, _ = make_pooled(pools=given(1, 1))
    assert fractional.prefill.workers == pytest.approx(1.0, rel=1e-6)
    for name in ("cost_per_request", "ttft_seconds", "tpot_seconds"):
        assert getattr(planned_answer, name) == pytest.approx(getattr(whole_answer, name), rel=1e-6)
    # Three prefill workers beside one decode worker: a queue that all three serve.
    _, three = make_pooled(pools=given(3, 1))
    alike, again = make_pooled(pools=planned(load=three.prefill.utilisation))
    assert again.prefill.workers == pytest.approx(3.0, rel=1e-6)
    assert again.requests_per_second == pytest.approx(three.requests_per_second, rel=1e-6)
    assert alike.resolved.pools is not None


def test_a_prompt_of_llama_70b_crosses_at_the_speed_of_its_links() -> None:
    _, pools = make_pooled(
        model="llama-3.1-70b", layout=LayoutRequest(tp=8), workload=workload((1, 8000, 500, 0.75))
    )
    # 2 x 8 heads x 128 x 2 bytes x 80 layers = 327,680 bytes of cache a token, its cached ones too, over
    # eight links of 50 GB/s at the calibration's 0.6.
    assert pools.transfer.bytes_per_request == pytest.approx(327_680 * 8000)
    assert pools.transfer.link_bytes_per_second == pytest.approx(8 * 50e9 * 0.6)
    assert pools.transfer.seconds == pytest.approx(327_680 * 8000 / (8 * 50e9 * 0.6))
    assert pools.transfer.sequences_in_transfer == pytest.approx(
        pools.requests_per_second * pools.transfer.seconds
    )


def test_a_side_with_fewer_links_sets_the_time_of_a_transfer() -> None:
    changes: dict[str, Any] = {"layout": LayoutRequest(tp=4)}
    _, even = make_pooled(**changes)
    _, narrow = make_pooled(**changes, pools=planned(layout=LayoutRequest(tp=1)))
    assert narrow.transfer.seconds == pytest.approx(4 * even.transfer.seconds)
    assert narrow.transfer.bytes_per_request == pytest.approx(even.transfer.bytes_per_request)


def test_the_first_token_waits_for_the_transfer_and_no_accelerator_does() -> None:
    answer, pools = make_pooled(pools=given(4, 1), operating_point=in_flight(1.0))
    assert answer.ttft_seconds == pytest.approx(
        answer.latency.ttft_waiting_seconds + answer.latency.ttft_prefill_seconds + pools.transfer.seconds
    )
    capacity = pools.prefill.requests_per_second_capacity
    # Working seconds of a request are one over the capacity of the pool: no part of it is transfer.
    assert pools.prefill.utilisation == pytest.approx(pools.requests_per_second / capacity)


@pytest.mark.parametrize("concurrency", [4.0, 64.0, 800.0])
def test_more_prefill_workers_never_raise_the_time_to_first_token(concurrency: float) -> None:
    times = [
        make_pooled(pools=given(count, 4), operating_point=in_flight(concurrency))[0].ttft_seconds
        for count in (1, 2, 3, 5, 8, 30)
    ]
    assert all(later <= earlier * (1 + 1e-6) for earlier, later in pairwise(times))


def test_idle_of_the_slack_pool_is_what_it_could_carry_besides() -> None:
    _, pools = make_pooled(pools=given(1, 6), operating_point=in_flight(400.0))
    assert pools.limited_by == "prefill"
    for pool in (pools.prefill, pools.decode):
        slack = 1.0 - pools.requests_per_second / pool.requests_per_second_capacity
        assert pool.idle_cost_per_request == pytest.approx(pool.cost_per_request * slack, abs=1e-15)
    assert pools.decode.idle_cost_per_request > 0.5 * pools.decode.cost_per_request


def test_paid_time_without_requests_is_idle_in_both_pools() -> None:
    _, half = make_pooled(utilisation=0.5)
    for pool in (half.prefill, half.decode):
        assert pool.idle_cost_per_request == pytest.approx(
            pool.cost_per_request * (1 - 0.5 * pool.utilisation)
        )


def test_the_rental_basis_parts_work_from_idle() -> None:
    answer, pools = make_pooled(pools=given(1, 6), utilisation=0.7)
    (basis,) = answer.cost_bases
    assert basis.reserved_per_request == pytest.approx(answer.cost_per_request)
    idle = pools.prefill.idle_cost_per_request + pools.decode.idle_cost_per_request
    assert basis.idle_per_request == pytest.approx(idle)


def test_under_arrivals_both_utilisations_are_answers() -> None:
    answer, pools = make_pooled(pools=given(2, 3), operating_point=arrivals(6.0), utilisation=None)
    assert pools.requests_per_second == pytest.approx(6.0, rel=1e-3)
    assert answer.cost_per_request == pytest.approx(5 * 2.0 / 3600 / 6.0, rel=1e-3)
    for pool in (pools.prefill, pools.decode):
        assert pool.utilisation == pytest.approx(6.0 / pool.requests_per_second_capacity, rel=1e-3)
    assert answer.operating_point.replicas == 3
    assert answer.operating_point.requests_per_second == pytest.approx(2.0, rel=1e-3)


def test_requests_of_one_output_token_never_reach_the_decode_pool() -> None:
    answer, pools = make_pooled(workload=workload((1, 2000, 300, 0.0), (3, 2000, 1, 0.0)))
    rates = {(rate.class_name, rate.kind): rate for rate in answer.rates_by_class}
    _, alone = make_pooled(workload=workload((1, 2000, 300, 0.0)), operating_point=in_flight(1.0))
    # What one token costs of a class that only prefills is the head of one position, in the prefill pool.
    once = rates["class-1", "output"].cost_per_request
    assert once == pytest.approx(4 / 4 * pools.prefill.cost_by_kind["output"], rel=1e-9)
    assert pools.transfer.sequences_in_transfer == pytest.approx(
        pools.requests_per_second / 4 * pools.transfer.seconds
    )
    assert alone.decode.cost_per_request > 0


def test_the_cause_of_a_read_tells_cached_from_computed_prompt_keys() -> None:
    passed, _ = make_pooled(workload=workload((1, 4000, 400, 0.5)))
    caused, pools = make_pooled(workload=workload((1, 4000, 400, 0.5)), kv_view="by_cause")
    assert caused.cost_per_request == pytest.approx(passed.cost_per_request)
    reads = pools.decode.cost_by_kind
    # Half of the prompt's keys are cached; the rest of what input pays is the step that a prompt joins in.
    assert reads["cached_input"] > 0
    assert reads["cached_input"] <= reads["uncached_input"] <= 1.05 * reads["cached_input"]


def test_seconds_of_a_token_are_of_its_own_pool_whatever_its_price() -> None:
    dear = PriceRequest(amount=Decimal(20), currency="USD")
    even, _ = make_pooled(pools=given(1, 1))
    apart, _ = make_pooled(pools=given(1, 1, price=dear))
    for before, after in zip(even.rates, apart.rates, strict=True):
        assert after.accelerator_seconds_per_million_tokens == pytest.approx(
            before.accelerator_seconds_per_million_tokens
        )


@pytest.mark.parametrize(
    ("concurrency", "prefill", "decode", "close"),
    [
        (1, 2, 1, 1e-6),
        (1, 1, 3, 1e-6),
        (64, 1, 3, 1e-6),  # prefill limits
        (400, 1, 3, 1e-6),
        # What ``predict_pools`` solves on the batch axis of one worker it interpolates.
        (8, 2, 1, 2e-5),
        (8, 4, 1, 2e-5),
    ],
)
@pytest.mark.parametrize("engine", ["vllm", "trtllm"])
def test_a_deployment_is_where_the_prediction_of_a_measured_run_has_it(
    engine: str, concurrency: int, prefill: int, decode: int, close: float
) -> None:
    # Prompts as long as the token budget, layouts alike: there the estimate and the run are one question.
    cells = {"input_tokens": "20000", "output_tokens": "500", "prefill_tp_size": "2"}
    case = _case(
        **cells,
        engine=engine,
        concurrency=str(concurrency),
        prefill_num_workers=str(prefill),
        decode_num_workers=str(decode),
    )
    found = predict_pools(case, Predictor())
    answer, pools = make_pooled(
        workload=workload((1, 18_000, 450, 0.0)),
        layout=LayoutRequest(tp=2),
        serving=ServingRequest(engine=engine),
        operating_point=in_flight(float(concurrency)),
        pools=given(prefill, decode),
    )
    rate = decode * 2 / (found.accelerator_seconds_per_million_output * 450 / 1e6)
    assert answer.tpot_seconds == pytest.approx(found.tpot_seconds, rel=close)
    assert pools.requests_per_second == pytest.approx(rate, rel=close)
    assert answer.ttft_seconds == pytest.approx(found.steady_ttft_seconds, rel=10 * close)


def test_the_answer_says_what_pools_are_not() -> None:
    answer, pools = make_pooled(pools=OTHER)
    assert any("not in the fit" in text for text in answer.warnings)
    assert "D1-D6" in answer.provenance.equations
    accelerators = [row.key for row in answer.provenance.rows if row.kind == "accelerator"]
    assert accelerators == ["h100-sxm", "a100-sxm"]
    assert answer.accelerator == "h100-sxm"
    assert pools.prefill.accelerator == "a100-sxm"
    assert any("crosses in" in text for text in answer.explanation)


def test_a_digest_knows_both_pools() -> None:
    digests = {
        make_estimate(**changes).digest
        for changes in (
            {},
            {"pools": PLANNED},
            {"pools": planned(load=0.8)},
            {"pools": given(1, 1)},
            {"pools": OTHER},
            {"pools": planned(price=PriceRequest(amount=Decimal(3), currency="USD"))},
        )
    }
    assert len(digests) == 6


def test_micro_batches_overlap_in_both_pools() -> None:
    wide: dict[str, Any] = {**DEEPSEEK, "layout": LayoutRequest(attention_dp=16, moe_ep=16)}
    point = in_flight(4000)
    plain, before = make_pooled(**wide, operating_point=point)
    hidden, pools = make_pooled(
        **wide, operating_point=point, serving=ServingRequest(overlap="two_batch"), pools=planned()
    )
    assert pools.prefill.requests_per_second_capacity / pools.prefill.workers > (
        before.prefill.requests_per_second_capacity / before.prefill.workers
    )
    assert hidden.cost_per_request < plain.cost_per_request
    assert hidden.resolved.pools is not None
    assert hidden.resolved.pools.prefill is not None
    assert hidden.resolved.pools.prefill.serving is not None
    assert hidden.resolved.pools.prefill.serving.overlap == "two_batch"
    assert any(text.startswith("Prefill pool: ") and "micro-batches" in text for text in hidden.explanation)


def test_drafts_are_made_by_decode_workers_alone() -> None:
    plain, _ = make_pooled(pools=given(1, 1), operating_point=in_flight(4.0))
    drafting, pools = make_pooled(
        pools=given(1, 1), operating_point=in_flight(4.0), serving=ServingRequest(draft_tokens=3)
    )
    assert drafting.tpot_seconds < plain.tpot_seconds
    assert pools.prefill.bounds[0].seconds == make_pooled(pools=given(1, 1))[1].prefill.bounds[0].seconds
    assert drafting.resolved.pools is not None


@pytest.mark.parametrize("point", [in_flight(1e6), in_flight(3.0), CHEAPEST], ids=["many", "few", "cheapest"])
@pytest.mark.parametrize("lengths", [(8000, 200, 0.9), (4000, 20, 0.0), (4000, 2, 0.0)])
@pytest.mark.parametrize("pools", [PLANNED, given(4, 1), given(1, 8)], ids=["planned", "send", "receive"])
def test_no_link_carries_more_than_it_can(
    point: OperatingPointRequest, lengths: tuple[int, int, float], pools: PoolsRequest
) -> None:
    """Requests a second of a worker x seconds of its links for one of them are at most 1 (D2)."""
    prompt, output, cached = lengths
    answer, found = make_pooled(
        operating_point=point, workload=workload((1, prompt, output, cached)), pools=pools, utilisation=1.0
    )
    for pool in (found.prefill, found.decode):
        assert found.requests_per_second / pool.workers * found.transfer.seconds <= 1.0 + 1e-6
    # Little's law over the whole, links included.
    stay = answer.latency.end_to_end_seconds
    assert found.requests_per_second * stay == pytest.approx(found.concurrency, rel=1e-2)


def test_arrivals_that_the_links_cannot_carry_are_refused() -> None:
    with pytest.raises(InfeasibleError) as refused:
        make_pooled(
            operating_point=arrivals(60.0),
            workload=workload((1, 8000, 2, 0.9)),
            pools=given(2, 40),
            utilisation=None,
        )
    assert refused.value.code == "arrival-rate-too-high"


@pytest.mark.parametrize("below", [1e-3, 1e-6, 1e-9])
def test_arrivals_just_below_capacity_get_a_finite_answer_or_are_refused(below: float) -> None:
    changes: dict[str, Any] = {"pools": given(2, 9), "utilisation": None}
    most = make_pooled(operating_point=arrivals(1.0), **changes)[1].prefill.requests_per_second_capacity
    with suppress(InfeasibleError):
        answer, pools = make_pooled(operating_point=arrivals(most * (1.0 - below)), **changes)
        assert isfinite(answer.ttft_seconds)
        assert pools.prefill.utilisation <= 1.0
        assert pools.prefill.idle_cost_per_request >= 0.0


def test_one_answer_names_one_pool_that_limits() -> None:
    """A single prefill worker beside twenty: however many wait, the batch is what it hands over."""
    answer, pools = make_pooled(pools=given(1, 20), operating_point=in_flight(500.0))
    assert (answer.operating_point.limited_by, pools.limited_by) == ("prefill_pool", "prefill")
