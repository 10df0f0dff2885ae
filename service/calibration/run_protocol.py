"""What a benchmark run reports: a closed loop from its burst start to its last request, step by step.

Measured rows are means over a finite run. All slots open at t = 0, so the first wave of prompts queues
behind itself, and waves of like lengths come back together long after; neither is in a steady state
(METHOD 8). This module replays a run on the step times of a compiled replica: in each engine step the
queue's prompts fill the token budget beside the sequences that decode; a slot sends its next request
when the last one ends. Lengths are a fixed low-discrepancy sequence: no random numbers.
"""

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from math import ceil
from typing import Final

import numpy as np

from service.calibration.measured import REQUESTS_PER_SLOT, SHORTEST_SHARE, Protocol
from service.engine.load import Load
from service.engine.spans import Array
from service.engine.step import StepLoad, step_times
from service.engine.tables import ReplicaTable

WAVES: Final = 4
"""Waves replayed of a large run; the later ones stand for all further ones."""
LEAST_REPLAYED: Final = 160
"""Requests that are replayed at least, where the run has so many."""
GRID_POINTS: Final = 8
_NUDGE: Final = 0.03
_GOLDEN: Final = 0.6180339887498949
_SQUARE: Final = 0.7548776662466927


@dataclass(frozen=True, slots=True)
class StepCurve:
    """Seconds of a step of one rank as a function of sequences decoding and prompt tokens."""

    batches: list[float]
    decode_seconds: list[float]
    tokens: list[float]
    chunk_seconds: list[float]
    """What prompt tokens add, at half the highest batch."""

    def decode(self, batch: float) -> float:
        """Return the seconds of a step without a chunk."""
        return _interpolate(self.batches, self.decode_seconds, batch)

    def chunk(self, tokens: float) -> float:
        """Return the seconds that prompt tokens add to a step."""
        return _interpolate(self.tokens, self.chunk_seconds, tokens)


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """What a first token waits for outside the model's own steps; fitted by engine."""

    trip_seconds: float = 0.02
    """Client to server and back, in parallel for all requests."""
    request_seconds: float = 2e-3
    """HTTP, tokenisation and dispatch of a request, one after the other."""
    prompt_token_seconds: float = 2e-6
    """The same for each token of its prompt."""
    lag_steps: float = 1.0
    """Decode steps between the end of the prefill and the token's departure (asynchronous scheduling)."""
    chunk_factor: float = 1.0
    """Time of a chunk over that of its operators: steps with a chunk run outside CUDA graphs."""


