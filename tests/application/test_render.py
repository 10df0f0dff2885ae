"""Answers become JSON values with the roundings that CONTRACT 1 promises."""

from dataclasses import fields, replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.application.answers import EstimateAnswer, ListPriceComparison, Offer
from service.application.render import (
    render_datetime,
    render_decimal,
    render_float,
    request_to_json_values,
    round_figures,
    to_json_values,
)
from tests.builders.answers import make_answer, make_request


@pytest.mark.parametrize(
    ("value", "rendered"),
    [
        (1 / 3, 0.333333333),
        (2 / 3 * 1e-20, 6.66666667e-21),
        (123456789012.0, 123456789000.0),
        (0.0, 0.0),
        (1.0, 1.0),
    ],
)
def test_modelled_figures_keep_nine_significant_digits(value: float, rendered: float) -> None:
    assert render_float(value) == rendered


@pytest.mark.parametrize(
    ("value", "rendered"),
    [("1E-7", "0.0000001"), ("1E+3", "1000"), ("0.60", "0.60"), ("0", "0")],
)
def test_exact_amounts_never_show_an_exponent(value: str, rendered: str) -> None:
    assert render_decimal(Decimal(value)) == rendered


def test_times_are_told_in_utc_whatever_their_offset() -> None:
    tokyo = timezone(timedelta(hours=9))
    assert render_datetime(datetime(2026, 1, 1, 9, 0, tzinfo=tokyo)) == "2026-01-01T00:00:00Z"


def test_every_field_of_an_answer_is_rendered() -> None:
    assert list(to_json_values(make_answer())) == [field.name for field in fields(EstimateAnswer)]


def test_a_rendered_answer_is_json_and_holds_the_promised_fields() -> None:
    answer = orjson.loads(orjson.dumps(to_json_values(make_answer())))
    assert [rate["kind"] for rate in answer["rates"]] == ["uncached_input", "cached_input", "output"]
    assert {rate["currency"] for rate in answer["rates"]} == {"USD"}
    assert answer["rates"][2]["per_million_tokens"] == 1.5
    assert answer["conservation"]["bill_per_request"] == answer["conservation"]["sum_per_request"]
    assert (answer["ttft_seconds"], answer["tpot_seconds"]) == (0.25, 0.015)
    assert answer["cost_per_accelerator_hour"] == "2.00"
    assert answer["list_prices"][0]["input_per_million"] == "0.60"
    assert answer["list_prices"][0]["margin_by_kind"]["cached_input"] is None
    assert answer["provenance"]["rows"][0]["valid_from"] == "2026-01-31T12:00:00Z"


def test_a_resolved_request_has_the_form_of_a_body_and_every_digit() -> None:
    body = request_to_json_values(make_request())
    assert body["workload"]["classes"][0]["weight"] == 1 / 3
    assert body["known_at"] == "r12"
    assert body["as_of"] == "2026-01-31T12:00:00Z"
    assert body["price"]["amount"] == "2.00"
    assert body["defaulted"] == ["layout", "utilisation"]
    assert "config" not in body
    assert "max_ttft_seconds" not in body["operating_point"]
    assert to_json_values(make_answer())["resolved"] == body


def test_a_sample_of_requests_survives_in_a_resolved_body() -> None:
    from service.application.requests import SampleRequest

    request = make_request()
    assert request.workload is not None
    sampled = replace(request.workload[0], sample=(SampleRequest(10, 20, 5),), input_tokens=None)
    body = request_to_json_values(replace(request, workload=(sampled,)))
    assert body["workload"]["classes"][0]["sample"] == [
        {"input_tokens": 10, "output_tokens": 20, "cached_tokens": 5}
    ]


def test_a_field_without_a_json_form_is_refused_with_its_type() -> None:
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Odd:
        value: complex

    with pytest.raises(TypeError, match="complex"):
        to_json_values(Odd(1j))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_rounding_at_once_gives_what_rounding_through_text_gives(numbers: list[float]) -> None:
    at_once = round_figures(np.array(numbers)).tolist()
    for number, rounded in zip(numbers, at_once, strict=True):
        # A number within 1e-7 of the middle between two decimals may go to either.
        assert rounded == pytest.approx(render_float(number), rel=1.1e-8, abs=0.0)
        assert rounded == render_float(rounded)


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
def test_a_figure_that_is_no_number_is_null_and_text_that_looks_like_one_stays(odd: float) -> None:
    answer = replace(make_answer(), mfu=odd, warnings=('the key "x":inf, or ":nan}',))
    values = to_json_values(answer)
    assert values["mfu"] is None
    assert values["warnings"] == ['the key "x":inf, or ":nan}']
    assert values["mbu"] == render_float(answer.mbu)


def test_texts_and_keys_are_escaped() -> None:
    odd = '100 % of "it"\\\n\u00e9'
    values = to_json_values(replace(make_answer(), model=odd, phase_increments={odd: {odd: 1 / 3}}))
    assert values["model"] == odd
    assert values["phase_increments"] == {odd: {odd: 0.333333333}}


def test_what_an_offer_says_stands_in_the_comparison_itself() -> None:
    answer = make_answer()
    (row,) = to_json_values(replace(answer, list_prices=answer.list_prices[:1]))["list_prices"]
    assert row.keys() == {
        *(field.name for field in fields(Offer)),
        *(field.name for field in fields(ListPriceComparison) if field.name != "offer"),
    }
    other = replace(answer.list_prices[0].offer, provider="other")
    changed = replace(answer, list_prices=(replace(answer.list_prices[0], offer=other),))
    assert to_json_values(changed)["list_prices"] == [{**row, "provider": "other"}]


def test_nothing_that_was_rendered_is_the_callers_own() -> None:
    answer = make_answer()
    to_json_values(answer)["rates"][0]["share_by_resource"]["compute"] = 7.0
    assert answer.rates[0].share_by_resource["compute"] == 0.25
