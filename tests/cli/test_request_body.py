"""A body becomes the request of the use case, or an error that names the field."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from service.application.errors import InvalidRequestError
from service.application.render import request_to_json_values
from service.application.requests import EstimateRequest, SampleRequest, WorkloadClass
from service.cli.request_body import read_estimate_request
from tests.builders.answers import make_request


def read(body: dict[str, Any]) -> EstimateRequest:
    return read_estimate_request(body, lambda text: int(text.removeprefix("r")))


def test_a_resolved_request_reads_back_as_itself() -> None:
    request = make_request()
    assert read(request_to_json_values(request)) == request


def test_every_type_of_field_is_read() -> None:
    request = read(
        {
            "model": "llama",
            "accelerator": "h100",
            "utilisation": Decimal("0.5"),
            "price": {"amount": Decimal("2.10"), "currency": "USD"},
            "as_of": "2026-01-31",
            "known_at": "r7",
            "layout": None,
            "workload": {"classes": [{"sample": [{"input_tokens": 3, "output_tokens": 2}]}, {"weight": 2}]},
        }
    )
    assert request.utilisation == 0.5
    assert request.price is not None
    assert request.price.amount == Decimal("2.10")
    assert request.as_of == datetime(2026, 1, 31, tzinfo=UTC)
    assert request.known_at == 7
    assert request.workload == (
        WorkloadClass("class-1", 1.0, sample=(SampleRequest(3, 2),)),
        WorkloadClass("class-2", 2.0),
    )
    assert request.defaulted == (
        "workload.classes.0.name",
        "workload.classes.0.weight",
        "workload.classes.1.name",
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"modell": "x"}, "modell"),
        ({"layout": {"tpp": 1}}, "layout.tpp"),
        ({"layout": {"tp": 1.5}}, "layout.tp"),
        ({"layout": {"tp": True}}, "layout.tp"),
        ({"layout": 8}, "layout"),
        ({"split": "half"}, "split"),
        ({"utilisation": "0.5"}, "utilisation"),
        ({"utilisation": 10**400}, "utilisation"),
        ({"utilisation": float("nan")}, "utilisation"),
        ({"price": {"amount": "1e3"}}, "price.amount"),
        ({"price": {"amount": "two"}}, "price.amount"),
        ({"price": {"amount": 2, "currency": "usd"}}, "price.currency"),
        ({"as_of": "yesterday"}, "as_of"),
        ({"as_of": "2026-01-31T12:00:00"}, "as_of"),
        ({"workload": []}, "workload"),
        ({"workload": {"classes": {}}}, "workload.classes"),
        ({"workload": {"classes": [{"input_token": 3}]}}, "workload.classes.0.input_token"),
        ({"workload": {"classes": [{"weight": "1"}]}}, "workload.classes.0.weight"),
        (
            {"workload": {"classes": [{"sample": [{"input_tokens": 1}]}]}},
            "workload.classes.0.sample.0.output_tokens",
        ),
        ({"operating_point": {"concurrency": 3}}, "operating_point.kind"),
        ({"config": []}, "config"),
        ({"accelerator": None}, "accelerator"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_by_its_path(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read({"model": "llama", "accelerator": "h100", **change})
    assert caught.value.field == field


def test_a_misspelt_field_is_told_what_it_resembles() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read({"accelerator": "h100", "utilization": 0.5})
    near = caught.value.accepted["near_matches"]
    assert isinstance(near, list)
    assert near[0] == "utilisation"
