"""Predicts what a measured run should have reported, under the run's own protocol."""

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from service.application.cases import Case
from service.calibration.measured import MeasuredRow
from service.calibration.run_protocol import (
    FRONT_END,
    FRONT_END_FIGURES,
    FrontEnd,
    Run,
    StepCurve,
    replay,
    step_curve,
)
from service.calibration.run_settings import RunSettings, run_settings
from service.engine.attribution import KINDS, Subject, attribute
from service.engine.energy import working_power
from service.engine.errors import InfeasibleError
from service.engine.operating_point import Replica, Solved, solve_concurrency
from service.engine.replica import compile_replica
from service.engine.speculation import DEFAULT_ACCEPTANCE, DEFAULT_DRAFT_TOKENS, serve
from service.engine.step import StepLoad, StepTimes, step_times
from service.engine.tables import ReplicaTable
from service.engine.types import PLAIN_DECODING, Calibration, EnginePolicy, Formats, Layout, Speculation
from service.engine.units import TOKENS_PER_MILLION
from service.engine.workload import Moments, make_mix, reduce_mix

TRT_LEAST_BUDGET: Final = 8192.0
MOST_MEMORY: Final = 0.98
"""Share of memory an engine can be given at most."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the engine expects of a run; seconds, tokens, watts."""

    ttft_seconds: float
    """Mean over the run, first wave and front end included."""
    tpot_seconds: float
    steady_ttft_seconds: float
    bare_prefill_seconds: float
    prefill_tokens_per_second_per_gpu: float
    accelerator_seconds_per_million_input: float
    accelerator_seconds_per_million_output: float
    power_watts: float
    """Mean of one accelerator."""


@dataclass(frozen=True)
class SolvedRun:
    """A run at its operating point."""

    moments: Moments
    replica: Replica
    solved: Solved
    speculation: Speculation

    @property
    def tpot_seconds(self) -> float:
        """Mean time per output token."""
        return float(self.solved.state.tpot_seconds[0])


@dataclass
class Predictor:
    """Predicts runs; keeps compiled replicas that runs share."""

    _tables: dict[object, tuple[ReplicaTable, object]] = field(default_factory=dict)

    def predict(self, case: Case) -> Prediction:
        """Return the prediction of a run of one replica.

        Raises
        ------
        EngineError
            A layout that divides nothing, a model that does not fit.
        """
        run = self.solve(case)
        front = front_end_of(case.calibration)
        state = run.solved.state
        curve, protocol_run = self.replayed(case, run, front)
        result = replay(protocol_run, curve)
        subject = Subject(run.replica.table, run.replica.load, run.moments, state)
        attribution = attribute(subject)
        by_kind = attribution.shares.sum(axis=(0, 2, 3)).tolist()
        accelerators = run.replica.table.layout.accelerators
        busy = accelerators / float(state.requests_per_second[0])
        prompt, output = run.moments.mean_uncached, run.moments.mean_output
        return Prediction(
            ttft_seconds=result.ttft,
            tpot_seconds=run.tpot_seconds,
            steady_ttft_seconds=float(state.ttft_seconds[0]) + run.solved.queued_seconds,
            bare_prefill_seconds=float(state.prefill_seconds[0]),
            prefill_tokens_per_second_per_gpu=bare_prefill_rate(run.replica) / accelerators,
            accelerator_seconds_per_million_input=(
                busy * (1.0 - by_kind[KINDS.index("output")]) / max(prompt, 1e-9) * TOKENS_PER_MILLION
            ),
            accelerator_seconds_per_million_output=(
                busy * by_kind[KINDS.index("output")] / output * TOKENS_PER_MILLION
            ),
            power_watts=working_power(subject, case.accelerator.spec, case.calibration),
        )

    def solve(self, case: Case) -> SolvedRun:
        """Return the steady state of a run with its requests in flight."""
        row, layout, policy = case.row, _layout(case.row), run_policy(case)
        speculation = speculation_of(case)
        table = self.table(case, layout, case.formats, speculation)
        moments = reduce_mix(
            make_mix([[row.mean_input_tokens, 0.0, row.mean_output_tokens]], [0], [1.0]),
            table.spans,
            float("inf") if policy.token_budget_covers_prompt else float(policy.token_budget),
        )
        load = serve(table, moments)
        replica = Replica(table, load, policy)
        try:
            solved = solve_concurrency(replica, row.concurrency)
        except InfeasibleError:
            # The run was measured, so it did fit: its operators gave the engine more of the memory.
            replica = Replica(table, load, replace(policy, memory_utilisation=MOST_MEMORY))
            solved = solve_concurrency(replica, row.concurrency)
        return SolvedRun(moments, replica, solved, speculation)

    def replayed(self, case: Case, run: SolvedRun, front: FrontEnd) -> tuple[StepCurve, Run]:
        """Return what a replay of a run needs: step times of a rank and how the run is asked."""
        row, ranks = case.row, run.replica.table.layout.attention_dp
        slots = max(round(row.concurrency / ranks), 1)
        most = max(min(run.solved.memory.max_batch / ranks, float(case.policy.max_batch)), 1.0)
        settings = settings_of(case)
        budget = token_budget(run.replica.policy, row)
        curve = step_curve(run.replica.table, run.replica.load, min(float(slots), most), budget)
        return curve, Run(
            protocol=row.protocol,
            slots=slots,
            input_tokens=row.input_tokens,
            output_tokens=row.output_tokens,
            token_budget=budget,
            max_batch=most,
            poll_steps=settings.poll_steps,
            hold_steps=settings.hold_steps,
            hold_tokens=settings.hold_budget_share * budget,
            steps_per_token=1.0 / run.speculation.tokens_per_step,
            front_end=front,
        )

    def table(
        self, case: Case, layout: Layout, formats: Formats, speculation: Speculation = PLAIN_DECODING
    ) -> ReplicaTable:
        """Return a compiled replica; the parts it is made of are kept alive beside it."""
        key = (id(case.work), case.accelerator.id, layout, id(formats), id(case.calibration), speculation)
        kept = self._tables.get(key)
        if kept is None:
            spec = case.accelerator.spec
            table = compile_replica(case.work, spec, layout, formats, case.calibration, speculation)
            kept = self._tables[key] = (table, (case.work, formats, case.calibration))
        return kept[0]


