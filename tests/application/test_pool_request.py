"""What pools take from the top level, what they refuse, and which defaults they name."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from service.application.cost_requests import CostTermsRequest, LoadProfileRequest
from service.application.errors import ApplicationError, LimitExceededError
from service.application.estimate import Estimator
from service.application.requests import (
    DecodePoolRequest,
    FormatsRequest,
    LayoutRequest,
    PoolsRequest,
    PrefillPoolRequest,
    PriceRequest,
    ServingRequest,
)
from service.engine.errors import EngineError
from tests.builders.estimates import NOW, SNAPSHOT, make_estimate, make_estimate_request, workload
from tests.builders.pools import CHEAPEST, PLANNED, arrivals, given, in_flight, make_pooled, planned

TERMS = CostTermsRequest(currency="USD", electricity_per_kilowatt_hour=Decimal("0.1"))
ACME = PriceRequest(provider="acme", commitment="on_demand")
DOLLARS = PriceRequest(amount=Decimal(2), currency="USD")


def _prefill(**changes: Any) -> PrefillPoolRequest:
    answer, _ = make_pooled(**changes)
    pools = answer.resolved.pools
    assert pools is not None
    assert pools.prefill is not None
    return pools.prefill


def test_prefill_workers_are_like_those_that_decode_unless_told_otherwise() -> None:
    answer, pools = make_pooled(layout=LayoutRequest(tp=2), serving=ServingRequest(max_batch=64))
    filled = _prefill(layout=LayoutRequest(tp=2), serving=ServingRequest(max_batch=64))
    assert filled.accelerator == answer.resolved.accelerator
    assert filled.layout == answer.resolved.layout
    assert filled.formats == answer.resolved.formats
    assert filled.price == answer.resolved.price
    assert answer.resolved.serving is not None
    assert filled.serving == replace(answer.resolved.serving, max_batch=None)
    assert filled.load == 0.9
    assert pools.prefill.layout == pools.decode.layout
    for path in ("accelerator", "layout.tp", "serving.reserve", "formats.kv_cache", "price.amount", "load"):
        assert f"pools.prefill.{path}" in answer.resolved.defaulted
    assert not any("pools.prefill.workers" in path for path in answer.resolved.defaulted)


def test_what_differs_is_merged_with_the_top_level_field_by_field() -> None:
    filled = _prefill(
        layout=LayoutRequest(tp=2, pp=2),
        serving=ServingRequest(token_budget=2048),
        pools=planned(layout=LayoutRequest(tp=4), serving=ServingRequest(memory_utilisation=0.8)),
    )
    assert filled.layout == LayoutRequest(4, 2, 1, 1)
    assert filled.serving is not None
    assert (filled.serving.token_budget, filled.serving.memory_utilisation) == (2048, 0.8)


@pytest.mark.parametrize(
    ("top", "asked", "wanted"),
    [
        (DOLLARS, PriceRequest(), DOLLARS),
        (DOLLARS, PriceRequest(basis="rental"), DOLLARS),
        (DOLLARS, PriceRequest(amount=Decimal(7)), replace(DOLLARS, amount=Decimal(7))),
        (PriceRequest(provider="acme"), PriceRequest(amount=Decimal(7), currency="USD"),
         PriceRequest(amount=Decimal(7), currency="USD")),
        (ACME, PriceRequest(), ACME),
        (ACME, PriceRequest(commitment="on_demand"), ACME),
    ],
)  # fmt: skip
def test_a_price_is_that_of_the_top_level_with_what_differs(
    top: PriceRequest, asked: PriceRequest, wanted: PriceRequest
) -> None:
    filled = _prefill(price=top, pools=planned(price=asked)).price
    assert filled is not None
    assert (filled.amount, filled.currency) == (wanted.amount, "USD")
    assert (filled.provider, filled.commitment) == (wanted.provider, wanted.commitment)


def test_another_engine_brings_its_own_defaults() -> None:
    filled = _prefill(
        serving=ServingRequest(token_budget=2048), pools=planned(serving=ServingRequest(engine="trtllm"))
    )
    assert filled.serving is not None
    assert filled.serving.engine == "trtllm"
    assert filled.serving.token_budget is None  # it covers the prompt, however long
    assert filled.serving.reserve == "full"


def test_another_recipe_keeps_the_cache_that_decode_workers_read() -> None:
    filled = _prefill(pools=planned(formats=FormatsRequest(precision="fp8")))
    assert filled.formats is not None
    assert (filled.formats.weights, filled.formats.kv_cache) == ("fp8", "bf16")


def test_another_accelerator_takes_a_price_of_its_own_in_the_same_currency() -> None:
    # The tiny catalog has prices of the h100-sxm alone: as the other one it is found there.
    answer, pools = make_pooled(accelerator="a100-sxm", price=DOLLARS, pools=planned(accelerator="h100-sxm"))
    assert pools.prefill.price is not None
    assert pools.prefill.price.key.split("/")[1] == "h100-sxm"
    assert answer.currency == "USD"
    with pytest.raises(ApplicationError) as refused:
        make_estimate(pools=planned(accelerator="a100-sxm"))
    assert refused.value.field.startswith("pools.prefill.price")


BAD: list[tuple[str, dict[str, Any]]] = [
    ("pools.decode.workers", {"pools": PoolsRequest(PrefillPoolRequest(workers=2))}),
    ("pools.prefill.workers", {"pools": PoolsRequest(decode=DecodePoolRequest(2))}),
    ("pools.prefill.workers", {"pools": given(0, 1)}),
    ("pools.decode.workers", {"pools": given(1, 65_537)}),
    ("pools.prefill.load", {"pools": planned(load=0.0)}),
    ("pools.prefill.load", {"pools": planned(load=1.0)}),
    ("pools.prefill.load", {"pools": planned(load=float("nan"))}),
    ("pools.prefill.load", {"pools": given(1, 1, load=0.5)}),
    ("pools.prefill.load", {"pools": given(9, 9, load=0.5), "operating_point": arrivals(1.0),
                            "utilisation": None}),
    ("pools.prefill.accelerator", {"pools": planned(accelerator="h1000")}),
    ("pools.prefill.layout.tp", {"pools": planned(layout=LayoutRequest(tp=7))}),
    ("pools.prefill.layout", {"model": "llama-3.1-70b", "layout": LayoutRequest(tp=4),
                              "pools": planned(layout=LayoutRequest(tp=1))}),
    ("pools.prefill.serving.engine", {"pools": planned(serving=ServingRequest(engine="none"))}),
    ("pools.prefill.serving.token_budget", {"pools": planned(serving=ServingRequest(token_budget=0))}),
    ("pools.prefill.serving.draft_tokens", {"pools": planned(serving=ServingRequest(draft_tokens=1))}),
    ("pools.prefill.serving.acceptance", {"pools": planned(serving=ServingRequest(acceptance=0.5))}),
    ("pools.prefill.formats.kv_cache", {"pools": planned(formats=FormatsRequest(kv_cache="fp8"))}),
    ("pools.prefill.price.currency",
     {"pools": planned(price=PriceRequest(amount=Decimal(1), currency="EUR"))}),
    ("pools.prefill.price.currency",
     {"price": None, "pools": planned(price=PriceRequest(amount=Decimal(1)))}),
    ("pools.prefill.serving.max_batch", {"pools": planned(serving=ServingRequest(max_batch=8))}),
    ("pools.prefill.price.amount", {"pools": planned(price=PriceRequest(amount=Decimal(0), currency="USD"))}),
    ("pools.prefill.price.basis", {"pools": planned(price=PriceRequest(basis="tco"))}),
    ("price.basis", {"price": PriceRequest(basis="energy"), "costs": None}),
    ("costs", {"costs": TERMS}),
    ("load_profile", {"load_profile": LoadProfileRequest(requests_per_second=(1.0,) * 24),
                      "utilisation": None}),
    ("include", {"include": ("splits",)}),
    ("utilisation_range", {"utilisation_range": (0.2, 0.8)}),
    ("split", {"split": "marginal"}),
    ("closure", {"closure": "fixed_batch"}),
    ("operating_point.replicas", {"operating_point": replace(in_flight(8.0), replicas=2)}),
    ("operating_point.replicas", {"operating_point": replace(arrivals(8.0), replicas=1),
                                  "utilisation": None}),
    ("utilisation", {"operating_point": arrivals(8.0)}),
    ("operating_point.requests_per_second",
     {"pools": given(1, 9), "operating_point": arrivals(50.0), "utilisation": None}),
    ("operating_point.requests_per_second",
     {"pools": given(9, 1), "operating_point": arrivals(50.0), "utilisation": None}),
    ("operating_point.max_ttft_seconds", {"operating_point": replace(CHEAPEST, max_ttft_seconds=1e-3)}),
    ("operating_point.max_tpot_seconds", {"operating_point": replace(CHEAPEST, max_tpot_seconds=1e-3)}),
    ("workload.classes", {"workload": workload((1, 500, 1, 0.0))}),
]  # fmt: skip


@pytest.mark.parametrize(("field", "changes"), BAD, ids=range(len(BAD)))
def test_what_is_wrong_is_told_with_its_field(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises((ApplicationError, EngineError)) as refused:
        make_pooled(**changes)
    assert refused.value.field == field
    assert refused.value.message


@pytest.mark.parametrize("field", ["costs", "include", "split", "closure", "utilisation_range"])
def test_what_is_of_replicas_has_a_code_of_its_own(field: str) -> None:
    changes = dict(BAD)[field]
    with pytest.raises(ApplicationError, match=f"^{field} ") as refused:
        make_pooled(**changes)
    assert refused.value.code == "not-with-pools"


def test_more_accelerators_than_a_fleet_may_have_are_refused() -> None:
    with pytest.raises(LimitExceededError) as refused:
        make_pooled(operating_point=arrivals(1e12), utilisation=None)
    assert refused.value.field == "pools"


def test_an_estimate_of_replicas_alone_refuses_pools_where_it_is_solved_for_others() -> None:
    request = make_estimate_request(pools=PLANNED)
    for use in (Estimator().solve, Estimator().resolve):
        with pytest.raises(ApplicationError) as refused:
            use(request, SNAPSHOT, NOW)
        assert (refused.value.field, refused.value.code) == ("pools", "not-with-pools")


def test_as_of_reaches_the_price_of_the_other_accelerator() -> None:
    early = datetime(2001, 1, 1, tzinfo=UTC)
    with pytest.raises(ApplicationError) as refused:
        make_pooled(accelerator="a100-sxm", price=DOLLARS, as_of=early, pools=planned(accelerator="h100-sxm"))
    assert refused.value.code == "price-not-known-at"


def test_a_point_left_out_is_the_cheapest_within_the_default_limits() -> None:
    answer, _ = make_pooled(operating_point=None)
    point = answer.resolved.operating_point
    assert point == replace(CHEAPEST, max_ttft_seconds=5.0, statistic="mean")
    assert "operating_point.kind" in answer.resolved.defaulted
