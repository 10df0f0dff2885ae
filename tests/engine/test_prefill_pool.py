"""Workers that only prefill: capacity from one step, shared steps of short prompts, waiting, memory."""

from dataclasses import replace

import numpy as np
import pytest

from service.engine.attribution import OUTPUT, Subject, attribute, busy_seconds
from service.engine.load import make_load
from service.engine.prefill_pool import chunk_times, full_tokens, own_tokens
from service.engine.types import Layout
from service.engine.workload import make_mix, reduce_mix
from tests.builders.operating_points import POLICY, make_table
from tests.builders.pools import make_prefill_worker


def _step(tokens: float) -> float:
    return float(chunk_times(make_prefill_worker().replica, np.array([tokens])).total[0])


def test_a_worker_that_works_all_the_time_fills_its_token_budget() -> None:
    worker = make_prefill_worker(3000.0)
    assert own_tokens(worker.replica) == 3000
    assert full_tokens(worker.replica) == 8192
    assert worker.requests_per_second == pytest.approx(8192 / 3000 / _step(8192))


def test_a_prompt_longer_than_the_budget_comes_in_chunks_of_it() -> None:
    worker = make_prefill_worker(20_000.0)
    assert worker.chunks.tolist() == [8192]
    seconds = float(worker.steps.total[0])
    assert worker.requests_per_second == pytest.approx(8192 / 20_000 / seconds)
    assert worker.seconds_of(np.zeros(1))[0] == pytest.approx(20_000 / 8192 * seconds)


def test_a_budget_that_covers_the_prompt_takes_it_at_once() -> None:
    worker = make_prefill_worker(20_000.0, policy=replace(POLICY, token_budget_covers_prompt=True))
    assert worker.chunks.tolist() == [20_000]


def test_prompts_share_steps_where_they_come_faster_than_one_a_step() -> None:
    worker = make_prefill_worker(100.0)
    rates = worker.requests_per_second * np.array([1e-6, 0.1, 0.5, 0.9, 1.0])
    chunks, seconds = worker.step_at(rates)
    assert chunks[0] == pytest.approx(100)
    assert chunks[-1] == pytest.approx(8192)
    assert (np.diff(chunks) >= 0).all()
    # A step carries what arrives while it runs, once it carries more than one prompt.
    shared = chunks > 101
    assert (rates * 100 * seconds)[shared] == pytest.approx(chunks[shared], rel=0.02)


def test_the_wait_of_equal_prompts_is_that_of_one_server() -> None:
    # M/D/1: rho s / (2 (1 - rho)), the service of two workers half as long (D5).
    worker = make_prefill_worker(9000.0)
    service = 1.0 / worker.requests_per_second
    load, none = np.array([0.8]), np.zeros(1)
    one, two, half = (float(worker.waiting(load, none, np.array([n]))[0]) for n in (1.0, 2.0, 0.5))
    assert one == pytest.approx(0.8 * service / 0.4)
    assert two == pytest.approx(one / 2)
    assert half == one  # a worker that others share serves at its own speed


def test_pipeline_stages_add_their_fill_to_a_prompt_and_nothing_to_the_rate() -> None:
    table = make_table(layout=Layout(pp=2))
    worker = make_prefill_worker(9000.0, table)
    stage = float(worker.steps.total[0])
    assert worker.seconds_of(np.zeros(1))[0] == pytest.approx((9000 / 8192 + 1) * stage)
    assert worker.requests_per_second == pytest.approx(8192 / 9000 / stage)


def test_a_slow_link_holds_so_many_prompts_that_memory_limits() -> None:
    worker = make_prefill_worker(9000.0)
    places = worker.memory.cache_bytes / worker.replica.load.prompt_bytes
    held = 1e4 * float(worker.seconds_of(np.zeros(1))[0])
    slow = make_prefill_worker(9000.0, held_seconds=held)
    own = float(worker.seconds_of(np.zeros(1))[0])
    assert slow.requests_per_second == pytest.approx(places / (own + held))
    assert slow.requests_per_second < worker.requests_per_second


def test_a_split_of_a_prefill_worker_has_no_decoding_and_pays_output_for_the_head_alone() -> None:
    table = make_table()
    moments = reduce_mix(make_mix([[3000.0, 1000.0, 1.0]], [0], [1.0]), table.spans, 8192.0)
    load = make_load(table, moments)
    base = make_prefill_worker()
    worker = replace(base, replica=replace(base.replica, load=load))
    rate = worker.requests_per_second / 2
    subject = Subject(table, load, moments, worker.state_at(np.array([rate])))
    split = attribute(subject)
    assert split.shares.sum() == pytest.approx(1.0, abs=1e-12)
    assert split.mixed_time_share == 1.0
    assert busy_seconds(subject)[0] == 0.0
    by_kind = split.shares.sum(axis=(0, 2, 3))
    head = float(subject.state.mixed.seconds[2, 0] / subject.state.mixed.total[0])
    assert by_kind[OUTPUT] == pytest.approx(head)
    # Busy seconds are those of the share of steps that a request takes.
    chunk = float(subject.state.chunk_tokens[0])
    assert busy_seconds(subject)[1] == pytest.approx(2000 / chunk * float(subject.state.mixed.total[0]))
