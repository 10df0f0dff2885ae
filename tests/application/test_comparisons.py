"""Comparisons: margins at the utilisation they imply, ranks, outliers, ratios over the catalog."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from service.application.compare_answers import CompareAnswer
from service.application.compare_requests import CompareRequest, PricedAs
from service.application.comparisons import Comparer
from service.application.errors import InvalidRequestError, UnknownIdError
from service.application.estimate import Estimator
from service.application.ports import Price
from tests.builders.catalog import make_list_price, make_listing
from tests.builders.estimates import NOW, SNAPSHOT, ModelledSnapshot, make_estimate, make_estimate_request

COMPARER = Comparer(Estimator())
DEPLOYMENT: dict[str, Any] = {"model": "llama-3.1-70b", "accelerator": "h200-sxm", "utilisation": 0.5}
CONFIG: dict[str, object] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}


def compare(
    snapshot: ModelledSnapshot = SNAPSHOT, deployment: dict[str, Any] | None = None, **parts: Any
) -> CompareAnswer:
    estimate = make_estimate_request(**(DEPLOYMENT if deployment is None else deployment))
    return COMPARER.compare(CompareRequest(estimate, **parts), snapshot, NOW)


def offered(**amounts: tuple[str, str]) -> ModelledSnapshot:
    """Return a catalog in which providers list the model at (input, output) per million."""
    rows = []
    for provider, (fresh, output) in amounts.items():
        for meter, amount in (("input", fresh), ("output", output)):
            row = make_list_price(100 + len(rows), meter, amount)
            rows.append(replace(row, provider=provider, provider_model_id=f"{provider}/llama-3.1-70b"))
    listings = tuple(make_listing(provider=provider) for provider in amounts)
    return replace(SNAPSHOT, all_list_prices=tuple(rows), all_listings=listings)


def test_a_listing_stands_beside_the_cost_with_its_margin() -> None:
    answer = compare()
    (row,) = answer.listings
    # 3 000 tokens at $0.60 and 400 at $1.80 per million.
    assert row.listing.price_per_request == Decimal("0.00252")
    assert row.listing.margin == pytest.approx(1 - answer.cost_per_request / 0.00252)
    by_kind = row.listing.margin_by_kind
    assert by_kind["output"] == pytest.approx(1 - answer.rates[2].per_million_tokens / 1.8)
    assert (row.listing.rank, row.price_over_median, row.outlier) == (1, 1.0, None)
    assert answer.listed_output_to_input_ratio_median == 3.0


@pytest.mark.parametrize("target", [0.0, 0.3, -1.0])
def test_at_the_implied_utilisation_an_estimate_leaves_the_margin(target: float) -> None:
    # Dear prices, so that the utilisation is one that a fleet can have.
    catalog = offered(acme=("60", "180"))
    (row,) = compare(catalog, target_margin=target).listings
    assert row.utilisation_at_target_margin is not None
    cost = make_estimate(**{**DEPLOYMENT, "utilisation": row.utilisation_at_target_margin}).cost_per_request
    assert 1 - cost / 0.252 == pytest.approx(target, abs=1e-9)
    if target == 0.0:
        assert row.listing.breakeven_utilisation == pytest.approx(row.utilisation_at_target_margin)


def test_a_price_apart_from_the_others_is_told() -> None:
    catalog = offered(a=("1", "3"), b=("1.1", "3"), c=("0.9", "3"), d=("1", "3.2"), e=("20", "60"))
    rows = compare(catalog).listings
    assert [row.listing.rank for row in rows] == [1, 2, 3, 4, 5]
    assert rows[0].listing.offer.provider == "c"
    assert {row.listing.offer.provider: row.outlier for row in rows} == {
        "a": None, "b": None, "c": None, "d": None, "e": "dear",
    }  # fmt: skip
    middle = sorted(float(row.listing.price_per_request or 0) for row in rows)[2]
    assert rows[-1].price_over_median == pytest.approx(20 * 0.0042 / middle)


def test_over_the_catalog_ratios_stand_side_by_side_and_what_does_not_run_says_why() -> None:
    across = compare(across_models=True).across_models
    assert across is not None
    rows = {row.model: row for row in across.models}
    assert set(rows) == {record.id for record in SNAPSHOT.models()}
    alone = compare()
    assert rows["llama-3.1-70b"].modelled_ratio == pytest.approx(alone.modelled_output_to_input_ratio)
    assert rows["llama-3.1-70b"].listed_ratio_median == 3.0
    assert rows["llama-3.1-70b"].margin_at_median == pytest.approx(1 - alone.cost_per_request / 0.00252)
    assert rows["qwen3-0.6b"].listings == 0
    assert across.compared == 1
    for row in across.models:
        assert (row.modelled_ratio is None) == (row.infeasible is not None)


def test_without_being_asked_the_catalog_is_left_alone() -> None:
    assert compare().across_models is None


def test_a_closed_model_is_compared_under_an_assumption_that_the_answer_names() -> None:
    assumed = {"model": None, "config": CONFIG}
    answer = compare(deployment=assumed, priced_as=PricedAs("acme", "acme/llama-3.1-70b"))
    assert answer.architecture_assumed
    assert "assumption" in answer.explanation[0]
    assert answer.listings[0].listing.price_per_request == Decimal("0.00252")
    assert answer.resolved["priced_as"] == {"provider": "acme", "provider_model_id": "acme/llama-3.1-70b"}


def test_a_listing_that_is_not_there_is_refused_with_near_ones() -> None:
    with pytest.raises(UnknownIdError) as refused:
        compare(deployment={"model": None, "config": CONFIG}, priced_as=PricedAs("acme", "acme/llama-3.1"))
    assert (refused.value.field, refused.value.near) == ("priced_as", ("acme/llama-3.1-70b",))


def test_a_listed_model_without_an_architecture_is_told_how_to_assume_one() -> None:
    closed = replace(make_list_price(50), provider="lab", provider_model_id="closed-1")
    catalog = replace(SNAPSHOT, all_list_prices=(*SNAPSHOT.all_list_prices, closed))
    with pytest.raises(InvalidRequestError) as refused:
        compare(catalog, {"model": "closed-1"})
    assert (refused.value.code, refused.value.field) == ("unknown-architecture", "model")
    assert refused.value.accepted == {"priced_as": [{"provider": "lab", "provider_model_id": "closed-1"}]}


def test_a_model_that_nobody_knows_is_unknown() -> None:
    with pytest.raises(UnknownIdError):
        compare(deployment={"model": "nonesuch"})


@pytest.mark.parametrize("target", [1.0, 2.0, float("nan"), float("inf")])
def test_a_target_margin_is_below_one(target: float) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        compare(target_margin=target)
    assert refused.value.field == "target_margin"


def test_prices_in_another_currency_are_shown_and_not_ranked() -> None:
    rows = tuple(
        replace(row, price=Price(row.price.amount, "EUR", row.price.per)) for row in SNAPSHOT.all_list_prices
    )
    (row,) = compare(replace(SNAPSHOT, all_list_prices=rows)).listings
    assert (row.listing.offer.currency, row.listing.rank, row.listing.margin) == ("EUR", None, None)
    assert row.utilisation_at_target_margin is None
