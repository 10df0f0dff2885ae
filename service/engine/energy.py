"""Power of an accelerator by what it does, and joules by kind of token (METHOD 4; equations E1 to E3).

``P = idle + (max - idle) min(1, u_c compute-busy + u_m memory-busy)``, the busy shares being the time in
which the arithmetic and the memory of the step's operators are at work. A replica's steps with a chunk
draw more than those that only decode, so each kind of step is charged at its own power: joules of a kind
of token are its time in either kind of step times that step's power. No power was measured here; the
defaults below rest on published measurements and are wide.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Generic, TypeVar

import numpy as np

from service.engine.attribution import Subject, busy_seconds
from service.engine.spans import Array
from service.engine.step import StepTimes
from service.engine.tables import ROOFLINE_OPERATORS
from service.engine.types import Accelerator, Calibration


@dataclass(frozen=True, slots=True)
class PowerTraits:
    """How a family of accelerators draws power, and what stands around one accelerator."""

    compute_weight: float = 0.8
    """u_c: dense prefill, nearly always at its arithmetic, then draws 85 % and more of the full power."""
    memory_weight: float = 0.5
    """u_m: a memory system at work all the time draws half of the range between idle and full."""
    host_share: float = 0.36
    """Power of the accelerator's share of the host, over its full power; drawn whether it works or not."""
    network_share: float = 0.09
    """The same of links, switches and network cards."""
    log_spread: float = 0.25
    """Standard deviation of ln(true / stated) of the power above idle."""


Figure = TypeVar("Figure", float, Array)
GENERAL: Final = PowerTraits()
"""Hopper's figures stand for families without their own: the best documented there is."""
FAMILIES: Final[Mapping[str, PowerTraits]] = {
    # ML.ENERGY v3 on H100-SXM5: 300 W decoding one sequence, 600 W decoding 128: 35 and 84 % of the range
    # from 80 W. Newkirk and others (arXiv 2506.14551): eight H100 at hard work draw 76 % of the node's
    # 10.2 kW, which leaves about 45 % of an accelerator's 700 W for what stands around it.
    "hopper": PowerTraits(log_spread=0.2),
    # The same shares of the published 14.3 kW of a DGX B200: 43 % of 1,000 W.
    "blackwell": PowerTraits(host_share=0.35, network_share=0.08),
    # ... and of the 6.5 kW of a DGX A100: 61 % of 400 W.
    "ampere": PowerTraits(host_share=0.5, network_share=0.11),
}
POWER_USAGE_EFFECTIVENESS: Final = 1.3
"""Facility power over equipment power where none is given: between hyperscalers' 1.1 and the 1.56 that the
Uptime Institute's survey of 2024 has as its mean."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is drawn beside one accelerator, whether it works or waits, watts; and cooling on top."""

    host_watts: float
    network_watts: float
    power_usage_effectiveness: float


@dataclass(frozen=True, slots=True)
class Energy(Generic[Figure]):
    """Joules of one request on a replica; floats, or arrays of shape (N,) over samples."""

    working_watts: Figure
    """Mean of one accelerator while its replica works."""
    working: Figure
    """Of the accelerators while they work."""
    waiting: Figure
    """Of the accelerators while they are paid for and wait, at idle power."""
    host: Figure
    network: Figure
    cooling: Figure
    """What the facility draws beyond the equipment: (PUE - 1) times all above."""
    total: Figure


def traits_of(accelerator: Accelerator, calibration: Calibration) -> PowerTraits:
    """Return the traits of a family; weights that the calibration states come before the defaults."""
    traits = FAMILIES.get(accelerator.family, GENERAL)
    extra = calibration.extra
    if "power_compute_weight" in extra or "power_memory_weight" in extra:
        return replace(
            traits,
            compute_weight=extra.get("power_compute_weight", traits.compute_weight),
            memory_weight=extra.get("power_memory_weight", traits.memory_weight),
        )
    return traits


def surroundings_of(accelerator: Accelerator) -> Surroundings:
    """Return what is assumed to stand around one accelerator of a family."""
    traits = FAMILIES.get(accelerator.family, GENERAL)
    full = accelerator.max_power_watts
    return Surroundings(full * traits.host_share, full * traits.network_share, POWER_USAGE_EFFECTIVENESS)


def step_power(
    accelerator: Accelerator, traits: PowerTraits, times: StepTimes, factor: float | Array = 1.0
) -> Array:
    """Return the power of one accelerator during steps, watts, shape (N,) (equation E1).

    Parameters
    ----------
    accelerator, traits
        Idle and full power; weights of the two kinds of activity.
    times
        Of the steps by operator.
    factor
        Multiplies the power above idle, within the range: the uncertainty of the weights.
    """
    part = slice(0, ROOFLINE_OPERATORS)
    busy = traits.compute_weight * np.add.reduce(times.compute_seconds[part], axis=0)
    busy += traits.memory_weight * np.add.reduce(times.memory_seconds[part], axis=0)
    activity = np.minimum(busy / times.total * factor, 1.0)
    idle = accelerator.idle_power_watts
    power: Array = idle + (accelerator.max_power_watts - idle) * activity
    return power


def working_power(subject: Subject, accelerator: Accelerator, calibration: Calibration) -> float:
    """Return the mean power of one accelerator while its replica works, watts."""
    plain, mixed = busy_seconds(subject)
    traits, state = traits_of(accelerator, calibration), subject.state
    watts = plain * step_power(accelerator, traits, state.decode)
    watts += mixed * step_power(accelerator, traits, state.mixed)
    return float(watts[0]) / (plain + mixed)


def mean_power(decode: Figure, mixed: Figure, mixed_share: Figure) -> Figure:
    """Return the mean of the two kinds of step by their share of busy time, watts."""
    return decode + mixed_share * (mixed - decode)


def energy_of(
    accelerators: int,
    working_watts: Figure,
    accelerator: Accelerator,
    seconds: tuple[Figure, Figure],
    around: Surroundings,
) -> Energy[Figure]:
    """Return the joules of one request (equation E2).

    Parameters
    ----------
    accelerators
        Of the replica.
    working_watts
        Mean power of one accelerator while it works.
    accelerator
        Its idle power.
    seconds
        Of the replica for one request: working, and paid for (waiting included).
    around
        What is drawn beside an accelerator.
    """
    working, paid = seconds
    busy = accelerators * working_watts * working
    waiting = accelerators * accelerator.idle_power_watts * (paid - working)
    host = accelerators * around.host_watts * paid
    network = accelerators * around.network_watts * paid
    equipment = busy + waiting + host + network
    cooling = (around.power_usage_effectiveness - 1.0) * equipment
    return Energy(working_watts, busy, waiting, host, network, cooling, equipment + cooling)


def energy_shares(plain: Figure, mixed: Figure, power: tuple[Figure, Figure]) -> Figure:
    """Return the shares of a request's working joules that follow from shares of its time (equation E3).

    They sum to 1 where the shares of time do.

    Parameters
    ----------
    plain, mixed
        Shares of busy time in decode-only steps and in steps with a chunk, of one or more kinds of token.
    power
        Of the two kinds of step over the mean of both by busy time.
    """
    return plain * power[0] + mixed * power[1]
