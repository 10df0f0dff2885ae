"""Recorded usage objects of each provider, read by meter: streamed, cached and reasoning ones too."""

import json
from pathlib import Path
from typing import Any

import pytest

from service.application.errors import InvalidRequestError
from service.catalog.usage_reading import GenaiUsageReader, merge_events

RECORDED: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "data" / "usage_objects.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: str(recorded["name"]))
def test_a_recorded_object_is_read_by_meter(recorded: dict[str, Any]) -> None:
    found = GenaiUsageReader().read(recorded["response"], recorded["provider"], None)
    assert {meter: quantity for meter, quantity in found.quantities.items() if quantity} == recorded["meters"]
    assert found.model == recorded.get("model")
    assert found.service_tier == recorded.get("service_tier")


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        ("Gemini, thoughts outside the candidates", 890),
        ("Gemini, the answer cut while thinking", 2040),
        ("Bedrock ConverseStream, input without the cache", 2326),
        ("Responses API, reasoning", 1261),
    ],
)
def test_input_and_output_sum_to_the_total_that_the_provider_states(name: str, whole: int) -> None:
    recorded = next(item for item in RECORDED if item["name"] == name)
    assert recorded["meters"]["input"] + recorded["meters"]["output"] == whole


def test_a_provider_that_the_package_does_not_describe_answers_in_the_shape_of_openai() -> None:
    found = GenaiUsageReader().read({"prompt_tokens": 3, "completion_tokens": 2}, "together", None)
    assert found.quantities == {"input": 3, "output": 2}


def test_a_response_without_usage_says_what_each_extractor_missed() -> None:
    with pytest.raises(InvalidRequestError, match="google") as refused:
        GenaiUsageReader().read({"candidates": []}, "google", None)
    assert "usageMetadata" in str(refused.value.accepted)


def test_an_unknown_flavor_is_refused_with_those_that_exist() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        GenaiUsageReader().read({"prompt_tokens": 3}, "openai", "chatt")
    assert "chat" in str(refused.value.accepted)


@pytest.mark.parametrize("count", ["12", -1, True, None, [1], 1e308])
def test_counts_that_are_none_are_refused_or_exact(count: object) -> None:
    response = {"prompt_tokens": count, "completion_tokens": 2}
    try:
        found = GenaiUsageReader().read(response, "openai", "chat")
    except InvalidRequestError:
        return
    assert found.quantities["input"] == 10**308
    assert count == 1e308


def test_events_that_are_no_objects_are_passed_over() -> None:
    assert merge_events(["ping", None, {"usage": {"inputTokens": 1}}]) == {"usage": {"inputTokens": 1}}
