"""Speculative decoding against sums by hand: tokens a step yields and what it carries (METHOD 2)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.errors import InvalidInputError
from service.engine.load import Load, make_load
from service.engine.operating_point import Replica, solve_concurrency
from service.engine.spans import Array
from service.engine.speculation import speculate
from service.engine.step import StepLoad, step_times, step_work
from service.engine.tables import (
    ATTENTION_DECODE,
    COLLECTIVES,
    EXPERTS,
    FEED_FORWARD,
    HEAD,
    PROJECTIONS,
    ReplicaTable,
)
from service.engine.types import Layout, Speculation
from service.engine.workload import make_mix, reduce_mix
from tests.builders.operating_points import POLICY, make_layer, make_table, make_work

LAYERS, HIDDEN, VOCABULARY, BYTES = 32, 4096, 128_256, 2.0


def _load(table: ReplicaTable) -> Load:
    moments = reduce_mix(make_mix([(3000.0, 0.0, 401.0)], [0], [1.0]), table.spans, 8192.0)
    return make_load(table, moments)


def _decode(batch: float, ranks: int = 1) -> StepLoad:
    return StepLoad(np.array([batch]), np.zeros(1), np.array([batch * ranks]))


def _work(load: Load, batch: float) -> tuple[Array, Array]:
    flop, data = step_work(load.coefficients, _decode(batch))
    return flop[:, 0], data[:, 0]


@given(st.integers(0, 16), st.floats(0.0, 0.999))
def test_a_step_yields_the_geometric_sum_of_acceptances(drafts: int, chance: float) -> None:
    expected = (1 - chance ** (drafts + 1)) / (1 - chance)
    assert Speculation(drafts, chance).tokens_per_step == pytest.approx(expected, rel=1e-9)


def test_tokens_of_a_step_at_certain_and_at_no_acceptance() -> None:
    assert Speculation(3, 1.0).tokens_per_step == 4.0
    assert Speculation(3, 0.0).tokens_per_step == 1.0
    assert Speculation(0, 0.9).tokens_per_step == 1.0


def test_a_simulation_of_drafts_accepts_as_many() -> None:
    # A draft counts while all before it were accepted; standard error of the mean 0.003.
    accepted = np.random.default_rng(7).random((200_000, 3)) < 0.75
    mean = 1.0 + np.cumprod(accepted, axis=1).sum(axis=1).mean()
    assert Speculation(3, 0.75).tokens_per_step == pytest.approx(mean, abs=0.015)


@pytest.mark.parametrize("layout", [Layout(), Layout(tp=4), Layout(attention_dp=4, moe_ep=4)])
def test_without_drafts_a_step_is_the_plain_one(layout: Layout) -> None:
    table = make_table(make_work(make_layer(experts=64)), layout)
    plain = _load(table)
    same = speculate(plain, table, LAYERS, Speculation(0, 0.75))
    step = StepLoad(np.array([7.0]), np.array([900.0]), np.array([928.0]))
    assert step_times(same.coefficients, step).total == pytest.approx(
        step_times(plain.coefficients, step).total
    )
    assert same.mean_steps == plain.mean_steps


@pytest.mark.parametrize("drafts", [1, 3])
def test_a_step_verifies_all_drafts_in_one_pass_and_drafts_in_a_further_layer(drafts: int) -> None:
    table, batch = make_table(), 16.0
    load = speculate(_load(table), table, LAYERS, Speculation(drafts, 0.75))
    flop, data = _work(load, batch)
    plain_flop, plain_data = _work(_load(table), batch)
    # (1 + k) tokens through 32 layers, and k through one of them.
    tokens = batch * (1 + drafts) + batch * drafts / LAYERS
    mixer, forward = 4096 * (4096 * 2 + 1024 * 2), 3 * 4096 * 14336
    assert flop[PROJECTIONS] == pytest.approx(2.0 * mixer * LAYERS * tokens, rel=1e-12)
    assert flop[FEED_FORWARD] == pytest.approx(2.0 * forward * LAYERS * tokens, rel=1e-12)
    # Weights are read once, those of the further layer once for each draft.
    weights = forward * LAYERS * BYTES
    activations = plain_data[FEED_FORWARD] - weights
    expected = weights * (1 + drafts / LAYERS) + activations * tokens / batch
    assert data[FEED_FORWARD] == pytest.approx(expected, rel=1e-9)
    # The head verifies 1 + k positions and proposes k, one pass over its weights for each.
    sampled = batch * (1 + 2 * drafts)
    assert flop[HEAD] == pytest.approx(2.0 * VOCABULARY * HIDDEN * sampled, rel=1e-12)
    head = VOCABULARY * HIDDEN * BYTES
    logits = (plain_data[HEAD] - head) / batch
    assert data[HEAD] == pytest.approx(head * (1 + drafts) + logits * sampled, rel=1e-9)
    # The cache is read once by the verification, and by the one layer of the drafts.
    assert data[ATTENTION_DECODE] == pytest.approx(plain_data[ATTENTION_DECODE] * (1 + drafts / LAYERS))
    pairs = plain_flop[ATTENTION_DECODE]
    assert flop[ATTENTION_DECODE] == pytest.approx(pairs * (1 + drafts + drafts / LAYERS))


def test_experts_are_touched_by_all_tokens_of_the_group() -> None:
    ranks, drafts, batch = 4, 3, 5.0
    table = make_table(make_work(make_layer(experts=64)), Layout(attention_dp=ranks, moe_ep=ranks))
    load = speculate(_load(table), table, LAYERS, Speculation(drafts, 0.75))
    _, data = step_work(load.coefficients, _decode(batch, ranks))
    tokens = ranks * batch * (1 + drafts)
    # METHOD 2: E (1 - (1 - k / E)^n) experts, here 2 of 64; a rank holds a quarter of them.
    touched = 64 * (1 - (1 - 2 / 64) ** tokens)
    weights = touched * 3 * 4096 * 2048 * BYTES * LAYERS / ranks * (1 + drafts / LAYERS)
    # Each routed copy is gathered and scattered: 2 x 2 x 4,096 elements of 2 bytes.
    moved = 2 * 2 * LAYERS * HIDDEN * BYTES / ranks * tokens
    assert data[EXPERTS, 0] == pytest.approx(weights + moved, rel=1e-9)


def test_collectives_carry_the_drafts_too() -> None:
    table = make_table(layout=Layout(tp=8))
    plain, load = _load(table), speculate(_load(table), table, LAYERS, Speculation(2, 0.75))
    alone = step_times(plain.coefficients, _decode(0.0)).seconds[COLLECTIVES, 0]
    each = step_times(plain.coefficients, _decode(1.0)).seconds[COLLECTIVES, 0] - alone
    found = step_times(load.coefficients, _decode(10.0)).seconds[COLLECTIVES, 0]
    assert found == pytest.approx(alone * (1 + 2 / LAYERS) + each * 10 * (1 + 2 + 2 / LAYERS))


def test_chunks_are_what_they_were() -> None:
    table = make_table(layout=Layout(tp=8))
    plain, load = _load(table), speculate(_load(table), table, LAYERS, Speculation(3, 0.75))

    def added(item: Load) -> Array:
        both = StepLoad(np.array([8.0, 8.0]), np.array([0.0, 4000.0]), np.array([8.0, 4008.0]))
        times = step_times(item.coefficients, both)
        difference: Array = times.compute_seconds[:, 1] - times.compute_seconds[:, 0]
        return difference

    assert added(load) == pytest.approx(added(plain))


@pytest.mark.parametrize("concurrency", [1.0, 16.0, 256.0])
def test_time_per_token_lies_between_certain_and_no_acceptance(concurrency: float) -> None:
    table = make_table(make_work(make_layer(experts=64)), Layout(tp=4))

    def tpot(speculation: Speculation) -> float:
        load = speculate(_load(table), table, LAYERS, speculation)
        state = solve_concurrency(Replica(table, load, POLICY), concurrency).state
        return float(state.tpot_seconds[0])

    plain, never, always = (tpot(Speculation(*pair)) for pair in ((0, 0.0), (3, 0.0), (3, 1.0)))
    assert always < tpot(Speculation(3, 0.75)) < never
    # Drafts that are never accepted only cost; accepted ones save the four-fold read of weights at most.
    assert plain < never
    assert always > plain / 4.0
    if concurrency == 1.0:
        assert always < plain


@pytest.mark.parametrize(("drafts", "chance"), [(-1, 0.5), (2, 1.5), (2, -0.1)])
def test_impossible_speculation_is_refused(drafts: int, chance: float) -> None:
    table = make_table()
    with pytest.raises(InvalidInputError, match="0 to 1"):
        speculate(_load(table), table, LAYERS, Speculation(drafts, chance))
