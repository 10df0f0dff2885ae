"""Which provider ids wait for a reviewer, and what they resemble."""

from dataclasses import replace

from service.application.unmatched import UnmatchedId, unmatched_ids
from tests.builders.catalog import FakeSnapshot, make_list_price, make_listing, make_model


def listed(*ids: str) -> FakeSnapshot:
    rows = tuple(
        replace(make_list_price(number), provider_model_id=name) for number, name in enumerate(ids, 1)
    )
    models = (make_model(), make_model("qwen3-8b", ("Qwen/Qwen3-8B",)))
    listings = (make_listing(provider_model_id="acme/llama-3.1-70b"),)
    return FakeSnapshot(all_models=models, all_list_prices=rows, all_listings=listings)


def test_a_reviewed_id_does_not_wait() -> None:
    assert unmatched_ids(listed("acme/llama-3.1-70b"), all_ids=True) == ()


def test_an_id_with_all_words_of_a_model_resembles_it() -> None:
    snapshot = listed("Llama-3-1-70B-Instruct-Turbo", "llama3.1-70b", "claude-9")
    assert unmatched_ids(snapshot) == (
        UnmatchedId("acme", "Llama-3-1-70B-Instruct-Turbo", ("llama-3.1-70b",)),
        UnmatchedId("acme", "llama3.1-70b", ("llama-3.1-70b",)),
    )


def test_another_size_or_generation_resembles_nothing() -> None:
    assert unmatched_ids(listed("llama-3.1-8b", "llama-3.3-70b", "qwen3.8-27b", "qwen3-80b")) == ()


def test_all_of_them_can_be_asked_for() -> None:
    assert unmatched_ids(listed("claude-9"), all_ids=True) == (UnmatchedId("acme", "claude-9", ()),)
