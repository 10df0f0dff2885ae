"""Do intervals hold what they say? Left-out runs against spreads that have not seen them (METHOD 8).

A run's times are predicted by a fit without its architecture, and so is the spread of their interval: it
comes from the residuals of the other architectures alone, blended by scope as in the shipped set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from service.application.calibrate import LeftOut, scopes_of
from service.application.calibration_document import blended_spread, spread
from service.application.cases import Case
from service.application.spreads import CORRELATION, Z90
from service.economics.intervals import interval, normal_points
from service.engine.spans import Array

SAMPLES: Final = 256


@dataclass(frozen=True, slots=True)
class Coverage:
    """Shares of left-out measurements that 80 % intervals hold."""

    group: str
    rows: int
    tpot: float
    ttft: float
    throughput: float
    """Of requests per second by Little's law, from the joint interval of both times."""


@dataclass(frozen=True)
class Held:
    """Which measurements lie in their interval, by run; NaN where none was measured."""

    tpot: Array
    ttft: Array
    throughput: Array

    def over(self, group: str, chosen: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Coverage:
        """Return the shares over some of the runs."""
        shares = [float(np.nanmean(held[chosen])) for held in (self.tpot, self.ttft, self.throughput)]
        return Coverage(group, int(chosen.sum()), *shares)


def held_by_intervals(cases: Sequence[Case], judged: LeftOut) -> Held:
    """Return which runs their 80 % intervals hold.

    Parameters
    ----------
    cases
        Runs, with what was measured.
    judged
        ln(predicted / measured) with the run's architecture left out of the fit.
    """
    architectures = np.array([case.architecture for case in cases])
    scopes = scopes_of(cases)
    tpot_spread, ttft_spread = (
        spreads_without(logs, architectures, scopes) for logs in (judged.tpot, judged.ttft)
    )
    return Held(
        tpot=_inside(judged.tpot, tpot_spread),
        ttft=_inside(judged.ttft, ttft_spread),
        throughput=_throughput_inside(cases, judged, (tpot_spread, ttft_spread)),
    )


def spreads_without(
    logs: Array, architectures: np.ndarray[tuple[int], np.dtype[np.str_]], scopes: Sequence[tuple[str, str]]
) -> Array:
    """Return for each run the spread of its scope, from runs of other architectures, shape (N,)."""
    found = np.empty(logs.shape)
    places = np.array([" ".join(scope) for scope in scopes])
    for architecture in np.unique(architectures):
        others = architectures != architecture
        pooled = spread(logs[others])
        for place in np.unique(places[~others]):
            inside = (places == place) & ~others
            found[inside] = blended_spread(logs[others & (places == place)], pooled)
    return found


def correlation_of(judged: LeftOut) -> Mapping[str, float]:
    """Return the correlation of both times' residuals, of their values and of their ranks."""
    both = np.isfinite(judged.tpot) & np.isfinite(judged.ttft)
    pair = np.stack((judged.tpot[both], judged.ttft[both]))
    ranks = pair.argsort(axis=1).argsort(axis=1).astype(np.float64)
    return {"values": _correlation(pair), "ranks": _correlation(ranks)}


def _correlation(pair: Array) -> float:
    return float(np.asarray(np.corrcoef(pair))[0, 1])


def _inside(logs: Array, spreads: Array) -> Array:
    held: Array = np.where(np.isfinite(logs), np.abs(logs) <= Z90 * spreads, np.nan)
    return held


def _throughput_inside(cases: Sequence[Case], judged: LeftOut, spreads: tuple[Array, Array]) -> Array:
    """Compare C / (TTFT + D TPOT) as measured with P10 and P90 of it as predicted."""
    measured = np.array(
        [(case.row.ttft_seconds or np.nan, case.row.tpot_seconds or np.nan) for case in cases]
    )
    steps = np.array([max(case.row.mean_output_tokens - 1.0, 0.0) for case in cases])[:, None]
    first, each = measured[:, :1], measured[:, 1:]
    normal = normal_points(SAMPLES, 0)
    other = CORRELATION * normal[0] + np.sqrt(1.0 - CORRELATION**2) * normal[1]
    sampled_each = each * np.exp(judged.tpot[:, None] + spreads[0][:, None] * normal[0])
    sampled_first = first * np.exp(judged.ttft[:, None] + spreads[1][:, None] * other)
    low, _, high = interval(sampled_first + steps * sampled_each)
    cycle = (first + steps * each)[:, 0]
    held: Array = np.where(np.isfinite(low), (low <= cycle) & (cycle <= high), np.nan)
    return held