FRONT_END: Final = FrontEnd()
FRONT_END_FIGURES: Final = (
    "trip_seconds", "request_seconds", "prompt_token_seconds", "lag_steps", "chunk_factor",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lengths:
    """Nominal lengths of a run's requests, tokens, and the protocol that draws them."""

    protocol: Protocol
    input_tokens: float
    output_tokens: float


@dataclass(frozen=True, slots=True)
class Run:
    """How a run is asked; tokens are nominal lengths."""

    protocol: Protocol
    slots: int
    """Requests in flight on one rank."""
    input_tokens: float
    output_tokens: float
    token_budget: float
    max_batch: float
    """Sequences that one rank may hold."""
    poll_steps: int = 1
    """Steps between two looks at the queue."""
    hold_steps: int = 0
    """Steps that a prompt may be held back, decoding going on, for others to be prefilled with it."""
    hold_tokens: float = 0.0
    """Prompt tokens in the queue from which none is held back."""
    steps_per_token: float = 1.0
    """Decode steps for one output token; below 1 with speculation."""
    front_end: FrontEnd = FRONT_END


@dataclass(frozen=True, slots=True)
class RunResult:
    """Means over the run's requests, seconds."""

    ttft: float
    tpot: float


def step_curve(table: ReplicaTable, load: Load, highest_batch: float, token_budget: float) -> StepCurve:
    """Return the step times of one rank, as the run will meet them."""
    layout = table.layout
    ranks = layout.attention_dp
    batches = np.unique(np.concatenate(([0.0], np.geomspace(1.0, max(highest_batch, 2.0), GRID_POINTS))))
    tokens = np.concatenate(([0.0], np.geomspace(64.0, max(token_budget, 128.0), GRID_POINTS)))
    half = np.full_like(tokens, max(highest_batch / 2.0, 1.0))
    decode = np.maximum(np.concatenate((batches, half)), 1e-9)
    chunk = np.concatenate((np.zeros_like(batches), tokens))
    # Ranks of the group decode alike; chunks of other ranks come at other times.
    times = step_times(load.coefficients, StepLoad(decode, chunk, decode * ranks + chunk)).total * layout.pp
    plain, mixed = times[: batches.size], times[batches.size :]
    return StepCurve(
        batches.tolist(), plain.tolist(), tokens.tolist(), np.maximum(mixed - mixed[0], 0.0).tolist()
    )


def run_lengths(run: Run | Lengths, requests: int) -> tuple[Array, Array]:
    """Return prompt tokens and output tokens of requests in order."""
    if run.protocol == "fixed":
        return np.full(requests, run.input_tokens), np.full(requests, run.output_tokens)
    order = np.arange(1, requests + 1)
    low, width = SHORTEST_SHARE, 1.0 - SHORTEST_SHARE
    # Weyl's sequences of squares: uniform, and unlike multiples of an irrational step they have no near
    # period that would give a slot of a small run the same lengths again and again.
    squares = order.astype(np.float64) ** 2
    prompts = run.input_tokens * (low + width * ((squares * _GOLDEN) % 1.0))
    outputs = run.output_tokens * (low + width * ((squares * _SQUARE) % 1.0))
    return np.maximum(prompts, 1.0), np.maximum(outputs, 1.0)


def replay(run: Run, curve: StepCurve) -> RunResult:
    """Return what the run reports.

    Waves beyond ``WAVES`` are like the later replayed ones, so those carry their weight. A ``fixed`` run
    keeps its slots busy; its first wave is a warm-up and left out.
    """
    waves = min(max(WAVES, ceil(LEAST_REPLAYED / run.slots)), REQUESTS_PER_SLOT)
    state = _Replay(run, curve, run.slots * waves)
    state.go()
    wave = np.arange(run.slots * waves) // run.slots
    first = 1.0 if run.protocol == "inferencex" else 0.0
    weight = np.where(wave == 0, first, (REQUESTS_PER_SLOT - 1.0) / (waves - 1.0))
    weight /= weight.sum()
    return RunResult(float(weight @ state.ttft), float(weight @ state.tpot))


def first_token_parts(run: Run, curve: StepCurve) -> Array:
    """Return d TTFT / d ln of each of ``FRONT_END_FIGURES`` and of the decode steps, shape (6,).

    A run scaled in all its times is the same run slower, so these parts add up to the TTFT (Euler's
    theorem on homogeneous functions). The lag's part is what it adds directly. Where a slower part makes a
    run's first tokens faster (a prompt comes just before a look at the queue instead of just after it),
    that part is nought and the others are scaled to the TTFT.
    """
    front = run.front_end
    base = replay(run, curve).ttft
    parts = []
    for name in FRONT_END_FIGURES:
        changed = replace(front, **{name: getattr(front, name) * (1.0 + _NUDGE)})
        parts.append((replay(replace(run, front_end=changed), curve).ttft - base) / _NUDGE)
    parts.append(base - sum(parts))
    positive: Array = np.maximum(np.array(parts, dtype=np.float64), 0.0)
    return positive * (base / max(float(positive.sum()), 1e-300))


class _Replay:
    """One run in progress; times in seconds, progress in engine steps."""

    def __init__(self, run: Run, curve: StepCurve, requests: int) -> None:
        prompts, outputs = run_lengths(run, requests)
        self.run, self.curve, self.requests = run, curve, requests
        self.prompts: list[float] = prompts.tolist()
        self.steps: list[int] = [
            max(round((tokens - 1.0) * run.steps_per_token), 1) for tokens in outputs.tolist()
        ]
        self.decoded: list[float] = np.maximum(outputs - 1.0, 1.0).tolist()
        self.ttft, self.tpot = np.zeros(requests), np.zeros(requests)
        self.now, self.step, self.sent = 0.0, 0, 0
        self.arrived, self.first = [0.0] * requests, [0.0] * requests
        self.free_at = 0.0
        """When the front end has done all it was sent."""
        self.coming: deque[tuple[float, int]] = deque()
        self.queue: deque[int] = deque()
        self.running: list[tuple[int, int]] = []
        self.left = 0.0
        """Tokens of the first prompt in the queue that are still to be computed."""
        self.queued_tokens, self.held_since = 0.0, 0
        """Prompt tokens in the queue, and the step at which the first of them came."""

    def go(self) -> None:
        """Run to the end."""
        for _ in range(self.run.slots):
            self._send()
        while self.coming or self.queue or self.running:
            self._take_in()
            if self.queue and self._may_admit():
                self._chunk_step()
            elif self.running:
                self._decode_on()
            else:
                self.now = max(self.now, self.coming[0][0])
            while self.running and self.running[0][0] <= self.step:
                self._finish(heappop(self.running)[1])

    def _send(self) -> None:
        if self.sent < self.requests:
            run, request = self.run, self.sent
            self.arrived[request] = self.now
            front = run.front_end
            work = front.request_seconds + front.prompt_token_seconds * self.prompts[request]
            self.free_at = max(self.free_at, self.now) + work
            self.coming.append((self.free_at, request))
            self.sent += 1

    def _take_in(self) -> None:
        while self.coming and self.coming[0][0] <= self.now:
            request = self.coming.popleft()[1]
            if not self.queue:
                self.left = self.prompts[request]
                self.held_since = self.step
            self.queue.append(request)
            self.queued_tokens += self.prompts[request]

    def _may_admit(self) -> bool:
        if not self.running:
            return True
        started = self.left < self.prompts[self.queue[0]]
        due = started or (self.step % self.run.poll_steps == 0 and not self._held_back())
        return due and len(self.running) < self.run.max_batch

    def _held_back(self) -> bool:
        return self.step < self.held_since + self.run.hold_steps and self.queued_tokens < self.run.hold_tokens

    def _chunk_step(self) -> None:
        room = max(self.run.token_budget - len(self.running), 1.0)
        free = self.run.max_batch - len(self.running)
        used = 0.0
        done: list[int] = []
        while self.queue and used < room and len(done) < max(free, 1.0):
            taken = min(self.left, room - used)
            used += taken
            self.left -= taken
            if self.left > 0:
                break
            done.append(self.queue.popleft())
            self.queued_tokens -= self.prompts[done[-1]]
            self.held_since = self.step
            self.left = self.prompts[self.queue[0]] if self.queue else 0.0
        front, decode = self.run.front_end, self.curve.decode(len(self.running))
        self.now += decode + self.curve.chunk(used) * front.chunk_factor
        self.step += 1
        after = front.trip_seconds + front.lag_steps * decode
        for request in done:
            self.first[request] = self.now
            self.ttft[request] = self.now - self.arrived[request] + after
            heappush(self.running, (self.step + self.steps[request], request))

    def _decode_on(self) -> None:
        """Decode to the next event: a sequence ends, a request comes in, the queue is looked at."""
        until = self.running[0][0]
        seconds = self.curve.decode(len(self.running))
        poll = self.run.poll_steps
        if not self.queue:
            # Also where no place is free: a prompt is held back from when it came.
            if self.coming:
                until = min(until, self.step + max(ceil((self.coming[0][0] - self.now) / seconds), 1))
        elif len(self.running) < self.run.max_batch:
            until = min(until, (self.step // poll + 1) * poll)
            if self._held_back():
                until = min(until, self.held_since + self.run.hold_steps)
        self.now += (until - self.step) * seconds
        self.step = until

    def _finish(self, request: int) -> None:
        self.tpot[request] = (self.now - self.first[request]) / self.decoded[request]
        self._send()


def _interpolate(places: list[float], values: list[float], at: float) -> float:
    right = bisect_right(places, at)
    if right == 0:
        return values[0]
    if right == len(places):
        # Beyond the grid the last slope holds.
        right -= 1
    low, high = places[right - 1], places[right]
    return values[right - 1] + (values[right] - values[right - 1]) * (at - low) / (high - low)
