"""What every split of a bill must keep, whatever the mix, the model and the batch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine.attribution import (
    CACHED,
    OUTPUT,
    UNCACHED,
    KvView,
    attribute,
    phase_increments,
    step_parts,
    step_shares,
)
from service.engine.step import StepLoad, step_times
from service.engine.types import Layout, Span
from service.engine.unit_costs import DRIVERS, request_drivers, unit_costs
from tests.builders.operating_points import Made, make_layer, make_point, make_table, make_work

TABLES = {
    "dense": make_table(),
    "experts": make_table(make_work(make_layer(experts=64))),
    "windowed": make_table(make_work(make_layer((Span(), Span("sliding", 1024))))),
    "chunked": make_table(make_work(make_layer((Span("chunked", 2048),)))),
    "two accelerators": make_table(layout=Layout(tp=2)),
}
VIEWS: tuple[KvView, ...] = ("by_pass", "by_cause")


@st.composite
def classes(draw: st.DrawFn) -> list[tuple[float, float, float, float]]:
    """Draw up to four classes: weight, prompt, cached, output."""
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        prompt = draw(st.integers(1, 20_000))
        cached = draw(st.integers(0, prompt - 1))
        rows.append(
            (draw(st.floats(0.01, 10)), float(prompt), float(cached), float(draw(st.integers(1, 4000))))
        )
    return rows


@pytest.mark.parametrize("name", TABLES)
@given(mix=classes(), batch=st.floats(1.0, 300.0))
@settings(max_examples=25, deadline=None)
def test_every_split_conserves_and_is_not_negative(
    name: str, mix: list[tuple[float, float, float, float]], batch: float
) -> None:
    made = make_point(mix, batch, TABLES[name])
    for view in VIEWS:
        split = attribute(made.subject, view)
        assert split.shares.sum() == pytest.approx(1.0, rel=1e-12)
        assert split.shares.min() >= 0.0
    increments = phase_increments(made.subject, split)
    for shares in (increments.over_decode, increments.over_prefill):
        assert shares.sum() == pytest.approx(1.0, rel=1e-12)
        assert shares.min() >= 0.0


@pytest.mark.parametrize("name", TABLES)
@given(mix=classes(), batch=st.floats(1.0, 300.0), parts=st.integers(2, 5))
@settings(max_examples=20, deadline=None)
def test_a_split_does_not_depend_on_how_requests_are_grouped(
    name: str, mix: list[tuple[float, float, float, float]], batch: float, parts: int
) -> None:
    whole = attribute(make_point(mix, batch, TABLES[name]).subject).shares
    cut = [(weight / parts, *rest) for weight, *rest in mix for _ in range(parts)]
    split = attribute(make_point(cut, batch, TABLES[name]).subject).shares
    regrouped = split.reshape(*split.shape[:2], len(mix), parts, -1).sum(axis=3)
    np.testing.assert_allclose(regrouped, whole, atol=1e-12)


@given(mix=classes(), batch=st.floats(1.0, 300.0))
@settings(max_examples=25, deadline=None)
def test_both_views_of_cache_reads_have_the_same_total_and_move_cost_from_output_to_input(
    mix: list[tuple[float, float, float, float]], batch: float
) -> None:
    subject = make_point(mix, batch).subject
    by_pass, by_cause = (attribute(subject, view).shares.sum(axis=(0, 2, 3)) for view in VIEWS)
    assert by_pass.sum() == pytest.approx(by_cause.sum(), rel=1e-12)
    assert by_cause[OUTPUT] <= by_pass[OUTPUT] + 1e-12
    assert by_cause[UNCACHED] >= by_pass[UNCACHED] - 1e-12
    assert by_cause[CACHED] >= by_pass[CACHED] - 1e-12


@pytest.mark.parametrize("name", TABLES)
def test_the_cost_of_input_tends_to_nothing_with_the_input(name: str) -> None:
    shares = []
    for prompt in (10_000.0, 100.0, 10.0, 1.0):
        split = attribute(make_point([(1.0, prompt, 0.0, 2000.0)], 64.0, TABLES[name]).subject)
        shares.append(split.shares.sum(axis=(0, 2, 3))[UNCACHED])
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] < 2e-3


def test_a_prompt_found_whole_in_the_cache_pays_for_one_computed_token_and_for_being_read() -> None:
    split = attribute(make_point([(1.0, 8000.0, 7999.0, 200.0)], 64.0).subject, "by_cause")
    shares = split.shares.sum(axis=(0, 2, 3))
    assert shares[UNCACHED] < 0.01
    assert shares[CACHED] > 0.05


@pytest.mark.parametrize("name", TABLES)
@given(mix=classes(), batch=st.floats(1.0, 300.0))
@settings(max_examples=20, deadline=None)
def test_the_cost_of_a_mix_is_the_weighted_sum_of_its_classes(
    name: str, mix: list[tuple[float, float, float, float]], batch: float
) -> None:
    made = make_point(mix, batch, TABLES[name])
    units = unit_costs(made.subject, made.chunk_limit)
    rows = np.stack((made.mix.input_tokens, made.mix.cached_tokens, made.mix.output_tokens), axis=1)
    drivers = request_drivers(made.subject, units, rows)
    assert drivers.shape == (len(DRIVERS), len(mix))
    assert float(units.of_requests(drivers) @ made.mix.weight) == pytest.approx(1.0, rel=1e-9)


@given(mix=classes(), batch=st.floats(2.0, 300.0))
@settings(max_examples=25, deadline=None)
def test_unit_costs_give_each_class_what_the_split_gives_it(
    mix: list[tuple[float, float, float, float]], batch: float
) -> None:
    made = make_point(mix, batch)
    units = unit_costs(made.subject, made.chunk_limit)
    split = attribute(made.subject, "by_cause").shares.sum(axis=(0, 1, 3))
    rows = np.stack((made.mix.input_tokens, made.mix.cached_tokens, made.mix.output_tokens), axis=1)
    costs = units.of_requests(request_drivers(made.subject, units, rows)) * made.mix.weight
    np.testing.assert_allclose(costs, split, rtol=1e-6, atol=1e-12)


def _by_random_orders(made: Made, orders: int, tokens: tuple[int, int]) -> float:
    """Return the share of decodes in a mixed step's seconds when single tokens join in random order."""
    subject = made.subject
    rng = np.random.default_rng(7)
    decodes, chunk = tokens
    paid = np.zeros(2)
    for _ in range(orders):
        who = rng.permutation(np.repeat((0, 1), (decodes, chunk)))
        joined = np.stack((np.cumsum(who == 0), np.cumsum(who == 1))).astype(np.float64)
        seconds = step_times(
            subject.load.coefficients, StepLoad(joined[0], joined[1], joined.sum(axis=0))
        ).total
        added = np.diff(seconds, prepend=0.0)
        paid += [added[who == 0].sum(), added[who == 1].sum()]
    return float(paid[0] / paid.sum())


@pytest.mark.parametrize("name", ["dense", "experts"])
def test_the_split_of_a_mixed_step_is_that_of_tokens_joining_in_random_order(name: str) -> None:
    made = make_point([(1.0, 256.0, 0.0, 200.0)], 64.0, TABLES[name])
    state = made.subject.state
    decodes, chunk = round(float(state.mixed_load.decode[0])), round(float(state.mixed_load.chunk[0]))
    sampled = _by_random_orders(made, 200, (decodes, chunk))
    split = attribute(made.subject)
    _, mixed = step_shares(made.subject, "by_pass", (*step_parts(made.subject), split.mixed_time_share))
    shares = mixed.sum(axis=(0, 2, 3)) / mixed.sum()
    # The head and each sequence's host work are not by tokens alone, hence the tolerance.
    assert shares[OUTPUT] == pytest.approx(sampled, abs=0.05)
