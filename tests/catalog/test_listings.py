"""The reviewed listings against labels made by another pass over the same ids."""

import csv
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import yaml
from genai_prices.data import providers

from service.catalog.seed_schema import ListingSeed, ListingsFile

ROOT = Path(__file__).parents[2]
CATALOG = ROOT / "hardware_catalog"
LABELS = Path(__file__).parent / "data" / "listings_labelled.csv"

FAMILY_STEMS = re.compile(
    r"llama|nemotron|mixtral|8x7b|8x22b|deepseek|(?<![a-z0-9])r1(?![a-z0-9])|kimi|glm|minimax|gpt-oss"
    r"|qwen-?3|mimo|step-3|gemma-4|hermes|lumimaid|euryale|hanami|v3p1",
    re.IGNORECASE,
)
"""What an id resembling a catalog model has in it; community tunes of Llama by their own names."""

Key = tuple[str, str]
Tie = tuple[str, str]


@cache
def labels() -> dict[Key, Tie]:
    with LABELS.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    found = {(row["provider"], row["provider_model_id"]): (row["model"], row["relation"]) for row in rows}
    assert len(found) == len(rows)
    assert all(row["reason"] for row in rows)
    return found


@cache
def listings() -> dict[Key, ListingSeed]:
    found: dict[Key, ListingSeed] = {}
    for path in sorted((CATALOG / "listings").glob("*.yaml")):
        document = ListingsFile.model_validate(yaml.load(path.read_text(), yaml.BaseLoader))  # noqa: S506
        for listing in document.listings:
            key = (listing.provider, listing.provider_model_id)
            assert key not in found, f"{key} is listed twice"
            assert listing.model == path.stem
            found[key] = listing
    return found


@cache
def catalog_models() -> frozenset[str]:
    return frozenset(path.stem for path in (CATALOG / "models").glob("*.yaml"))


def test_every_id_that_resembles_a_catalog_model_is_labelled() -> None:
    resembling = {
        (provider.id, model.id)
        for provider in providers
        for model in provider.models
        if FAMILY_STEMS.search(model.id)
    }
    assert set(labels()) == resembling


def test_every_catalog_model_has_a_stem_that_finds_its_like() -> None:
    assert [model for model in sorted(catalog_models()) if not FAMILY_STEMS.search(model)] == []


def test_precision_is_complete() -> None:
    """No listing is tied to another model or by another relation than its label says."""
    wrong = {
        key: ((listing.model, listing.relation), labels().get(key))
        for key, listing in listings().items()
        if (listing.model, listing.relation) != labels().get(key)
    }
    assert wrong == {}


@pytest.mark.parametrize("relations", [{"same"}, {"same", "quantised", "fine_tune", "distilled", "unknown"}])
def test_recall_is_at_least_95_percent(relations: set[str]) -> None:
    wanted = {key for key, (_, relation) in labels().items() if relation in relations}
    assert len(wanted & set(listings())) >= 0.95 * len(wanted)


UNSOLD = {
    *("deepseek-r1-nvfp4", "deepseek-v3.1-nvfp4", "deepseek-v3.2-nvfp4", "deepseek-v4-pro-fp8"),
    *("glm-5-nvfp4", "glm-5.1-nvfp4", "llama-3.1-70b-instruct-fp8", "llama-3.1-8b-instruct-fp8", "mimo-7b"),
    *("minimax-m2.5-nvfp4", "minimax-m2.7-nvfp4", "nemotron-3-ultra-550b-a55b-fp8", "nemotron-h-56b"),
    *("qwen3-0.6b", "qwen3-1.7b", "qwen3-235b-a22b-fp8", "qwen3-32b-fp8-static", "qwen3-32b-nvfp4"),
}
"""Models that no provider of the package sells as themselves: small ones, and single quantised checkpoints;
what providers quantise on their own is listed under the model that it was made from."""


def test_every_catalog_model_is_listed_or_known_to_be_sold_by_nobody() -> None:
    assert catalog_models() - {listing.model for listing in listings().values()} == UNSOLD


def test_every_id_that_carries_the_name_of_an_unsold_model_was_looked_at() -> None:
    plain = re.compile(r"[^a-z0-9]")
    named = {
        (provider.id, model.id)
        for provider in providers
        for model in provider.models
        if any(plain.sub("", name) in plain.sub("", model.id.lower()) for name in UNSOLD)
    }
    assert named <= set(labels())


def test_listings_name_models_of_the_catalog() -> None:
    assert {listing.model for listing in listings().values()} <= catalog_models()


@pytest.mark.parametrize(
    ("provider", "provider_model_id", "tie"),
    [
        # of 14 ids that match "llama-3.1-70b", the ones that are other models
        ("openrouter", "nvidia/llama-3.1-nemotron-70b-instruct", ("llama-3.1-70b", "fine_tune")),
        ("openrouter", "nousresearch/hermes-3-llama-3.1-70b", ("llama-3.1-70b", "fine_tune")),
        ("openrouter", "neversleep/llama-3.1-lumimaid-70b", ("llama-3.1-70b", "fine_tune")),
        ("openrouter", "meta-llama/llama-3.1-70b-instruct", ("llama-3.1-70b", "same")),
        ("together", "meta-llama/Meta-Llama-3.1-70B-Instruct-Turbo", ("llama-3.1-70b", "quantised")),
        ("groq", "deepseek-r1-distill-llama-70b", ("deepseek-r1", "distilled")),
        ("huggingface_novita", "deepseek-ai/DeepSeek-V3-0324", ("deepseek-v3", "fine_tune")),
        ("huggingface_novita", "deepseek-ai/DeepSeek-V3.1", ("deepseek-v3.1", "same")),
        ("huggingface_novita", "deepseek-ai/DeepSeek-V3", ("deepseek-v3", "same")),
        ("aws", "deepseek.r1-v1:0", ("deepseek-r1", "same")),
    ],
)
def test_lookalikes_are_told_apart(provider: str, provider_model_id: str, tie: Tie) -> None:
    listing = listings()[provider, provider_model_id]
    assert (listing.model, listing.relation) == tie


def test_routers_name_whose_offer_they_pass_on() -> None:
    for (provider, _), listing in listings().items():
        router = provider.startswith("huggingface_") or provider in (
            "openrouter",
            "quicksilverpro",
            "github-copilot",
        )
        assert (listing.routed_from is not None) is router, listing


def test_a_batch_service_never_stands_for_the_standard_one() -> None:
    methods = Counter(listing.method for key, listing in listings().items() if key[1].endswith(":batch"))
    assert set(methods) == {"tier_variant"}
