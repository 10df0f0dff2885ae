"""Matched pools against closed forms: which pool limits, and where its requests wait."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.disaggregation import Matched, PoolRates, match_pools

STEPS, TPOT = 100.0, 0.01
ROOMY = PoolRates(
    concurrency=64.0,
    decode_workers=2,
    prefill_requests_per_second=1e9,
    prefill_seconds=0.2,
    transfer_seconds=0.05,
    decode_steps=STEPS,
)


class _Worker:
    """A decode worker whose steps take the same time up to a full batch; the rest waits for a place."""

    def __init__(self, most: float = 1e9, slope: float = 0.0) -> None:
        self.most, self.slope = most, slope

    @property
    def highest_rate(self) -> float:
        return self(1e12)[0]

    def __call__(self, concurrency: float) -> tuple[float, float]:
        batch = min(concurrency, self.most)
        tpot = TPOT * (1.0 + self.slope * batch)
        return batch / (STEPS * tpot), tpot


def _total(pools: PoolRates, matched: Matched) -> float:
    """Little's law: requests in flight."""
    return matched.requests_per_second * (matched.ttft_seconds + STEPS * matched.tpot_seconds)


def test_roomy_pools_pass_a_request_on_as_fast_as_it_can_go() -> None:
    matched = match_pools(ROOMY, _Worker())
    # 64 requests, each 0.2 s in prefill, 0.05 s on the link, 1 s decoding.
    assert matched.requests_per_second == pytest.approx(64 / 1.25, rel=1e-6)
    assert matched.ttft_seconds == pytest.approx(0.25, rel=1e-6)
    assert matched.decode_concurrency == pytest.approx(64 / 1.25 / 2, rel=1e-6)
    assert not matched.prefill_bound


def test_a_slow_prefill_pool_limits_and_its_queue_is_the_wait() -> None:
    matched = match_pools(replace(ROOMY, prefill_requests_per_second=4.0), _Worker())
    # At most 4 requests/s; 4 of them decode at a time, nearly all the others wait.
    assert matched.requests_per_second == pytest.approx(4.0, rel=0.02)
    assert matched.requests_per_second < 4.0
    assert matched.decode_concurrency == pytest.approx(2.0, rel=0.02)
    assert matched.ttft_seconds == pytest.approx(64 / 4 - 1.0, rel=0.02)
    assert matched.prefill_bound


def test_a_full_decode_pool_limits_and_the_rest_waits_for_a_place() -> None:
    worker = _Worker(most=10.0)
    matched = match_pools(ROOMY, worker)
    # 20 decode at a time, 20 requests/s.
    assert matched.requests_per_second == pytest.approx(20.0, rel=1e-9)
    assert matched.tpot_seconds == pytest.approx(TPOT)
    assert matched.ttft_seconds == pytest.approx(64 / 20 - 1.0, rel=1e-6)
    assert not matched.prefill_bound


POOLS = st.builds(
    PoolRates,
    concurrency=st.floats(1.0, 4096.0),
    decode_workers=st.integers(1, 16),
    prefill_requests_per_second=st.floats(0.1, 1e4),
    prefill_seconds=st.floats(0.001, 10.0),
    transfer_seconds=st.floats(0.0, 1.0),
    decode_steps=st.just(STEPS),
)
WORKERS = st.builds(_Worker, st.floats(1.0, 1000.0), st.floats(0.0, 0.1))


@given(POOLS, WORKERS)
def test_the_matched_rate_is_within_both_capacities_and_requests_are_conserved(
    pools: PoolRates, worker: _Worker
) -> None:
    matched = match_pools(pools, worker)
    assert matched.requests_per_second <= pools.prefill_requests_per_second
    assert matched.requests_per_second <= pools.decode_workers * worker.highest_rate * (1 + 1e-9)
    assert _total(pools, matched) == pytest.approx(pools.concurrency, rel=1e-9)
    least = pools.prefill_seconds + pools.transfer_seconds
    assert matched.ttft_seconds >= least * (1 - 1e-6)


@given(POOLS, WORKERS)
def test_a_faster_pool_never_slows_the_deployment(pools: PoolRates, worker: _Worker) -> None:
    base = match_pools(pools, worker).requests_per_second
    quicker = replace(pools, prefill_requests_per_second=2 * pools.prefill_requests_per_second)
    wider = replace(pools, decode_workers=2 * pools.decode_workers)
    assert match_pools(quicker, worker).requests_per_second >= base * (1 - 1e-6)
    assert match_pools(wider, worker).requests_per_second >= base * (1 - 1e-6)


def test_more_of_the_pool_that_limits_helps_and_more_of_the_other_does_not() -> None:
    starved = replace(ROOMY, prefill_requests_per_second=4.0)
    base = match_pools(starved, _Worker()).requests_per_second
    doubled = replace(starved, prefill_requests_per_second=8.0)
    assert match_pools(doubled, _Worker()).requests_per_second == pytest.approx(2 * base, rel=0.05)
    more_workers = match_pools(replace(starved, decode_workers=8), _Worker())
    assert more_workers.requests_per_second == pytest.approx(base, rel=0.01)


def test_transfer_is_waited_for_before_the_first_token_and_nowhere_else() -> None:
    # Steps take the same whatever the batch, so the link's time shows in TTFT alone.
    near, far = (match_pools(replace(ROOMY, transfer_seconds=s), _Worker()) for s in (0.0, 0.7))
    assert far.ttft_seconds - near.ttft_seconds == pytest.approx(0.7, rel=1e-6)
    assert far.tpot_seconds == near.tpot_seconds


def test_a_lone_request_waits_for_nobody() -> None:
    matched = match_pools(replace(ROOMY, concurrency=1.0), _Worker())
    assert matched.ttft_seconds == pytest.approx(0.25, rel=1e-3)
    assert matched.requests_per_second == pytest.approx(1 / 1.25, rel=1e-3)


def test_a_prompt_waits_for_the_others_as_pollaczek_and_khinchine_say() -> None:
    matched = match_pools(replace(ROOMY, prefill_requests_per_second=90.0), _Worker())
    # Equal services of 1 / 90 s at utilisation rho: W = rho / (2 (1 - rho)) of one.
    rho = matched.requests_per_second / 90.0
    assert 0.4 < rho < 0.7
    assert matched.ttft_seconds == pytest.approx(0.25 + rho / (1 - rho) / 2 / 90, rel=1e-6)
