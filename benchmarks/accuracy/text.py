"""Tables of the report, and the statistics in them."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LINE_LENGTH = 120
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Errors:
    """How far ln(predicted / measured) is from 0, as |predicted / measured - 1|."""

    count: int
    median: float
    p90: float
    bias: float
    """Median of predicted / measured, less 1."""

    @classmethod
    def of(cls, logs: Array) -> "Errors":
        """Return the statistics of the finite ones."""
        known = logs[np.isfinite(logs)]
        if known.size == 0:
            return cls(0, float("nan"), float("nan"), float("nan"))
        off = np.abs(np.expm1(known))
        return cls(
            int(known.size),
            float(np.median(off)),
            float(np.quantile(off, 0.9)),
            float(np.expm1(np.median(known))),
        )

    def cells(self) -> tuple[str, str, str]:
        """Return median, p90 and bias as text."""
        return percent(self.median), percent(self.p90), percent(self.bias, signed=True)


def macro(logs: Array, groups: npt.NDArray[np.str_]) -> Errors:
    """Return the mean over groups of each group's statistics."""
    each = [Errors.of(logs[groups == group]) for group in np.unique(groups)]
    known = [item for item in each if item.count]
    if not known:
        return Errors.of(logs)
    return Errors(
        sum(item.count for item in known),
        float(np.mean([item.median for item in known])),
        float(np.mean([item.p90 for item in known])),
        float(np.mean([item.bias for item in known])),
    )


def percent(value: float, *, signed: bool = False) -> str:
    """Return a share as a percentage with one decimal; a dash where there is none."""
    if not np.isfinite(value):
        return "-"
    return f"{100 * value:+.1f} %" if signed else f"{100 * value:.1f} %"


def number(value: float) -> str:
    """Return a figure with four digits, thousands parted."""
    if abs(value) >= 1000:
        return f"{float(f'{value:.4g}'):,.0f}"
    return f"{value:.4g}"


def page(parts: Sequence[str]) -> str:
    """Return parts as one page, its paragraphs broken at 120 characters; tables and figures stay whole."""
    blocks = [block for part in parts if part for block in part.split("\n\n")]
    return "\n\n".join(_broken(block) for block in blocks) + "\n"


def _broken(block: str) -> str:
    if block.startswith(("|", "#", "!", "<")):
        return block
    return textwrap.fill(block, LINE_LENGTH, break_long_words=False, break_on_hyphens=False)


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first to the right."""
    rule = ["---", *("---:" for _ in titles[1:])]
    lines = [titles, rule, *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
