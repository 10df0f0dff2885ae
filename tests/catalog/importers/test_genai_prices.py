"""The genai-prices adapter, against the package's own evaluation of its own data."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from functools import cache
from itertools import product
from pathlib import Path

import pytest
import yaml
from genai_prices import types as source
from genai_prices.data import providers
from genai_prices.data_units import unit_data

from service.application.ports import Selector
from service.billing.ambiguity import find_ambiguities
from service.billing.resolution import RequestFacts, resolve_meter
from service.catalog.drafts import ListPriceDraft
from service.catalog.importers import genai_prices as adapter
from service.catalog.importers.genai_prices import GenaiPricesReading, convert, read_genai_prices

RELEASED = date(2026, 11, 10)
REGISTRY = Path(__file__).parents[3] / "hardware_catalog" / "units.yaml"


@cache
def reading() -> GenaiPricesReading:
    return read_genai_prices()


@cache
def rows_by_listing() -> Mapping[tuple[str, str], Mapping[str, list[ListPriceDraft]]]:
    found: dict[tuple[str, str], dict[str, list[ListPriceDraft]]] = defaultdict(lambda: defaultdict(list))
    for draft in reading().batch.drafts:
        assert isinstance(draft, ListPriceDraft)
        found[draft.provider, draft.provider_model_id][draft.meter].append(draft)
    return found


def make_model(
    prices: source.ModelPrice | list[source.ConditionalPrice],
    variants: list[source.PriceVariant] | None = None,
) -> source.Provider:
    model = source.ModelInfo(id="m", match=source.ClauseEquals("m"), prices=prices, price_variants=variants)
    return source.Provider(id="acme", name="Acme", api_pattern="acme", models=[model])


def read(provider: source.Provider) -> list[ListPriceDraft]:
    result = convert([provider], unit_data, RELEASED, "digest")
    assert result.batch.rejected == ()
    return [draft for draft in result.batch.drafts if isinstance(draft, ListPriceDraft)]


def price(**rates: Decimal | source.TieredPrices) -> source.ModelPrice:
    return source.ModelPrice(**rates)


def day(year: int, month: int, number: int) -> datetime:
    return datetime(year, month, number, tzinfo=UTC)


def test_a_model_without_prices_yields_no_row_and_is_reported() -> None:
    result = convert([make_model(price())], unit_data, RELEASED, "digest")
    assert (result.batch.drafts, result.unpriced, result.models) == ((), ("acme/m",), 1)


def test_an_undated_price_was_seen_on_the_day_of_the_release() -> None:
    (row,) = read(make_model(price(input_mtok=Decimal("2.50"))))
    assert (row.valid_from, row.valid_to, row.valid_from_basis) == (day(2026, 11, 10), None, "observed")
    assert (row.price.amount, row.price.currency, row.price.per) == (Decimal("2.5"), "USD", "million_tokens")
    assert (row.meter, row.selector, row.source) == ("input", Selector(), "genai-prices")


def test_an_undated_price_superseded_before_the_release_was_in_force_on_the_last_day_before() -> None:
    rows = read(
        make_model(
            [
                source.ConditionalPrice(prices=price(input_mtok=Decimal(3))),
                source.ConditionalPrice(
                    constraint=source.StartDateConstraint(date(2026, 9, 1)),
                    prices=price(input_mtok=Decimal(2)),
                ),
                source.ConditionalPrice(
                    constraint=source.StartDateConstraint(date(2027, 1, 1)),
                    prices=price(output_mtok=Decimal(1)),
                ),
            ]
        )
    )
    assert [
        (row.meter, row.price.amount, row.valid_from, row.valid_to, row.valid_from_basis) for row in rows
    ] == [
        ("input", 3, day(2026, 8, 31), day(2026, 9, 1), "observed"),
        ("input", 2, day(2026, 9, 1), day(2027, 1, 1), "stated"),
        ("output", 1, day(2027, 1, 1), None, "stated"),  # future-dated: kept, inactive until its day
    ]


def test_an_undated_price_with_a_future_successor_was_seen_on_the_day_of_the_release() -> None:
    later = source.StartDateConstraint(date(2027, 1, 1))
    rows = read(
        make_model(
            [
                source.ConditionalPrice(prices=price(input_mtok=Decimal(3))),
                source.ConditionalPrice(constraint=later, prices=price(input_mtok=Decimal(2))),
            ]
        )
    )
    assert (rows[0].valid_from, rows[0].valid_to) == (day(2026, 11, 10), day(2027, 1, 1))


def test_a_tier_starts_one_token_above_its_threshold() -> None:
    tiered = source.TieredPrices(Decimal(1), [source.Tier(200_000, Decimal(2))])
    rows = read(make_model(price(output_mtok=tiered)))
    assert [(row.selector.context_from, row.selector.context_to, row.price.amount) for row in rows] == [
        (None, 200_001, 1),
        (200_001, None, 2),
    ]
    assert {(row.selector.context_measure, row.selector.context_mode) for row in rows} == {
        ("input", "whole_request")
    }


def test_a_flat_batch_price_is_written_for_each_band_of_the_standard_price() -> None:
    tiered = source.TieredPrices(Decimal(4), [source.Tier(10, Decimal(8))])
    batch = source.PriceVariant({"processing": "batch"}, price(input_mtok=Decimal(2)))
    rows = read(make_model(price(input_mtok=tiered), [batch]))
    bound = [row for row in rows if row.selector.service_tier == "batch"]
    assert [(row.selector.context_from, row.selector.context_to, row.price.amount) for row in bound] == [
        (None, 11, 2),
        (11, None, 2),
    ]
    assert find_ambiguities(rows) == []


@pytest.mark.parametrize(
    ("when", "selector"),
    [
        ({"processing": "batch"}, Selector(service_tier="batch")),
        ({"service_tier": "flex"}, Selector(service_tier="flex")),
        ({"speed": "fast"}, Selector(service_tier="fast")),
        ({"route": "mistral/eu"}, Selector(region="mistral/eu")),
        ({"search_type": "fast"}, Selector(variant="search_type=fast")),
        ({"a": "1", "b": "2"}, Selector(variant="a=1,b=2")),
    ],
)
def test_a_variants_context_becomes_an_axis(when: dict[str, str], selector: Selector) -> None:
    rows = read(make_model(price(), [source.PriceVariant(when, price(input_mtok=Decimal(2)))]))
    assert [row.selector for row in rows] == [selector]


def test_a_variant_holds_inside_the_daily_windows_of_the_standard_price() -> None:
    window = source.TimeOfDateConstraint(time(22), time(2, 30))
    provider = make_model(
        [
            source.ConditionalPrice(prices=price(input_mtok=Decimal(1))),
            source.ConditionalPrice(constraint=window, prices=price(input_mtok=Decimal(2))),
        ],
        [source.PriceVariant({"processing": "batch"}, price(input_mtok=Decimal("0.5")))],
    )
    rows = read(provider)
    assert find_ambiguities(rows) == []
    at = RequestFacts(at=datetime(2026, 11, 20, 1, tzinfo=UTC), service_tier="batch")
    assert resolve_meter(rows, "input", at, 1)[0].row.price.amount == Decimal("0.5")
    assert {(row.selector.start_time, row.selector.end_time) for row in rows} == {
        (None, None),
        ("22:00", "02:30"),
    }


def test_a_daily_window_ends_where_a_later_entry_starts_and_is_read_in_utc() -> None:
    east = timezone(timedelta(hours=8))
    window = source.TimeOfDateConstraint(time(9, tzinfo=east), time(12, tzinfo=east))
    rows = read(
        make_model(
            [
                source.ConditionalPrice(constraint=window, prices=price(input_mtok=Decimal(2))),
                source.ConditionalPrice(
                    constraint=source.StartDateConstraint(date(2026, 12, 1)),
                    prices=price(input_mtok=Decimal(1)),
                ),
            ]
        )
    )
    assert [(row.selector.start_time, row.valid_to) for row in rows] == [
        (None, None),
        ("01:00", day(2026, 12, 1)),
    ]


def test_a_variant_may_hold_in_a_daily_window_alone() -> None:
    window = source.TimeOfDateConstraint(time(1), time(4))
    variant = source.PriceVariant({"processing": "batch"}, price(input_mtok=Decimal(1)), constraint=window)
    (row,) = read(make_model(price(), [variant]))
    assert row.selector.axes == {"service_tier", "window"}
    assert row.valid_to is None


def test_deprecation_and_conversion_are_noted_on_the_row() -> None:
    provider = make_model(price(input_mtok=Decimal(1)))
    provider.models[0].deprecated = True
    provider.price_comments = "Prices in CNY, converted to USD at 7.25."
    (row,) = read(provider)
    assert row.note == (
        "Deprecated by the provider. The provider bills in another currency; converted to USD by the source."
    )


def test_a_key_without_meter_and_a_negative_rate_are_rejected_by_name() -> None:
    provider = make_model(price(input_mtok=Decimal(-1), output_mtok=Decimal(1)))
    units = {key: entry for key, entry in unit_data.items() if key != "output_tokens"}
    result = convert([provider], units, RELEASED, "digest")
    assert [row.origin for row in result.batch.rejected] == ["acme/m input_mtok", "acme/m output_mtok"]
    assert "negative" in result.batch.rejected[0].reason
    assert "no meter or unit" in result.batch.rejected[1].reason
    assert result.unpriced == ()


def test_units_of_an_unknown_size_or_shape_are_no_units() -> None:
    odd = {"odd_tokens": {"per": 7, "price_key": "input_mtok", "dimensions": {"family": "tokens"}}}
    broken = {"broken": {"per": "7", "price_key": "output_mtok", "dimensions": {}}}
    provider = make_model(price(input_mtok=Decimal(1), output_mtok=Decimal(1)))
    assert len(convert([provider], {**odd, **broken}, RELEASED, "digest").batch.rejected) == 2


def test_an_unknown_version_needs_its_release_date(monkeypatch: pytest.MonkeyPatch) -> None:
    known_digest = reading().batch.content_digest
    monkeypatch.setattr(adapter, "version", lambda _: "9.9.9")
    with pytest.raises(LookupError, match=r"9\.9\.9 is not recorded"):
        read_genai_prices()
    later = read_genai_prices(date(2027, 5, 1))
    assert later.batch.observed_at == day(2027, 5, 1)
    assert later.batch.content_digest != known_digest


def test_the_whole_package_is_read_and_nothing_is_dropped() -> None:
    result = reading()
    priced = {f"{draft.provider}/{draft.provider_model_id}" for draft in result.batch.drafts}  # type: ignore[union-attr]
    listed = {f"{provider.id}/{model.id}" for provider in providers for model in provider.models}
    assert priced | set(result.unpriced) == listed
    assert priced.isdisjoint(result.unpriced)
    assert (result.models, len(listed)) == (2_330, 2_330)
    assert result.batch.rejected == ()
    assert result.batch.complete_sources == {"genai-prices"}


def test_undated_models_are_as_many_as_the_contract_counts() -> None:
    dated = sum(isinstance(model.prices, list) for provider in providers for model in provider.models)
    assert 2_330 - dated == 2_097


def test_all_24_meters_of_the_package_arrive_and_stand_in_the_registry() -> None:
    registry = yaml.safe_load(REGISTRY.read_text())
    meters = {meter["id"]: meter["dimension"] for meter in registry["meters"]}
    units = {unit["id"]: unit["dimension"] for unit in registry["units"]}
    used = Counter((draft.meter, draft.price.per) for draft in reading().batch.drafts)  # type: ignore[union-attr]
    assert len({meter for meter, _ in used}) == 24
    assert all(meters[meter] == units[per] for meter, per in used)


def test_no_two_rows_of_a_listing_compete_for_a_request() -> None:
    for meters in rows_by_listing().values():
        for rows in meters.values():
            assert find_ambiguities(rows) == []


def test_long_rates_are_rounded_and_keep_their_digits() -> None:
    rounded = [
        d.price for d in reading().batch.drafts if isinstance(d, ListPriceDraft) and d.price.source_value
    ]
    assert len(rounded) == reading().rounded
    assert {str(p.amount) for p in rounded if p.source_value == "1.0399999999999998"} == {"1.04"}


MOMENTS = [
    datetime(2026, 11, 10, 0, 0, tzinfo=UTC),
    datetime(2026, 11, 11, 2, 30, tzinfo=UTC),
    datetime(2026, 11, 14, 8, 0, tzinfo=UTC),  # Saturday
    datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC),
    datetime(2026, 12, 1, 0, 0, tzinfo=UTC),
    datetime(2027, 2, 1, 12, 0, tzinfo=UTC),
]
CONTEXTS: list[dict[str, str]] = [
    {},
    {"processing": "batch"},
    {"service_tier": "flex"},
    {"service_tier": "priority"},
    {"speed": "fast"},
    {"route": "mistral/eu"},
    {"search_type": "fast"},
]
TOKENS = [0, 32_000, 32_001, 128_000, 128_001, 200_000, 200_001, 272_000, 272_001, 1_000_000]


def expected_rate(value: Decimal | source.TieredPrices, tokens: int) -> Decimal:
    """Return the package's own answer for one unit at a context length."""
    return source.calc_unit_price(value, 1, tokens, 1)


