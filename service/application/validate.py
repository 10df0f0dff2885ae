"""Reads measured runs, predicts each under its own protocol, and says how far off the predictions are."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Final

import numpy as np

from service.application.cases import Case, CaseBuilder
from service.application.errors import ApplicationError
from service.application.predict import Prediction, Predictor
from service.application.predict_pools import predict_pools
from service.application.spreads import factor_90, tpot_spread, ttft_spread
from service.calibration.measured import MeasuredRow, RowError, read_row
from service.engine.errors import EngineError
from service.engine.spans import Array
from service.engine.units import MILLI

PREDICTED_COLUMNS: Final = (
    "predicted_ttft_ms", "predicted_ttft_p10_ms", "predicted_ttft_p90_ms",
    "predicted_tpot_ms", "predicted_tpot_p10_ms", "predicted_tpot_p90_ms",
    "predicted_prefill_tokens_per_second_per_gpu", "predicted_power_w",
    "predicted_accelerator_seconds_per_million_input", "predicted_accelerator_seconds_per_million_output",
    "error",
)  # fmt: skip
"""What is written beside the columns that were read."""


@dataclass(frozen=True)
class ValidatedRow:
    """One row of the file with what was predicted, or with what is wrong with it."""

    values: Mapping[str, str]
    case: Case | None
    prediction: Prediction | None
    error: str

    def cells(self) -> dict[str, str]:
        """Return the row to write: the columns as read, the predicted ones after them."""
        added = dict.fromkeys(PREDICTED_COLUMNS, "")
        added["error"] = self.error
        if self.prediction is not None and self.case is not None:
            figures = _figures(self.prediction, self.case)
            added |= {name: f"{value:.6g}" for name, value in figures.items()}
        return {**{key: value or "" for key, value in self.values.items() if key}, **added}


@dataclass(frozen=True, slots=True)
class Statistics:
    """How far predictions are off, of one group of rows."""

    group: str
    rows: int
    median: float
    """Of |predicted / measured - 1|."""
    p90: float
    bias: float
    """Median of predicted / measured, less 1."""


@dataclass(frozen=True)
class Validation:
    """All rows and the statistics over those that were measured."""

    rows: tuple[ValidatedRow, ...]
    statistics: Mapping[str, tuple[Statistics, ...]]
    """By what was measured: ``tpot``, ``ttft``, ``power``; groups by architecture, accelerator, engine,
    then ``pooled`` and ``macro`` (the mean over architectures)."""

    @property
    def failed(self) -> int:
        """Rows without a prediction."""
        return sum(1 for row in self.rows if row.error)


def validate_rows(
    lines: Iterable[Mapping[str, str]], builder: CaseBuilder, predictor: Predictor | None = None
) -> Validation:
    """Predict every row; a bad one is reported in its ``error`` and stops no other."""
    chosen = predictor or Predictor()
    rows = tuple(_validate(values, builder, chosen) for values in lines)
    return Validation(rows, statistics_of(rows))


def statistics_of(rows: Sequence[ValidatedRow]) -> dict[str, tuple[Statistics, ...]]:
    """Return the statistics of rows by what was measured."""
    found = {}
    for name, pair in _PAIRS.items():
        known = [(row.case, logs) for row in rows if row.case and (logs := _log(row, pair)) is not None]
        if known:
            found[name] = _grouped([case for case, _ in known], [logs for _, logs in known])
    return found


def _validate(values: Mapping[str, str], builder: CaseBuilder, predictor: Predictor) -> ValidatedRow:
    try:
        row = read_row(values)
        case = builder.build(row)
        predicted = predictor.predict(case) if row.layout is not None else predict_pools(case, predictor)
    except (RowError, ApplicationError, EngineError) as error:
        return ValidatedRow(values, None, None, " ".join(str(getattr(error, "message", error)).split()))
    return ValidatedRow(values, case, predicted, "")


def _figures(predicted: Prediction, case: Case) -> dict[str, float]:
    ttft = factor_90(ttft_spread(case.calibration))
    tpot = factor_90(tpot_spread(case.calibration))
    first, each = predicted.ttft_seconds / MILLI, predicted.tpot_seconds / MILLI
    figures = (
        first, first / ttft, first * ttft, each, each / tpot, each * tpot,
        predicted.prefill_tokens_per_second_per_gpu,
        predicted.power_watts,
        predicted.accelerator_seconds_per_million_input,
        predicted.accelerator_seconds_per_million_output,
    )  # fmt: skip
    return dict(zip(PREDICTED_COLUMNS[:-1], figures, strict=True))


_Pair = Callable[[Prediction, MeasuredRow], tuple[float, float | None]]
_PAIRS: Final[Mapping[str, _Pair]] = {
    "tpot": lambda predicted, row: (predicted.tpot_seconds, row.tpot_seconds),
    "ttft": lambda predicted, row: (predicted.ttft_seconds, row.ttft_seconds),
    "power": lambda predicted, row: (predicted.power_watts, row.power_watts),
}


def _log(row: ValidatedRow, pair: _Pair) -> float | None:
    if row.prediction is None or row.case is None:
        return None
    predicted, measured = pair(row.prediction, row.case.row)
    return log(predicted / measured) if measured and predicted > 0 else None


def _grouped(cases: Sequence[Case], logs: Sequence[float]) -> tuple[Statistics, ...]:
    values = np.array(logs)
    # One architecture goes by the first model of it in the file.
    first: dict[str, str] = {}
    for case in cases:
        first.setdefault(case.architecture, case.model_id)
    names = {
        "architecture": np.array([first[case.architecture] for case in cases]),
        "accelerator": np.array([case.accelerator.id for case in cases]),
        "engine": np.array([case.policy.name for case in cases]),
    }
    found = [
        _statistics(f"{kind} {group}", values[labels == group])
        for kind, labels in names.items()
        for group in sorted(set(labels.tolist()))
    ]
    found.append(_statistics("pooled", values))
    each = [item for item in found if item.group.startswith("architecture ")]
    found.append(
        Statistics(
            "macro",
            len(values),
            float(np.mean([item.median for item in each])),
            float(np.mean([item.p90 for item in each])),
            float(np.mean([item.bias for item in each])),
        )
    )
    return tuple(found)


def _statistics(group: str, logs: Array) -> Statistics:
    off = np.abs(np.expm1(logs))
    return Statistics(
        group,
        int(logs.size),
        float(np.median(off)),
        float(np.quantile(off, 0.9)),
        float(np.expm1(np.median(logs))),
    )
