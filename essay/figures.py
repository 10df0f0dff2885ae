"""All figures of the essay in one tree, and the data of its plots."""

from dataclasses import dataclass
from typing import Any

from essay.arithmetic import arithmetic_figures
from essay.market import market_figures
from essay.positions import position_figures
from essay.serving import serving_figures
from essay.workshop import ELECTRICITY, Workshop

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Figures:
    """What is quoted, and what is drawn."""

    tree: dict[str, Any]
    """By section: ``flop``, ``serve``, ``place``, ``market``."""
    rows: dict[str, Rows]
    marks: dict[str, Any]


def all_figures(workshop: Workshop) -> Figures:
    """Ask the use cases for everything."""
    tree: dict[str, Any] = {
        "flop": arithmetic_figures(workshop),
        "serve": serving_figures(workshop),
        "place": position_figures(workshop),
        "market": market_figures(workshop),
        "electricity": float(ELECTRICITY),
    }
    rows = {
        **tree["serve"].pop("charts"),
        **tree["place"].pop("charts"),
        **tree["market"].pop("charts"),
        "mix": tree["serve"]["mix"].pop("rows"),
    }
    marks = {
        "ridge": tree["serve"]["base"]["decode"]["ridge"],
        "base_batch": tree["serve"]["base"]["batch"],
        "compute_bound_batch": tree["serve"]["compute_bound_batch"],
    }
    return Figures(tree, _rounded(rows), _rounded(marks))


def _rounded(data: Any) -> Any:
    """Round what is drawn to what can be seen, so that a drawing changes only where its figures do."""
    if isinstance(data, dict):
        return {key: _rounded(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_rounded(value) for value in data]
    return float(f"{data:.5g}") if isinstance(data, float) else data
