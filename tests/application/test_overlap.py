"""Estimates of deployments whose micro-batches take turns (METHOD 2, equation S7)."""

from typing import Any

import pytest

from service.application.answers import EstimateAnswer
from service.application.estimate import estimate
from service.application.requests import (
    LayoutRequest,
    OperatingPointRequest,
    ServingRequest,
    UncertaintyRequest,
)
from tests.builders.estimates import NOW, SNAPSHOT, make_estimate, workload

WIDE = LayoutRequest(tp=1, attention_dp=32, moe_ep=32)


def _served(overlap: Any, **changes: Any) -> EstimateAnswer:
    known: dict[str, Any] = {
        "model": "deepseek-v3",
        "layout": WIDE,
        "serving": ServingRequest(overlap=overlap),
        "operating_point": OperatingPointRequest(kind="concurrency", concurrency=4096.0),
        "workload": workload((1, 4000, 500, 0.5)),
    }
    return make_estimate(**{**known, **changes})


def test_hiding_the_exchange_is_cheaper_and_the_bill_adds_up() -> None:
    plain, hidden = _served("none"), _served("two_batch")
    assert hidden.cost_per_request < plain.cost_per_request
    assert hidden.tpot_seconds < plain.tpot_seconds
    assert hidden.conservation.relative_difference < 1e-12
    network = (answer.rates[2].share_by_resource["network"] for answer in (hidden, plain))
    assert next(network) < next(network)
    assert any("two micro-batches" in sentence for sentence in hidden.explanation)
    assert not any("micro-batches" in sentence for sentence in plain.explanation)


def test_it_is_off_unless_asked_for() -> None:
    default = _served(None)
    assert default.resolved.serving is not None
    assert default.resolved.serving.overlap == "none"
    assert "serving.overlap" in default.resolved.defaulted
    assert default.cost_per_request == _served("none").cost_per_request


def test_what_was_resolved_gives_the_same_again() -> None:
    first = _served("two_batch")
    again = estimate(first.resolved, SNAPSHOT, NOW)
    assert (again.digest, again.cost_per_request) == (first.digest, first.cost_per_request)
    assert first.digest != _served("none").digest


def test_where_nothing_is_exchanged_the_answer_says_so() -> None:
    answer = make_estimate(serving=ServingRequest(overlap="two_batch"))
    assert answer.cost_per_request == make_estimate().cost_per_request
    assert any("serving.overlap changes nothing" in warning for warning in answer.warnings)


@pytest.mark.parametrize("split", ["shapley", "phase"])
def test_intervals_surround_the_figures(split: Any) -> None:
    answer = _served("two_batch", split=split, uncertainty=UncertaintyRequest(samples=64))
    assert answer.uncertainty is not None
    tpot = answer.uncertainty.figures["tpot_seconds"]
    assert tpot.p10 < answer.tpot_seconds < tpot.p90


def test_the_other_parts_of_an_answer_follow() -> None:
    answer = _served("two_batch", include=("splits", "resource_prices"))
    assert {split.rule for split in answer.splits} >= {"shapley", "phase"}
    assert answer.resource_prices is not None
