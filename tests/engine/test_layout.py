"""Which layouts a model allows."""

import pytest

from service.engine.errors import InvalidInputError
from service.engine.layout import allowed_tensor_parallel, check_layout
from service.engine.types import Layout
from tests.builders.known_models import known_work
from tests.builders.operating_points import make_layer, make_work


@pytest.mark.parametrize("name", ["tp", "pp", "attention_dp", "moe_ep"])
@pytest.mark.parametrize("value", [0, -1])
def test_a_size_below_one_is_refused_by_name(name: str, value: int) -> None:
    with pytest.raises(InvalidInputError) as refused:
        check_layout(make_work(), Layout(**{name: value}))
    assert refused.value.field == f"layout.{name}"
    assert refused.value.code == "invalid-layout"


def test_tensor_parallel_that_does_not_divide_the_heads_is_refused_with_sizes_that_do() -> None:
    # Llama-3.1-70B: 64 query and 8 KV heads.
    with pytest.raises(InvalidInputError) as refused:
        check_layout(known_work("llama-3.1-70b"), Layout(tp=6))
    assert refused.value.field == "layout.tp"
    assert refused.value.accepted == {"tp": [1, 2, 4, 8, 16, 32, 64]}


def test_fewer_kv_heads_than_ranks_are_copied_a_whole_number_of_times() -> None:
    work = make_work(make_layer(query_heads=24, kv_heads=4))
    # 3 does not divide 4 KV heads nor is it a multiple; 6 divides 24 queries but not 4 keys.
    assert allowed_tensor_parallel(work) == [1, 2, 4, 8, 12, 24]


def test_every_layer_has_a_say_in_tensor_parallelism() -> None:
    work = make_work(make_layer(query_heads=32), make_layer(query_heads=12, kv_heads=4))
    assert allowed_tensor_parallel(work) == [1, 2, 4]


def test_a_layer_without_heads_allows_any_size() -> None:
    work = make_work(make_layer(query_heads=0, kv_heads=0))
    assert allowed_tensor_parallel(work, 5) == [1, 2, 3, 4, 5]


def test_more_stages_than_layers_are_refused() -> None:
    check_layout(make_work(), Layout(pp=32))
    with pytest.raises(InvalidInputError) as refused:
        check_layout(make_work(), Layout(pp=33))
    assert refused.value.field == "layout.pp"
    assert refused.value.accepted == {"maximum": 32}


def test_expert_parallelism_needs_experts() -> None:
    with pytest.raises(InvalidInputError) as refused:
        check_layout(make_work(), Layout(tp=2, moe_ep=2))
    assert refused.value.field == "layout.moe_ep"
    assert refused.value.accepted == {"moe_ep": [1]}


def test_expert_parallelism_divides_the_ranks_of_a_stage() -> None:
    work = known_work("deepseek-v3")
    check_layout(work, Layout(tp=2, attention_dp=4, moe_ep=8))
    with pytest.raises(InvalidInputError) as refused:
        check_layout(work, Layout(tp=8, moe_ep=3))
    assert refused.value.field == "layout.moe_ep"
    assert refused.value.accepted == {"moe_ep": [1, 2, 4, 8]}


def test_redundant_experts_allow_more_groups_than_divide_them() -> None:
    # DeepSeek serves 256 experts on 144 ranks (arXiv 2412.19437, section 3.4: redundant experts).
    check_layout(known_work("deepseek-v3"), Layout(attention_dp=144, moe_ep=144))


def test_accelerators_are_the_product_of_all_parallelism() -> None:
    layout = Layout(tp=2, pp=3, attention_dp=4, moe_ep=2)
    assert (layout.stage_accelerators, layout.accelerators, layout.moe_tp) == (8, 24, 4)
