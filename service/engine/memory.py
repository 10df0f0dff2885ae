"""What fits on one accelerator (METHOD 3, "Memory limit is per accelerator"; equation M1)."""

from dataclasses import dataclass

from service.engine.errors import InfeasibleError
from service.engine.load import Load
from service.engine.tables import ReplicaTable
from service.engine.types import EnginePolicy
from service.engine.units import GIGA


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Bytes on the fullest accelerator and the batch they allow."""

    capacity_bytes: float
    usable_bytes: float
    weights_bytes: float
    activations_bytes: float
    cache_bytes: float
    """Left for KV cache and state."""
    cache_bytes_per_sequence: float
    max_batch: float
    """Sequences in one replica, by memory alone."""


def plan_memory(table: ReplicaTable, load: Load, policy: EnginePolicy) -> MemoryPlan:
    """Return how many sequences fit.

    One prompt being prefilled counts in full; ``full`` reserves a request's final length at admission,
    ``grow`` holds the length-biased resident mean plus a margin against preemption.

    Raises
    ------
    InfeasibleError
        The weights do not fit, or not one request does (code ``model-does-not-fit``).
    """
    usable = table.memory_capacity_bytes * policy.memory_utilisation
    budget = max(policy.token_budget, load.mean_uncached if policy.token_budget_covers_prompt else 0.0)
    activations = table.workspace_bytes_per_token * budget
    cache = usable - table.weights_bytes - activations
    if cache <= 0:
        needed = table.weights_bytes + activations
        raise InfeasibleError(
            f"The weights ({table.weights_bytes / GIGA:.1f} GB) and activations "
            f"({activations / GIGA:.1f} GB) need {needed / GIGA:.1f} GB on each accelerator; "
            f"{usable / GIGA:.1f} GB are usable. "
            "Use more accelerators, a smaller weight format, or one with more memory.",
            field="layout",
            code="model-does-not-fit",
            accepted={"bytes_needed_per_accelerator": needed, "bytes_usable_per_accelerator": usable},
        )
    per_sequence = (
        load.reserved_bytes_per_sequence
        if policy.reserve == "full"
        else load.cache_bytes_per_sequence * (1.0 + policy.preemption_margin)
    )
    ranks = table.layout.attention_dp
    sequences = max(cache - load.prompt_bytes, 0.0) / per_sequence if per_sequence > 0 else float("inf")
    if sequences < 1.0:
        # A lone request needs no second prompt beside it.
        sequences = cache / max(per_sequence, load.prompt_bytes, 1e-300)
    if sequences < 1.0:
        raise InfeasibleError(
            f"One request needs {per_sequence / GIGA:.2f} GB of cache on each accelerator; "
            f"{cache / GIGA:.2f} GB are left beside the weights.",
            field="workload",
            code="model-does-not-fit",
            accepted={"cache_bytes_left_per_accelerator": cache},
        )
    return MemoryPlan(
        capacity_bytes=table.memory_capacity_bytes,
        usable_bytes=usable,
        weights_bytes=table.weights_bytes,
        activations_bytes=activations,
        cache_bytes=cache,
        cache_bytes_per_sequence=per_sequence,
        max_batch=sequences * ranks,
    )
