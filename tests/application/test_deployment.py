"""What is said of a deployment before any workload."""

from dataclasses import replace

import pytest

from service.application.deployment import deploy
from service.application.requests import EstimateRequest, ServingRequest
from tests.builders.estimates import SNAPSHOT, ModelledSnapshot


def _warnings(engine: str, vendor: str) -> tuple[str, ...]:
    record = SNAPSHOT.accelerator("h100-sxm")
    there = replace(record, spec=replace(record.spec, vendor=vendor))
    snapshot = ModelledSnapshot(all_accelerators=(there,))
    request = EstimateRequest(
        model="llama-3.1-8b", accelerator="h100-sxm", serving=ServingRequest(engine=engine)
    )
    return deploy(request, snapshot).warnings


def test_an_engine_on_hardware_it_is_not_made_for_is_named() -> None:
    assert any("trtllm is not made for h100-sxm" in text for text in _warnings("trtllm", "amd"))


@pytest.mark.parametrize(("engine", "vendor"), [("trtllm", "nvidia"), ("vllm", "amd")])
def test_one_that_fits_or_is_not_known_to_misfit_is_not(engine: str, vendor: str) -> None:
    assert not any("not made for" in text for text in _warnings(engine, vendor))
