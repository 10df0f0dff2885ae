"""What one more token costs: the derivative of the cheapest cost per request (METHOD 5, ``marginal``).

Cost per request at batch b is c(n, b), n the tokens of each kind. As n grows, b moves so that what is
held stays as it is: the batch itself, a latency, or the memory it fills. With g the held figure,

    dc/dn = c_n - c_b g_n / g_b        (equation P5)

by one-sided differences, because rooflines and chunks have kinks. Fleets are fractional. The sum of
tokens x marginal over cost is the degree of homogeneity of c: 1 where everything is linear in tokens,
above it by attention and the cache (quadratic), below it by what a request needs once.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from service.engine.attribution import CACHED, KINDS, OUTPUT, UNCACHED
from service.engine.batching import Population, SteadyState, prefill_limit, steady_state
from service.engine.errors import EngineError
from service.engine.load import Load
from service.engine.memory import plan_memory
from service.engine.spans import Array
from service.engine.speculation import serve
from service.engine.tables import ReplicaTable
from service.engine.types import EnginePolicy
from service.engine.workload import Mix, reduce_mix

Closure = Literal["fixed_batch", "tpot_limit", "tpot_and_ttft_limits"]
CLOSURES: tuple[Closure, ...] = ("fixed_batch", "tpot_limit", "tpot_and_ttft_limits")
STEP = 1e-5
"""Relative step of the differences: truncation about 1e-5, rounding about 1e-10."""
NO_REQUEST = 1e30
"""Prompt length that makes what a request needs once vanish per token."""


@dataclass(frozen=True)
class MarginalPoint:
    """An operating point whose mix can be varied."""

    table: ReplicaTable
    policy: EnginePolicy
    mix: Mix
    batch: float
    """Mean sequences decoding."""
    population: Population
    limited_by: str

    @property
    def chunk_limit_tokens(self) -> float:
        """Return the prompt length above which prefill takes several chunks."""
        return float("inf") if self.policy.token_budget_covers_prompt else float(self.policy.token_budget)


@dataclass(frozen=True)
class Marginal:
    """Marginal costs of kinds of tokens at an operating point."""

    closure: Closure
    held: str
    """What stays as it is while tokens are added."""
    per_token: Array
    """Share of the mean request's cost that one more token a request adds, by kind, shape (3,)."""
    sum_over_cost: float
    """Sum of tokens x marginal over cost."""
    from_attention: float
    """Part of ``sum_over_cost - 1`` due to attention and the cache: the quadratic terms."""
    from_request_terms: float
    """Part due to what a request needs once: first token, head, last chunk."""
    from_kinks: float
    """The rest: one-sided derivatives at kinks do not add up."""


def marginal(point: MarginalPoint, closure: Closure) -> Marginal:
    """Return the marginal costs under a closure.

    Parameters
    ----------
    point
        The operating point.
    closure
        ``fixed_batch``: the batch is held. ``tpot_limit``: the time per output token is.
        ``tpot_and_ttft_limits``: whichever of the two latencies limits the point is. Where memory, not
        a latency, limits the point, the last two hold the filled memory.
    """
    held = _held(point.limited_by, closure)
    tokens = _mean_tokens(point.mix)
    added = np.array([_rise(point, _longer(point.mix, kind), held) for kind in range(len(KINDS))])
    # A kind without tokens is lengthened by a fraction of a token instead of a share of its tokens.
    per_token = added / np.where(tokens > 0, tokens, 1.0)
    total = float((per_token * tokens).sum())
    linear = replace(point, table=_without_attention(point.table))
    together = _rise(point, _longer(point.mix, None), held)
    without = _rise(linear, _longer(linear.mix, None), held)
    homogeneous = _rise(linear, _longer_steps(linear.mix), held, once=False)
    return Marginal(
        closure=closure,
        held=held,
        per_token=per_token,
        sum_over_cost=total,
        from_attention=together - without,
        from_request_terms=without - homogeneous,
        from_kinks=total - together + homogeneous - 1.0,
    )


def _held(limited_by: str, closure: Closure) -> str:
    if closure == "fixed_batch" or limited_by in ("throughput", "max_batch"):
        # Where throughput itself has its maximum, a change of batch costs nothing.
        return "batch"
    if limited_by in ("memory", "prefill"):
        return limited_by
    if closure == "tpot_and_ttft_limits" and limited_by == "ttft":
        return "ttft"
    return "tpot"


def _mean_tokens(mix: Mix) -> Array:
    new = mix.input_tokens - mix.cached_tokens
    return np.array([mix.mean(new), mix.mean(mix.cached_tokens), mix.mean(mix.output_tokens)])


