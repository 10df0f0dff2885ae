"""Where one thing that a model does overtakes another, in tokens or in sequences."""

import numpy as np

from service.application.curve_answers import Crossover
from service.application.estimate import Solution
from service.engine.crossover import attention_crossover
from service.engine.step import StepLoad, step_times
from service.engine.tables import EXPERTS, FEED_FORWARD, HEAD, PROJECTIONS

GEMMS = [PROJECTIONS, FEED_FORWARD, HEAD, EXPERTS]
LARGEST_BATCH = 65_536


def crossovers(solution: Solution) -> tuple[Crossover, ...]:
    """Return the crossovers of a deployment."""
    work = solution.resolved.deployment.work
    rows = []
    for phase in ("prefill", "decode"):
        found = attention_crossover(work, "prefill" if phase == "prefill" else "decode")
        for name, at, words in (
            ("per_token", found.per_token, "of the token at this position"),
            ("cumulative", found.cumulative, "summed over a sequence of this length"),
        ):
            rows.append(
                Crossover(
                    f"attention_flop_{phase}_{name}",
                    None if at is None else float(at),
                    "tokens",
                    f"Attention FLOP {words} reach the linear FLOP ({phase}).",
                )
            )
    return (
        *rows,
        Crossover(
            "weights_compute_bound_batch",
            compute_bound_batch(solution),
            "sequences",
            "Decoding so many sequences, the matrix products take as long to compute as their weights "
            "take to read; below it decode is bound by memory.",
        ),
    )


def compute_bound_batch(solution: Solution) -> float | None:
    """Return the smallest batch at which decode's matrix products wait for arithmetic, not for memory."""
    layout = solution.resolved.deployment.layout
    batch = np.geomspace(1.0, LARGEST_BATCH, 2_000)
    ranks = layout.attention_dp * layout.pp
    step = StepLoad(np.maximum(batch / ranks, 1.0), np.zeros_like(batch), np.maximum(batch / layout.pp, 1.0))
    times = step_times(solution.subject.load.coefficients, step)
    compute, memory = (part[GEMMS].sum(axis=0) for part in (times.compute_seconds, times.memory_seconds))
    over = np.flatnonzero(compute >= memory)
    return float(np.ceil(batch[over[0]])) if over.size else None
