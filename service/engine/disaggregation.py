"""Prefill and decode in pools of their own: which one limits, and at what batch (equations D1 to D3).

In a closed loop of C requests every one is in the prefill pool, in transfer or decoding:

    C = X (W + t_prefill + t_transfer + t_decode(B)),  B = X t_decode(B) / workers                  (D1)

with X at most the prefill pool's capacity. Where decoding is the slower pool, prompts hardly wait and
the batch is C less those on their way; where prefill is, X is its capacity, the batch falls to what that
rate keeps busy and the rest waits for prefill. KV transfer is link time, no accelerator's (D2).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from service.engine.load import Load
from service.engine.tables import ATTENTION_PREFILL, CHUNK_PRESENT, ReplicaTable

ITERATIONS: Final = 40


@dataclass(frozen=True, slots=True)
class PoolRates:
    """What the pools can do."""

    concurrency: float
    decode_workers: int
    prefill_requests_per_second: float
    """Of the whole pool, working all the time."""
    prefill_seconds: float
    """Of one prompt on an idle worker."""
    transfer_seconds: float
    decode_steps: float


@dataclass(frozen=True, slots=True)
class Matched:
    """The point where both pools carry the same rate."""

    requests_per_second: float
    decode_concurrency: float
    """Requests on one decode worker, those that wait for a place in its batch included."""
    tpot_seconds: float
    ttft_seconds: float
    prefill_bound: bool
    """The prefill pool can do less than the decode pool could with all requests on it."""


def match_pools(pools: PoolRates, solve: Callable[[float], tuple[float, float]]) -> Matched:
    """Return the matched point.

    Parameters
    ----------
    pools
        Capacities and times.
    solve
        Requests per second and TPOT of one decode worker with so many requests on it (also less than one,
        on average); both rise with it, the rate up to what the worker can carry.
    """
    low, high = 0.0, pools.concurrency
    # Requests decoding rise with the share given to decode; the loop closes where all C are somewhere.
    for _ in range(ITERATIONS):
        middle = (low + high) / 2.0
        if _in_flight(pools, middle, solve(middle / pools.decode_workers)[0]) > pools.concurrency:
            high = middle
        else:
            low = middle
    decoding = max((low + high) / 2.0, 1e-6)
    each, tpot = solve(decoding / pools.decode_workers)
    rate = each * pools.decode_workers
    alone = solve(pools.concurrency / pools.decode_workers)[0] * pools.decode_workers
    return Matched(
        requests_per_second=rate,
        decode_concurrency=decoding / pools.decode_workers,
        tpot_seconds=tpot,
        # Little's law over the loop: what is not decoding is before the first token.
        ttft_seconds=pools.concurrency / rate - pools.decode_steps * tpot,
        prefill_bound=pools.prefill_requests_per_second < alone,
    )


def _in_flight(pools: PoolRates, decoding: float, worker_rate: float) -> float:
    """Return the requests in the whole system when so many are in the decode pool (D3).

    The prefill pool is a server at utilisation rho = X / capacity with the closed loop's others behind it.
    """
    rate = worker_rate * pools.decode_workers
    load = rate / pools.prefill_requests_per_second
    if load >= 1.0:
        return float("inf")
    waiting = load / (1.0 - load) / 2.0 / pools.prefill_requests_per_second
    return decoding + rate * (pools.prefill_seconds + waiting + pools.transfer_seconds)


def handed_over(load: Load) -> Load:
    """Return what a decode worker carries: prompts come with their keys and their first token.

    A prompt found in a prefix cache still passes attention once more for its last token, over all its
    keys (which latent attention would expand again); one that was handed over does not.
    """
    coefficients = load.coefficients
    matrices = []
    for matrix in (coefficients.work, coefficients.seconds):
        kept = matrix.copy()
        kept[:, ATTENTION_PREFILL] = 0.0
        kept[:, :, CHUNK_PRESENT] = 0.0
        matrices.append(kept)
    return replace(load, coefficients=replace(coefficients, work=matrices[0], seconds=matrices[1]))


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a transfer: a worker with the cache of the prompts that move, and its links."""

    table: ReplicaTable
    load: Load
    link_bytes_per_second: float
    """Of one accelerator, as it is reached."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """A prompt's cache on its way between workers, as its slower side sees it (D2)."""

    bytes_per_request: float
    """Over all ranks that hold a part of one sequence, copies counted."""
    link_bytes_per_second: float
    """Of their links together."""
    sent_per_second: float
    """Prompts that the links of one prefill worker send, of all its attention-DP ranks."""
    received_per_second: float
    """Prompts that those of one decode worker receive."""

    @property
    def seconds(self) -> float:
        """Time it takes."""
        return self.bytes_per_request / self.link_bytes_per_second


def transfer_between(sender: Side, receiver: Side) -> Transfer:
    """Return the transfer of a mean prompt's cache; every rank's link carries that rank's part (D2)."""
    moved, links, capacities = [], [], []
    for side in (sender, receiver):
        layout = side.table.layout
        ranks = layout.tp * layout.pp
        moved.append(side.load.prompt_bytes * ranks)
        links.append(side.link_bytes_per_second * ranks)
        seconds = side.load.prompt_bytes / side.link_bytes_per_second
        capacities.append(layout.attention_dp / seconds if seconds > 0 else float("inf"))
    slower = 0 if moved[0] / links[0] >= moved[1] / links[1] else 1
    return Transfer(moved[slower], links[slower], *capacities)