def _longer(mix: Mix, kind: int | None) -> Mix:
    """Lengthen a kind (all where None) by the relative step; an empty kind by that share of a token."""
    new, cached, output = mix.input_tokens - mix.cached_tokens, mix.cached_tokens, mix.output_tokens
    if kind in (UNCACHED, None):
        new = _stretched(mix, new)
    if kind == CACHED or (kind is None and cached.any()):
        cached = _stretched(mix, cached)
    if kind in (OUTPUT, None):
        output = _stretched(mix, output)
    return replace(mix, input_tokens=new + cached, cached_tokens=cached, output_tokens=output)


def _stretched(mix: Mix, tokens: Array) -> Array:
    stretched: Array = tokens * (1.0 + STEP) if mix.mean(tokens) > 0 else tokens + STEP
    return stretched


def _longer_steps(mix: Mix) -> Mix:
    """Lengthen all kinds, counting decode steps instead of output tokens."""
    longer = _longer(mix, None)
    return replace(longer, output_tokens=1.0 + (mix.output_tokens - 1.0) * (1.0 + STEP))


def _rise(point: MarginalPoint, longer: Mix, held: str, once: bool = True) -> float:
    """Return d ln c / d ln n along a lengthening, with ``held`` as it is."""
    batch = point.batch
    cost, figure = _evaluate(point, point.mix, batch, (held, once))
    cost_n, figure_n = _evaluate(point, longer, batch, (held, once))
    by_tokens = (cost_n - cost) / STEP
    if held == "batch":
        return by_tokens
    # Towards a smaller batch, which every limit allows.
    smaller = batch * (1.0 - STEP)
    cost_b, figure_b = _evaluate(point, point.mix, smaller, (held, once))
    slope = figure_b - figure
    if slope == 0.0:
        return by_tokens
    return by_tokens - (cost_b - cost) * (figure_n - figure) / slope / STEP


def _evaluate(point: MarginalPoint, mix: Mix, batch: float, how: tuple[str, bool]) -> tuple[float, float]:
    """Return (ln cost per request, ln of the held figure)."""
    held, once = how
    load, policy = _load(point, mix), point.policy
    if not once:
        load, policy = _nothing_once(point, load, batch)
    state = steady_state(point.table, load, policy, *_axis(point, batch, held))
    return -float(np.log(state.requests_per_second[0])), _figure(point, load, state, held)


def _axis(point: MarginalPoint, batch: float, held: str) -> tuple[Array, Population]:
    """Return the batch axis at a mean batch.

    Open arrivals see ``1 + B``, which keeps the prefill of every step in proportion to the batch. Only
    the wait for the first token depends on the population.
    """
    if held == "ttft" and point.population == "closed":
        return np.array([max(batch, 1.0)]), "closed"
    return np.array([1.0 + batch]), "open"


def _nothing_once(point: MarginalPoint, load: Load, batch: float) -> tuple[Load, EnginePolicy]:
    """Let chunks be cut at the size they have now and the head forget the ends of prompts."""
    layout = point.table.layout
    per_rank = max(batch / (layout.attention_dp * layout.pp), 1.0)
    now = steady_state(
        point.table, _load(point, point.mix), point.policy, np.array([max(batch, 1.0)]), point.population
    )
    # A budget is a whole number in practice; here it cuts chunks at exactly their present size.
    budget: Any = float(now.chunk_tokens[0]) + per_rank
    policy = replace(point.policy, token_budget=budget, token_budget_covers_prompt=False)
    coefficients = replace(load.coefficients, mean_uncached=NO_REQUEST)
    return replace(load, coefficients=coefficients), policy


def _load(point: MarginalPoint, mix: Mix) -> Load:
    return serve(point.table, reduce_mix(mix, point.table.spans, point.chunk_limit_tokens))


def _figure(point: MarginalPoint, load: Load, state: SteadyState, held: str) -> float:
    """Return ln of what is held; for a limit on the batch, of the batch over that limit."""
    if held == "tpot":
        return float(np.log(state.tpot_seconds[0]))
    if held == "ttft":
        return float(np.log(state.ttft_seconds[0]))
    batch = float(state.seen_batch[0])
    if held == "batch":
        return float(np.log(batch))
    if held == "prefill":
        return float(np.log(batch - 1.0) - np.log(prefill_limit(point.table, load, point.policy) - 1.0))
    return float(np.log(batch) - np.log(_memory_batch(point, load)))


def _memory_batch(point: MarginalPoint, load: Load) -> float:
    try:
        most = plan_memory(point.table, load, point.policy).max_batch
    except EngineError:
        return 1.0
    # Without a cache nothing fills the memory, so it holds no one back.
    return most if np.isfinite(most) else 1.0


def _without_attention(table: ReplicaTable) -> ReplicaTable:
    """Return a replica whose keys cost nothing to read, keep or expand."""
    streams = table.streams
    empty = np.zeros_like(streams.cache_bytes_per_key)
    return replace(
        table,
        streams=replace(
            streams,
            flop_per_pair_prefill=empty,
            flop_per_pair_decode=empty,
            cache_bytes_per_key=empty,
            expand_flop_per_key=empty,
        ),
    )
