"""What fits, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from service.engine.errors import InfeasibleError
from service.engine.load import Load, make_load
from service.engine.memory import MemoryPlan, plan_memory
from service.engine.replica import compile_replica
from service.engine.tables import ReplicaTable
from service.engine.types import EnginePolicy, Layout, ModelWork
from service.engine.workload import make_mix, reduce_mix
from tests.builders.known_models import FP8_FORMATS, H100, IDEAL, known_work
from tests.builders.operating_points import FORMATS, POLICY, make_layer, make_work

TOKENS = (3000.0, 0.0, 1001.0)


def _made(
    work: ModelWork, layout: Layout, tokens: tuple[float, float, float] = TOKENS, memory: float = 80e9
) -> tuple[ReplicaTable, Load]:
    table = compile_replica(work, replace(H100, memory_bytes=memory), layout, FP8_FORMATS, IDEAL)
    moments = reduce_mix(make_mix([tokens], [0], [1.0]), table.spans, POLICY.token_budget)
    return table, make_load(table, moments)


def _plan(work: ModelWork, layout: Layout, policy: EnginePolicy = POLICY, memory: float = 80e9) -> MemoryPlan:
    return plan_memory(*_made(work, layout, memory=memory), policy)


def test_llama_70b_in_fp8_on_eight_h100_by_hand() -> None:
    # 327,680 bytes of bf16 cache a token over 8 ranks; a sequence is 3,500 tokens long on average while
    # it decodes (prompt 3,000 and half of 1,000 steps), and 5 % is kept free against preemption.
    plan = _plan(known_work("llama-3.1-70b"), Layout(tp=8))
    a_token = 327_680 / 8
    resident = (3000 * 1000 + 1001 * 1000 / 2) / 1000
    activations = 8192 * (4 * 8192 + 3 * 28672 / 8) * 2
    layer = 2 * 8192**2 + 2 * 8192 * 1024 + 3 * 8192 * 28672
    weights = 80 * layer / 8 + 2 * 128_256 * 8192 * 2 / 8 + 161 * 8192 * 2
    assert plan.usable_bytes == pytest.approx(0.9 * 80e9)
    assert plan.weights_bytes == pytest.approx(weights)
    assert plan.activations_bytes == pytest.approx(activations)
    assert plan.cache_bytes == pytest.approx(72e9 - weights - activations)
    assert plan.cache_bytes_per_sequence == pytest.approx(1.05 * resident * a_token)
    # One more prompt is being prefilled.
    by_hand = (plan.cache_bytes - 3000 * a_token) / (1.05 * resident * a_token)
    assert plan.max_batch == pytest.approx(by_hand)
    assert 380 < plan.max_batch < 430


def test_reserving_the_whole_length_holds_prompt_and_output() -> None:
    full = replace(POLICY, reserve="full", preemption_margin=0.0)
    plan = _plan(known_work("llama-3.1-70b"), Layout(tp=8), full)
    assert plan.cache_bytes_per_sequence == pytest.approx(4001 * 327_680 / 8)
    assert plan.max_batch < _plan(known_work("llama-3.1-70b"), Layout(tp=8)).max_batch


def test_tensor_parallelism_gives_a_latent_cache_no_room_but_data_parallelism_does() -> None:
    # The latent, 70,272 bytes a token, lies on every tensor-parallel rank (METHOD 3).
    work = known_work("deepseek-v3")
    by_tp, by_dp = (
        _plan(work, layout, memory=141e9)
        for layout in (Layout(tp=8, moe_ep=8), Layout(attention_dp=8, moe_ep=8))
    )
    a_sequence = 1.05 * 3500.5 * 70_272
    for plan in (by_tp, by_dp):
        assert plan.cache_bytes_per_sequence == pytest.approx(a_sequence)
    assert by_tp.max_batch == pytest.approx((by_tp.cache_bytes - 3000 * 70_272) / a_sequence)
    assert by_dp.max_batch == pytest.approx(8 * (by_dp.cache_bytes - 3000 * 70_272) / a_sequence)


def test_a_window_caps_what_a_sequence_holds() -> None:
    work = known_work("gpt-oss-120b")  # half of its layers see 128 tokens
    plan = _plan(work, Layout(), memory=200e9)
    a_key = 2 * 8 * 64 * 2
    assert plan.cache_bytes_per_sequence == pytest.approx(1.05 * 18 * a_key * (3500.5 + 128))


def test_a_recurrent_state_is_held_whatever_the_length() -> None:
    work = known_work("qwen3.5-35b-a3b")
    short, long = (
        _made(work, Layout(), (length, 0.0, 11.0))[1].cache_bytes_per_sequence for length in (100.0, 1100.0)
    )
    state = _made(work, Layout())[0].state_bytes_per_sequence
    assert state > 0
    per_key = (long - short) / 1000
    assert short == pytest.approx(state + per_key * 105.5, rel=1e-9)


def test_weights_that_do_not_fit_are_refused_with_what_they_need() -> None:
    with pytest.raises(InfeasibleError) as refused:
        _plan(known_work("llama-3.1-405b"), Layout(tp=4))
    assert refused.value.code == "model-does-not-fit"
    assert refused.value.field == "layout"
    needed = refused.value.accepted["bytes_needed_per_accelerator"]
    assert isinstance(needed, float)
    assert needed > 72e9


def test_a_request_longer_than_the_memory_is_refused_naming_the_workload() -> None:
    table, load = _made(known_work("llama-3.1-70b"), Layout(tp=8), (2e6, 0.0, 2.0))
    with pytest.raises(InfeasibleError) as refused:
        plan_memory(table, load, POLICY)
    assert refused.value.code == "model-does-not-fit"
    assert refused.value.field == "workload"


def test_a_lone_request_needs_no_second_prompt_beside_it() -> None:
    table, load = _made(known_work("llama-3.1-70b"), Layout(tp=8), (1e6, 0.0, 2.0))
    plan = plan_memory(table, load, POLICY)
    assert 1 <= plan.max_batch < 2


def test_a_model_without_cache_or_state_fits_any_number_of_sequences() -> None:
    work = make_work(make_layer(streams=(), mixer_gemm_parameters=0, mixer_kind="none"))
    table = compile_replica(work, H100, Layout(), FORMATS, IDEAL)
    load = make_load(table, reduce_mix(make_mix([TOKENS], [0], [1.0]), table.spans, 8192.0))
    assert plan_memory(table, load, POLICY).max_batch == np.inf


def test_a_budget_that_covers_the_prompt_needs_activations_for_it() -> None:
    covering = replace(POLICY, token_budget=512, token_budget_covers_prompt=True)
    table, load = _made(known_work("llama-3.1-70b"), Layout(tp=8))
    plan = plan_memory(table, load, covering)
    assert plan.activations_bytes == pytest.approx(3000 * table.workspace_bytes_per_token)
