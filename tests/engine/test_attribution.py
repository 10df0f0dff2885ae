"""Who pays: limits, the integral along the diagonal, both increments, ranks and stages.

Conservation, grouping and random orders of tokens are tested in tests/economics/test_splits.py.
"""

from dataclasses import replace

import numpy as np
import pytest

from service.engine.attribution import (
    CACHED,
    COMPUTE,
    MEMORY,
    NETWORK,
    OUTPUT,
    OVERHEAD,
    UNCACHED,
    KvView,
    attribute,
    busy_seconds,
    phase_increments,
    resource_parts,
)
from service.engine.batching import prefill_limit
from service.engine.replica import compile_replica
from service.engine.spans import Array
from service.engine.step import StepLoad, step_times
from service.engine.tables import ATTENTION_PREFILL, COLLECTIVES, EXPERTS, HOST, RECURRENT, ReplicaTable
from service.engine.types import Calibration, Efficiency, Layout, ModelWork, Span
from tests.builders.known_models import FP8_FORMATS, H100, IDEAL, endless, known_work
from tests.builders.operating_points import (
    CALIBRATION,
    FORMATS,
    POLICY,
    Made,
    make_layer,
    make_point,
    make_table,
    make_work,
)

MODELS = ["llama-3.1-8b", "gpt-oss-120b", "deepseek-v3", "deepseek-v3.2", "qwen3.5-35b-a3b", "llama-4-scout"]
RAMPED = replace(
    CALIBRATION,
    operators={
        **CALIBRATION.operators,
        "gemm": Efficiency(0.6, 0.8, 300.0),
        "experts": Efficiency(0.5, 0.6, 32.0),
    },
)


def _table(
    work: ModelWork | str, layout: Layout | None = None, calibration: Calibration = CALIBRATION
) -> ReplicaTable:
    model = known_work(work) if isinstance(work, str) else work
    return compile_replica(model, endless(), layout or Layout(), FORMATS, calibration)


def _by_kind(point: Made, view: KvView = "by_pass") -> Array:
    shares: Array = attribute(point.subject, view).shares.sum(axis=(0, 2, 3))
    return shares


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("layout", [Layout(), Layout(attention_dp=8, moe_ep=8), Layout(tp=2, pp=2)])
@pytest.mark.parametrize("view", ["by_pass", "by_cause"])
def test_the_rate_of_a_first_cached_token_is_the_limit_of_the_split(
    name: str, layout: Layout, view: KvView
) -> None:
    table = _table(name, layout if known_work(name).layers[-1].experts else replace(layout, moe_ep=1))
    none, few = (make_point([(1.0, 6000.0 + cached, cached, 300.0)], 64.0, table) for cached in (0.0, 0.5))
    rate = _by_kind(few, view)[CACHED] / 0.5
    assert attribute(none.subject, view).cached_limit_share == pytest.approx(rate, rel=1e-2)


def test_the_limit_of_a_first_cached_token_counts_each_chunk_that_reads_it() -> None:
    table = _table("deepseek-v3")
    none, few = (make_point([(1.0, 60_000.0 + cached, cached, 300.0)], 16.0, table) for cached in (0.0, 0.5))
    rate = _by_kind(few)[CACHED] / 0.5
    assert attribute(none.subject).cached_limit_share == pytest.approx(rate, rel=1e-2)


