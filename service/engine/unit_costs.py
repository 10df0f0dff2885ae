"""What each thing that a request does costs at an operating point; any request's cost is a dot product.

The split by tokens (``attribution``) shares each operator's time in proportion to one driver: computed
prompt tokens, decode steps, sampled tokens, or pairs of queries and keys. Divided by the mean request's
amount of the driver, the shares become unit costs, and the cost of any request at this operating point
is the sum of its drivers times unit costs. The mean over the mix is the bill exactly (equation P4).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.engine.attribution import (
    CACHED,
    OUTPUT,
    RESOURCES,
    UNCACHED,
    Subject,
    busy_seconds,
    decode_drivers,
    prefill_drivers,
    step_parts,
    step_shares,
)
from service.engine.load import make_load
from service.engine.spans import Array
from service.engine.tables import ATTENTION_DECODE, ATTENTION_PREFILL, HEAD, OPERATORS
from service.engine.workload import Moments, make_mix, reduce_mix

DRIVERS = (
    "uncached_tokens",
    "decode_steps",
    "output_tokens",
    "prefill_on_uncached",
    "prefill_on_cached",
    "plain_on_uncached",
    "plain_on_cached",
    "plain_on_output",
    "mixed_on_uncached",
    "mixed_on_cached",
    "mixed_on_output",
)
"""Order of the driver axis. ``plain`` and ``mixed``: reads of cached keys by decode-only steps and by
steps that also carry a chunk; the two may be bound by different things."""
(
    UNCACHED_TOKENS,
    DECODE_STEPS,
    OUTPUT_TOKENS,
    PREFILL_ON_UNCACHED,
    PREFILL_ON_CACHED,
    PLAIN_ON_UNCACHED,
    PLAIN_ON_CACHED,
    PLAIN_ON_OUTPUT,
    MIXED_ON_UNCACHED,
    MIXED_ON_CACHED,
    MIXED_ON_OUTPUT,
) = range(11)

KIND_OF_DRIVER_BY_CAUSE = np.array(
    [UNCACHED, OUTPUT, OUTPUT, UNCACHED, CACHED, UNCACHED, CACHED, OUTPUT, UNCACHED, CACHED, OUTPUT]
)
"""Who pays: the token whose key is read."""
KIND_OF_DRIVER_BY_PASS = np.array(
    [UNCACHED, OUTPUT, OUTPUT, UNCACHED, CACHED, OUTPUT, OUTPUT, OUTPUT, OUTPUT, OUTPUT, OUTPUT]
)
"""Who pays: the token in whose pass the key is read."""


@dataclass(frozen=True)
class UnitCosts:
    """Costs of drivers as shares of the mean request's bill."""

    shares: Array
    """Per unit of driver, by operator and resource, shape (11, 9, 4)."""
    means: Array
    """Drivers of the mean request, shape (11,)."""
    chunk_limit_tokens: float

    @property
    def per_unit(self) -> Array:
        """Return shares of the mean bill per unit of each driver, shape (11,)."""
        total: Array = self.shares.sum(axis=(1, 2))
        return total

    def of_requests(self, drivers: Array) -> Array:
        """Return the cost of requests in mean requests' bills, from drivers of shape (11, N)."""
        costs: Array = self.per_unit @ drivers
        return costs


def unit_costs(subject: Subject, chunk_limit_tokens: float) -> UnitCosts:
    """Return the unit costs at an operating point.

    Parameters
    ----------
    subject
        The operating point.
    chunk_limit_tokens
        As given to ``workload.reduce_mix``.
    """
    plain_seconds, mixed_seconds = busy_seconds(subject)
    weight = mixed_seconds / (plain_seconds + mixed_seconds)
    plain, mixed = (
        shares.sum(axis=2) for shares in step_shares(subject, "by_cause", (*step_parts(subject), weight))
    )
    totals = np.zeros((len(DRIVERS), len(OPERATORS), len(RESOURCES)))
    means = _drivers(subject, subject.moments).sum(axis=1)
    for shares, first, head in (
        (plain, PLAIN_ON_UNCACHED, DECODE_STEPS),
        (mixed, MIXED_ON_UNCACHED, OUTPUT_TOKENS),
    ):
        _share_out(totals, shares, (first, head), means)
    units = totals / np.where(means > 0, means, 1.0)[:, None, None]
    return UnitCosts(units, means, chunk_limit_tokens)


def request_drivers(subject: Subject, units: UnitCosts, requests: npt.ArrayLike) -> Array:
    """Return the drivers of single requests, shape (11, N).

    Parameters
    ----------
    subject
        The operating point at which they are served.
    units
        Its unit costs.
    requests
        Shape (N, 3): input, cached and output tokens; input and output at least 1.
    """
    rows = np.asarray(requests, dtype=np.float64).reshape(-1, 3)
    count = rows.shape[0]
    mix = make_mix(rows, np.arange(count), np.ones(count))
    moments = reduce_mix(mix, subject.table.spans, units.chunk_limit_tokens)
    return _drivers(subject, moments) * count


def _drivers(subject: Subject, moments: Moments) -> Array:
    """Drivers by class, weighted by the classes' shares, shape (11, K)."""
    table, state = subject.table, subject.state
    own, cached = prefill_drivers(make_load(table, moments).prefill, state.mixed)
    rows: Array = np.stack(
        (
            moments.uncached,
            moments.steps,
            moments.output,
            own,
            cached,
            *decode_drivers(table, moments, state.decode),
            *decode_drivers(table, moments, state.mixed),
        )
    )
    return rows


def _share_out(totals: Array, shares: Array, drivers: tuple[int, int], means: Array) -> None:
    """Add shares of one kind of step, (9, 3, 4), to the totals of the drivers that they follow."""
    first_pair, head = drivers
    step = DECODE_STEPS if means[DECODE_STEPS] > 0 else OUTPUT_TOKENS
    for operator in range(len(OPERATORS)):
        row = shares[operator]
        if operator == ATTENTION_DECODE and means[first_pair : first_pair + 3].sum() > 0:
            totals[first_pair, operator] += row[UNCACHED]
            totals[first_pair + 1, operator] += row[CACHED]
            totals[first_pair + 2, operator] += row[OUTPUT]
        elif operator == ATTENTION_PREFILL and means[PREFILL_ON_UNCACHED : PREFILL_ON_CACHED + 1].sum() > 0:
            totals[PREFILL_ON_UNCACHED, operator] += row[UNCACHED]
            totals[PREFILL_ON_CACHED, operator] += row[CACHED]
        else:
            totals[UNCACHED_TOKENS, operator] += row[UNCACHED]
            totals[head if operator == HEAD and means[head] > 0 else step, operator] += row[OUTPUT]
