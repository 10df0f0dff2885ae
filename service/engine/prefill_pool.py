"""Workers that do nothing but prefill: their steps, what they can carry and how long prompts wait (D4, D5).

A worker prefills one prompt a step, or a chunk of it where the token budget is shorter. Where prompts are
shorter than the budget and come faster than one a step, they share steps up to the budget, as in
continuous batching (equation B3): a step then carries what arrived during the last one.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from service.engine.batching import SteadyState
from service.engine.load import Load
from service.engine.memory import MemoryPlan
from service.engine.operating_point import Replica
from service.engine.spans import Array
from service.engine.step import StepLoad, StepTimes, step_times

CURVE_POINTS = 24
"""Steps between that of one prompt and that of a whole budget, log-spaced."""
NO_LOAD = 1e-12


@dataclass(frozen=True)
class PrefillWorker:
    """One worker of the prefill pool under a mix of requests of one output token each."""

    replica: Replica
    memory: MemoryPlan
    held_seconds: float
    """For which a prompt's cache stays after its prefill, until it has crossed the link."""
    sent_per_second: float = float("inf")
    """Prompts whose caches its links can send (D2)."""

    @cached_property
    def chunks(self) -> Array:
        """Prompt tokens of a rank's steps, shape (P,): from one prompt's to a whole budget's."""
        least, most = own_tokens(self.replica), full_tokens(self.replica)
        if most <= least:
            return np.array([least])
        return np.geomspace(least, most, CURVE_POINTS)

    @cached_property
    def steps(self) -> StepTimes:
        """Times of these steps."""
        return chunk_times(self.replica, self.chunks)

    @cached_property
    def requests_per_second(self) -> float:
        """What a worker carries that works all the time, or what its memory holds or its links send (D4)."""
        load = self.replica.load
        seconds = float(self.steps.total[-1])
        computed = float(self.chunks[-1]) * self._ranks / (max(load.mean_uncached, 1.0) * seconds)
        computed = min(computed, self.sent_per_second)
        if load.prompt_bytes <= 0:
            return computed
        places = max(self._ranks * self.memory.cache_bytes / load.prompt_bytes, 1.0)
        alone = float(self.seconds_of(np.zeros(1))[0])
        return min(computed, places / (alone + self.held_seconds))

    @property
    def _ranks(self) -> int:
        return self.replica.table.layout.attention_dp

    def step_at(self, requests_per_second: Array) -> tuple[Array, Array]:
        """Return (prompt tokens of a rank's step, its seconds) of a worker that so many requests reach."""
        tokens = requests_per_second * (self.replica.load.mean_uncached / self._ranks)
        # What a step yields a second grows with what it carries, so this is the step that keeps up.
        chunk: Array = np.interp(tokens, self.chunks / self.steps.total, self.chunks)
        seconds: Array = np.interp(chunk, self.chunks, self.steps.total)
        return chunk, seconds

    def seconds_of(self, requests_per_second: Array) -> Array:
        """Return the seconds from a prompt's first step to its last, through all pipeline stages."""
        chunk, seconds = self.step_at(requests_per_second)
        prompt = max(self.replica.load.mean_uncached, 1.0)
        stages = self.replica.table.layout.pp
        passed: Array = (np.maximum(prompt / chunk, 1.0) + (stages - 1)) * seconds
        return passed

    def waiting(self, share: Array, requests_per_second: Array, workers: Array) -> Array:
        """Return the mean wait before prefill, seconds (equation D5).

        Parameters
        ----------
        share
            Load of the pool, 0 to 1 exclusive.
        requests_per_second
            That reach one worker.
        workers
            Of the pool, any positive number. A queue that all of them serve is one server as much faster;
            less than one is a whole worker that several deployments share.
        """
        room = np.maximum(1.0 - share, NO_LOAD)
        variation = (1.0 + self.replica.load.uncached_variation) / 2.0
        queued = variation * share / room / (np.maximum(workers, 1.0) * self.requests_per_second)
        chunk, seconds = self.step_at(requests_per_second)
        # Prompts that share steps wait for the one under way, half of it on average.
        shared: Array = (1.0 - self.chunks[0] / chunk) * seconds / 2.0
        return queued + shared

    def state_at(self, requests_per_second: Array, load: Load | None = None) -> SteadyState:
        """Return the worker as steady states without decoding: what a split stands on.

        Parameters
        ----------
        requests_per_second
            That reach one worker, shape (N,).
        load
            Instead of the worker's own: one whose times differ from state to state.
        """
        rate, used = requests_per_second, load or self.replica.load
        chunk, _ = self.step_at(rate)
        nothing, one = np.zeros(rate.shape), np.ones(rate.shape)
        both = StepLoad(
            np.concatenate((nothing, nothing)),
            np.concatenate((nothing, chunk)),
            np.concatenate((nothing, chunk * self._ranks)),
        )
        times = step_times(used.coefficients, both)
        mixed = times.total[rate.size :]
        busy = rate * used.mean_uncached / (chunk * self._ranks) * mixed
        seconds = self.seconds_of(rate)
        return SteadyState(
            seen_batch=one,
            batch=nothing,
            concurrency=rate * seconds,
            requests_per_second=rate,
            chunk_tokens=chunk,
            chunk_share=busy,
            mixed_share=one,
            steps=times,
            step_loads=both,
            step_seconds=mixed,
            tpot_seconds=nothing,
            prefill_utilisation=rate / self.requests_per_second,
            waiting_seconds=nothing,
            prefill_seconds=seconds,
            ttft_seconds=seconds,
        )


def own_tokens(replica: Replica) -> float:
    """Return the prompt tokens of a rank's step that carries one prompt alone, or a chunk of it."""
    prompt = max(replica.load.mean_uncached, 1.0)
    if replica.policy.token_budget_covers_prompt:
        return prompt
    return min(prompt, max(float(replica.policy.token_budget), 1.0))


def full_tokens(replica: Replica) -> float:
    """Return the most prompt tokens of a rank's step."""
    return max(own_tokens(replica), float(replica.policy.token_budget))


def chunk_times(replica: Replica, chunks: Array) -> StepTimes:
    """Return the times of steps in which every rank carries a chunk and none decodes."""
    group = chunks * replica.table.layout.attention_dp
    return step_times(replica.load.coefficients, StepLoad(np.zeros_like(chunks), chunks, group))
