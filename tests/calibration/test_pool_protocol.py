"""Bursts against a prefill pool: queues worked out by hand."""

from dataclasses import replace

import pytest

from service.calibration.pool_protocol import MOST_SLOTS, PoolRun, replay_pools

RUN = PoolRun(
    protocol="fixed",
    slots=4.0,
    input_tokens=1000.0,
    output_tokens=101.0,
    pool_seconds_per_token=1e-4,
    own_seconds_per_token=2e-4,
    request_seconds=0.05,
    tpot_seconds=0.1,
)


def test_slots_that_decode_apart_queue_for_nobody() -> None:
    # After the burst slots are 0.1 s apart, so each finds the pool free: 0.2 s in its worker and 0.05 s.
    assert replay_pools(RUN) == pytest.approx(0.25, rel=1e-9)


def test_a_lone_slot_waits_for_its_own_prompt_and_the_link() -> None:
    assert replay_pools(replace(RUN, slots=1.0)) == pytest.approx(0.25, rel=1e-9)


def test_a_pool_that_is_too_slow_keeps_all_others_waiting() -> None:
    # One prompt a second. Of 40 requests that are always somewhere 1 decodes (10 s at one a second is 10).
    run = replace(RUN, slots=40.0, pool_seconds_per_token=1e-3)
    # Little's law: 40 = 1/s x (TTFT + 10 s).
    assert replay_pools(run) == pytest.approx(30.0, rel=0.01)


def test_the_burst_counts_once_in_ten_where_the_protocol_reports_it() -> None:
    # Lengths vary by up to a fifth; the burst of 64 waits for 0.05 x 0.9 s x 64 / 2 = 1.44 s on average.
    run = replace(RUN, slots=64.0, output_tokens=1001.0, pool_seconds_per_token=5e-5)
    fixed, reported = replay_pools(run), replay_pools(replace(run, protocol="inferencex"))
    assert fixed == pytest.approx(0.25, rel=0.05)
    assert reported == pytest.approx(0.05 + 0.18 + 0.1 * 1.44, rel=0.2)
    assert reported > 1.2 * fixed


def test_many_slots_wait_as_long_in_a_thinner_replay() -> None:
    run = replace(RUN, slots=8.0 * MOST_SLOTS, pool_seconds_per_token=1e-3 / (8.0 * MOST_SLOTS / 40.0))
    # The same law as above, of 2,048 slots and a pool as many times faster: all but 10 s is waiting.
    assert replay_pools(run) == pytest.approx(30.0, rel=0.02)


@pytest.mark.parametrize("factor", [0.5, 4.0])
def test_a_run_whose_times_are_all_scaled_reports_a_scaled_time(factor: float) -> None:
    run = replace(RUN, protocol="inferencex", slots=48.0)
    slower = replace(
        run,
        pool_seconds_per_token=run.pool_seconds_per_token * factor,
        own_seconds_per_token=run.own_seconds_per_token * factor,
        request_seconds=run.request_seconds * factor,
        tpot_seconds=run.tpot_seconds * factor,
    )
    assert replay_pools(slower) == pytest.approx(replay_pools(run) * factor, rel=1e-12)
