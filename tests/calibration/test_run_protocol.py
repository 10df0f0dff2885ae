"""Replayed benchmark runs against arithmetic and against a simulation that takes every step by itself."""

from collections import deque
from dataclasses import dataclass, field, replace
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.calibration import run_protocol
from service.calibration.run_protocol import (
    FRONT_END_FIGURES,
    FrontEnd,
    Run,
    RunResult,
    StepCurve,
    first_token_parts,
    replay,
    run_lengths,
    step_curve,
)
from service.engine.load import make_load
from service.engine.spans import Array
from service.engine.step import StepLoad, step_times
from service.engine.types import Layout
from service.engine.workload import make_mix, reduce_mix
from tests.builders.operating_points import make_layer, make_table, make_work

NO_FRONT = FrontEnd(0.0, 0.0, 0.0, 0.0, 1.0)
FRONT = FrontEnd(0.013, 0.0017, 1.9e-6, 1.3, 1.2)
RUN = Run("fixed", 4, 1000.0, 101.0, token_budget=8192.0, max_batch=64.0, front_end=FRONT)


def _line(step: float = 0.01, sequence: float = 1e-4, token: float = 5e-6) -> StepCurve:
    """Make a curve that is a straight line, so that interpolation adds nothing."""
    return StepCurve([0.0, 100.0], [step, step + 100 * sequence], [0.0, 1e4], [0.0, 1e4 * token])


