"""Measured runs as numbers a fit can use: what each step asks of each operator, at frozen loads.

The engine solves where a run works (batch, share of steps with a chunk) under some calibration; those
loads are kept while the fit moves the efficiencies, and solved again afterwards. What an operator asks
is read off the engine itself, compiled under a calibration of ones: then seconds are FLOP over peak and
bytes over bandwidth. No equation of the engine is written a second time; only their sum is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from service.engine.batching import SteadyState
from service.engine.replica import compile_replica
from service.engine.spans import Array
from service.engine.speculation import serve
from service.engine.step import StepLoad, step_times
from service.engine.tables import COLLECTIVES, EXPERTS, HOST, ROOFLINE_OPERATORS
from service.engine.types import (
    Accelerator,
    Calibration,
    Efficiency,
    Formats,
    Layout,
    ModelWork,
    Speculation,
)
from service.engine.workload import IntArray, Moments

_CLASSES: Final = ("gemm", "head", "experts", "attention_prefill", "attention_decode", "recurrent")
_NOTHING: Final = 1e-300
"""Seconds that stand for none where they divide."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is compiled, less the calibration."""

    work: ModelWork
    accelerator: Accelerator
    layout: Layout
    formats: Formats
    speculation: Speculation


@dataclass(frozen=True, slots=True)
class RunFeatures:
    """One run; arrays over its two kinds of steps, decode-only first and with a chunk second.

    Operator axes follow ``tables.OPERATORS`` up to the routed experts and attention.
    """

    weight: Array
    """Share of steps, times pipeline stages, shape (2,)."""
    compute: Array
    """Seconds at dense peak, shape (2, 7)."""
    ramp: Array
    """Further seconds at peak per token of ``half_rate_tokens``, shape (2, 7)."""
    memory: Array
    """Seconds at full bandwidth, shape (2, 7)."""
    hops: Array
    """Collective latencies, shape (2,)."""
    network: Array
    """Seconds at full link rate, shape (2,)."""
    layers: Array
    """Launches, shape (2,)."""
    eager_layers: Array
    """Launches outside CUDA graphs, shape (2,)."""
    hosts: Array
    """Times that the host prepares a step, shape (2,)."""
    sequences: Array
    """Sequences that the host handles, shape (2,)."""
    uneven: Array
    """1 where ranks hold different experts, so that a step waits for the fullest; else 0; shape (2,)."""


_UNIT: Final = Calibration(
    name="unit",
    level="general",
    operators={name: Efficiency(1.0, 1.0) for name in _CLASSES},
    launch_seconds_per_layer=0.0,
    host_seconds_per_step=0.0,
    host_seconds_per_sequence=0.0,
    collective_latency_seconds=0.0,
    scale_up_efficiency=1.0,
    scale_out_efficiency=1.0,
    expert_imbalance=1.0,
)
"""Seconds are work over peaks; everything added is absent. Each probe below adds what lands on an operator of
its own."""
_PLAIN: Final = replace(_UNIT, extra={"chunk_launch_seconds_per_layer": 1.0})
_RAMPED: Final = replace(
    _UNIT,
    operators={name: Efficiency(1.0, 1.0, half_rate_tokens=1.0) for name in _CLASSES},
    host_seconds_per_sequence=1.0,
)
_LATE: Final = replace(_UNIT, collective_latency_seconds=1.0, host_seconds_per_step=1.0)
_LAUNCHED: Final = replace(_UNIT, launch_seconds_per_layer=1.0, expert_imbalance=2.0)


def run_features(deployment: Deployment, moments: Moments, state: SteadyState) -> RunFeatures:
    """Return the features of a run's mean step at its operating point (axis length 1)."""
    mixed = float(state.mixed_share[0])
    per_token = deployment.layout.pp / deployment.speculation.tokens_per_step
    weight = np.array([1.0 - mixed, mixed]) * per_token
    return step_features(deployment, moments, _both(state), weight)


def step_features(deployment: Deployment, moments: Moments, loads: StepLoad, weight: Array) -> RunFeatures:
    """Return the features of two kinds of steps, weighted."""
    plain = _seconds(deployment, moments, _PLAIN, loads)
    ramped = _seconds(deployment, moments, _RAMPED, loads)
    late = _seconds(deployment, moments, _LATE, loads)
    launched = _seconds(deployment, moments, _LAUNCHED, loads)
    roof = slice(0, ROOFLINE_OPERATORS)
    experts = np.maximum(plain[0][EXPERTS], _NOTHING)
    return RunFeatures(
        weight=weight,
        compute=plain[0][roof].T,
        ramp=(ramped[0] - plain[0])[roof].T,
        memory=plain[1][roof].T,
        hops=(late[0] - plain[0])[COLLECTIVES],
        network=plain[0][COLLECTIVES],
        layers=launched[0][HOST],
        eager_layers=plain[0][HOST],
        hosts=late[0][HOST],
        sequences=ramped[0][HOST],
        uneven=np.log2(np.maximum(launched[0][EXPERTS], experts) / experts),
    )


def _both(state: SteadyState) -> StepLoad:
    decode, mixed = state.decode_load, state.mixed_load
    return StepLoad(
        np.concatenate((decode.decode, mixed.decode)),
        np.concatenate((decode.chunk, mixed.chunk)),
        np.concatenate((decode.group, mixed.group)),
    )


def _seconds(
    deployment: Deployment, moments: Moments, calibration: Calibration, loads: StepLoad
) -> tuple[Array, Array]:
    table = compile_replica(
        deployment.work,
        deployment.accelerator,
        deployment.layout,
        deployment.formats,
        calibration,
        deployment.speculation,
    )
    times = step_times(serve(table, moments).coefficients, loads)
    return times.compute_seconds, times.memory_seconds


@dataclass(frozen=True, slots=True)
class Design:
    """Features of N runs stacked; a leading axis N before those of ``RunFeatures``."""

    weight: Array
    compute: Array
    ramp: Array
    memory: Array
    hops: Array
    network: Array
    layers: Array
    eager_layers: Array
    hosts: Array
    sequences: Array
    uneven: Array

    def rows(self, index: IntArray) -> "Design":
        """Return some of the runs."""
        return Design(*(getattr(self, name)[index] for name in FIELDS))


FIELDS: Final = (
    "weight", "compute", "ramp", "memory", "hops", "network", "layers", "eager_layers", "hosts",
    "sequences", "uneven",
)  # fmt: skip


def stack(runs: Sequence[RunFeatures]) -> Design:
    """Stack runs."""
    return Design(*(np.stack([getattr(run, name) for run in runs]) for name in FIELDS))
