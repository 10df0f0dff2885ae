"""Power by activity and joules by kind of token."""

from dataclasses import replace

import numpy as np
import pytest

from service.engine.attribution import attribute, busy_seconds
from service.engine.energy import (
    FAMILIES,
    GENERAL,
    PowerTraits,
    Surroundings,
    energy_of,
    energy_shares,
    mean_power,
    step_power,
    surroundings_of,
    traits_of,
    working_power,
)
from service.engine.step import StepTimes
from service.engine.tables import ATTENTION_DECODE, HOST, OPERATORS, PROJECTIONS
from tests.builders.operating_points import ACCELERATOR, CALIBRATION, make_point

AROUND = Surroundings(host_watts=250.0, network_watts=60.0, power_usage_effectiveness=1.25)


def _times(compute: float, memory: float, host: float = 0.0) -> StepTimes:
    """Make a step of one operator bound by the larger of two times, and host work."""
    rows = np.zeros((3, len(OPERATORS), 1))
    rows[0, PROJECTIONS], rows[1, PROJECTIONS] = compute, memory
    rows[2, PROJECTIONS], rows[2, HOST] = max(compute, memory), host
    return StepTimes(rows[0], rows[1], rows[2])


def test_a_step_that_only_computes_draws_its_weight_of_the_range() -> None:
    traits = PowerTraits(compute_weight=0.75, memory_weight=0.5)
    watts = step_power(ACCELERATOR, traits, _times(2.0, 0.0))
    assert watts[0] == pytest.approx(100.0 + 600.0 * 0.75)


def test_waiting_for_the_host_draws_idle_power_for_that_time() -> None:
    traits = PowerTraits(compute_weight=0.0, memory_weight=0.5)
    # One of four seconds reads memory: 1/4 x 0.5 of the range.
    watts = step_power(ACCELERATOR, traits, _times(0.0, 1.0, host=3.0))
    assert watts[0] == pytest.approx(100.0 + 600.0 * 0.125)


def test_a_replica_that_does_nothing_draws_idle_power() -> None:
    assert step_power(ACCELERATOR, GENERAL, _times(0.0, 0.0, host=1.0))[0] == ACCELERATOR.idle_power_watts


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 3.0, 1e6])
def test_power_never_leaves_the_range_of_the_datasheet(factor: float) -> None:
    for times in (_times(1.0, 1.0), _times(5.0, 0.1), _times(0.1, 5.0), _times(0.1, 0.1, 9.0)):
        watts = step_power(ACCELERATOR, PowerTraits(0.9, 0.9), times, factor)[0]
        assert ACCELERATOR.idle_power_watts <= watts <= ACCELERATOR.max_power_watts


def test_mean_power_is_that_of_the_two_kinds_of_step_by_busy_time() -> None:
    subject = make_point(seen_batch=32.0).subject
    traits = traits_of(ACCELERATOR, CALIBRATION)
    decode = step_power(ACCELERATOR, traits, subject.state.decode)
    mixed = step_power(ACCELERATOR, traits, subject.state.mixed)
    plain_seconds, mixed_seconds = busy_seconds(subject)
    mean = mean_power(decode, mixed, np.array([mixed_seconds / (plain_seconds + mixed_seconds)]))
    assert decode[0] < mean[0] < mixed[0]
    assert working_power(subject, ACCELERATOR, CALIBRATION) == pytest.approx(mean[0], rel=1e-12)


def test_shares_of_joules_sum_to_one_and_input_pays_for_the_hotter_steps() -> None:
    subject = make_point(seen_batch=32.0).subject
    split = attribute(subject)
    by_kind = split.shares.sum(axis=(0, 2, 3))
    power = (np.array([400.0]), np.array([600.0]))
    mean = mean_power(*power, np.array([split.mixed_time_share]))
    time = (split.plain_by_kind, by_kind - split.plain_by_kind)
    shares = energy_shares(*time, (power[0] / mean, power[1] / mean))
    assert shares.sum() == pytest.approx(1.0, rel=1e-12)
    # All of input's time is in steps with a chunk, so its joules are at their power.
    assert shares[0] == pytest.approx(by_kind[0] * 600.0 / mean[0], rel=1e-12)
    assert shares[2] < by_kind[2]


def test_with_equal_power_joules_are_split_as_time_is() -> None:
    split = attribute(make_point(seen_batch=8.0).subject, "by_cause")
    by_kind = split.shares.sum(axis=(0, 2, 3))
    even = np.array([1.0])
    shares = energy_shares(split.plain_by_kind, by_kind - split.plain_by_kind, (even, even))
    assert shares == pytest.approx(by_kind, rel=1e-12)


def test_parts_are_power_times_time() -> None:
    # 8 accelerators work 0.5 s of 2 s paid for at 450 W, and wait at 100 W.
    energy = energy_of(8, 450.0, ACCELERATOR, (0.5, 2.0), AROUND)
    assert energy.working == pytest.approx(8 * 450.0 * 0.5)
    assert energy.waiting == pytest.approx(8 * 100.0 * 1.5)
    assert energy.host == pytest.approx(8 * 250.0 * 2.0)
    assert energy.network == pytest.approx(8 * 60.0 * 2.0)
    assert energy.total == pytest.approx(1.25 * (1800.0 + 1200.0 + 4000.0 + 960.0))


def test_a_family_without_figures_of_its_own_takes_the_general_ones() -> None:
    unknown = replace(ACCELERATOR, family="tpu")
    assert traits_of(unknown, CALIBRATION) == GENERAL
    assert traits_of(ACCELERATOR, CALIBRATION) == FAMILIES["hopper"]
    assert surroundings_of(unknown).host_watts == pytest.approx(GENERAL.host_share * 700.0)


def test_a_calibration_that_states_weights_comes_before_the_defaults() -> None:
    stated = replace(CALIBRATION, extra={"power_compute_weight": 0.9})
    traits = traits_of(ACCELERATOR, stated)
    assert (traits.compute_weight, traits.memory_weight) == (0.9, FAMILIES["hopper"].memory_weight)


def test_decoding_on_an_h100_draws_what_was_measured() -> None:
    """ML.ENERGY v3 (H100-SXM5): 300 W decoding one sequence, 600 W decoding 128 of them."""
    h100 = replace(ACCELERATOR, idle_power_watts=80.3)
    traits = traits_of(h100, CALIBRATION)
    for batch, measured in ((1.0, 300.0), (128.0, 600.0)):
        subject = make_point(seen_batch=batch).subject
        watts = step_power(h100, traits, subject.state.decode)[0]
        assert watts == pytest.approx(measured, rel=0.35)
    assert subject.state.decode.memory_seconds[ATTENTION_DECODE, 0] > 0
