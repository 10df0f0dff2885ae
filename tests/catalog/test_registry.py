"""What a draft may refer to."""

from dataclasses import replace

import pytest

from service.billing.selectors import Selector
from service.catalog.drafts import ListPriceDraft
from service.catalog.registry import Registry
from tests.builders.drafts import SOURCE, list_price

REGISTRY = Registry(
    {
        "source": {SOURCE: {}},
        "meter": {"input": {"dimension": "token"}, "output": {"dimension": "token"}},
        "unit": {"million_tokens": {"dimension": "token"}},
    }
)


def _draft(meter: str = "input", **axes: object) -> ListPriceDraft:
    draft = list_price("1.50")
    assert isinstance(draft, ListPriceDraft)
    return replace(draft, meter=meter, selector=Selector(**axes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "draft",
    [
        _draft(),
        _draft(context_measure="input", context_from=10, context_mode="excess"),
        _draft("output", context_measure="input", context_from=10, context_mode="whole_request"),
    ],
)
def test_bands_that_can_price_are_taken(draft: ListPriceDraft) -> None:
    assert REGISTRY.problem(draft) is None


@pytest.mark.parametrize(
    ("draft", "reason"),
    [
        (_draft("output", context_measure="input", context_from=10, context_mode="excess"), "excess band"),
        (_draft(context_measure="pages", context_from=10, context_mode="whole_request"), "'pages'"),
    ],
)
def test_bands_that_no_request_could_be_priced_by_are_not(draft: ListPriceDraft, reason: str) -> None:
    problem = REGISTRY.problem(draft)
    assert problem is not None
    assert reason in problem
