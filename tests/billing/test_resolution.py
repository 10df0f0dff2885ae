"""Which row applies: none, one, the more specific one, an edge of a band, a fallback."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.billing.ambiguity import find_ambiguities
from service.billing.errors import (
    AmbiguousPriceError,
    NoMatchingPriceError,
    SelectorError,
    UnknownTierError,
)
from service.billing.money import charge, total
from service.billing.resolution import (
    RequestFacts,
    check_service_tier,
    matches,
    most_specific,
    resolve,
    resolve_meter,
)
from service.billing.selectors import STANDARD, Selector, selector_from_mapping

MILLION = 1_000_000
WHEN = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    """A price row reduced to what resolution and the import check read."""

    selector: Selector
    amount: Decimal = Decimal(1)
    valid_from: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    valid_to: datetime | None = None


def row(amount: str = "1", **axes: object) -> Row:
    return Row(selector_from_mapping(axes), Decimal(amount))


def band(low: int | None, high: int | None, mode: str = "whole_request") -> dict[str, object]:
    return {"context_measure": "input", "context_from": low, "context_to": high, "context_mode": mode}


def facts(tokens: int = 0, **changes: str) -> RequestFacts:
    return RequestFacts(at=WHEN, measures={"input": tokens}, **changes)  # type: ignore[arg-type]


def test_no_rows_price_nothing() -> None:
    assert most_specific([]) is None
    assert resolve_meter([], "input", facts(), 5) == ()
    with pytest.raises(NoMatchingPriceError, match="cache_read or input"):
        resolve({}, "cache_read", facts(), 5)


def test_an_absent_axis_matches_every_request() -> None:
    assert matches(STANDARD, facts(service_tier="batch", region="eu", cache_lifetime="1h", variant="x"))


@pytest.mark.parametrize("axis", ["service_tier", "region", "cache_lifetime", "variant"])
def test_a_bound_axis_matches_only_its_own_value(axis: str) -> None:
    selector = selector_from_mapping({axis: "a"})
    assert matches(selector, facts(**{axis: "a"}))
    assert not matches(selector, facts(**{axis: "b"}))
    assert not matches(selector, facts())


def test_the_row_that_binds_a_superset_of_all_other_axes_wins() -> None:
    standard, batch, both = (
        row("4"),
        row("2", service_tier="batch"),
        row("1", service_tier="batch", region="eu"),
    )
    for order in ([standard, batch, both], [both, standard, batch]):
        found = resolve_meter(order, "input", facts(service_tier="batch", region="eu"), 7)
        assert [(part.row, part.quantity) for part in found] == [(both, 7)]
    (found_batch,) = resolve_meter([standard, batch, both], "input", facts(service_tier="batch"), 7)
    assert found_batch.row is batch


def test_two_rows_with_nothing_between_them_are_an_error_not_a_choice() -> None:
    rivals = [row(service_tier="batch"), row(region="eu")]
    with pytest.raises(AmbiguousPriceError, match="2 price rows"):
        resolve_meter(rivals, "input", facts(service_tier="batch", region="eu"), 1)
    with pytest.raises(AmbiguousPriceError):
        most_specific([row(), row()])


@pytest.mark.parametrize(
    ("tokens", "rate"),
    [(0, "1"), (199_999, "1"), (200_000, "2"), (200_001, "2"), (399_999, "2"), (400_000, "3")],
)
def test_a_whole_request_band_prices_every_token_at_its_edge(tokens: int, rate: str) -> None:
    rows = [
        row("1", **band(None, 200_000)),
        row("2", **band(200_000, 400_000)),
        row("3", **band(400_000, None)),
    ]
    (part,) = resolve_meter(rows, "output", facts(tokens), 50)
    assert (part.row.amount, part.quantity) == (Decimal(rate), 50)


def test_a_band_needs_its_measure() -> None:
    with pytest.raises(NoMatchingPriceError, match="depends on input"):
        resolve_meter([row(**band(1, None))], "output", RequestFacts(at=WHEN), 1)


@pytest.mark.parametrize(
    ("tokens", "parts"),
    [
        (0, [("1", 0)]),
        (199_999, [("1", 199_999)]),
        (200_000, [("1", 200_000)]),
        (200_001, [("1", 200_000), ("2", 1)]),
        (300_001, [("1", 200_000), ("2", 100_000), ("3", 1)]),
    ],
)
def test_an_excess_band_prices_only_the_tokens_inside_it(tokens: int, parts: list[tuple[str, int]]) -> None:
    rows = [
        row("1", **band(0, 200_000, "excess")),
        row("2", **band(200_000, 300_000, "excess")),
        row("3", **band(300_000, None, "excess")),
    ]
    found = resolve_meter(rows, "input", facts(tokens), tokens)
    assert [(str(part.row.amount), part.quantity) for part in found] == parts


def test_below_an_excess_band_the_standard_price_holds() -> None:
    rows = [row("1"), row("2", **band(10, None, "excess"))]
    found = resolve_meter(rows, "input", facts(12), 12)
    assert [(str(part.row.amount), part.quantity) for part in found] == [("1", 10), ("2", 2)]


def test_a_gap_between_excess_bands_is_an_error() -> None:
    with pytest.raises(NoMatchingPriceError, match="from 0 to 10"):
        resolve_meter([row("2", **band(10, None, "excess"))], "input", facts(12), 12)


def test_an_excess_band_cuts_only_its_own_meter() -> None:
    with pytest.raises(SelectorError, match="only the meter's own"):
        resolve_meter([row("2", **band(10, None, "excess"))], "output", facts(12), 12)


@pytest.mark.parametrize(
    ("meter", "priced", "chain"),
    [
        ("cache_write_1h", "cache_write_1h", ("cache_write_1h",)),
        ("cache_write_1h", "cache_write", ("cache_write_1h", "cache_write")),
        ("cache_write_1h", "input", ("cache_write_1h", "cache_write", "input")),
        ("cache_write_5m", "cache_write", ("cache_write_5m", "cache_write")),
        ("cache_read", "input", ("cache_read", "input")),
        ("output_reasoning", "output", ("output_reasoning", "output")),
    ],
)
def test_fallbacks_are_taken_in_order_and_shown(meter: str, priced: str, chain: tuple[str, ...]) -> None:
    resolution = resolve({priced: [row()]}, meter, facts(), 3)
    assert resolution.priced_as == chain
    assert resolution.meter == meter
    assert resolution.fell_back is (len(chain) > 1)


def test_a_meter_whose_rows_do_not_match_falls_back_too() -> None:
    rows = {"cache_read": [row("1", service_tier="batch")], "input": [row("5")]}
    assert resolve(rows, "cache_read", facts(), 1).priced_as == ("cache_read", "input")


def test_there_is_no_fallback_from_input_or_output() -> None:
    for meter in ("input", "output", "web_searches"):
        with pytest.raises(NoMatchingPriceError):
            resolve({"cache_read": [row()]}, meter, facts(), 1)


def test_a_tier_that_no_row_names_is_an_error() -> None:
    rows = [row(), row(service_tier="batch")]
    for known in (None, "standard", "default", "batch"):
        check_service_tier(rows, known)
    with pytest.raises(UnknownTierError, match="'flex'") as caught:
        check_service_tier(rows, "flex")
    assert caught.value.accepted == {"service_tiers": ["batch", "default", "standard"]}


@pytest.mark.parametrize(
    ("moment", "rate"),
    [
        ("2026-11-02T00:59:59", "0.66"),  # Monday
        ("2026-11-02T01:00:00", "1.32"),
        ("2026-11-02T03:59:59", "1.32"),
        ("2026-11-02T04:00:00", "0.66"),
        ("2026-11-06T09:59:59", "1.32"),  # Friday
        ("2026-11-06T10:00:00", "0.66"),
        ("2026-11-07T02:00:00", "0.66"),  # Saturday
    ],
)
def test_deepseek_v4_pro_doubles_in_its_weekday_windows(moment: str, rate: str) -> None:
    """Portkey-AI/models issue 900."""
    peak = {"weekdays": "12345", "time_zone": "UTC"}
    rows = [
        row("0.66"),
        row("1.32", start_time="01:00", end_time="04:00", **peak),
        row("1.32", start_time="06:00", end_time="10:00", **peak),
    ]
    at = datetime.fromisoformat(f"{moment}+00:00")
    (part,) = resolve_meter(rows, "input", RequestFacts(at=at), MILLION)
    assert part.row.amount == Decimal(rate)


def axes_strategy() -> st.SearchStrategy[dict[str, object]]:
    some = st.sampled_from([None, "a", "b"])
    edges = st.sampled_from(
        [{}, band(None, 10), band(10, None), band(5, 20), band(0, 10, "excess"), band(10, None, "excess")]
    )
    window = st.sampled_from(
        [
            {},
            {"start_time": "01:00", "end_time": "13:00", "time_zone": "UTC"},
            {"weekdays": "67", "time_zone": "UTC"},
        ]
    )
    return st.builds(
        lambda tier, region, context, when: {"service_tier": tier, "region": region, **context, **when},
        some,
        some,
        edges,
        window,
    )


@given(
    st.lists(axes_strategy(), min_size=1, max_size=5),
    st.integers(min_value=0, max_value=30),
    st.sampled_from([None, "a", "b"]),
    st.sampled_from([None, "a", "b"]),
)
def test_what_the_import_check_admits_always_resolves_to_one_price(
    axes: list[dict[str, object]], tokens: int, tier: str | None, region: str | None
) -> None:
    rows = [Row(STANDARD), *(row(str(index + 2), **each) for index, each in enumerate(axes))]
    if find_ambiguities(rows):
        return
    request = RequestFacts(at=WHEN, service_tier=tier, region=region, measures={"input": tokens})
    for order in (rows, rows[::-1]):
        parts = resolve_meter(order, "input", request, tokens)
        assert sum(part.quantity for part in parts) == tokens
        lines = [charge(part.quantity, part.row.amount, MILLION) for part in parts]
        assert total(lines) == total(lines[::-1])
    assert resolve_meter(rows, "input", request, tokens) == resolve_meter(
        rows[::-1], "input", request, tokens
    )
