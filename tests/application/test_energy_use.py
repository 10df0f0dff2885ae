"""Joules on every estimate: they conserve, follow the split, and name what stands around."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from service.application.cost_requests import CostTermsRequest
from service.application.requests import LayoutRequest, OperatingPointRequest
from service.engine.energy import FAMILIES
from tests.builders.estimates import SNAPSHOT, make_estimate, workload

ASKED: dict[str, dict[str, Any]] = {
    "one class": {},
    "a cache": {"workload": workload((1.0, 4000, 500, 0.5))},
    "classes": {"workload": workload((1.0, 4000, 500, 0.5), (3.0, 200, 900, 0.0))},
    "prefill alone": {"workload": workload((1.0, 4000, 1, 0.0))},
    "phase": {"split": "phase", "workload": workload((1.0, 4000, 500, 0.5))},
    "by cause": {"kv_view": "by_cause", "workload": workload((1.0, 4000, 500, 0.5))},
    "eight ranks": {"model": "deepseek-v3", "layout": LayoutRequest(tp=1, attention_dp=8, moe_ep=8)},
    "half at work": {"utilisation": 0.5},
    "arrivals": {
        "utilisation": None,
        "operating_point": OperatingPointRequest(kind="arrival_rate", requests_per_second=2.0),
    },
}


@pytest.mark.parametrize("name", ASKED)
def test_joules_times_tokens_are_power_times_time(name: str) -> None:
    changes = dict(ASKED[name])
    if name == "eight ranks":
        changes["accelerator"] = "h200-sxm"
    answer = make_estimate(**changes)
    energy, point = answer.energy, answer.operating_point
    tokens = {rate.kind: rate.tokens_per_request for rate in answer.rates}
    total = sum(tokens[kind] * joules for kind, joules in energy.joules_per_token.items())
    assert total == pytest.approx(energy.joules_per_request["working"], rel=1e-9)
    assert energy.sum_per_request == pytest.approx(total, rel=1e-12)
    if point.kind == "concurrency":
        seconds = answer.accelerators_per_replica / point.requests_per_second
        assert total == pytest.approx(energy.working_watts * seconds, rel=1e-9)


@pytest.mark.parametrize("name", ["one class", "half at work", "arrivals"])
def test_all_parts_are_power_times_paid_time(name: str) -> None:
    answer = make_estimate(**ASKED[name])
    parts, energy, point = answer.energy.joules_per_request, answer.energy, answer.operating_point
    paid = answer.accelerators_per_replica / point.requests_per_second
    if point.kind == "concurrency":
        paid /= point.utilisation
    working = parts["working"] / energy.working_watts
    assert 0 < working <= paid * (1 + 1e-12)
    assert parts["waiting"] == pytest.approx(energy.waiting_watts * (paid - working), abs=1e-9)
    assert parts["host"] == pytest.approx(energy.host_watts * paid)
    assert parts["network"] == pytest.approx(energy.network_watts * paid)
    drawn = sum(parts[name] for name in ("working", "waiting", "host", "network"))
    assert parts["cooling"] == pytest.approx(0.3 * drawn)
    assert parts["total"] == pytest.approx(1.3 * drawn)


def test_idle_time_costs_joules_but_none_of_those_at_work() -> None:
    busy, half = make_estimate(utilisation=1.0).energy, make_estimate(utilisation=0.5).energy
    assert half.joules_per_token == pytest.approx(busy.joules_per_token)
    assert busy.joules_per_request["waiting"] == pytest.approx(0.0, abs=1e-9)
    assert half.joules_per_request["waiting"] > 0
    assert half.facility_joules_per_token["output"] > busy.facility_joules_per_token["output"]


def test_power_lies_between_that_of_waiting_and_the_datasheets_most() -> None:
    spec = SNAPSHOT.accelerator("h100-sxm").spec
    for concurrency in (1.0, 8.0, 64.0):
        point = OperatingPointRequest(kind="concurrency", concurrency=concurrency)
        watts = make_estimate(operating_point=point).energy.working_watts
        assert spec.idle_power_watts < watts <= spec.max_power_watts


def test_input_costs_more_energy_than_its_share_of_time_says() -> None:
    # Prefill keeps the arithmetic busy, decode waits for memory: a second of prefill draws more.
    answer = make_estimate()
    time = {rate.kind: rate.accelerator_seconds_per_million_tokens for rate in answer.rates}
    joules = answer.energy.joules_per_token
    assert joules["uncached_input"] / time["uncached_input"] > joules["output"] / time["output"]


def test_a_first_cached_token_costs_what_it_tends_to() -> None:
    none = make_estimate(workload=workload((1.0, 4000, 500, 0.0))).energy.joules_per_token
    few = make_estimate(workload=workload((1.0, 4000, 500, 0.001))).energy.joules_per_token
    assert none["cached_input"] == pytest.approx(few["cached_input"], rel=0.01)


def test_the_callers_host_and_facility_take_the_place_of_the_defaults() -> None:
    terms = CostTermsRequest(
        currency="USD",
        electricity_per_kilowatt_hour=Decimal("0.1"),
        host_power_watts=111.0,
        power_usage_effectiveness=1.1,
    )
    energy = make_estimate(costs=terms).energy
    assert (energy.host_watts, energy.power_usage_effectiveness) == (111.0, 1.1)
    default = make_estimate().energy
    spec = SNAPSHOT.accelerator("h100-sxm").spec
    assert default.host_watts == pytest.approx(FAMILIES["hopper"].host_share * spec.max_power_watts)
    assert replace(energy, host_watts=default.host_watts) != default
