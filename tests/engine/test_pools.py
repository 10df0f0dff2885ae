"""Both pools along how busy a decode worker is: Little's law, planned loads, limits, memory in transfer."""

from dataclasses import replace

import numpy as np
import pytest

from service.engine.disaggregation import Side, transfer_between
from service.engine.operating_point import Limits, batch_limit
from service.engine.pools import Sizing, Workers, first_token, flow_at, tpot_excess
from service.engine.types import Layout
from tests.builders.operating_points import make_table
from tests.builders.pools import make_plant

AXIS = np.array([1e-6, 0.5, 1.0, 4.0, 32.0, 64.0])


def test_requests_in_flight_are_throughput_times_their_time_in_every_stage() -> None:
    plant = make_plant()
    flow = flow_at(plant, AXIS, Sizing(Workers(2.0, 3.0), 1.0))
    whole = flow.ttft + 399 * flow.state.tpot_seconds
    assert flow.in_flight == pytest.approx(flow.rate * whole, rel=1e-6)


def test_a_planned_prefill_pool_works_at_its_load() -> None:
    plant = make_plant()
    flow = flow_at(plant, AXIS, Sizing(None, 0.75))
    carried = flow.prefill_workers * plant.prefill.requests_per_second * 0.75
    assert carried == pytest.approx(flow.rate, rel=1e-12)
    assert (flow.load == 0.75).all()


def test_a_pool_past_its_capacity_lets_requests_wait_for_ever() -> None:
    plant = make_plant()
    flow = flow_at(plant, AXIS, Sizing(Workers(1.0, 50.0), 1.0))
    over = flow.rate >= plant.prefill.requests_per_second
    assert over.any()
    assert np.isinf(flow.in_flight[over]).all()
    assert np.isfinite(flow.in_flight[~over]).all()


def test_below_one_request_a_worker_the_rate_is_the_share_of_a_lone_one() -> None:
    flow = flow_at(make_plant(), AXIS[:3], Sizing(Workers(4.0, 2.0), 1.0))
    assert flow.rate / flow.rate[2] == pytest.approx(AXIS[:3], rel=1e-12)
    assert (flow.state.tpot_seconds == flow.state.tpot_seconds[2]).all()


def test_a_limit_on_the_first_token_lowers_the_planned_load_until_it_holds() -> None:
    plant = make_plant()
    free = flow_at(plant, AXIS[2:], Sizing(None, 0.9))
    limits = Limits(max_ttft_seconds=float(free.ttft.min()) * 0.5)
    held = flow_at(plant, AXIS[2:], Sizing(None, 0.9), limits=limits)
    assert (held.load < 0.9).all()
    assert held.ttft == pytest.approx(np.full(4, limits.max_ttft_seconds), rel=1e-6)
    assert (held.prefill_workers > free.prefill_workers).all()


@pytest.mark.parametrize("statistic", ["p50", "p90", "p95", "p99"])
def test_a_quantile_of_the_first_token_is_that_of_an_exponential_tail(statistic: str) -> None:
    flow = flow_at(make_plant(), AXIS[3:], Sizing(None, 0.9))
    late = float(statistic[1:]) / 100
    rest = flow.prefill + flow.after
    # P(W > t) = rho exp(-rho t / E[W]) (B6).
    beyond = 0.9 * np.exp(
        -0.9 * (first_token(flow, Limits(statistic=statistic)) - rest) / flow.waiting  # type: ignore[arg-type]
    )
    assert beyond == pytest.approx(np.full(3, 1.0 - late), rel=1e-9)


def test_no_limit_is_never_exceeded() -> None:
    flow = flow_at(make_plant(), AXIS, Sizing(None, 0.9))
    assert np.isneginf(tpot_excess(make_plant(), flow.state, Limits())).all()


def test_sequences_on_their_way_take_room_from_those_that_decode() -> None:
    near, far = make_plant(transfer_seconds=1e-6), make_plant(transfer_seconds=2.0)
    most, edge = near.limit
    cut, why = far.limit
    assert edge == why == "memory"
    flow = flow_at(far, np.array([cut]), Sizing(None, 0.9))
    # What decodes and what is in transfer fill the memory together (D2).
    assert cut + float(flow.state.requests_per_second[0]) * 2.0 == pytest.approx(most, rel=1e-3)


def test_a_batch_that_the_engine_limits_leaves_room_for_those_on_their_way() -> None:
    plant = make_plant(transfer_seconds=0.01)
    few = replace(plant.decode, policy=replace(plant.decode.policy, max_batch=8))
    assert batch_limit(few, plant.memory) == (8.0, "max_batch")


def test_a_transfer_takes_as_long_as_its_slower_side() -> None:
    plant = make_plant(prompt=8000.0)
    load = plant.decode.load
    slow, fast = Side(plant.decode.table, load, 10e9), Side(plant.decode.table, load, 30e9)
    found = transfer_between(fast, slow)
    # 131,072 bytes a token: 2 x 8 heads x 128 x 2 bytes x 32 layers.
    assert found.bytes_per_request == pytest.approx(131_072 * 8000)
    assert found.link_bytes_per_second == 10e9
    assert found.seconds == pytest.approx(131_072 * 8000 / 10e9)


def test_ranks_move_their_parts_at_once() -> None:
    table = make_table(layout=Layout(tp=4, pp=2))
    load = replace(make_plant(prompt=8000.0).decode.load, prompt_bytes=131_072 * 8000 / 8)
    side = Side(table, load, 10e9)
    found = transfer_between(side, side)
    assert found.bytes_per_request == pytest.approx(131_072 * 8000)
    assert found.seconds == pytest.approx(131_072 * 8000 / 8 / 10e9)
    # One replica's ranks hold one prompt between them, so its links bring one after the other.
    assert found.received_per_second == pytest.approx(1.0 / found.seconds)


def test_ranks_with_prompts_of_their_own_send_and_receive_their_own() -> None:
    load = make_plant(prompt=8000.0).decode.load
    one, eight = (make_table(layout=Layout(attention_dp=ranks)) for ranks in (1, 8))
    found = transfer_between(Side(one, load, 10e9), Side(eight, load, 10e9))
    assert found.sent_per_second == pytest.approx(1.0 / found.seconds)
    assert found.received_per_second == pytest.approx(8.0 / found.seconds)
