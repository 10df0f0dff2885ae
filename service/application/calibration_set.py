"""The use case behind ``pertoken calibrate``: rows in, a set and its out-of-sample judgement out."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from service.application.calibrate import Fitted, LeftOut, fit_cases, in_sample, leave_out
from service.application.calibration_document import calibration_document, data_digest
from service.application.cases import Case, CaseBuilder
from service.application.errors import ApplicationError, InvalidRequestError
from service.application.measured_points import choose_points
from service.application.predict import Predictor
from service.calibration.measured import RowError, read_row
from service.engine.errors import EngineError
from service.engine.spans import Array

SOURCE = "aiconfigurator-silicon"
LEAST_ROWS = 20
"""Fewer runs say nothing that the priors do not."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class SetRequest:
    """What set is wanted."""

    name: str = "default"
    suspect: bool = False
    """Fit rows marked suspect too."""


@dataclass(frozen=True)
class MadeSet:
    """A fitted set, the runs behind it and how it does."""

    document: Mapping[str, Any]
    fitted: Fitted
    inside: LeftOut
    by_architecture: LeftOut
    by_family: LeftOut
    unused: int
    """Rows that could not be read or solved, pools and suspect ones."""

    def report(self) -> str:
        """Return the judgement as text, errors in per cent."""
        plain = np.array([case.row.speculative == "none" for case in self.fitted.cases])
        names = np.array([case.architecture for case in self.fitted.cases])
        lines = [f"{len(self.fitted.cases)} runs fitted, {self.unused} not used."]
        lines.append(
            "|predicted / measured - 1|, runs that did not speculate: pooled; mean over architectures"
        )
        for title, judged in (
            ("in sample", self.inside),
            ("architecture left out", self.by_architecture),
            ("accelerator family left out", self.by_family),
        ):
            for what, logs in (("TPOT", judged.tpot), ("TTFT", judged.ttft)):
                lines.append(f"  {title}, {what}: {judgement(logs[plain], names[plain])}")
        return "\n".join(lines)


def make_set(rows: Iterable[Mapping[str, str]], builder: CaseBuilder, request: SetRequest) -> MadeSet:
    """Fit a set to rows.

    Raises
    ------
    InvalidRequestError
        Fewer than ``LEAST_ROWS`` rows can be used, or the catalog takes no set of such a name.
    """
    if not _NAME.fullmatch(request.name):
        raise InvalidRequestError(
            f"The name of the set is {request.name!r}; names are of lower-case letters, digits, '.', '_' and "
            "'-', begin with a letter or a digit and have at most 128 characters.",
            field="name",
        )
    given = list(rows)
    cases = usable_cases(given, builder, suspect=request.suspect)
    if len(cases) < LEAST_ROWS:
        raise InvalidRequestError(
            f"{len(cases)} of {len(given)} rows can be used; a fit needs at least {LEAST_ROWS}.", field="data"
        )
    fitted = fit_cases(cases)
    by_architecture = leave_out(fitted, [case.architecture for case in fitted.cases])
    by_family = leave_out(fitted, [case.accelerator.spec.family for case in fitted.cases])
    digest = data_digest(case.row for case in fitted.cases)
    document = calibration_document(fitted, (by_architecture, by_family), (request.name, SOURCE, digest))
    document["default"] = request.name == "default"
    document["points"] = choose_points(fitted)
    return MadeSet(
        document, fitted, in_sample(fitted), by_architecture, by_family, len(given) - len(fitted.cases)
    )


def usable_cases(rows: Sequence[Mapping[str, str]], builder: CaseBuilder, *, suspect: bool) -> list[Case]:
    """Return the cases of rows that can be read and solved, of one replica, with a TPOT and not suspect."""
    cases, predictor = [], Predictor()
    for values in rows:
        try:
            row = read_row(values)
            if row.layout is None or row.tpot_seconds is None or (row.suspect and not suspect):
                continue
            case = builder.build(row)
            predictor.solve(case)
        except (RowError, ApplicationError, EngineError):
            continue
        cases.append(case)
    return cases


def judgement(logs: Array, names: np.ndarray[Any, Any]) -> str:
    """Return median and p90 of |error|, pooled and as the mean over groups."""
    known = np.isfinite(logs)
    off, groups = np.abs(np.expm1(logs[known])), names[known]
    if off.size == 0:
        return "no run"
    each = [off[groups == group] for group in sorted(set(groups.tolist()))]
    pooled = f"median {100 * np.median(off):.1f} %, p90 {100 * np.quantile(off, 0.9):.1f} %"
    medians = np.mean([np.median(part) for part in each])
    tails = np.mean([np.quantile(part, 0.9) for part in each])
    return f"{pooled}; median {100 * medians:.1f} %, p90 {100 * tails:.1f} %"
