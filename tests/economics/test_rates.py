"""Time becomes money, and money becomes rates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.economics.rates import bill, rates_per_token, sum_of_rates

POSITIVE = st.floats(1e-6, 1e6)


@given(
    accelerators=POSITIVE, price=POSITIVE, rate=POSITIVE, utilisation=st.floats(1e-3, 1.0), factor=POSITIVE
)
def test_a_bill_is_linear_in_the_price_and_inverse_in_rate_and_utilisation(
    accelerators: float, price: float, rate: float, utilisation: float, factor: float
) -> None:
    one = bill(accelerators, price, rate, utilisation)
    assert one.per_request == pytest.approx(accelerators * price / (rate * utilisation))
    assert bill(accelerators, price * factor, rate, utilisation).per_request == pytest.approx(
        one.per_request * factor
    )
    assert bill(accelerators, price, rate * factor, utilisation).per_request == pytest.approx(
        one.per_request / factor
    )
    assert bill(accelerators, price, rate, 1.0).per_request == pytest.approx(one.per_request * utilisation)
    assert one.accelerator_seconds_per_request * price == pytest.approx(one.per_request)


def test_eight_accelerators_at_two_an_hour_serving_four_requests_a_second_by_hand() -> None:
    # 8 x 2 / 3600 a second over 4 x 0.5 requests a second that are worth paying for.
    assert bill(8, 2 / 3600, 4.0, 0.5).per_request == pytest.approx(8 * 2 / 3600 / 2)


@given(st.lists(st.tuples(POSITIVE, POSITIVE), min_size=1, max_size=30), POSITIVE)
def test_tokens_times_rates_are_the_bill(parts: list[tuple[float, float]], per_request: float) -> None:
    weights, tokens = (np.array(column) for column in zip(*parts, strict=True))
    shares = weights / weights.sum()
    rates = rates_per_token(shares, tokens, np.zeros_like(tokens), per_request)
    assert sum_of_rates(rates, tokens) == pytest.approx(per_request)


def test_a_kind_without_tokens_has_the_rate_of_its_limit_and_costs_nothing() -> None:
    shares, tokens, limits = (
        np.array([0.75, 0.0, 0.25]),
        np.array([3.0, 0.0, 1.0]),
        np.array([9.0, 0.01, 9.0]),
    )
    rates = rates_per_token(shares, tokens, limits, 8.0)
    assert rates.tolist() == pytest.approx([2.0, 0.08, 2.0])
    assert sum_of_rates(rates, tokens) == pytest.approx(8.0)


def test_rates_keep_the_shape_of_the_shares() -> None:
    shares = np.full((3, 4), 1 / 12)
    assert (
        rates_per_token(shares, np.ones((3, 4)), np.zeros((3, 4)), 12.0).tolist() == np.ones((3, 4)).tolist()
    )
