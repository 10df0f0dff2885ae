"""Power of an accelerator by what it does (METHOD 4; equation E1).

``P = idle + (max - idle) min(1, u_c compute-busy + u_m memory-busy)``, the busy shares being the time in
which the arithmetic and the memory of the step's operators are at work. Until measurements fit them,
u_c and u_m are assumptions with a wide spread: dense prefill then draws about 85 % of the full power,
decode that waits for memory about 60 %.
"""

from service.engine.attribution import Subject, busy_seconds
from service.engine.step import StepTimes
from service.engine.tables import ROOFLINE_OPERATORS
from service.engine.types import Accelerator, Calibration

COMPUTE_WEIGHT = 0.8
"""u_c where the calibration states none (``power_compute_weight``)."""
MEMORY_WEIGHT = 0.5
"""u_m where the calibration states none (``power_memory_weight``)."""


def activity(times: StepTimes, calibration: Calibration) -> float:
    """Return min(1, u_c compute-busy + u_m memory-busy) of a step."""
    total = float(times.total[0])
    part = slice(0, ROOFLINE_OPERATORS)
    compute = float(times.compute_seconds[part, 0].sum()) / total
    memory = float(times.memory_seconds[part, 0].sum()) / total
    extra = calibration.extra
    weighted = extra.get("power_compute_weight", COMPUTE_WEIGHT) * compute
    weighted += extra.get("power_memory_weight", MEMORY_WEIGHT) * memory
    return min(1.0, weighted)


def working_power(subject: Subject, accelerator: Accelerator, calibration: Calibration) -> float:
    """Return the mean power of one accelerator while its replica works, watts."""
    plain, mixed = busy_seconds(subject)
    share = mixed / (plain + mixed)
    mean = (1.0 - share) * activity(subject.state.decode, calibration)
    mean += share * activity(subject.state.mixed, calibration)
    return accelerator.idle_power_watts + (accelerator.max_power_watts - accelerator.idle_power_watts) * mean
