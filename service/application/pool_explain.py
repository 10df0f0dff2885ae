"""What two pools do to an estimate, as sentences with the numbers that carry them (METHOD 7)."""

from service.application.answers import OperatingPoint, Pools, PoolUse
from service.application.explain import why_no_larger
from service.engine.units import GIGA, MILLI


def explain_pools(pools: Pools, point: OperatingPoint) -> tuple[str, ...]:
    """Return who works how much, what limits, and what crosses the link."""
    return (_workers(pools), _idle(pools), _transfer(pools), _batch(point))


def _workers(pools: Pools) -> str:
    prefill, decode = pools.prefill, pools.decode
    return (
        f"{prefill.workers:.3g} prefill {_plural(prefill.workers)} beside {decode.workers:.3g} decode "
        f"{_plural(decode.workers)} carry {pools.requests_per_second:.3g} requests/s: prefill at "
        f"{prefill.utilisation:.0%} of its capacity, decode at {decode.utilisation:.0%}; the "
        f"{pools.limited_by} pool is the one that limits."
    )


def _plural(count: float) -> str:
    return "worker" if count == 1 else "workers"


def _idle(pools: Pools) -> str:
    prefill, decode = (_idle_share(pool) for pool in (pools.prefill, pools.decode))
    return (
        f"{prefill:.0%} of what the prefill pool costs and {decode:.0%} of what the decode pool costs is "
        "paid while they wait; the rates carry that."
    )


def _idle_share(pool: PoolUse) -> float:
    return pool.idle_cost_per_request / pool.cost_per_request


def _transfer(pools: Pools) -> str:
    moved = pools.transfer
    return (
        f"A prompt's cache of {moved.bytes_per_request / GIGA:.3g} GB crosses in "
        f"{moved.seconds / MILLI:.3g} ms; both sides hold it meanwhile, the room of "
        f"{moved.sequences_in_transfer:.2g} sequences of each decode worker."
    )


def _batch(point: OperatingPoint) -> str:
    together = f"{point.batch:.4g} sequences decode together in each decode worker."
    return f"{why_no_larger(point.limited_by)} {together}"
