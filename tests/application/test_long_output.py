"""The surcharge of long outputs, at the edges of a fair tariff."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from service import bootstrap
from service.application.estimate import Estimator, Solution
from service.application.requests import EstimateRequest, OperatingPointRequest
from service.application.tariff_parts import long_output
from service.settings import Settings


@pytest.fixture(scope="module")
def solution(seeded_database_url: str) -> Solution:
    snapshot = bootstrap.read_snapshot(Settings(database_url=seeded_database_url))
    request = EstimateRequest(accelerator="h100-sxm", model="llama-3.1-70b")
    request = replace(request, operating_point=OperatingPointRequest("concurrency", concurrency=16))
    return Estimator().solve(request, snapshot, datetime(2026, 11, 20, tzinfo=UTC))


def test_without_an_output_rate_there_is_no_surcharge_to_state(solution: Solution) -> None:
    # Where long prompts carry all of the cost, least variance of margin leaves nothing for the output.
    found = long_output(solution, np.array([1e-6, 1e-7, 0.0]), 2_000)
    assert found.surcharge_here is None
    assert found.surcharge_alone is None
    assert found.cost_per_request is not None
    assert found.cost_per_request > 0


def test_the_surcharge_makes_up_for_what_the_rates_leave_open(solution: Solution) -> None:
    rates = np.array([1e-6, 1e-7, 2e-6])
    found = long_output(solution, rates, 2_000)
    assert found.surcharge_here is not None
    assert found.charged_per_request is not None
    raised = found.charged_per_request + 2_000 * 2e-6 * found.surcharge_here
    assert raised == pytest.approx(found.cost_per_request, rel=1e-9)
