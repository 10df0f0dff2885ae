"""Usage pricing on the seeded catalog: published vectors, time windows, provenance, cost and margin."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest

from service.application.errors import InvalidRequestError, LimitExceededError, UnknownIdError
from service.application.ports import CatalogSnapshot, FxRateRecord
from service.application.render import to_json_values
from service.application.requests import EstimateRequest
from service.application.usage import UsagePricer
from service.application.usage_answers import UsageAnswer
from service.application.usage_json import UsageEncoder
from service.application.usage_requests import AdjustmentRequest, UsageRequest
from service.billing.errors import PriceNotKnownError
from service.catalog.content import load_content
from service.catalog.database import open_engine, reading
from service.catalog.snapshot import Snapshot
from service.catalog.usage_reading import GenaiUsageReader
from tests.builders.answers import make_answer

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MONDAY = datetime(2026, 11, 16, tzinfo=UTC)


@pytest.fixture(scope="module")
def snapshot(seeded_database_url: str) -> Iterator[Snapshot]:
    engine = open_engine(seeded_database_url)
    with reading(engine) as connection:
        yield Snapshot.of(load_content(connection))
    engine.dispose()


@pytest.fixture(scope="module")
def pricer() -> UsagePricer:
    return UsagePricer(GenaiUsageReader(), lambda request, catalog, now: make_answer(currency="USD"))


def record(**changes: Any) -> UsageRequest:
    usage = {"input": 3_000_000, "cache_read": 1_000_000, "output": 1_000_000}
    request = UsageRequest(provider="deepseek", model="deepseek-v4-pro", at=NOW, usage=usage)
    return replace(request, **changes)


def price(pricer: UsagePricer, snapshot: CatalogSnapshot, **changes: Any) -> UsageAnswer:
    return pricer.price(record(**changes), snapshot, NOW)


# Portkey-AI/models issue 900: $0.66 input, $0.022 cache hit, $1.98 output off-peak, double at peak,
# Monday to Friday 01:00-04:00 and 06:00-10:00 UTC, from 2026-08-16 16:00 UTC.
# Two million fresh, one million cached and one million answered tokens: 1.32 + 0.022 + 1.98.
OFF_PEAK, PEAK = Decimal("3.322"), Decimal("6.644")


@pytest.mark.parametrize(
    ("day", "clock", "total"),
    [
        (0, "00:59:59", OFF_PEAK),
        (0, "01:00:00", PEAK),
        (0, "03:59:59", PEAK),
        (0, "04:00:00", OFF_PEAK),
        (0, "05:59:59", OFF_PEAK),
        (0, "06:00:00", PEAK),
        (4, "09:59:59", PEAK),
        (4, "10:00:00", OFF_PEAK),
        (5, "02:00:00", OFF_PEAK),
        (6, "07:00:00", OFF_PEAK),
    ],
)
def test_deepseek_v4_pro_costs_double_in_its_weekday_windows(
    pricer: UsagePricer, snapshot: Snapshot, day: int, clock: str, total: Decimal
) -> None:
    hours, minutes, seconds = map(int, clock.split(":"))
    at = MONDAY + timedelta(days=day, hours=hours, minutes=minutes, seconds=seconds)
    assert price(pricer, snapshot, at=at).total == total


def test_peak_is_35_of_the_168_hours_of_a_week(pricer: UsagePricer, snapshot: Snapshot) -> None:
    totals = [price(pricer, snapshot, at=MONDAY + timedelta(hours=hour)).total for hour in range(168)]
    assert totals.count(PEAK) == 35
    assert totals.count(OFF_PEAK) == 133


def test_until_its_first_hour_the_price_before_counts(pricer: UsagePricer, snapshot: Snapshot) -> None:
    first = datetime(2026, 8, 16, 16, tzinfo=UTC)
    assert price(pricer, snapshot, at=first).total == OFF_PEAK
    before = price(pricer, snapshot, at=first - timedelta(seconds=1))
    assert {line.price.source for line in before.lines} == {"genai-prices"}


def test_an_undated_price_is_known_from_the_day_it_was_seen(pricer: UsagePricer, snapshot: Snapshot) -> None:
    early = {"provider": "openai", "model": "gpt-4o", "at": datetime(2026, 6, 1, tzinfo=UTC)}
    with pytest.raises(PriceNotKnownError, match="2026-11-10"):
        price(pricer, snapshot, **early)
    assumed = price(pricer, snapshot, **early, backdate="earliest")
    assert {line.price.valid_from_basis for line in assumed.lines} == {"assumed"}
    assert assumed.total == price(pricer, snapshot, provider="openai", model="gpt-4o").total


def test_a_dated_price_of_one_tier_does_not_date_that_of_another(
    pricer: UsagePricer, snapshot: Snapshot
) -> None:
    # genai-prices 0.2.3 dates the batch price of gpt-4o from 2026-10-14 and leaves the standard one undated.
    october = {"provider": "openai", "model": "gpt-4o", "at": datetime(2026, 10, 20, tzinfo=UTC)}
    usage = {"input": 1_000_000, "output": 1_000_000}
    assert price(pricer, snapshot, **october, usage=usage, service_tier="batch").total == Decimal("6.25")
    with pytest.raises(PriceNotKnownError, match="2026-11-10"):
        price(pricer, snapshot, **october, usage=usage)


def test_gpt_4o_cost_5_and_15_dollars_at_its_launch(pricer: UsagePricer, snapshot: Snapshot) -> None:
    # OpenAI's launch price, before the alias moved to gpt-4o-2024-08-06.
    launch = price(
        pricer,
        snapshot,
        provider="openai",
        model="gpt-4o",
        at=datetime(2024, 5, 14, tzinfo=UTC),
        usage={"input": 1_000_000, "output": 1_000_000},
    )
    assert launch.total == 20
    assert [line.price.source for line in launch.lines] == ["openai-gpt-4o-launch-price"] * 2


def test_every_line_names_the_row_that_priced_it(pricer: UsagePricer, snapshot: Snapshot) -> None:
    answer = price(pricer, snapshot, at=MONDAY + timedelta(hours=2))
    rows = {row.stamp.row_id: row for row in snapshot.list_prices("deepseek", "deepseek-v4-pro", None, None)}
    for line in answer.lines:
        row = rows[line.price.row_id]
        assert (row.meter, row.price.amount, row.source) == (line.meter, line.price.amount, line.price.source)
        assert line.price.selector["weekdays"] == "12345"
    assert answer.total == sum(line.charge for line in answer.lines)


def test_an_unknown_listing_is_refused_with_near_matches(pricer: UsagePricer, snapshot: Snapshot) -> None:
    with pytest.raises(UnknownIdError) as model:
        price(pricer, snapshot, model="deepseek-v4-por")
    assert "deepseek-v4-pro" in model.value.near
    with pytest.raises(UnknownIdError) as provider:
        price(pricer, snapshot, provider="deepsek")
    assert provider.value.near == ("deepseek",)


def test_a_response_names_its_model_and_tier(pricer: UsagePricer, snapshot: Snapshot) -> None:
    response = {
        "model": "gpt-4o",
        "service_tier": "default",
        "usage": {"prompt_tokens": 12, "completion_tokens": 5},
    }
    answer = price(pricer, snapshot, provider="openai", model=None, usage=None, response=response)
    assert (answer.model, answer.service_tier, answer.usage) == (
        "gpt-4o",
        "default",
        {"input": "12", "output": "5"},
    )


def test_a_response_without_a_model_needs_one_beside_it(pricer: UsagePricer, snapshot: Snapshot) -> None:
    response = {"prompt_tokens": 12, "completion_tokens": 5}
    with pytest.raises(InvalidRequestError, match="no model"):
        price(pricer, snapshot, provider="openai", model=None, usage=None, response=response)


def test_quantities_have_a_limit_also_in_a_response(pricer: UsagePricer, snapshot: Snapshot) -> None:
    response = {"prompt_tokens": 2**53, "completion_tokens": 5}
    with pytest.raises(LimitExceededError):
        price(pricer, snapshot, usage=None, response=response)


def test_adjustments_are_lines_and_rounding_rounds_lines_then_sums(
    pricer: UsagePricer, snapshot: Snapshot
) -> None:
    wanted = (
        AdjustmentRequest("agreement", "discount", Decimal(10), ("output",)),
        AdjustmentRequest("reseller", "markup", Decimal(5)),
    )
    exact = price(pricer, snapshot, adjustments=wanted)
    # 1.32 + 0.022 + 1.98, less 0.198, plus 5 % of 3.124.
    assert [item.charge for item in exact.adjustments] == [Decimal("-0.198"), Decimal("0.1562")]
    assert exact.total == Decimal("3.2802")
    rounded = price(pricer, snapshot, adjustments=wanted, round_digits=2)
    assert sorted(line.charge for line in rounded.lines) == [
        Decimal("0.02"),
        Decimal("1.32"),
        Decimal("1.98"),
    ]
    assert [item.charge for item in rounded.adjustments] == [Decimal("-0.20"), Decimal("0.16")]
    assert rounded.total == Decimal("3.28")


def test_a_named_deployment_gives_cost_and_margin(pricer: UsagePricer, snapshot: Snapshot) -> None:
    deployment = EstimateRequest(model="llama-3.1-70b", accelerator="h100-sxm")
    modelled = price(pricer, snapshot, deployment=deployment).deployment
    assert modelled is not None
    # The fake estimate has rates of 0.5, 0.125 and 1.5 per million.
    assert modelled.cost_by_kind == {"uncached_input": 1.0, "cached_input": 0.125, "output": 1.5}
    assert modelled.margin == pytest.approx(1 - 2.625 / 3.322)


class WithRates:
    """A snapshot with exchange rates of its own."""

    def __init__(self, snapshot: Snapshot, rates: list[FxRateRecord]) -> None:
        self._snapshot = snapshot
        self._rates = rates

    def fx_rates(self, known_at: int | None = None) -> list[FxRateRecord]:
        return self._rates

    def __getattr__(self, name: str) -> Any:
        return getattr(self._snapshot, name)


def test_the_margin_is_of_the_converted_charge_where_the_cost_is_in_that_currency(snapshot: Snapshot) -> None:
    in_euros = UsagePricer(GenaiUsageReader(), lambda request, catalog, now: make_answer(currency="EUR"))
    deployment = EstimateRequest(model="llama-3.1-70b", accelerator="h100-sxm")
    plain = price(in_euros, snapshot, deployment=deployment).deployment
    assert plain is not None
    assert plain.margin is None
    day = FxRateRecord(7, "s", "EUR", "USD", NOW.date(), Decimal("1.25"), 1, None, NOW)
    rated = WithRates(snapshot, [day])
    converted = price(in_euros, rated, deployment=deployment, convert_to="EUR")  # type: ignore[arg-type]
    assert converted.converted is not None
    # 3.322 / 1.25 euros are charged; the fake estimate costs 2.625.
    assert converted.converted.total == Decimal("2.6576")
    assert converted.deployment is not None
    assert converted.deployment.margin == pytest.approx(1 - 2.625 / 2.6576)


def test_the_digest_depends_on_content_alone(pricer: UsagePricer, snapshot: Snapshot) -> None:
    once, again = price(pricer, snapshot), price(pricer, snapshot, reference="other")
    assert once.digest == again.digest
    assert once.digest != price(pricer, snapshot, usage={"input": 1}).digest
    assert once.digest != price(pricer, snapshot, at=MONDAY).digest


def test_an_older_snapshot_goes_on_answering_beside_a_newer_one(
    pricer: UsagePricer, snapshot: Snapshot
) -> None:
    newer = Snapshot.of(snapshot.content)
    totals = [pricer.price(record(), which, NOW).total for which in (snapshot, newer, snapshot)]
    assert totals == [OFF_PEAK] * 3


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"round_digits": 2, "reference": 'quoted "id"'},
        {"adjustments": (AdjustmentRequest("a", "markup", Decimal("3.50")),)},
        {"deployment": EstimateRequest(model="llama-3.1-70b", accelerator="h100-sxm")},
        {"usage": {"input": Decimal("2.50")}},
    ],
)
def test_the_quick_encoder_says_what_the_plain_one_says(
    pricer: UsagePricer, snapshot: Snapshot, changes: dict[str, Any]
) -> None:
    answer = price(pricer, snapshot, **changes)
    text = UsageEncoder().encode(answer, 0.0)
    plain = orjson.loads(orjson.dumps(to_json_values(answer)))
    assert _numbers(json.loads(text)) == _numbers(plain)
    assert list(json.loads(text)) == list(plain)


def _numbers(value: Any) -> Any:
    """Return amounts as numbers: the two differ in trailing zeros."""
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    if isinstance(value, str) and value.replace(".", "", 1).removeprefix("-").isdigit():
        return Decimal(value)
    return value