@pytest.mark.parametrize("name", MODELS)
def test_classes_pay_the_same_in_whatever_order_they_come(name: str) -> None:
    table = _table(name)
    classes = [(1.0, 9000.0, 4000.0, 30.0), (3.0, 200.0, 0.0, 900.0), (2.0, 2000.0, 100.0, 1.0)]
    order = [2, 0, 1]
    shares = attribute(make_point(classes, 40.0, table).subject).shares
    turned = attribute(make_point([classes[k] for k in order], 40.0, table).subject).shares
    np.testing.assert_allclose(turned, shares[:, :, order, :], rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("seen", [1.0, 8.0, 64.0, 700.0])
@pytest.mark.parametrize("name", ["llama-3.1-8b", "mixtral-8x7b", "deepseek-v3"])
@pytest.mark.parametrize("calibration", [CALIBRATION, RAMPED])
def test_memory_and_compute_parts_are_the_integral_along_the_diagonal(
    name: str, seen: float, calibration: Calibration
) -> None:
    # Aumann and Shapley: integrate the slope of max(FLOP, bytes) as the step fills from 0 to all of its
    # tokens; what an empty step already takes goes to the side that binds there.
    point = make_point([(1.0, 3000.0, 1000.0, 400.0)], seen, _table(name, calibration=calibration))
    subject, coefficients = point.subject, point.subject.load.coefficients
    for times, load in (
        (subject.state.decode, subject.state.decode_load),
        (subject.state.mixed, subject.state.mixed_load),
    ):
        (parts,) = resource_parts(subject, times, load)
        s = np.linspace(1e-6, 1.0, 20_001)
        path = step_times(coefficients, StepLoad(load.decode * s, load.chunk * s, load.group * s))
        data, flop = path.memory_seconds, path.compute_seconds
        waits = data >= flop
        steps = np.diff(path.seconds, axis=1)
        memory = np.where(waits[:, 1:], steps, 0).sum(axis=1) + np.where(waits[:, 0], path.seconds[:, 0], 0)
        total = float(times.total[0])
        linear = [i for i in range(len(parts)) if i not in (RECURRENT, COLLECTIVES, HOST)]
        np.testing.assert_allclose(parts[linear, MEMORY], memory[linear], atol=0.01 * total)
        np.testing.assert_allclose(parts.sum(axis=1), times.seconds[:, 0])
        assert (parts >= 0).all()


def test_the_roofline_of_method_5_splits_as_it_says() -> None:
    # s* = m0 / (f - m); the memory part is m0 + s* m, the compute part (1 - s*) f.
    point = make_point([(1.0, 3000.0, 0.0, 400.0)], 64.0, _table("llama-3.1-8b"))
    subject = point.subject
    seconds = subject.load.coefficients.seconds[:, 1]  # feed-forward
    tokens = float(subject.state.mixed_load.decode[0] + subject.state.mixed_load.chunk[0])
    f, m, m0 = seconds[0, 0] * tokens, seconds[1, 0] * tokens, seconds[1, 6]
    crossing = m0 / (f - m)
    (parts,) = resource_parts(subject, subject.state.mixed, subject.state.mixed_load)
    assert 0 < crossing < 1
    assert parts[1, MEMORY] == pytest.approx(m0 + crossing * m)
    assert parts[1, COMPUTE] == pytest.approx((1 - crossing) * f)


def test_networks_and_hosts_are_shares_of_their_own() -> None:
    point = make_point(table=_table("llama-3.1-8b", Layout(tp=4)))
    (parts,) = resource_parts(point.subject, point.subject.state.mixed, point.subject.state.mixed_load)
    assert parts[COLLECTIVES, NETWORK] == parts[COLLECTIVES].sum() > 0
    assert parts[HOST, OVERHEAD] == parts[HOST].sum() > 0


@pytest.mark.parametrize("layout", [Layout(), Layout(tp=2), Layout(pp=4), Layout(attention_dp=8, moe_ep=8)])
@pytest.mark.parametrize("seen", [1.0, 20.0, 300.0])
def test_busy_time_of_a_lone_request_and_of_many_is_one_over_throughput(layout: Layout, seen: float) -> None:
    # Plain steps serve b sequences each and each prompt has its own chunks; 1 / X says the same of the
    # mean batch. The two agree exactly for a lone request, and as b grows.
    table = make_table(make_work(make_layer(experts=64)), layout)
    point = make_point([(1.0, 3000.0, 0.0, 400.0)], seen, table)
    each = 1 / float(point.subject.state.requests_per_second[0])
    # A lone request's prompt passes every stage in turn, while its stage alone is busy.
    prefill = (layout.pp - 1) * float(point.subject.state.mixed.total[0]) if seen == 1.0 else 0.0
    if layout.attention_dp > 1 and seen < 50:
        return
    assert sum(busy_seconds(point.subject)) == pytest.approx(each - prefill, rel=0.1 if seen > 1 else 1e-9)


@pytest.mark.parametrize("layout", [Layout(), Layout(attention_dp=8, moe_ep=8)])
@pytest.mark.parametrize("cached", [0.0, 2000.0])
def test_both_increments_conserve_and_bracket_the_split(layout: Layout, cached: float) -> None:
    table = make_table(make_work(make_layer(experts=64)), layout)
    point = make_point([(1.0, 3000.0, cached, 400.0)], 200.0, table)
    split = attribute(point.subject)
    increments = phase_increments(point.subject, split)
    by_kind = split.shares.sum(axis=(0, 2, 3))
    for shares in (increments.over_decode, increments.over_prefill):
        assert shares.sum() == pytest.approx(1.0)
        assert (shares >= 0).all()
        assert shares[UNCACHED] * by_kind[CACHED] == pytest.approx(shares[CACHED] * by_kind[UNCACHED])
    # What a chunk adds to a decode step is least, what it would take alone is most.
    assert increments.over_decode[OUTPUT] >= by_kind[OUTPUT] - 0.02
    assert increments.over_prefill[OUTPUT] <= by_kind[OUTPUT] + 0.02


def test_a_chunk_alone_carries_only_the_chunks_of_other_ranks() -> None:
    # Under data-parallel attention the decoding tokens of all ranks leave with the decodes.
    table = make_table(make_work(make_layer(experts=64)), Layout(attention_dp=8, moe_ep=8))
    point = make_point([(1.0, 50.0, 0.0, 2000.0)], 4000.0, table)
    state = point.subject.state
    alone = step_times(
        point.subject.load.coefficients,
        StepLoad(0 * state.mixed_load.decode, state.mixed_load.chunk, state.mixed_load.group - 4000.0),
    )
    increments = phase_increments(point.subject, attribute(point.subject))
    mixed = attribute(point.subject).mixed_time_share
    by_hand = mixed * float(alone.total[0] / state.mixed.total[0])
    assert increments.over_prefill[UNCACHED] == pytest.approx(by_hand)


def test_experts_are_paid_by_all_tokens_of_their_group() -> None:
    table = make_table(make_work(make_layer(experts=64)), Layout(attention_dp=8, moe_ep=8))
    point = make_point([(1.0, 3000.0, 0.0, 400.0)], 512.0, table)
    state = point.subject.state
    shares = attribute(point.subject).shares[EXPERTS].sum(axis=(1, 2))
    _, mixed = busy_seconds(point.subject)
    part = attribute(point.subject).mixed_time_share * float(state.mixed.seconds[EXPERTS, 0])
    chunk = float(state.mixed_load.group[0]) - 512
    expected = part / float(state.mixed.total[0]) * chunk / (512 + chunk)
    assert shares[UNCACHED] == pytest.approx(expected)
    assert mixed > 0


def test_keys_beyond_a_window_are_paid_by_nobody() -> None:
    # With a window of 128, decode steps far behind the prompt read output keys alone.
    windowed = make_work(make_layer((Span("sliding", 128),)))
    point = make_point([(1.0, 1000.0, 0.0, 4000.0)], 16.0, make_table(windowed))
    full = make_point([(1.0, 1000.0, 0.0, 4000.0)], 16.0)
    caused, passed = (_by_kind(point, view) for view in ("by_cause", "by_pass"))
    assert caused[UNCACHED] - passed[UNCACHED] < 0.02
    assert _by_kind(full, "by_cause")[UNCACHED] - _by_kind(full)[UNCACHED] > 0.02


def test_cached_tokens_are_paid_for_their_keys_alone() -> None:
    point = make_point([(1.0, 6000.0, 5000.0, 400.0)], 32.0)
    shares = attribute(point.subject).shares
    others = [i for i in range(len(shares)) if i != ATTENTION_PREFILL]
    assert shares[others, CACHED].sum() == 0
    assert shares[ATTENTION_PREFILL, CACHED].sum() > shares[ATTENTION_PREFILL, UNCACHED].sum()


def test_at_the_prefill_limit_all_steps_are_mixed() -> None:
    table = make_table()
    made = make_point([(1.0, 8000.0, 0.0, 100.0)], 2.0, table)
    limit = prefill_limit(table, made.subject.load, POLICY)
    point = make_point([(1.0, 8000.0, 0.0, 100.0)], limit, table)
    assert attribute(point.subject).mixed_time_share == pytest.approx(1.0, abs=1e-3)


def test_requests_of_one_output_token_pay_for_input() -> None:
    point = make_point([(1.0, 4000.0, 0.0, 1.0)], 1.0)
    assert _by_kind(point)[UNCACHED] > 0.9
    assert _by_kind(point).sum() == pytest.approx(1.0)


def test_llama_70b_pays_mostly_for_memory_when_it_decodes_alone() -> None:
    table = compile_replica(known_work("llama-3.1-70b"), H100, Layout(tp=8), FP8_FORMATS, IDEAL)
    split = attribute(make_point([(1.0, 1000.0, 0.0, 1000.0)], 1.0, table).subject)
    resources = split.shares[:, OUTPUT].sum(axis=(0, 1))
    assert resources[MEMORY] / resources.sum() > 0.85
