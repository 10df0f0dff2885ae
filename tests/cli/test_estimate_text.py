"""The page of an estimate: what is asked for is on it."""

from service.application.uncertainty_answers import Interval, PriceSpread, Uncertainty
from service.cli.estimate_text import estimate_text
from tests.builders.answers import make_answer

FOUND = Uncertainty(
    samples=256,
    seed=7,
    figures={"ttft_seconds": Interval(0.125, 0.25, 0.5), "cost_per_request": Interval(0.001, 0.002, 0.004)},
    tpot_log_spread=0.2,
    ttft_log_spread=0.4,
    power_log_spread=0.25,
    calibration_level="family",
    price=PriceSpread(28, 1.25, 12.5, "USD"),
    utilisation_low=0.3,
    utilisation_high=0.7,
    overloaded_share=0.0,
)


def test_joules_stand_under_the_cost() -> None:
    lines = estimate_text(make_answer()).splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("Energy"))
    assert lines[start + 3].split() == ["uncached", "input", "0.25", "0.5"]
    assert lines[start + 5].split() == ["output", "1", "2"]
    assert "host 250 W, network 60 W; PUE 1.3" in lines[start + 6]


def test_intervals_are_shown_where_they_were_asked_for() -> None:
    assert "How sure" not in estimate_text(make_answer())
    text = estimate_text(make_answer(uncertainty=FOUND))
    assert "How sure (256 samples, seed 7; calibration family)" in text
    assert [line.split() for line in text.splitlines() if line.startswith("ttft_seconds")] == [
        ["ttft_seconds", "0.125", "0.25", "0.5"]
    ]
    assert "USD 1.25 to 12.5 per hour over 28 rows" in text
    assert "utilisation 30 % to 70 %" in text
    assert "cannot serve" not in text
