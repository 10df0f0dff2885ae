"""Families that were measured by microbenchmarks only."""

from dataclasses import replace

import pytest

from service.calibration.published import MOST, PUBLISHED, PublishedFamily, scaled
from service.engine.types import Efficiency
from tests.builders.known_models import IDEAL

CALIBRATION = replace(IDEAL, operators={"gemm": Efficiency(0.8, 0.7, 32.0), "head": Efficiency(0.6, 0.5)})
BY_FAMILY = {published.family: published for published in PUBLISHED}


def test_an_operator_reaches_as_much_less_of_its_peaks_as_the_family_does() -> None:
    half = PublishedFamily("f", compute=0.5, memory=0.9, source="s", note="")
    found = scaled(CALIBRATION, half)
    for name, eta in CALIBRATION.operators.items():
        assert found.operators[name].compute == pytest.approx(0.5 * eta.compute)
        assert found.operators[name].memory == pytest.approx(0.9 * eta.memory)
        assert found.operators[name].half_rate_tokens == eta.half_rate_tokens
    assert found.host_seconds_per_step == CALIBRATION.host_seconds_per_step
    assert found.level == "published"


def test_no_operator_reaches_its_peak() -> None:
    twice = PublishedFamily("f", compute=20.0, memory=20.0, source="s", note="")
    for eta in scaled(CALIBRATION, twice).operators.values():
        assert isinstance(eta, Efficiency)
        assert eta.compute == eta.memory == MOST


def test_shares_are_those_of_the_published_table() -> None:
    # BF16 matrix products in per cent of peak: H100 80.3, B200 77.6, MI300X 51.4, MI325X 60.4, MI355X 68.0.
    assert BY_FAMILY["cdna3"].compute == pytest.approx(55.9 / 78.95)
    assert BY_FAMILY["cdna4"].compute == pytest.approx(68.0 / 78.95)
    # arXiv 2510.27583: 81 % of the bandwidth against up to 90 %.
    assert BY_FAMILY["cdna3"].memory == pytest.approx(0.9)