def facts_of(at: datetime, context: dict[str, str], tokens: int) -> RequestFacts:
    tier = context.get("processing") or context.get("service_tier") or context.get("speed")
    search = context.get("search_type")
    return RequestFacts(
        at=at,
        service_tier=tier,
        region=context.get("route"),
        variant=f"search_type={search}" if search else None,
        measures={"input": tokens},
    )


def valid_at(rows: Sequence[ListPriceDraft], at: datetime) -> list[ListPriceDraft]:
    return [row for row in rows if row.valid_from <= at and (row.valid_to is None or at < row.valid_to)]


def known_contexts(model: source.ModelInfo) -> Sequence[dict[str, str]]:
    """Return the contexts the model prices; a tier that it lacks is an error here, not standard."""
    variants = [variant.when for variant in model.price_variants or ()]
    return [context for context in CONTEXTS if not context or context in variants]


@pytest.mark.parametrize("at", MOMENTS, ids=str)
def test_every_price_equals_the_packages_own_at_any_time_context_and_length(at: datetime) -> None:
    checked = 0
    for provider in providers:
        for model in provider.models:
            rows = rows_by_listing().get((provider.id, model.id), {})
            for context in known_contexts(model):
                theirs = vars(model.get_prices(at, context))
                lengths = (
                    TOKENS if any(isinstance(v, source.TieredPrices) for v in theirs.values()) else [50_000]
                )
                for (key, value), tokens in product(theirs.items(), lengths):
                    if value is None:
                        continue
                    meter = key_to_meter()[key]
                    (part,) = resolve_meter(
                        valid_at(rows[meter], at), meter, facts_of(at, context, tokens), 1
                    )
                    ours = part.row.price
                    stated = Decimal(ours.source_value) if ours.source_value else ours.amount
                    assert stated == expected_rate(value, tokens), (
                        provider.id,
                        model.id,
                        key,
                        context,
                        tokens,
                    )
                    checked += 1
    assert checked > 6_000


@cache
def key_to_meter() -> Mapping[str, str]:
    return {str(unit["price_key"]): name.removesuffix("_tokens") for name, unit in unit_data.items()}