def _waves(run: Run) -> int:
    # Four waves, more of a small run to replay 160 requests, ten at most: the run has no more.
    return min(max(4, -(-160 // run.slots)), 10)


@dataclass
class _Slow:
    """The same run one engine step at a time; times and steps of every request."""

    run: Run
    curve: StepCurve
    requests: int
    now: float = 0.0
    step: int = 0
    free_at: float = 0.0
    sent: list[float] = field(default_factory=list)
    first: dict[int, float] = field(default_factory=dict)
    shown: dict[int, float] = field(default_factory=dict)
    last: dict[int, float] = field(default_factory=dict)
    coming: deque[tuple[float, int]] = field(default_factory=deque)
    queue: list[list[float]] = field(default_factory=list)
    """[request, tokens left] in order."""
    running: dict[int, int] = field(default_factory=dict)
    """Steps that each sequence still decodes."""
    held_since: int = 0
    fullest: float = 0.0
    most_tokens: float = 0.0
    prefilled: float = 0.0

    def __post_init__(self) -> None:
        prompts, outputs = run_lengths(self.run, self.requests)
        self.prompts, self.outputs = prompts, outputs
        for _ in range(self.run.slots):
            self._send()
        while len(self.last) < self.requests:
            self._one_step()

    def _send(self) -> None:
        if len(self.sent) == self.requests:
            return
        front, request = self.run.front_end, len(self.sent)
        work = front.request_seconds + front.prompt_token_seconds * self.prompts[request]
        self.free_at = max(self.free_at, self.now) + work
        self.sent.append(self.now)
        self.coming.append((self.free_at, request))

    def _one_step(self) -> None:
        if not self.running and not self.queue:
            self.now = max(self.now, self.coming[0][0])
        while self.coming and self.coming[0][0] <= self.now:
            request = self.coming.popleft()[1]
            if not self.queue:
                self.held_since = self.step
            self.queue.append([request, self.prompts[request]])
        batch, tokens, done = len(self.running), 0.0, []
        if self.queue and self._admits():
            room = max(self.run.token_budget - batch, 1.0)
            free = max(self.run.max_batch - batch, 1.0)
            while self.queue and tokens < room and len(done) < free:
                part = min(self.queue[0][1], room - tokens)
                tokens += part
                self.queue[0][1] -= part
                if self.queue[0][1] > 0:
                    break
                done.append(int(self.queue.pop(0)[0]))
                self.held_since = self.step
        seconds = self.curve.decode(batch)
        self.most_tokens = max(self.most_tokens, tokens + batch if tokens else 0.0)
        self.prefilled += tokens
        self.now += seconds + self.curve.chunk(tokens) * self.run.front_end.chunk_factor
        self.step += 1
        ended = [request for request, left in self.running.items() if left == 1]
        self.running = {request: left - 1 for request, left in self.running.items() if left > 1}
        front = self.run.front_end
        for request in done:
            self.first[request] = self.now
            self.shown[request] = self.now + front.trip_seconds + front.lag_steps * seconds
            steps = round((self.outputs[request] - 1.0) * self.run.steps_per_token)
            self.running[request] = max(steps, 1)
        self.fullest = max(self.fullest, len(self.running) + len(ended))
        for request in sorted(ended):
            self.last[request] = self.now
            self._send()

    def _admits(self) -> bool:
        if not self.running:
            return True
        if len(self.running) >= self.run.max_batch:
            return False
        request, left = int(self.queue[0][0]), self.queue[0][1]
        if left < self.prompts[request]:
            return True
        waiting = sum(self.prompts[int(request)] for request, _ in self.queue)
        patient = self.step < self.held_since + self.run.hold_steps and waiting < self.run.hold_tokens
        return self.step % self.run.poll_steps == 0 and not patient

    def result(self) -> RunResult:
        """Means over ten waves, the replayed ones after the first standing for the rest."""
        waves = self.requests // self.run.slots
        ttft = np.array([self.shown[i] - self.sent[i] for i in range(self.requests)])
        tokens = np.maximum(self.outputs - 1.0, 1.0)
        tpot = np.array([self.last[i] - self.first[i] for i in range(self.requests)]) / tokens
        first, later = slice(0, self.run.slots), slice(self.run.slots, None)
        share = 0.1 if self.run.protocol == "inferencex" else 0.0
        assert waves > 1
        return RunResult(
            *(float(share * x[first].mean() + (1 - share) * x[later].mean()) for x in (ttft, tpot))
        )


@dataclass
class _Recorded:
    """A curve that remembers what it was asked."""

    line: StepCurve
    batches: list[float] = field(default_factory=list)
    chunks: list[tuple[float, float]] = field(default_factory=list)
    """(sequences decoding, prompt tokens) of steps with a chunk."""

    def decode(self, batch: float) -> float:
        self.batches.append(batch)
        return self.line.decode(batch)

    def chunk(self, tokens: float) -> float:
        self.chunks.append((self.batches[-1], tokens))
        return self.line.chunk(tokens)


RUNS = st.builds(
    Run,
    protocol=st.sampled_from(["inferencex", "fixed"]),
    slots=st.integers(1, 24),
    input_tokens=st.floats(1.0, 9000.0),
    output_tokens=st.floats(1.0, 60.0),
    token_budget=st.sampled_from([64.0, 700.0, 8192.0]),
    max_batch=st.sampled_from([1.0, 3.0, 7.5, 64.0]),
    poll_steps=st.sampled_from([1, 4, 30]),
    hold_steps=st.sampled_from([0, 5]),
    hold_tokens=st.sampled_from([0.0, 2000.0]),
    steps_per_token=st.sampled_from([1.0, 0.6]),
    front_end=st.sampled_from([FRONT, NO_FRONT, replace(FRONT, request_seconds=0.05)]),
)


@given(RUNS)
@settings(max_examples=60)
def test_a_replay_is_the_run_taken_step_by_step(run: Run) -> None:
    slow = _Slow(run, _line(), run.slots * _waves(run))
    found, expected = replay(run, _line()), slow.result()
    assert found.ttft == pytest.approx(expected.ttft, rel=1e-9)
    assert found.tpot == pytest.approx(expected.tpot, rel=1e-9)


@given(RUNS)
@settings(max_examples=40)
def test_every_prompt_is_prefilled_once_within_slots_and_token_budget(run: Run) -> None:
    seen = _Recorded(_line())
    replay(run, seen)  # type: ignore[arg-type]
    prompts, _ = run_lengths(run, run.slots * _waves(run))
    assert sum(tokens for _, tokens in seen.chunks) == pytest.approx(float(prompts.sum()), rel=1e-9)
    # A rank that holds 7.5 sequences on average holds 8 at times.
    assert max(seen.batches) <= min(run.slots, max(-(-run.max_batch // 1), 1.0))
    room = [tokens - max(run.token_budget - batch, 1.0) for batch, tokens in seen.chunks]
    assert max(room) <= 1e-9


def test_a_lone_slot_waits_for_its_own_prompt_and_decodes_alone() -> None:
    run = replace(RUN, slots=1)
    step, sequence, token = 0.01, 1e-4, 5e-6
    found = replay(run, _line(step, sequence, token))
    front = FRONT.request_seconds + 1000 * FRONT.prompt_token_seconds + FRONT.trip_seconds
    assert found.ttft == pytest.approx(front + step + 1000 * token * 1.2 + 1.3 * step, rel=1e-12)
    assert found.tpot == pytest.approx(step + sequence, rel=1e-12)


def test_a_prompt_longer_than_the_budget_takes_a_step_for_each_chunk() -> None:
    run = replace(RUN, slots=1, input_tokens=10_000.0, token_budget=4096.0, front_end=NO_FRONT)
    # 4,096 + 4,096 + 1,808 tokens.
    assert replay(run, _line()).ttft == pytest.approx(3 * 0.01 + 10_000 * 5e-6, rel=1e-12)


def test_with_speculation_a_token_takes_its_share_of_a_step() -> None:
    # 100 tokens after the first in 40 steps.
    run = replace(RUN, slots=1, steps_per_token=0.4)
    assert replay(run, _line()).tpot == pytest.approx(0.4 * (0.01 + 1e-4), rel=1e-12)


def test_a_burst_that_fits_one_step_has_one_time_to_first_token() -> None:
    run = replace(RUN, slots=8, front_end=NO_FRONT)
    wave = run_protocol._Replay(run, _line(), 8)
    wave.go()
    assert wave.ttft == pytest.approx(np.full(8, 0.01 + 8 * 1000 * 5e-6), rel=1e-12)


def test_a_burst_of_equal_prompts_is_prefilled_in_order_by_the_budget() -> None:
    # Each step has room for two prompts of 1,000 tokens and up to 8 tokens of the next one, which never
    # add up to a third. Step j (from 0) holds 2 j sequences and 2,008 - 2 j tokens, the last one the rest.
    run = replace(RUN, slots=8, token_budget=2008.0, front_end=NO_FRONT)
    wave = run_protocol._Replay(run, _line(), 8)
    wave.go()
    step, sequence, token = 0.01, 1e-4, 5e-6
    tokens = np.array([2008.0, 2006.0, 2004.0, 8000.0 - 6018.0])
    ends = np.cumsum(step + sequence * 2 * np.arange(4) + token * tokens)
    assert wave.ttft == pytest.approx(np.repeat(ends, 2), rel=1e-12)


def test_the_front_end_takes_requests_one_after_the_other() -> None:
    # A front end slower than the engine: prompt i comes at (i + 1) x 0.1 s and is prefilled at once.
    front = replace(NO_FRONT, request_seconds=0.1)
    run = replace(RUN, slots=5, front_end=front)
    wave = run_protocol._Replay(run, _line(sequence=0.0, token=0.0), 5)
    wave.go()
    # Steps of 10 ms on a grid that starts at 0.1 s: a prompt waits for no step, or rounding, for one.
    expected = 0.1 * np.arange(1, 6) + 0.01
    assert wave.ttft == pytest.approx(expected, abs=0.0101)
    assert wave.ttft[0] == pytest.approx(0.11, rel=1e-12)


def _ticking(**changes: object) -> Run:
    """Make a run of two slots on steps of 1 s whatever they carry; requests come 0.5 s into a step.

    A prompt sent at step s is in the queue at s + 1. With 119 steps of decoding and one for the chunk
    slots stay in phase with polls at multiples of any divisor of 120.
    """
    front = replace(NO_FRONT, request_seconds=0.5)
    run = replace(RUN, slots=2, output_tokens=120.0, front_end=front)
    return replace(run, **changes)  # type: ignore[arg-type]


TICK = StepCurve([0.0, 100.0], [1.0, 1.0], [0.0, 1e4], [0.0, 0.0])


@pytest.mark.parametrize("poll", [2, 4, 30])
def test_a_queue_that_is_looked_at_seldom_makes_a_prompt_wait_for_the_next_look(poll: int) -> None:
    # Sent at a look, in the queue one step on, seen at the next look, first token one step later.
    assert replay(_ticking(poll_steps=poll), TICK).ttft == pytest.approx(poll + 1.0, rel=1e-12)


@pytest.mark.parametrize("hold", [0, 1, 7, 20])
def test_a_prompt_without_company_is_held_back_so_many_steps(hold: int) -> None:
    run = _ticking(hold_steps=hold, hold_tokens=inf)
    assert replay(run, TICK).ttft == pytest.approx(hold + 2.0, rel=1e-12)


def test_a_prompt_that_fills_what_is_waited_for_is_not_held_back() -> None:
    assert replay(_ticking(hold_steps=20, hold_tokens=1000.0), TICK).ttft == pytest.approx(2.0, rel=1e-12)


def test_parts_of_a_lone_first_token_are_its_terms() -> None:
    parts = first_token_parts(replace(RUN, slots=1), _line())
    expected = [0.013, 0.0017, 1000 * 1.9e-6, 1.3 * 0.01, 1000 * 5e-6 * 1.2, 0.01]
    assert parts == pytest.approx(expected, rel=1e-9)
    assert len(parts) == len(FRONT_END_FIGURES) + 1


@given(RUNS)
@settings(max_examples=40)
def test_parts_of_a_first_token_add_up_to_it(run: Run) -> None:
    parts = first_token_parts(run, _line())
    assert (parts >= 0).all()
    assert parts.sum() == pytest.approx(replay(run, _line()).ttft, rel=1e-9)


@given(RUNS, st.sampled_from([0.25, 2.0, 1024.0]))
@settings(max_examples=25)
def test_a_run_whose_times_are_all_scaled_reports_scaled_times(run: Run, factor: float) -> None:
    # Powers of two scale without rounding.
    front, line = run.front_end, _line()
    slower = replace(
        run,
        front_end=replace(
            front,
            trip_seconds=front.trip_seconds * factor,
            request_seconds=front.request_seconds * factor,
            prompt_token_seconds=front.prompt_token_seconds * factor,
        ),
    )
    curve = replace(
        line,
        decode_seconds=[value * factor for value in line.decode_seconds],
        chunk_seconds=[value * factor for value in line.chunk_seconds],
    )
    base, scaled = replay(run, line), replay(slower, curve)
    assert scaled == RunResult(base.ttft * factor, base.tpot * factor)


def test_a_fixed_run_leaves_its_burst_out_and_an_inferencex_run_counts_it_once_in_ten() -> None:
    # Every request takes the same steps but those of the burst, so later waves are alike.
    run = replace(RUN, slots=40, front_end=NO_FRONT)
    slow = _Slow(run, _line(), 160)
    ttft = np.array([slow.shown[i] - slow.sent[i] for i in range(160)])
    assert replay(run, _line()).ttft == pytest.approx(ttft[40:].mean(), rel=1e-9)
    assert ttft[:40].mean() > 2 * ttft[40:].mean()


def _lengths(count: int) -> tuple[Array, Array]:
    return run_lengths(replace(RUN, protocol="inferencex", input_tokens=1e4, output_tokens=1e4), count)


def test_lengths_of_a_fixed_run_are_as_stated() -> None:
    prompts, outputs = run_lengths(RUN, 5)
    assert prompts.tolist() == [1000.0] * 5
    assert outputs.tolist() == [101.0] * 5


@pytest.mark.parametrize("which", [0, 1])
def test_inferencex_lengths_are_uniform_on_eight_to_ten_tenths(which: int) -> None:
    found = np.sort(_lengths(2000)[which])
    assert (found >= 8000).all()
    assert (found <= 10_000).all()
    assert found.mean() == pytest.approx(9000, rel=0.005)
    # Kolmogorov and Smirnov's distance, below its 5 % point for random numbers, 1.36 / sqrt(2000).
    places = (np.arange(2000) + 0.5) / 2000
    assert np.abs((found - 8000) / 2000 - places).max() < 1.36 / np.sqrt(2000)


@pytest.mark.parametrize("which", [0, 1])
def test_no_slot_gets_the_same_lengths_again_and_again(which: int) -> None:
    # Independent uniform numbers differ by a third of their range on average, at whatever distance.
    found = (_lengths(2000)[which] - 8000) / 2000
    for distance in range(1, 257):
        apart = np.abs(found[distance:] - found[:-distance]).mean()
        assert apart == pytest.approx(1 / 3, abs=0.06), distance


def test_prompts_and_outputs_are_independent() -> None:
    prompts, outputs = _lengths(4000)
    assert abs(float(np.corrcoef(prompts, outputs)[0, 1])) < 3 / np.sqrt(4000)


@pytest.mark.parametrize("layout", [Layout(), Layout(pp=4), Layout(attention_dp=4, moe_ep=4)])
def test_a_step_curve_is_the_engines_own_steps(layout: Layout) -> None:
    table = make_table(make_work(make_layer(experts=64)), layout)
    moments = reduce_mix(make_mix([(1000.0, 0.0, 200.0)], [0], [1.0]), table.spans, 8192.0)
    load = make_load(table, moments)
    curve = step_curve(table, load, 64.0, 8192.0)

    def engine(batch: float, chunk: float) -> float:
        group = batch * layout.attention_dp + chunk
        step = StepLoad(np.array([batch]), np.array([chunk]), np.array([group]))
        # A token passes every stage.
        return float(step_times(load.coefficients, step).total[0]) * layout.pp

    for batch in (1.0, 64.0):
        assert curve.decode(batch) == pytest.approx(engine(batch, 0.0), rel=1e-9)
    for tokens in (64.0, 8192.0):
        assert curve.chunk(tokens) == pytest.approx(engine(32.0, tokens) - engine(32.0, 0.0), rel=1e-9)
    # Between the points of the grid the line errs by little, beyond it the last slope holds.
    assert curve.decode(20.0) == pytest.approx(engine(20.0, 0.0), rel=0.05)
    assert curve.chunk(3000.0) == pytest.approx(engine(32.0, 3000.0) - engine(32.0, 0.0), rel=0.1)
    slope = curve.chunk(8192.0) - curve.chunk(8000.0)
    assert curve.chunk(8384.0) == pytest.approx(curve.chunk(8192.0) + slope, rel=1e-9)
    assert curve.chunk(0.0) == 0.0
