"""Collectives by hand: ring volumes, hierarchical networks, tokens that travel to their experts."""

from dataclasses import replace
from itertools import pairwise

import pytest

from service.engine.network import collective_cost
from service.engine.types import Layout, ModelWork
from tests.builders.known_models import IDEAL, known_work
from tests.builders.operating_points import ACCELERATOR, FORMATS, make_layer, make_work

LATENT = replace(IDEAL, collective_latency_seconds=1e-5)
MESSAGE = 4096 * 2
"""Bytes of one token's residual in bf16."""
EXPERTS = make_work(make_layer(experts=64))


def _cost(layout: Layout, work: ModelWork | None = None, domain: int = 8) -> tuple[float, float, float]:
    machine = replace(ACCELERATOR, scale_up_domain=domain)
    cost = collective_cost(work or make_work(), machine, layout, FORMATS, LATENT)
    return cost.latency_seconds, cost.seconds_per_rank_token, cost.seconds_per_group_token


def test_one_accelerator_exchanges_nothing() -> None:
    assert _cost(Layout()) == (0.0, 0.0, 0.0)


def test_tensor_parallelism_reduces_twice_a_layer() -> None:
    # Thakur et al. 2005, section 4.3: 2 (N - 1) / N of the message; 32 layers, mixer and feed-forward.
    latency, per_token, per_group = _cost(Layout(tp=8))
    assert per_token == pytest.approx(64 * 2 * 7 / 8 * MESSAGE / 450e9)
    assert latency == pytest.approx(64 * 1e-5 * 3)  # log2 of 8 ranks
    assert per_group == 0.0


def test_across_domains_each_rank_carries_its_part_of_the_message() -> None:
    # Reduce-scatter and all-gather inside 8 ranks, all-reduce of 1/8 of the message over 2 domains.
    _, per_token, _ = _cost(Layout(tp=16))
    inside, outside = 2 * 7 / 8 * MESSAGE / 450e9, 2 * 1 / 2 / 8 * MESSAGE / 50e9
    assert per_token == pytest.approx(64 * (inside + outside))


def test_a_wider_domain_never_costs_time() -> None:
    costs = [_cost(Layout(tp=32), domain=domain) for domain in (8, 16, 32, 72)]
    for narrow, wide in pairwise(costs):
        assert wide[0] <= narrow[0]
        assert wide[1] <= narrow[1]


def test_a_pipeline_hands_the_residual_over_once_a_stage() -> None:
    latency, per_token, _ = _cost(Layout(pp=4))
    assert per_token == pytest.approx(MESSAGE / 450e9)
    assert latency == pytest.approx(1e-5)
    across = _cost(Layout(tp=4, pp=4))[1] - _cost(Layout(tp=4, pp=4), domain=16)[1]
    assert across == pytest.approx(MESSAGE / 4 * (1 / 50e9 - 1 / 450e9))


def test_a_stage_of_a_pipeline_reduces_for_its_own_layers_only() -> None:
    whole, half = _cost(Layout(tp=8))[1], _cost(Layout(tp=8, pp=2), domain=16)[1]
    assert half - MESSAGE / 8 / 450e9 == pytest.approx(whole / 2)


def test_experts_under_data_parallel_attention_get_a_token_once_for_each_rank_it_needs() -> None:
    # Two of 64 experts on 8 ranks: 8 (1 - (7/8)^2) = 1.875 distinct ranks, there and back in bf16.
    latency, per_token, per_group = _cost(Layout(attention_dp=8, moe_ep=8), EXPERTS)
    reached = 8 * (1 - (7 / 8) ** 2)
    assert per_group == pytest.approx(32 * reached * 2 * MESSAGE / 8 * 7 / 8 / 450e9)
    assert latency == pytest.approx(2 * 32 * 1e-5 * 3)
    assert per_token == 0.0


def test_experts_under_tensor_parallelism_are_reduced_like_a_dense_layer() -> None:
    assert _cost(Layout(tp=8, moe_ep=8), EXPERTS) == pytest.approx(_cost(Layout(tp=8)))


def test_tokens_between_domains_wait_for_the_slower_network() -> None:
    # 7 of 16 ranks are near, 8 are far; both networks work at once.
    _, _, per_group = _cost(Layout(attention_dp=16, moe_ep=16), EXPERTS)
    reached = 16 * (1 - (15 / 16) ** 2)
    slower = max(7 / 16 / 450e9, 8 / 16 / 50e9)
    assert per_group == pytest.approx(32 * reached * 2 * MESSAGE / 16 * slower)


def test_eight_bit_activations_halve_the_way_there_only() -> None:
    work = known_work("deepseek-v3")
    narrow = replace(FORMATS, expert_activations=replace(FORMATS.activations, bytes_per_element=1.0))
    layout = Layout(attention_dp=8, moe_ep=8)
    both = collective_cost(work, ACCELERATOR, layout, FORMATS, LATENT).seconds_per_group_token
    one = collective_cost(work, ACCELERATOR, layout, narrow, LATENT).seconds_per_group_token
    assert one == pytest.approx(0.75 * both)
