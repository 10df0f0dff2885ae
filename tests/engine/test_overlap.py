"""Two micro-batches that take turns (equation S7): what they hide, what they read again, and who pays."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.attribution import NETWORK, attribute, resource_parts
from service.engine.kind_shares import kind_shares
from service.engine.load import Load, make_load
from service.engine.replica import compile_replica
from service.engine.step import StepLoad, expert_seconds, step_times, step_work
from service.engine.tables import COLLECTIVES, EXPERTS, ReplicaTable
from service.engine.types import Accelerator, Layout
from service.engine.workload import make_mix, reduce_mix
from tests.builders.known_models import FP8_FORMATS, H100, known_work
from tests.builders.operating_points import CALIBRATION, make_point

WIDE = Layout(attention_dp=32, moe_ep=32)
COUNTS = st.floats(1.0, 4096.0)


def _table(layout: Layout = WIDE, accelerator: Accelerator = H100, *, overlaps: bool = True) -> ReplicaTable:
    table = compile_replica(known_work("deepseek-v3"), accelerator, layout, FP8_FORMATS, CALIBRATION)
    return replace(table, overlaps=overlaps)


def _load(table: ReplicaTable) -> Load:
    return make_load(table, reduce_mix(make_mix([(4000.0, 1000.0, 500.0)], [0], [1.0]), table.spans, np.inf))


def _step(decode: float, chunk: float, ranks: int = 32) -> StepLoad:
    return StepLoad(*(np.array([value]) for value in (decode, chunk, (decode + chunk) * ranks)))


def _slower_links(factor: float) -> Accelerator:
    return replace(
        H100,
        scale_up_bandwidth_bytes_per_second=H100.scale_up_bandwidth_bytes_per_second / factor,
        scale_out_bandwidth_bytes_per_second=H100.scale_out_bandwidth_bytes_per_second / factor,
    )


@pytest.mark.parametrize(("decode", "chunk"), [(64.0, 0.0), (128.0, 0.0), (0.0, 8192.0), (64.0, 4096.0)])
def test_a_step_takes_the_longer_of_working_and_exchanging(decode: float, chunk: float) -> None:
    """By hand: both halves' operators, weights read twice, against both halves' dispatch and combine."""
    table = _table()
    coefficients, step = _load(table).coefficients, _step(decode, chunk)
    exchange, experts = table.exchange, coefficients.experts
    assert exchange is not None
    assert experts is not None
    half = StepLoad(step.decode / 2.0, step.chunk / 2.0, step.group / 2.0)
    counters = half.counters(coefficients.mean_uncached)
    counters[4] = min(chunk, 1.0)
    operators = np.maximum(*(coefficients.seconds @ counters))[:, 0]
    operators[EXPERTS] = float(np.maximum(*expert_seconds(experts, half.group))[0])
    travels = exchange.latency_seconds + exchange.seconds_per_group_token * float(half.group[0])
    works = operators.sum() - travels
    whole = step_times(replace(coefficients, overlapped=None), step).total[0]
    expected = min(whole, max(2.0 * works, 2.0 * travels))
    assert step_times(coefficients, step).total[0] == pytest.approx(expected, rel=1e-12)


def test_a_slow_network_leaves_only_what_is_not_hidden() -> None:
    table = _table(accelerator=_slower_links(20.0))
    load = _load(table)
    times = step_times(load.coefficients, _step(0.0, 8192.0))
    assert table.exchange is not None
    travels = 2.0 * table.exchange.latency_seconds + table.exchange.seconds_per_group_token * 8192.0 * 32
    assert times.total[0] == pytest.approx(travels, rel=1e-12)
    others = times.total[0] - times.seconds[COLLECTIVES, 0]
    assert times.seconds[COLLECTIVES, 0] == pytest.approx(travels - others, rel=1e-9)


def test_no_exchange_is_nothing_to_hide() -> None:
    table = _table(Layout(tp=8))
    assert table.exchange is None
    load = _load(table)
    assert step_times(load.coefficients, _step(64.0, 4096.0, 1)).batches is None


def test_a_single_token_is_not_halved() -> None:
    times = step_times(_load(_table(accelerator=_slower_links(1000.0))).coefficients, _step(1.0, 0.0))
    assert times.batches is not None
    assert times.batches.tolist() == [1.0]


@given(decode=COUNTS, chunk=st.one_of(st.just(0.0), COUNTS), factor=st.floats(0.1, 30.0))
def test_it_is_never_slower_and_faster_links_never_cost(decode: float, chunk: float, factor: float) -> None:
    step = _step(decode, chunk)
    plain = step_times(_load(_table(overlaps=False)).coefficients, step).total[0]
    hidden = step_times(_load(_table()).coefficients, step).total[0]
    slower = step_times(_load(_table(accelerator=_slower_links(1.0 + factor))).coefficients, step).total[0]
    assert hidden <= plain * (1 + 1e-12)
    assert hidden <= slower * (1 + 1e-12)


def test_two_batches_read_the_weights_twice_and_do_the_same_arithmetic() -> None:
    table = _table(accelerator=_slower_links(3.0))
    load, step = _load(table), _step(0.0, 8192.0)
    times = step_times(load.coefficients, step)
    assert times.batches is not None
    assert times.batches[0] == 2.0
    flop, data = step_work(load.coefficients, step, times.batches)
    once_flop, once_data = step_work(load.coefficients, step)
    assert flop.sum() == pytest.approx(once_flop.sum(), rel=1e-12)
    # All 256 experts are touched by either half, so their weights are read once more; activations are not.
    assert load.coefficients.experts is not None
    again = float(load.coefficients.experts.weight_bytes.sum())
    assert data[EXPERTS, 0] - once_data[EXPERTS, 0] == pytest.approx(again, rel=1e-6)


@pytest.mark.parametrize("batch", [32.0, 2048.0])
def test_the_split_adds_up_and_charges_only_what_shows_of_the_network(batch: float) -> None:
    point = make_point([(1.0, 3000.0, 500.0, 300.0), (2.0, 800.0, 0.0, 900.0)], batch, _table())
    shares = attribute(point.subject).shares
    assert shares.sum() == pytest.approx(1.0, abs=1e-12)
    state = point.subject.state
    parts = resource_parts(point.subject, state.steps, state.step_loads)
    assert parts.sum(axis=2) == pytest.approx(state.steps.seconds.T, rel=1e-12)
    assert parts[:, COLLECTIVES, NETWORK] == pytest.approx(state.steps.seconds[COLLECTIVES], rel=1e-12)
    by_kind = sum(kind_shares(point.subject, "by_pass"))
    assert by_kind[:, 0] == pytest.approx(shares.sum(axis=(0, 2, 3)), rel=1e-9)


def test_sampled_steps_overlap_as_single_ones_do() -> None:
    """A factor of 1 on every operator changes nothing; one on the network scales what travels."""
    load, step = _load(_table(accelerator=_slower_links(20.0))), _step(0.0, 8192.0)
    alone = step_times(load.coefficients, step)
    scale = np.ones((2, 9, 2))
    scale[:, COLLECTIVES, 1] = 3.0
    both = StepLoad(*(np.repeat(values, 2) for values in (step.decode, step.chunk, step.group)))
    sampled = step_times(replace(load.coefficients, scale=scale), both)
    assert sampled.total[0] == pytest.approx(alone.total[0], rel=1e-12)
    # The network binds here, so the whole step takes three times as long.
    assert sampled.total[1] == pytest.approx(3.0 * alone.total[0], rel=1e-9)
