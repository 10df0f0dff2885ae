"""Tariffs recover their mix, try prices on it, and price long outputs, caches and flat plans."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.application.errors import InvalidRequestError
from service.application.estimate import Estimator
from service.application.requests import OperatingPointRequest
from service.application.tariff_answers import TariffAnswer
from service.application.tariff_requests import (
    PrefixRequest,
    PriceSheet,
    SubscriptionRequest,
    TariffRequest,
    TierRequest,
    TraceRequest,
)
from service.application.tariffs import TariffMaker
from tests.builders.estimates import NOW, SNAPSHOT, make_estimate, make_estimate_request, workload

MAKER = TariffMaker(Estimator())
MIX = workload((3.0, 2000, 500, 0.5), (1.0, 30_000, 300, 0.0), (1.0, 1000, 8000, 0.0))
SHEET = PriceSheet("mine", "USD", Decimal("0.2"), Decimal("0.8"), Decimal("0.02"))
TIER = TierRequest("host", "USD", Decimal("0.002"), 50e9)


def make(estimate: dict[str, Any] | None = None, **parts: Any) -> TariffAnswer:
    changes = {"workload": MIX} if estimate is None else estimate
    return MAKER.make(TariffRequest(make_estimate_request(**changes), **parts), SNAPSHOT, NOW)


def plan(**changes: Any) -> SubscriptionRequest:
    return replace(SubscriptionRequest(Decimal(20), "USD", requests=(10.0, 1e9)), **changes)


def azure(*rows: tuple[int, int]) -> TraceRequest:
    lines = ["TIMESTAMP,ContextTokens,GeneratedTokens", *(f"t,{a},{b}" for a, b in rows)]
    return TraceRequest("azure_csv", "\n".join(lines))


@given(
    classes=st.lists(
        st.tuples(st.floats(0.1, 9), st.integers(1, 20_000), st.integers(1, 3000), st.floats(0, 1)),
        min_size=1,
        max_size=5,
    )
)
@settings(max_examples=25, deadline=None)
def test_a_tariff_recovers_the_cost_of_its_mix(classes: list[tuple[float, int, int, float]]) -> None:
    answer = make({"workload": workload(*classes)})
    assert answer.recovery.relative_difference < 1e-9
    assert answer.recovery.bill_per_request == answer.cost_per_request
    assert min(answer.fair_per_million_tokens.values()) >= 0.0
    assert sum(row.subsidy for row in answer.spreads[0].transfers) == pytest.approx(0.0, abs=1e-9)


def test_the_cost_of_a_mix_is_that_of_the_estimate() -> None:
    assert make().cost_per_request == pytest.approx(make_estimate(workload=MIX).cost_per_request, rel=1e-12)


def test_a_trace_is_a_mix_of_its_requests() -> None:
    rows = [(1000, 100)] * 3 + [(5000, 900)]
    by_trace = make({"workload": None}, trace=azure(*rows))
    same = make({"workload": workload((3.0, 1000, 100, 0.0), (1.0, 5000, 900, 0.0))})
    assert by_trace.cost_per_request == pytest.approx(same.cost_per_request, rel=1e-9)
    assert by_trace.fair_per_million_tokens == pytest.approx(same.fair_per_million_tokens, rel=1e-6)
    assert (by_trace.mix.requests, by_trace.mix.mean_output_tokens) == (4, 300.0)
    assert "workload" not in by_trace.resolved
    assert set(by_trace.resolved["trace"]) == {"format", "cache", "cache_blocks", "sha256"}  # type: ignore[call-overload]


def test_bad_lines_of_a_trace_are_told_and_the_rest_is_priced() -> None:
    answer = make({"workload": None}, trace=azure(*[(1000, 100)] * 199, (1000, 0)))
    assert (answer.mix.requests, answer.mix.bad_lines) == (199, 1)
    assert answer.mix.first_bad_lines == ("line 201: 0 output tokens; at least 1 is needed",)


def test_own_prices_are_tried_on_the_mix() -> None:
    answer = make({"workload": workload((1.0, 3000, 400, 0.5))}, prices=(SHEET,))
    mine = next(one for one in answer.spreads if one.name == "mine")
    # 1 500 tokens at 0.2, 1 500 at 0.02 and 400 at 0.8 per million.
    revenue = (1500 * 0.2 + 1500 * 0.02 + 400 * 0.8) / 1e6
    assert mine.margin == pytest.approx(1.0 - answer.cost_per_request / revenue)
    assert mine.losing_share == (1.0 if answer.cost_per_request > revenue else 0.0)


def test_list_prices_in_the_currency_of_the_cost_are_tried_too() -> None:
    answer = make({"model": "llama-3.1-70b", "accelerator": "h200-sxm", "workload": MIX})
    listed = [one for one in answer.spreads if one.source == "list"]
    # The catalog of the builder has one listing with prices: $0.60 input, $1.80 output.
    assert [one.name for one in listed] == ["acme/acme/llama-3.1-70b"]
    assert listed[0].per_million_tokens == pytest.approx(
        {"uncached_input": 0.6, "cached_input": 0.6, "output": 1.8}
    )


def test_prices_a_hundred_times_apart_lose_on_all_or_none() -> None:
    cheap = replace(SHEET, name="cheap", input=Decimal("0.0001"), output=Decimal("0.0001"), cached_input=None)
    dear = replace(SHEET, name="dear", input=Decimal(500), output=Decimal(5000), cached_input=Decimal(500))
    losing = {one.name: one.losing_share for one in make(prices=(cheap, dear)).spreads}
    assert (losing["cheap"], losing["dear"]) == (pytest.approx(1.0), 0.0)


def test_who_pays_for_whom_adds_up_by_class() -> None:
    fair = make().spreads[0]
    assert [row.group for row in fair.transfers] == ["class-0", "class-1", "class-2"]
    for share in ("share_of_requests", "share_of_cost", "share_of_revenue"):
        assert sum(getattr(row, share) for row in fair.transfers) == pytest.approx(1.0)
    # Half of what changes hands is paid, half received.
    assert fair.moved_by_exact_prices == pytest.approx(
        sum(abs(row.subsidy) for row in fair.transfers) / 2.0, rel=1e-6
    )


def test_a_long_output_needs_the_surcharge_that_makes_it_pay() -> None:
    answer = make(long_output_tokens=20_000)
    long, rates = answer.long_output, answer.fair_per_million_tokens
    assert long.surcharge_here is not None
    assert long.cost_per_request is not None
    fresh = answer.mix.mean_input_tokens - answer.mix.mean_cached_tokens
    input_part = fresh * rates["uncached_input"] + answer.mix.mean_cached_tokens * rates["cached_input"]
    raised = 20_000 * rates["output"] * (1.0 + long.surcharge_here)
    assert (input_part + raised) / 1e6 == pytest.approx(long.cost_per_request, rel=1e-9)
    longer = make(long_output_tokens=60_000).long_output.surcharge_here
    assert longer is not None
    assert longer > long.surcharge_here


def test_a_long_output_is_64k_and_beyond_a_short_context_says_so() -> None:
    assert make().long_output.output_tokens == 65_536
    short = make({"model": "qwen3-0.6b"}).long_output
    assert (short.surcharge_here, short.infeasible is None) == (None, False)


def test_a_cache_hit_costs_less_than_computing_and_more_if_it_pays_for_all_its_reads() -> None:
    cached = make().cached
    assert 0 < cached.cached_by_pass < cached.cached_by_cause < cached.uncached
    assert cached.discount_by_pass == pytest.approx(1.0 - cached.cached_by_pass / cached.uncached)
    assert cached.saved_by_a_hit > 0


def test_a_kept_prefix_costs_its_bytes_times_the_price_of_the_place() -> None:
    prefix = make(prefix=PrefixRequest(1000, 600.0, (TIER,))).prefix
    assert prefix is not None
    host = prefix.tiers[-1]
    # Llama-3.1-8B keeps 2 x 32 layers x 8 heads x 128 elements of 2 bytes a token: 131 072 bytes.
    assert host.size_gigabytes == pytest.approx(0.131072)
    assert host.per_hour == pytest.approx(0.131072 * 0.002)
    assert host.cost_of_keeping == pytest.approx(0.131072 * 0.002 / 6)
    assert host.reload_seconds == pytest.approx(0.131072e9 / 50e9)
    assert host.break_even_seconds == pytest.approx(prefix.saved_by_a_hit / host.per_hour * 3600)


def test_memory_that_limits_nothing_is_free_and_costs_at_most_all_that_is_paid() -> None:
    prefix = make({"workload": workload((1.0, 3000, 400, 0.0))}, prefix=PrefixRequest(1000)).prefix
    assert prefix is not None
    shadow, ceiling = prefix.tiers
    assert (shadow.tier, shadow.per_hour, shadow.cost_of_keeping) == ("hbm_shadow", 0.0, None)
    assert shadow.break_even_seconds is None
    # USD 2 an hour for less than 80 GB.
    assert ceiling.per_hour > 0.131072 * 2 / 80


def test_memory_that_limits_the_batch_has_a_shadow_price_below_the_ceiling() -> None:
    full = {
        "workload": workload((1.0, 40_000, 2000, 0.95)),
        "operating_point": OperatingPointRequest("cheapest"),
    }
    prefix = make(full, prefix=PrefixRequest(1000)).prefix
    assert prefix is not None
    shadow, ceiling = prefix.tiers
    assert 0 < shadow.per_hour < ceiling.per_hour


def test_a_flat_plan_breaks_even_at_its_price_over_the_cost_of_a_request() -> None:
    found = make(subscription=plan(target_margin=0.5)).subscription
    assert found is not None
    assert found.break_even_requests == pytest.approx(20 / found.cost_per_request)
    assert (found.share_at_loss, found.share_capped) == (0.5, 0.5)
    assert found.cap_for_target is not None
    assert 1 - (10 + found.cap_for_target) / 2 * found.cost_per_request / 20 == pytest.approx(0.5)


def test_a_flat_plan_takes_a_lognormal_use() -> None:
    found = make(subscription=plan(requests=None, median_requests=100.0, p90_requests=100.0)).subscription
    assert found is not None
    assert found.mean_requests == pytest.approx(100.0)
    assert found.cap_for_target is None


@pytest.mark.parametrize(
    ("parts", "field", "code"),
    [
        ({"trace": azure((5, 5))}, "trace", "invalid-request"),
        ({"prices": (replace(SHEET, currency="EUR"),)}, "prices.0.currency", "currency-mismatch"),
        (
            {"prices": (SHEET, PriceSheet("nil", "USD", Decimal(0), Decimal(0)))},
            "prices.1",
            "invalid-request",
        ),
        ({"long_output_tokens": 131_072}, "long_output_tokens", "context-too-long"),
        ({"prefix": PrefixRequest(131_072)}, "prefix.tokens", "context-too-long"),
        ({"prefix": PrefixRequest(0)}, "prefix.tokens", "invalid-request"),
        ({"prefix": PrefixRequest(9, 0.0)}, "prefix.seconds", "invalid-request"),
        (
            {"prefix": PrefixRequest(9, None, (replace(TIER, currency="EUR"),))},
            "prefix.tiers.0.currency",
            "currency-mismatch",
        ),
        (
            {"prefix": PrefixRequest(9, None, (replace(TIER, bytes_per_second=0.0),))},
            "prefix.tiers.0.bytes_per_second",
            "invalid-request",
        ),
        ({"subscription": plan(currency="EUR")}, "subscription.currency", "currency-mismatch"),
        ({"subscription": plan(price=Decimal(0))}, "subscription.price", "invalid-request"),
        ({"subscription": plan(requests=None)}, "subscription.requests", "invalid-request"),
        ({"subscription": plan(requests=())}, "subscription.requests", "invalid-request"),
        ({"subscription": plan(requests=(-1.0,))}, "subscription.requests", "invalid-request"),
        (
            {"subscription": plan(requests=None, median_requests=9.0, p90_requests=3.0)},
            "subscription.p90_requests",
            "invalid-request",
        ),
        ({"subscription": plan(target_margin=1.0)}, "subscription.target_margin", "invalid-request"),
    ],
)
def test_what_a_tariff_gets_wrong_is_told_with_its_field(
    parts: dict[str, Any], field: str, code: str
) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        make(**parts)
    assert (refused.value.field, refused.value.code) == (field, code)


def test_exact_prices_of_a_mix_of_equal_requests_move_nothing() -> None:
    fair = make({"workload": workload((1.0, 3000, 400, 0.0))}).spreads[0]
    assert fair.moved_by_exact_prices == pytest.approx(0.0, abs=1e-9)
    assert np.abs(list(fair.margin_quantiles.values())).max() < 1e-9