def front_end_of(calibration: Calibration) -> FrontEnd:
    """Return the front end's figures of a calibration; the assumed ones where it has none."""
    known = calibration.extra
    return FrontEnd(*(known.get(f"front_end_{name}", getattr(FRONT_END, name)) for name in FRONT_END_FIGURES))


def speculation_of(case: Case) -> Speculation:
    """Return how a run speculated: rows marked ``mtp`` by the default, ``unknown`` ones not at all.

    InferenceX drafts three tokens, one where attention is data-parallel. In pools decode workers do.
    """
    row = case.row
    if row.speculative != "mtp":
        return PLAIN_DECODING
    layout = row.layout or (row.decode.layout if row.decode is not None else Layout())
    return Speculation(1 if layout.attention_dp > 1 else DEFAULT_DRAFT_TOKENS, DEFAULT_ACCEPTANCE)


def settings_of(case: Case) -> RunSettings:
    """Return how the server of a run was set."""
    dense = not any(layer.experts for layer in case.work.layers)
    return run_settings(case.row, case.policy, case.accelerator.spec.family, dense=dense)


def run_policy(case: Case) -> EnginePolicy:
    """Return the policy a run was served with."""
    settings = settings_of(case)
    budget = case.policy.token_budget if settings.token_budget is None else round(settings.token_budget)
    return replace(case.policy, token_budget=budget, aligns_prefill=settings.aligns_prefill)


def token_budget(policy: EnginePolicy, row: MeasuredRow) -> float:
    """Return the token budget a run was served with: about max(8192, ISL + concurrency) by TensorRT-LLM."""
    if policy.token_budget_covers_prompt:
        return max(float(policy.token_budget), TRT_LEAST_BUDGET, row.input_tokens + row.concurrency)
    return float(policy.token_budget)


def bare_prefill_rate(replica: Replica) -> float:
    """Return prompt tokens per second of a replica that does nothing else."""
    times, tokens = bare_prefill_step(replica)
    return tokens / float(times.total[0])


def bare_prefill_step(replica: Replica) -> tuple[StepTimes, float]:
    """Return a step of a replica that does nothing but prefill, and the prompt tokens of all ranks in it."""
    load, layout = replica.load, replica.table.layout
    prompt = max(load.mean_uncached, 1.0)
    room = max(float(replica.policy.token_budget), 1.0)
    chunk = prompt if replica.policy.token_budget_covers_prompt else min(prompt, room)
    tokens = np.array([chunk])
    times = step_times(load.coefficients, StepLoad(np.zeros(1), tokens, tokens * layout.attention_dp))
    return times, chunk * layout.attention_dp


def _layout(row: MeasuredRow) -> Layout:
    if row.layout is None:
        raise ValueError("The row describes pools, not one replica.")
    return row.layout
