"""What a request uses of each resource, and the worth of the memory its keys fill."""

from dataclasses import replace

import pytest

from service.engine.attribution import attribute
from service.engine.operating_point import Limits, Replica, solve_cheapest
from service.engine.resource_prices import (
    Wires,
    cache_shadow_price,
    cost_elasticity_of_batch,
    used_by_request,
    wires_of,
)
from service.engine.types import Layout
from tests.builders.operating_points import (
    ACCELERATOR,
    CALIBRATION,
    FORMATS,
    POLICY,
    make_point,
    make_work,
)

NO_WIRES = Wires(0.0, 0.0)


def test_a_request_uses_two_flop_per_parameter_and_token_and_its_attention() -> None:
    work = make_work()
    made = make_point([(1.0, 3000.0, 0.0, 400.0)], 64.0)
    used = used_by_request(made.subject, attribute(made.subject), NO_WIRES)
    parameters = sum(
        layer.count * (layer.mixer_gemm_parameters + layer.dense_gemm_parameters) for layer in work.layers
    )
    pairs = 3399 * 3400 / 2
    flop = 2.0 * parameters * 3399 + 32 * 4 * 32 * 128 * pairs + 2.0 * work.head_parameters * 400
    assert used.flop == pytest.approx(flop, rel=0.03)


def test_on_one_accelerator_nothing_passes_a_link() -> None:
    wires = wires_of(make_work(), ACCELERATOR, Layout(), FORMATS, CALIBRATION)
    assert wires == NO_WIRES


def test_an_all_reduce_moves_twice_the_message_less_its_own_part() -> None:
    wires = wires_of(make_work(), ACCELERATOR, Layout(tp=4), FORMATS, CALIBRATION)
    # Two all-reduces a layer of 4 096 bf16 elements over four ranks.
    assert wires.per_rank_token == pytest.approx(32 * 2 * 2 * 3 / 4 * 4096 * 2)
    assert wires.per_group_token == 0.0


def test_a_larger_batch_is_cheaper_while_weights_are_read_for_it() -> None:
    made = make_point(seen_batch=16.0)
    assert -1.0 < cost_elasticity_of_batch(made.subject, POLICY, "closed") < -0.2


def test_memory_has_a_price_only_where_it_limits_the_batch() -> None:
    made = make_point([(1.0, 30_000.0, 0.0, 1000.0)])
    replica = Replica(made.subject.table, made.subject.load, POLICY)
    full = solve_cheapest(replica, Limits())
    assert full.limited_by == "memory"
    assert cache_shadow_price(full, -0.5, 1.0) == pytest.approx(0.5 / full.memory.cache_bytes)
    assert cache_shadow_price(replace(full, limited_by="tpot"), -0.5, 1.0) == 0.0
    assert cache_shadow_price(full, 0.1, 1.0) == 0.0


def test_the_shadow_price_is_what_more_memory_saves() -> None:
    made = make_point([(1.0, 30_000.0, 0.0, 1000.0)])
    table = made.subject.table
    costs = []
    for more in (0.0, 1e8):
        larger = replace(
            table, memory_capacity_bytes=table.memory_capacity_bytes + more / POLICY.memory_utilisation
        )
        solved = solve_cheapest(Replica(larger, made.subject.load, POLICY), Limits())
        costs.append(1.0 / float(solved.state.requests_per_second[0]))
    full = solve_cheapest(Replica(table, made.subject.load, POLICY), Limits())
    subject = replace(made.subject, state=full.state)
    price = cache_shadow_price(full, cost_elasticity_of_batch(subject, POLICY, "closed"), 1.0)
    saved_per_second = (costs[0] - costs[1]) / 1e8 / costs[0]
    assert price == pytest.approx(saved_per_second, rel=0.1)
