"""How sure figures are: the spreads that a calibration states, and what stands in where it states none."""

from math import exp
from typing import Final

from service.engine.types import Calibration

Z90: Final = 1.2815515655446004
"""The standard normal's 90th percentile: P10 and P90 lie this many standard deviations from the median."""
DEFAULT_TPOT_SPREAD: Final = 0.3
DEFAULT_TTFT_SPREAD: Final = 0.8
"""Assumed where a set was not fitted; the widest that left-out families of a fitted set have shown."""
CORRELATION: Final = 0.3
"""Of ln(measured / predicted) of TPOT and of TTFT: 0.26 over runs whose architecture was left out of the
shipped set's fit, 0.33 by rank (docs/accuracy.md)."""

POOL_PREFILL_SPREAD: Final = 0.39
"""Of ln(measured / predicted) of the prompt tokens per second of measured pools in which prefill binds: half
of them are within 23.2 % (docs/accuracy.md), and ln(1 / (1 - 0.232)) is 0.6745 standard deviations."""
POOL_TTFT_SPREAD: Final = 1.14
"""The same of the time to first token of measured pools, half of which are within 53.8 %. None is in the fit,
and what they spend before the first token beside prefill is not known."""


def tpot_spread(calibration: Calibration) -> float:
    """Return the standard deviation of ln(measured / predicted) of TPOT."""
    return calibration.extra.get("tpot_log_spread", DEFAULT_TPOT_SPREAD)


def ttft_spread(calibration: Calibration) -> float:
    """Return the standard deviation of ln(measured / predicted) of TTFT."""
    return calibration.extra.get("ttft_log_spread", DEFAULT_TTFT_SPREAD)


def factor_90(log_spread: float) -> float:
    """Return P90 over the median of a log-normal figure; the median over P10 is the same."""
    return exp(Z90 * log_spread)
