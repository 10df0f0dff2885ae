"""The same rows by the ``aiconfigurator`` package, as ``benchmarks/aiconfigurator_rows.py`` wrote them."""

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.accuracy.judged import Array, Judged, measured_of


@dataclass(frozen=True)
class Theirs:
    """What the package says of our runs; arrays (N,) in their order, NaN where it says nothing."""

    tpot: Array
    """ln(predicted / measured)."""
    ttft: Array
    seconds: float
    """Median time of a call, its database loaded."""
    reasons: tuple[tuple[str, int], ...]
    """Why rows were not run, most frequent first."""


def read_theirs(path: Path, judged: Judged) -> Theirs:
    """Return the package's predictions beside the measurements."""
    with path.open(newline="", encoding="utf-8") as file:
        found = {int(row["row"]): row for row in csv.DictReader(file)}
    count = len(judged.cases)
    said = np.full((2, count), np.nan)
    reasons: Counter[str] = Counter()
    taken = []
    for place, row_number in enumerate(judged.rows.tolist()):
        row = found.get(row_number)
        if row is None:
            continue
        if row["error"]:
            reasons[row["error"].split(":")[0]] += bool(judged.plain[place])
            continue
        said[:, place] = float(row["tpot_ms"]) / 1e3, float(row["ttft_ms"]) / 1e3
        taken.append(float(row["seconds"]))
    tpot, ttft = measured_of(judged.cases)
    return Theirs(
        np.log(said[0] / tpot),
        np.log(said[1] / ttft),
        float(np.median(taken)) if taken else float("nan"),
        tuple((reason, number) for reason, number in reasons.most_common() if number),
    )
