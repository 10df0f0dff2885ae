"""One step: limits of the roofline, FLOP of whole requests, experts touched, monotone in the hardware."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine.architecture import head_flop_per_token, linear_flop_per_token
from service.engine.load import Load, make_load
from service.engine.replica import compile_replica
from service.engine.spans import Array
from service.engine.step import StepLoad, expert_bytes, expert_seconds, step_times, step_work
from service.engine.tables import ATTENTION_DECODE, EXPERTS, HOST, ReplicaTable
from service.engine.types import Accelerator, Calibration, Efficiency, Layout, ModelWork
from service.engine.workload import make_mix, reduce_mix
from tests.builders.known_models import IDEAL, endless, known_work
from tests.builders.operating_points import ACCELERATOR, CALIBRATION, FORMATS, make_layer, make_work


def _step(decode: float, chunk: float, group: float | None = None) -> StepLoad:
    return StepLoad(
        *(np.array([value]) for value in (decode, chunk, decode + chunk if group is None else group))
    )


def _load(
    work: ModelWork,
    tokens: tuple[float, float, float],
    *,
    accelerator: Accelerator | None = None,
    layout: Layout | None = None,
    calibration: Calibration = IDEAL,
) -> tuple[ReplicaTable, Load]:
    table = compile_replica(work, accelerator or endless(), layout or Layout(), FORMATS, calibration)
    moments = reduce_mix(make_mix([tokens], [0], [1.0]), table.spans, np.inf)
    return table, make_load(table, moments)


def _request_flop(work: ModelWork, prompt: int, output: int) -> float:
    """FLOP of a request that is served alone: one step with its prompt, then one step a token."""
    _, load = _load(work, (prompt, 0, output))
    prefill, _ = step_work(load.coefficients, _step(0, prompt))
    decode, _ = step_work(load.coefficients, _step(1, 0))
    return float(prefill.sum() + (output - 1) * decode.sum())


@pytest.mark.parametrize("name", ["llama-3.1-8b", "gpt-oss-120b", "llama-4-scout", "qwen3.5-35b-a3b"])
def test_a_request_processes_every_position_but_the_last_output_token(name: str) -> None:
    # METHOD 1: S + T - 1 positions pass the layers, T positions the head.
    work = known_work(name)
    swapped = _request_flop(work, 100, 900), _request_flop(work, 900, 100)
    head = head_flop_per_token(work)
    assert swapped[0] - 900 * head == pytest.approx(swapped[1] - 100 * head, rel=1e-9)
    assert swapped[0] > 999 * linear_flop_per_token(work) + 900 * head


@pytest.mark.parametrize(("name", "percent"), [("llama-3.1-70b", 1.2), ("llama-3.1-8b", 5.9)])
def test_swapping_input_and_output_changes_the_flop_by_the_head_alone(name: str, percent: float) -> None:
    # METHOD 1: about 1 % of a 70B model, 6 % of an 8B one.
    work = known_work(name)
    there, back = _request_flop(work, 100, 900), _request_flop(work, 900, 100)
    assert 100 * (there / back - 1) == pytest.approx(percent, abs=0.15)


def test_latent_attention_costs_more_to_decode_than_to_prefill() -> None:
    # DeepSeek-V3: 2176 against 640 FLOP a pair and head, 128 heads, 61 layers; pairs swap sides.
    work = known_work("deepseek-v3")
    there, back = _request_flop(work, 100, 900), _request_flop(work, 900, 100)
    pairs = (900 * 901 - 100 * 101) / 2
    latent = 61 * 128 * (2176 - 640) * pairs
    assert there - back == pytest.approx(latent + 800 * head_flop_per_token(work), rel=1e-6)


@pytest.mark.parametrize("name", ["llama-3.1-8b", "llama-3.1-70b"])
def test_decoding_alone_takes_the_time_to_read_the_weights(name: str) -> None:
    # Ideal efficiencies, no overheads, a short context: weights over bandwidth.
    work = known_work(name)
    table, load = _load(work, (1, 0, 2))
    seconds = float(step_times(load.coefficients, _step(1, 0)).total[0])
    read = table.weights_bytes - work.embedding_parameters * 2  # one row of the table is looked up
    assert seconds == pytest.approx(read / 3.35e12, rel=1e-3)


def test_a_lone_token_reads_only_the_experts_it_is_routed_to() -> None:
    work = known_work("mixtral-8x7b")
    _, load = _load(work, (1, 0, 2))
    seconds = float(step_times(load.coefficients, _step(1, 0)).total[0])
    active = linear_flop_per_token(work) + head_flop_per_token(work)  # 2 FLOP and 2 bytes a parameter
    assert seconds == pytest.approx(active / 3.35e12, rel=1e-3)


def test_a_large_prefill_takes_its_flop_over_the_peak() -> None:
    work = known_work("llama-3.1-8b")
    _, load = _load(work, (8192, 0, 1))
    seconds = float(step_times(load.coefficients, _step(0, 8192)).total[0])
    assert seconds == pytest.approx(_request_flop(work, 8192, 1) / 989e12, rel=1e-2)


def test_the_cache_is_read_once_a_sequence() -> None:
    # 64 sequences at a mean context of 2,000 tokens of Llama-3.1-8B, 131,072 bytes each.
    _, load = _load(known_work("llama-3.1-8b"), (1899, 0, 202))
    _, data = step_work(load.coefficients, _step(64, 0))
    assert data[ATTENTION_DECODE, 0] == pytest.approx(64 * 2000 * 131_072)


RATES = st.floats(1e11, 1e16)


@given(
    bandwidth=RATES,
    peak=RATES,
    link=RATES,
    faster=st.floats(1.0, 10.0),
    which=st.sampled_from(
        [
            "memory_bandwidth_bytes_per_second",
            "peak_flop_per_second",
            "scale_up_bandwidth_bytes_per_second",
        ]
    ),
    decode=st.floats(1.0, 500.0),
    chunk=st.floats(0.0, 9000.0),
)
@settings(max_examples=60, deadline=None)
def test_faster_hardware_never_costs_time(
    bandwidth: float, peak: float, link: float, faster: float, which: str, decode: float, chunk: float
) -> None:
    machine = replace(
        ACCELERATOR,
        memory_bandwidth_bytes_per_second=bandwidth,
        peak_flop_per_second={"bf16": peak},
        scale_up_bandwidth_bytes_per_second=link,
    )
    figure = getattr(machine, which)
    improved = {"bf16": peak * faster} if which == "peak_flop_per_second" else figure * faster
    work = make_work(make_layer(), make_layer(experts=64))
    times = [
        step_times(
            _load(work, (3000, 500, 300), accelerator=one, layout=Layout(tp=4), calibration=CALIBRATION)[
                1
            ].coefficients,
            _step(decode, chunk),
        ).total[0]
        for one in (machine, replace(machine, **{which: improved}))
    ]
    assert times[1] <= times[0] * (1 + 1e-12)


@given(st.floats(1.0, 400.0), st.floats(0.0, 9000.0), st.floats(1.0, 3.0))
@settings(max_examples=60, deadline=None)
def test_more_in_a_step_never_takes_less_time(decode: float, chunk: float, more: float) -> None:
    _, load = _load(
        make_work(make_layer(), make_layer(experts=64)), (3000, 500, 300), calibration=CALIBRATION
    )
    less, full = (step_times(load.coefficients, _step(decode * k, chunk * k)).total[0] for k in (1.0, more))
    assert full >= less * (1 - 1e-12)


def test_steps_on_an_axis_equal_steps_one_by_one() -> None:
    _, load = _load(known_work("deepseek-v3"), (3000, 500, 300), calibration=CALIBRATION)
    decode, chunk = np.array([1.0, 8.0, 300.0]), np.array([0.0, 512.0, 4096.0])
    together = step_times(load.coefficients, StepLoad(decode, chunk, decode + chunk)).total
    alone = [step_times(load.coefficients, _step(d, c)).total[0] for d, c in zip(decode, chunk, strict=True)]
    np.testing.assert_allclose(together, alone)


@pytest.mark.parametrize("tokens", [1, 4, 30, 200])
def test_experts_touched_are_those_of_random_routing(tokens: int) -> None:
    # METHOD 2: E (1 - (1 - k / E)^n); 3,000 draws leave a standard error below 0.3 % of the mean.
    experts, top_k, rng = 64, 6, np.random.default_rng(7)
    draws = rng.random((3000 // tokens + 60, tokens, experts)).argsort(axis=2)[:, :, :top_k]
    touched = np.mean([len(np.unique(draw)) for draw in draws])
    table, _ = _load(make_work(make_layer(experts=experts, experts_per_token=top_k)), (100, 0, 2))
    assert table.experts is not None
    weights = replace(table.experts, activation_bytes_per_token=0 * table.experts.weight_bytes)
    read = float(expert_bytes(weights, np.array([float(tokens)]))[0])
    assert read / (32 * 3 * 4096 * 2048 * 2) == pytest.approx(touched, rel=0.02)


def test_experts_run_at_the_rate_of_the_tokens_each_of_them_has() -> None:
    # Each touched expert has n_e tokens and takes FLOP x (n_e + n_half) / rate.
    ramped = replace(IDEAL, operators={"gemm": Efficiency(1.0, 1.0), "experts": Efficiency(1.0, 1.0, 32.0)})
    table, _ = _load(make_work(make_layer(experts=64)), (100, 0, 2), calibration=ramped)
    assert table.experts is not None
    group = 500.0
    touched = 64 * (1 - (1 - 2 / 64) ** group)
    each = group * 2 / touched
    by_hand = 32 * touched * 2 * 3 * 4096 * 2048 * (each + 32) / 989e12
    compute, _ = expert_seconds(table.experts, np.array([group]))
    assert float(compute[0]) == pytest.approx(by_hand)


def test_a_step_waits_for_the_rank_with_the_most_tokens() -> None:
    even, uneven = (
        _load(
            make_work(make_layer(experts=64)),
            (100, 0, 2),
            layout=Layout(attention_dp=8, moe_ep=8),
            calibration=replace(IDEAL, expert_imbalance=imbalance),
        )[1].coefficients
        for imbalance in (1.0, 1.5)
    )
    many = _step(10_000, 0, 80_000)
    ratio = step_times(uneven, many).seconds[EXPERTS] / step_times(even, many).seconds[EXPERTS]
    assert float(ratio[0]) == pytest.approx(1.5)


def test_experts_see_the_tokens_of_the_whole_group() -> None:
    _, load = _load(make_work(make_layer(experts=64)), (100, 0, 2), layout=Layout(attention_dp=8, moe_ep=8))
    alone, together = (
        step_work(load.coefficients, _step(4, 0, group))[1][EXPERTS, 0] for group in (4.0, 32.0)
    )
    assert together > 5 * alone


def test_the_host_works_for_every_sequence_and_every_step() -> None:
    _, load = _load(make_work(), (100, 0, 2), calibration=CALIBRATION)
    host: Array = np.array(
        [step_times(load.coefficients, _step(n, 0)).seconds[HOST, 0] for n in (0.0, 10.0, 20.0)]
    )
    assert host[0] >= CALIBRATION.host_seconds_per_step
    assert np.diff(host) == pytest.approx(10 * CALIBRATION.host_seconds_per_sequence)
