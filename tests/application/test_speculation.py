"""Estimates of deployments that speculate (METHOD 2)."""

from typing import Any

import numpy as np
import pytest

from service.application.errors import InvalidRequestError
from service.application.estimate import estimate
from service.application.requests import (
    EstimateRequest,
    LayoutRequest,
    OperatingPointRequest,
    ServingRequest,
)
from service.engine.speculation import DEFAULT_ACCEPTANCE
from tests.builders.estimates import NOW, SNAPSHOT, make_estimate, workload

LONE = OperatingPointRequest(kind="concurrency", concurrency=1.0)
FLEET = OperatingPointRequest(kind="arrival_rate", requests_per_second=0.5, replicas=2)
CHEAPEST = OperatingPointRequest(kind="cheapest", max_tpot_seconds=0.05, max_ttft_seconds=2.0)


def _drafting(drafts: int, acceptance: float | None = None) -> dict[str, Any]:
    return {"serving": ServingRequest(draft_tokens=drafts, acceptance=acceptance)}


def test_no_drafts_are_plain_decoding() -> None:
    plain, none = make_estimate(), make_estimate(**_drafting(0))
    assert none.tpot_seconds == plain.tpot_seconds
    assert none.cost_per_request == plain.cost_per_request


def test_drafts_never_accepted_only_cost() -> None:
    plain = make_estimate(operating_point=LONE)
    wasted = make_estimate(operating_point=LONE, **_drafting(3, 0.0))
    assert wasted.tpot_seconds > plain.tpot_seconds
    assert wasted.cost_per_request > plain.cost_per_request


def test_accepted_drafts_share_a_step_among_their_tokens() -> None:
    """With every draft accepted a lone request takes a quarter of the steps, each as long as before."""
    none = make_estimate(operating_point=LONE, **_drafting(3, 0.0))
    every = make_estimate(operating_point=LONE, **_drafting(3, 1.0))
    assert every.tpot_seconds == pytest.approx(none.tpot_seconds / 4.0, rel=1e-2)


@pytest.mark.parametrize("point", [LONE, FLEET, CHEAPEST, None])
@pytest.mark.parametrize("model", ["deepseek-v3", "llama-3.1-8b"])
def test_its_bill_adds_up(point: OperatingPointRequest | None, model: str) -> None:
    classes = workload((1, 3000, 200, 0.3), (2, 300, 900, 0.0))
    answer = make_estimate(
        model=model, workload=classes, operating_point=point, utilisation=None, **_drafting(2)
    )
    assert abs(answer.conservation.relative_difference) < 1e-9


def test_requests_in_flight_follow_from_throughput_and_times() -> None:
    """Little's law: C = X (TTFT + (T - 1) TPOT), whatever a step yields."""
    answer = make_estimate(
        operating_point=OperatingPointRequest(kind="concurrency", concurrency=24.0),
        workload=workload((1, 2000, 400, 0.0)),
        **_drafting(3),
    )
    stay = answer.ttft_seconds + 399 * answer.tpot_seconds
    assert answer.operating_point.requests_per_second * stay == pytest.approx(24.0, rel=5e-3)


def test_a_limit_on_the_time_per_token_counts_tokens_not_steps() -> None:
    answer = make_estimate(operating_point=CHEAPEST, utilisation=None, **_drafting(3))
    assert answer.tpot_seconds <= 0.05 * (1 + 1e-2)
    assert answer.ttft_seconds <= 2.0 * (1 + 1e-2)


def test_the_answer_says_what_it_took_acceptance_to_be() -> None:
    answer = make_estimate(**_drafting(3))
    assert answer.resolved.serving.acceptance == DEFAULT_ACCEPTANCE
    assert any("accepted with probability 0.75" in text for text in answer.warnings)
    stated = make_estimate(**_drafting(3, 0.8))
    assert not any("accepted with probability" in text for text in stated.warnings)


@pytest.mark.parametrize(
    ("serving", "field"),
    [
        (ServingRequest(draft_tokens=-1), "serving.draft_tokens"),
        (ServingRequest(draft_tokens=17), "serving.draft_tokens"),
        (ServingRequest(draft_tokens=2, acceptance=1.01), "serving.acceptance"),
        (ServingRequest(draft_tokens=2, acceptance=float("nan")), "serving.acceptance"),
        (ServingRequest(acceptance=0.5), "serving.acceptance"),
    ],
)
def test_impossible_speculation_is_refused_at_its_field(serving: ServingRequest, field: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        make_estimate(serving=serving)
    assert refused.value.field == field


def test_the_resolved_request_gives_the_same_answer() -> None:
    answer = make_estimate(**_drafting(2))
    assert isinstance(answer.resolved, EstimateRequest)
    again = make_estimate(serving=answer.resolved.serving)
    assert again.digest == answer.digest


def test_what_was_resolved_says_the_same_again() -> None:
    first = make_estimate(**_drafting(2))
    again = estimate(first.resolved, SNAPSHOT, NOW)
    assert again.warnings == first.warnings
    assert any("accepted with probability" in warning for warning in first.warnings)
    stated = make_estimate(**_drafting(2, 0.6))
    assert not any("accepted with probability" in warning for warning in stated.warnings)


def test_a_lone_short_answer_has_its_marginal_cost_too() -> None:
    """Two tokens with drafts take less than half a step, so fewer than one sequence decodes on average."""
    with np.errstate(invalid="raise"):
        answer = make_estimate(
            model="gpt-oss-120b",
            layout=LayoutRequest(tp=1, attention_dp=32),
            workload=workload((1, 9000, 2, 0.0)),
            operating_point=LONE,
            include=("splits",),
            **_drafting(2),
        )
    assert {split.rule for split in answer.splits} == {"shapley", "phase", "marginal"}
