"""Sentences carry the numbers of the answer they explain."""

from dataclasses import replace

import pytest

from service.application.explain import explain
from tests.builders.answers import make_answer
from tests.builders.estimates import make_estimate, workload

POINTS = ("concurrency", "arrivals", "memory", "max_batch", "prefill", "tpot", "ttft", "throughput")


def _sentences(**changes: object) -> tuple[str, ...]:
    answer = make_answer(**changes)
    return explain(answer.rates, answer.bounds, answer.operating_point, answer.latency)


def test_the_first_sentence_says_why_output_costs_more() -> None:
    assert _sentences()[0] == (
        "Output costs 3.0x input because decode at batch 60 does 50 FLOP per byte against a ridge of 295; "
        "it is bound by memory."
    )


def test_a_cached_token_is_compared_with_a_fresh_one() -> None:
    assert _sentences()[1] == (
        "A cached input token costs 25.0% of a fresh one: it passes no layer again; what remains is that the "
        "tokens after it attend to it."
    )
    rates = make_answer().rates
    none = (rates[0], replace(rates[1], tokens_per_request=0.0), rates[2])
    assert "this mix has none" in _sentences(rates=none)[1]


def test_steps_are_told_with_their_times() -> None:
    assert (
        "5% of the steps carry a prefill chunk of 500 tokens; such a step takes 60.0 ms, one that only "
        "decodes 12.5 ms." in _sentences()
    )


def test_input_that_costs_nothing_is_not_divided_by() -> None:
    rates = make_answer().rates
    free = (replace(rates[0], per_million_tokens=0.0), *rates[1:])
    assert _sentences(rates=free)[0].startswith("Decode at batch 60 does")


@pytest.mark.parametrize("limited_by", POINTS)
def test_whatever_limits_the_batch_has_a_sentence(limited_by: str) -> None:
    point = replace(make_answer().operating_point, limited_by=limited_by)
    assert any("64 requests are in flight" in line for line in _sentences(operating_point=point))


def test_each_kind_names_its_largest_resource_and_component() -> None:
    assert (
        "Of what an output token costs, 50% is memory; the largest component is feed forward (50%)."
        in _sentences()
    )


def test_a_real_answer_is_explained_with_its_own_numbers() -> None:
    answer = make_estimate(workload=workload((1, 3000, 400, 0.5)))
    ratio = answer.rates[2].per_million_tokens / answer.rates[0].per_million_tokens
    assert answer.explanation[0].startswith(f"Output costs {ratio:.1f}x input")
    assert f"batch {answer.operating_point.batch:.0f}" in answer.explanation[0]
    assert all(line.endswith(".") for line in answer.explanation)


@pytest.mark.parametrize(
    ("resource", "words"), [("overhead", "kernel launches"), ("network", "communication")]
)
def test_a_step_bound_outside_the_roofline_is_not_explained_by_the_ridge(resource: str, words: str) -> None:
    decode, mixed = make_answer().bounds
    shares = {"compute": 0.1, "memory": 0.3, "network": 0.1, "overhead": 0.1, resource: 0.5}
    first = _sentences(bounds=(replace(decode, resource=resource, share_by_resource=shares), mixed))[0]
    assert "50% of its time" in first
    assert words in first
    assert "memory reads take 30%" in first
    assert "ridge" not in first


@pytest.mark.parametrize(("share", "words"), [(0.25, "25% of"), (0.004, "Fewer than 1% of"), (0.0, "0% of")])
def test_a_small_share_of_the_steps_is_not_told_as_none(share: float, words: str) -> None:
    point = replace(make_answer().operating_point, prefill_step_share=share)
    assert any(line.startswith(f"{words} the steps") for line in _sentences(operating_point=point))


def test_one_request_is_not_told_in_the_plural() -> None:
    point = replace(make_answer().operating_point, concurrency=1.0)
    assert any("1 request is in flight" in line for line in _sentences(operating_point=point))
