"""Charging with the rows of one listing: time, tier, bands, fallbacks, precedence, exactness."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.billing.charges import Charge, ChargeFacts, PriceRow
from service.billing.errors import (
    NoMatchingPriceError,
    PriceNotKnownError,
    UnknownTierError,
)
from service.billing.price_book import PriceBook
from tests.builders.price_rows import JANUARY, price_row

NOON = datetime(2026, 6, 3, 12, tzinfo=UTC)


def charge(rows: list[PriceRow], usage: dict[str, int | Decimal], **facts: object) -> Charge:
    return PriceBook.of(rows).charge(usage, ChargeFacts(**{"at": NOON, **facts}))  # type: ignore[arg-type]


def lines(found: Charge) -> dict[str, tuple[tuple[str, ...], Decimal]]:
    return {line.rate.meter: (line.rate.priced_as, line.charge) for line in found.lines}


# Both invoices below: cached tokens are a part of the input tokens of an OpenAI-style usage object.


def test_invoice_of_litellm_issue_35127_comes_out_to_the_digit() -> None:
    rows = [price_row("input", "5"), price_row("cache_read", "0.50"), price_row("cache_write", "6.25")]
    found = charge(rows, {"input": 172_000, "cache_read": 155_000, "cache_write": 3_000})
    assert found.total == Decimal("0.166250")


def test_invoice_of_litellm_issue_31714_comes_out_to_the_digit() -> None:
    rows = [price_row("input", "1.40"), price_row("cache_read", "0.26"), price_row("output", "4.40")]
    found = charge(rows, {"input": 27_147, "cache_read": 27_146, "output": 351})
    assert found.total == Decimal("0.00860376")


@pytest.mark.parametrize(
    ("meter", "chain"),
    [
        ("cache_write_1h", ("cache_write_1h", "cache_write", "input")),
        ("cache_read", ("cache_read", "input")),
        ("output_reasoning", ("output_reasoning", "output")),
    ],
)
def test_a_fallback_is_shown_on_the_line(meter: str, chain: tuple[str, ...]) -> None:
    rows = [price_row("input", "2"), price_row("output", "8")]
    found = charge(rows, {meter: 1_000_000})
    rate = Decimal(8) if meter == "output_reasoning" else Decimal(2)
    assert lines(found) == {meter: (chain, rate)}


def test_a_row_bound_to_a_cache_lifetime_prices_the_writes_of_that_lifetime() -> None:
    rows = [
        price_row("input", "5"),
        price_row("cache_write", "6.25"),
        price_row("cache_write", "10", cache_lifetime="1h"),
    ]
    usage = {"input": 3_000_000, "cache_write": 2_000_000, "cache_write_1h": 1_000_000}
    assert lines(charge(rows, usage)) == {
        "cache_write_1h": (("cache_write_1h", "cache_write"), Decimal(10)),
        "cache_write": (("cache_write",), Decimal("6.25")),
        "input": (("input",), Decimal(5)),
    }


@pytest.mark.parametrize(("tokens", "rate"), [(199_999, 1), (200_000, 2), (200_001, 2)])
def test_a_band_of_the_whole_request_changes_every_token_at_its_edge(tokens: int, rate: int) -> None:
    band = {"context_measure": "input", "context_mode": "whole_request"}
    rows = [
        price_row("input", "1"),
        price_row("input", "2", context_from=200_000, **band),
        price_row("output", "10"),
        price_row("output", "20", context_from=200_000, **band),
    ]
    found = charge(rows, {"input": tokens, "output": 1_000})
    assert found.total == Decimal(tokens * rate) / 10**6 + Decimal(rate) / 100


@pytest.mark.parametrize("cached", [0, 1, 60, 120, 199, 250])
def test_cached_tokens_without_a_price_fill_the_bands_of_input_with_the_rest(cached: int) -> None:
    """250 tokens at 1 up to the 100th and at 2 beyond: 100 + 300, however many of them were cached."""
    band = {"context_measure": "input", "context_mode": "excess"}
    rows = [
        price_row("input", "1", context_to=100, **band),
        price_row("input", "2", context_from=100, **band),
    ]
    found = charge(rows, {"input": 250, "cache_read": cached})
    assert found.total == Decimal("0.0004")
    assert sum(line.quantity for line in found.lines) == 250


@pytest.mark.parametrize(("tokens", "beyond"), [(199_999, 0), (200_000, 0), (200_001, 1), (350_000, 150_000)])
def test_an_excess_band_prices_only_the_tokens_inside_it(tokens: int, beyond: int) -> None:
    rows = [
        price_row("input", "1"),
        price_row("input", "2", context_measure="input", context_mode="excess", context_from=200_000),
    ]
    found = charge(rows, {"input": tokens})
    assert found.total == Decimal(tokens - beyond + 2 * beyond) / 10**6
    assert sum(line.quantity for line in found.lines) == tokens


def test_a_tier_that_no_row_names_is_refused_and_one_that_is_named_applies() -> None:
    rows = [price_row("input", "2"), price_row("input", "1", service_tier="batch")]
    assert charge(rows, {"input": 10**6}, service_tier="batch").total == 1
    for standard in (None, "default", "standard"):
        assert charge(rows, {"input": 10**6}, service_tier=standard).total == 2
    with pytest.raises(UnknownTierError) as refused:
        charge(rows, {"input": 10**6}, service_tier="prioirty")
    assert "batch" in str(refused.value.accepted)


def test_the_source_of_higher_precedence_counts_while_it_is_in_force() -> None:
    june = datetime(2026, 6, 1, tzinfo=UTC)
    rows = [
        price_row("input", "3", source="package", precedence=50),
        price_row("input", "1", source="own", precedence=100, valid_to=june),
    ]
    book = PriceBook.of(rows)
    before = book.charge({"input": 10**6}, ChargeFacts(june - timedelta(seconds=1)))
    assert before.lines[0].rate.row.source == "own"
    assert book.charge({"input": 10**6}, ChargeFacts(june)).lines[0].rate.row.source == "package"


def test_a_price_seen_later_is_not_known_before_unless_backdated() -> None:
    rows = [price_row("input", "3", valid_from=NOON, basis="observed")]
    before = NOON - timedelta(days=100)
    with pytest.raises(PriceNotKnownError, match="2026-06-03") as refused:
        charge(rows, {"input": 10**6}, at=before)
    assert refused.value.accepted["backdate"] == "earliest"
    found = charge(rows, {"input": 10**6}, at=before, backdate=True)
    assert found.total == 3
    assert found.lines[0].rate.basis == "assumed"
    assert charge(rows, {"input": 10**6}, at=NOON).lines[0].rate.basis == "observed"


def test_a_price_stated_to_begin_later_is_never_backdated() -> None:
    rows = [price_row("input", "3", valid_from=NOON)]
    with pytest.raises(PriceNotKnownError) as refused:
        charge(rows, {"input": 1}, at=NOON - timedelta(days=1), backdate=True)
    assert refused.value.accepted == {"first_known": NOON.isoformat()}


def test_between_a_price_that_ended_and_one_seen_later_none_is_known() -> None:
    march = datetime(2026, 3, 1, tzinfo=UTC)
    rows = [
        price_row("input", "5", valid_to=march),
        price_row("input", "3", valid_from=NOON, basis="observed"),
    ]
    with pytest.raises(PriceNotKnownError, match="2026-06-03"):
        charge(rows, {"input": 10**6}, at=march)
    assert charge(rows, {"input": 10**6}, at=march, backdate=True).total == 3
    assert charge(rows, {"input": 10**6}, at=march - timedelta(seconds=1)).total == 5


def test_after_the_last_price_ended_the_refusal_names_that_day() -> None:
    rows = [price_row("input", "5", valid_to=NOON)]
    with pytest.raises(PriceNotKnownError) as refused:
        charge(rows, {"input": 1}, at=NOON)
    assert refused.value.accepted["known_until"] == NOON.isoformat()


def test_a_cache_price_first_seen_later_does_not_fall_back_to_the_input_price() -> None:
    rows = [price_row("input", "5"), price_row("cache_read", "0.5", valid_from=NOON, basis="observed")]
    with pytest.raises(PriceNotKnownError, match="cache_read"):
        charge(rows, {"input": 10, "cache_read": 5}, at=NOON - timedelta(days=1))


def test_a_meter_without_any_row_is_refused() -> None:
    with pytest.raises(NoMatchingPriceError, match="web_searches"):
        charge([price_row("input", "5")], {"input": 1, "web_searches": 1})


def test_a_price_per_request_counts_one_whatever_the_usage_says() -> None:
    per_request = price_row("requests", "5", per="thousand_requests", unit_size=Decimal(1_000))
    found = charge([price_row("input", "0"), per_request], {"input": 10})
    assert found.total == Decimal("0.005")


def test_seconds_of_an_hourly_price_are_rounded_once_and_say_so() -> None:
    rows = [price_row("audio_seconds", "1", per="hour", unit_size=Decimal(3_600))]
    (seven,) = charge(rows, {"audio_seconds": 7}).lines
    assert (seven.charge, seven.exact) == (Decimal("0.001944444444444444"), False)
    (nine,) = charge(rows, {"audio_seconds": 9}).lines
    assert (nine.charge, nine.exact) == (Decimal("0.0025"), True)


def test_fractions_of_a_unit_are_charged_exactly() -> None:
    found = charge([price_row("input", "0.1"), price_row("output", "1")], {"input": Decimal("2.5")})
    assert found.total == Decimal("0.00000025")


def test_nothing_used_costs_nothing() -> None:
    found = charge([price_row("input", "5")], {"input": 0, "output": 0})
    assert (found.total, found.lines) == (0, ())


@pytest.mark.parametrize(
    ("at", "rate"),
    [
        ("2026-06-05T00:59:59Z", 1),  # Friday
        ("2026-06-05T01:00:00Z", 2),
        ("2026-06-05T03:59:59Z", 2),
        ("2026-06-05T04:00:00Z", 1),
        ("2026-06-06T02:00:00Z", 1),  # Saturday
        ("2026-06-04T21:00:00-04:00", 2),  # Friday 01:00 UTC
    ],
)
def test_a_window_holds_by_the_start_of_the_request(at: str, rate: int) -> None:
    window = {"weekdays": "12345", "start_time": "01:00", "end_time": "04:00", "time_zone": "UTC"}
    book = PriceBook.of([price_row("input", "1"), price_row("input", "2", **window)])
    facts = ChargeFacts(datetime.fromisoformat(at))
    # Twice, because the second charge comes from what was kept of the first.
    assert [book.charge({"input": 10**6}, facts).total for _ in range(2)] == [rate, rate]


amounts = st.decimals(min_value=0, max_value=999, places=6)
tokens = st.integers(0, 2**40)


@given(amounts, amounts, amounts, tokens, tokens, tokens)
def test_a_charge_equals_the_rational_sum(
    first: Decimal, second: Decimal, third: Decimal, fresh: int, cached: int, answered: int
) -> None:
    rows = [
        price_row("input", str(first)),
        price_row("cache_read", str(second)),
        price_row("output", str(third)),
    ]
    found = charge(rows, {"input": fresh + cached, "cache_read": cached, "output": answered})
    exact = (Fraction(first) * fresh + Fraction(second) * cached + Fraction(third) * answered) / 10**6
    assert Fraction(found.total) == exact
    assert sum((Fraction(line.charge) for line in found.lines), Fraction(0)) == exact


def test_rows_of_long_ago_stay_out_of_later_requests() -> None:
    rows = [
        price_row("input", "5", valid_to=datetime(2026, 2, 1, tzinfo=UTC)),
        price_row("input", "4", valid_from=datetime(2026, 2, 1, tzinfo=UTC)),
    ]
    book = PriceBook.of(rows)
    found = [book.charge({"input": 10**6}, ChargeFacts(at)).total for at in (JANUARY, NOON, JANUARY)]
    assert found == [5, 4, 5]
