"""The part of an answer about energy."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EnergyUse:
    """Joules of a request and its tokens; power by activity, defaults assumed by family of accelerator."""

    joules_per_token: Mapping[str, float]
    """By kind of token: the accelerators while they work, split by the rule of the estimate."""
    facility_joules_per_token: Mapping[str, float]
    """The same with all other parts of `joules_per_request`, in proportion."""
    joules_per_request: Mapping[str, float]
    """By part: accelerators working and waiting, host, network, cooling; and their total."""
    sum_per_request: float
    """Sum over kinds of tokens x joules per token; under every rule but `marginal` that is `working`."""
    working_watts: float
    """Mean power of one accelerator while its replica works."""
    waiting_watts: float
    """Of one accelerator that waits."""
    host_watts: float
    """Of one accelerator's share of its host, working or waiting."""
    network_watts: float
    """The same of links, switches and network cards."""
    power_usage_effectiveness: float
    """Facility power over equipment power."""
    log_spread: float
    """Standard deviation of ln(true / stated) of the power above idle."""
