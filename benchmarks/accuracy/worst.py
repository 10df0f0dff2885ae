"""Where predictions are worst, and what their errors go with."""

from dataclasses import dataclass

import numpy as np

from benchmarks.accuracy.judged import Array, Judged, Mask, spearman
from benchmarks.accuracy.text import Errors, percent, table

SHOWN = 10
LEAST_RUNS = 5
CLEAR = 0.5
"""Rank correlation from which an error is said to grow or fall with something."""
STEADY = 0.7
"""Share of a group's squared error that is its mean's, from which the whole group is said to be off."""


@dataclass(frozen=True)
class Group:
    """Runs of one architecture on one family by one engine in one format."""

    name: str
    inside: Mask
    share: float
    """Of the squared ln error of all runs."""


def worst(judged: Judged) -> str:
    """Return the groups that carry most of the squared error, of both times."""
    parts = []
    for what, logs in (
        ("TPOT", judged.made.by_architecture.tpot),
        ("TTFT", judged.made.by_architecture.ttft),
    ):
        rows = []
        for group in _groups(judged, logs)[:SHOWN]:
            errors = Errors.of(logs[group.inside])
            rows.append(
                (
                    group.name,
                    str(errors.count),
                    percent(group.share),
                    *errors.cells(),
                    _why(judged, logs, group),
                )
            )
        titles = (f"{what} of", "runs", "share of squared error", "median", "p90", "bias", "the error")
        parts.append(table(titles, rows))
    return (
        "## Where it is worst, and why\n\n"
        "Groups by their share of the squared error in ln, architecture left out, runs that did "
        "not speculate. "
        "The last column is computed: whether the group is off as a whole or what its error "
        "goes with by rank "
        "(load, lengths, ranks).\n\n" + "\n\n".join(parts)
    )


def _groups(judged: Judged, logs: Array) -> list[Group]:
    kinds = [judged.labels[kind] for kind in ("architecture", "family", "engine", "format")]
    names = np.array([" ".join(item) for item in zip(*kinds, strict=True)])
    plain = judged.plain & np.isfinite(logs)
    total = max(float((logs[plain] ** 2).sum()), 1e-300)
    found = []
    for name in np.unique(names[plain]):
        inside = plain & (names == name)
        if inside.sum() >= LEAST_RUNS:
            found.append(Group(str(name), inside, float((logs[inside] ** 2).sum()) / total))
    return sorted(found, key=lambda group: -group.share)


def _why(judged: Judged, logs: Array, group: Group) -> str:
    inside = logs[group.inside]
    common = float(inside.mean() ** 2 / max((inside**2).mean(), 1e-300))
    rows = [case.row for case, chosen in zip(judged.cases, group.inside, strict=True) if chosen]
    features = {
        "requests in flight per accelerator": [row.concurrency / row.accelerators for row in rows],
        "prompt length": [row.input_tokens for row in rows],
        "output length": [row.output_tokens for row in rows],
        "tensor parallelism": [row.layout.tp if row.layout else 1 for row in rows],
        "attention ranks": [row.layout.attention_dp if row.layout else 1 for row in rows],
    }
    ranked = [(spearman(np.array(values, dtype=float), inside), name) for name, values in features.items()]
    strongest, name = max(ranked, key=lambda item: abs(item[0]))
    said = []
    if common >= STEADY:
        said.append(f"is {'too slow' if inside.mean() > 0 else 'too fast'} throughout")
    if abs(strongest) >= CLEAR:
        said.append(f"{'rises' if strongest > 0 else 'falls'} with {name} ({strongest:+.2f})")
    return ", ".join(said) or "goes with none of these"
