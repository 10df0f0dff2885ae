"""What a benchmark run on separate pools reports as time to first token, its burst start included.

All slots open at t = 0 against the prefill pool, which serves prompts in order of arrival; a slot decodes
in the other pool, then sends its next request. With many slots the queue is a fluid: a run is replayed
with fewer slots and a pool as many times slower, which leaves every wait as it is (METHOD 8).
"""

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final

import numpy as np

from service.calibration.measured import REQUESTS_PER_SLOT, Protocol
from service.calibration.run_protocol import Lengths, run_lengths

MOST_SLOTS: Final = 256
WAVES: Final = 4


@dataclass(frozen=True, slots=True)
class PoolRun:
    """How a run is asked of two pools; seconds and tokens."""

    protocol: Protocol
    slots: float
    input_tokens: float
    output_tokens: float
    pool_seconds_per_token: float
    """Of a prompt token in the whole prefill pool when it is busy."""
    own_seconds_per_token: float
    """Of a prompt token in the worker that has it, alone."""
    request_seconds: float
    """Added to every request: front end, KV transfer, first decode step."""
    tpot_seconds: float


def replay_pools(run: PoolRun) -> float:
    """Return the mean TTFT over the run's requests, seconds."""
    slots = max(min(round(run.slots), MOST_SLOTS), 1)
    thinner = max(run.slots / slots, 1.0)
    waves = min(WAVES, REQUESTS_PER_SLOT)
    prompts, outputs = run_lengths(Lengths(run.protocol, run.input_tokens, run.output_tokens), slots * waves)
    coming = [0.0] * slots
    free, ttft = 0.0, np.zeros(slots * waves)
    for request, (prompt, output) in enumerate(zip(prompts.tolist(), outputs.tolist(), strict=True)):
        sent = heappop(coming)
        started = max(free, sent)
        free = started + prompt * run.pool_seconds_per_token * thinner
        first = max(free, started + prompt * run.own_seconds_per_token) + run.request_seconds
        ttft[request] = first - sent
        heappush(coming, first + max(output - 1.0, 0.0) * run.tpot_seconds)
    wave = np.arange(slots * waves) // slots
    first_wave = 1.0 if run.protocol == "inferencex" else 0.0
    weight = np.where(wave == 0, first_wave, (REQUESTS_PER_SLOT - 1.0) / (waves - 1.0))
    return float(weight @ ttft / weight.sum())
