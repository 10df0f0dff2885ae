"""Fits a set to measured runs and gathers all that the report says of it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from service.application.calibrate import LeftOut
from service.application.calibration_set import MadeSet, SetRequest, make_set
from service.application.cases import Case, CaseBuilder
from service.application.errors import ApplicationError
from service.application.predict import Prediction, Predictor
from service.application.predict_pools import predict_pools
from service.calibration.measured import RowError, read_row
from service.engine.errors import EngineError
from service.engine.types import Calibration

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Rows = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Judged:
    """A fit with the labels of its runs; arrays (N,) over them."""

    made: MadeSet
    labels: Mapping[str, npt.NDArray[np.str_]]
    """By kind of group: architecture, accelerator, family, engine, precision, speculative."""
    rows: npt.NDArray[np.int64]
    """Place of each run in the file."""

    @property
    def cases(self) -> tuple[Case, ...]:
        """The runs."""
        return self.made.fitted.cases

    @property
    def plain(self) -> Mask:
        """Runs that did not speculate for sure."""
        plain: Mask = self.labels["speculative"] == "none"
        return plain

    def calibrated(self, case: Case) -> Case:
        """Return a run under the fitted set."""
        return replace(case, calibration=self.calibration_of(case))

    def calibration_of(self, case: Case) -> Calibration:
        """Return what the fitted set says for a run's scope."""
        found = self.made.fitted.set
        family, engine = case.accelerator.spec.family, case.policy.name
        return found.calibration(
            family if family in found.families else None, engine if engine in found.engines else None
        )


def judge(rows: Rows, builder: CaseBuilder, *, suspect: bool = False) -> Judged:
    """Fit a set to rows, with or without suspect ones."""
    made = make_set(rows, builder, SetRequest(suspect=suspect))
    places = {id(values): place for place, values in enumerate(rows)}
    cases = made.fitted.cases
    first: dict[str, str] = {}
    for case in cases:
        first.setdefault(case.architecture, case.model_id.rsplit("/", 1)[-1])
    return Judged(
        made=made,
        labels={
            "architecture": np.array([first[case.architecture] for case in cases]),
            "accelerator": np.array([case.accelerator.id for case in cases]),
            "family": np.array([case.accelerator.spec.family for case in cases]),
            "engine": np.array([case.policy.name for case in cases]),
            "format": np.array([case.formats.experts.name for case in cases]),
            "speculative": np.array([case.row.speculative for case in cases]),
        },
        rows=np.array([places[id(case.row.values)] for case in cases]),
    )


def measured_of(cases: Sequence[Case]) -> tuple[Array, Array]:
    """Return measured (TPOT, TTFT), seconds; NaN where there is none."""
    tpot = np.array([case.row.tpot_seconds or np.nan for case in cases])
    return tpot, np.array([case.row.ttft_seconds or np.nan for case in cases])


@dataclass(frozen=True)
class FirstTokens:
    """ln(predicted / measured TTFT) by what of it is predicted, and the time a prediction takes."""

    protocol: Array
    steady: Array
    bare: Array
    tpot: Array
    seconds: float
    """Of one prediction, replay of the run included."""


def first_tokens(judged: Judged) -> FirstTokens:
    """Predict every run under the fitted set, by its protocol and without."""
    predictor, found = Predictor(), []
    start = time.process_time()
    for case in judged.cases:
        found.append(predictor.predict(judged.calibrated(case)))
    seconds = (time.process_time() - start) / len(found)
    tpot, ttft = measured_of(judged.cases)

    def logs(name: str, measured: Array) -> Array:
        against: Array = np.log(np.array([getattr(item, name) for item in found]) / measured)
        return against

    return FirstTokens(
        protocol=logs("ttft_seconds", ttft),
        steady=logs("steady_ttft_seconds", ttft),
        bare=logs("bare_prefill_seconds", ttft),
        tpot=logs("tpot_seconds", tpot),
        seconds=seconds,
    )


@dataclass
class Pools:
    """Disaggregated runs that could be predicted, and what was said of the others."""

    cases: list[Case] = field(default_factory=list)
    predictions: list[Prediction] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def left_out(self) -> LeftOut:
        """Return ln(predicted / measured); no run of these was fitted."""
        tpot, ttft = measured_of(self.cases)
        return LeftOut(
            np.log(np.array([item.tpot_seconds for item in self.predictions]) / tpot),
            np.log(np.array([item.ttft_seconds for item in self.predictions]) / ttft),
        )


def predict_disaggregated(rows: Rows, builder: CaseBuilder, judged: Judged) -> Pools:
    """Predict runs of separate pools under the fitted set."""
    pools, predictor = Pools(), Predictor()
    for values in rows:
        try:
            case = judged.calibrated(builder.build(read_row(values)))
            prediction = predict_pools(case, predictor)
        except (RowError, ApplicationError, EngineError) as error:
            pools.errors.append(str(getattr(error, "message", error)))
            continue
        pools.cases.append(case)
        pools.predictions.append(prediction)
    return pools


def spearman(values: Array, others: Array) -> float:
    """Return the rank correlation of two arrays; 0 where one is constant."""
    if np.ptp(values) == 0 or np.ptp(others) == 0:
        return 0.0
    ranks = [_ranks(item) for item in (values, others)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: Array) -> Array:
    """Return ranks, equal values sharing their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    mean: Array = (ends - (counts - 1) / 2.0)[place]
    return mean
