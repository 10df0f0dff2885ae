"""Separate pools of an estimate as plain text: both side by side, what waits, and what crosses the link."""

from service.application.answers import EstimateAnswer, Pools, PoolUse
from service.cli.tables import amount, duration, figure, gigabytes, percent, table


def pools_heading(pools: Pools) -> str:
    """Return what prefills and what decodes, in a line."""
    return f"{_machines(pools.prefill)} for prefill, {_machines(pools.decode)} for decode"


def pools_price(pools: Pools) -> str:
    """Return what an accelerator-hour costs, once where both pools pay the same."""
    prefill, decode = (amount(pool.cost_per_accelerator_hour) for pool in (pools.prefill, pools.decode))
    return decode if prefill == decode else f"{prefill} for prefill and {decode} for decode"


def pools_text(answer: EstimateAnswer) -> str:
    """Return both pools, one a row, then idle cost and the transfer; empty without pools."""
    pools = answer.pools
    if pools is None:
        return ""
    moved, currency = pools.transfer, answer.currency
    rows = [_row(name, pool) for name, pool in (("prefill", pools.prefill), ("decode", pools.decode))]
    titles = (
        "pool",
        "workers",
        "accelerators",
        f"{currency} an hour",
        "requests/s at most",
        "at work",
        f"{currency} a request",
        "of it idle",
        "MFU",
        "MBU",
    )
    idle = pools.prefill.idle_cost_per_request + pools.decode.idle_cost_per_request
    return "\n".join(
        [
            f"Pools ({figure(pools.requests_per_second)} requests/s, {figure(pools.concurrency)} in flight; "
            f"the {pools.limited_by} pool limits)",
            table(titles, rows),
            f"{figure(pools.prefill_workers_per_decode_worker)} prefill workers to a decode worker; idle is "
            f"{currency} {figure(idle)} of a request, {percent(idle / answer.cost_per_request)}",
            f"transfer: {gigabytes(moved.bytes_per_request)} a prompt in {duration(moved.seconds)}, "
            f"{figure(moved.sequences_in_transfer, 2)} on their way to each decode worker",
        ]
    )


def _machines(pool: PoolUse) -> str:
    layout = pool.layout
    each = layout.tp * layout.pp * layout.attention_dp
    return f"{figure(pool.workers)} x {each} {pool.accelerator}"


def _row(name: str, pool: PoolUse) -> tuple[str, ...]:
    return (
        name,
        figure(pool.workers),
        figure(pool.accelerators),
        amount(pool.cost_per_accelerator_hour),
        figure(pool.requests_per_second_capacity),
        percent(pool.utilisation),
        figure(pool.cost_per_request),
        figure(pool.idle_cost_per_request),
        percent(pool.mfu),
        percent(pool.mbu),
    )
