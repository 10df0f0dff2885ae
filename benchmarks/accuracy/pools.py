"""The report's section on separate pools for prefill and decode."""

import numpy as np

from benchmarks.accuracy.judged import Pools
from benchmarks.accuracy.text import Errors, percent, table


def disaggregated(pools: Pools) -> str:
    """Return separate pools: never fitted, so all of it is out of sample."""
    if not pools.cases:
        return ""
    logs = pools.left_out()
    engines = np.array([case.policy.name for case in pools.cases])
    rows = []
    for engine in (*np.unique(engines), "all"):
        inside = np.ones(engines.shape, dtype=bool) if engine == "all" else engines == engine
        tpot, ttft = Errors.of(logs.tpot[inside]), Errors.of(logs.ttft[inside])
        rows.append((engine, str(tpot.count), *tpot.cells(), *ttft.cells()))
    titles = ("", "runs", "TPOT median", "p90", "bias", "TTFT median", "p90", "bias")
    parts = (table(titles, rows), _prefill_rate(pools), _idle_pools(pools))
    return (
        "## Separate pools for prefill and decode\n\n"
        f"{len(pools.cases)} runs, none of them fitted; {len(pools.errors)} could not be predicted. "
        "Labels say nothing of speculation here.\n\n" + "\n\n".join(part for part in parts if part)
    )


def _prefill_rate(pools: Pools) -> str:
    """Compare prompt tokens per second and prefill GPU with the pool's capacity: a bound where it waits."""
    measured, capacity, bound = [], [], []
    for case, said in zip(pools.cases, pools.predictions, strict=True):
        row = case.row
        if row.prefill is None or row.ttft_seconds is None or row.tpot_seconds is None:
            continue
        gpus = row.prefill.workers * row.prefill.layout.accelerators
        cycle = row.ttft_seconds + (row.mean_output_tokens - 1.0) * row.tpot_seconds
        measured.append(row.concurrency / cycle * row.mean_input_tokens / gpus)
        capacity.append(said.prefill_tokens_per_second_per_gpu)
        bound.append(1e6 / said.accelerator_seconds_per_million_input)
    rate, most, modelled = np.array(measured), np.array(capacity), np.array(bound)
    limits = modelled > 0.9 * most
    binding = Errors.of(np.log(most[limits] / rate[limits]))
    over = float((rate[~limits] > most[~limits]).mean()) if (~limits).any() else 0.0
    return (
        f"Prefill binds in {binding.count} of these by our account: its tokens per second and "
        "GPU are then off "
        f"by {percent(binding.median)} in the median (p90 {percent(binding.p90)}, bias "
        f"{percent(binding.bias, signed=True)}). Elsewhere its capacity is an upper bound, which "
        f"{percent(over)} of {int((~limits).sum())} runs exceed. Throughput of the whole is off by "
        f"{percent(Errors.of(np.log(modelled / rate)).median)} in the median. The ratio of cost of output to "
        "input is an identity of the layout here and tests nothing."
    )


def _idle_pools(pools: Pools) -> str:
    """Say how measured TTFT stands to a bare prefill where next to nothing can wait."""
    measured, bare = [], []
    for case, said in zip(pools.cases, pools.predictions, strict=True):
        row = case.row
        if row.prefill is None or row.ttft_seconds is None:
            continue
        if row.concurrency <= row.prefill.workers * row.prefill.layout.attention_dp:
            measured.append(row.ttft_seconds)
            bare.append(said.bare_prefill_seconds)
    if not measured:
        return ""
    ratio = np.array(measured) / np.array(bare)
    return (
        f"In {ratio.size} runs there are no more requests in flight than prefill ranks, so that hardly one "
        f"can wait for another: measured TTFT is {np.median(ratio):.1f} times our bare prefill in the "
        f"median, {np.quantile(ratio, 0.9):.0f} times at p90 and {ratio.max():.0f} times at most. What such "
        "runs spend beside prefill is in their mean and follows from nothing that the rows state."
    )
