"""What all plots share. Only modules that draw import this: altair is an extra."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import altair as alt

from service.application.errors import InvalidRequestError

PIXELS_PER_POINT = 2.0
MOST_POINTS = 600
"""Of a line; more cannot be told apart in print."""
LOG_FROM = 30.0
"""Positive values that span more than this factor are drawn on a logarithmic axis."""
AxisType = Literal["log", "linear"]
Panel = alt.Chart | alt.LayerChart | alt.FacetChart


def chart_of(rows: Sequence[Mapping[str, Any]], width: int = 620, height: int = 300) -> alt.Chart:
    """Return an empty chart over rows of plain values."""
    data = alt.Data(values=[dict(row) for row in rows])  # type: ignore[no-untyped-call]
    return alt.Chart(data, width=width, height=height)


def mark_over(rows: Sequence[Mapping[str, Any]]) -> alt.Chart:
    """Return an empty chart over rows that takes the size of the one it is laid over."""
    return alt.Chart(alt.Data(values=[dict(row) for row in rows]))  # type: ignore[no-untyped-call]


def save(panels: Sequence[Panel], title: str, path: Path, shared: bool = False) -> None:
    """Write panels below each other into a file, as its ending says.

    Raises
    ------
    InvalidRequestError
        Where the file cannot be written.
    """
    chart = alt.vconcat(*panels, title=title).resolve_scale(color="shared" if shared else "independent")
    try:
        chart.save(str(path), scale_factor=PIXELS_PER_POINT)
    except OSError as error:
        raise InvalidRequestError(f"{path} cannot be written: {error}.", field="plot") from error


def thinned(count: int) -> list[int]:
    """Return the indices of at most 600 evenly spread points, both ends among them."""
    if count <= MOST_POINTS:
        return list(range(count))
    return sorted({round(i * (count - 1) / (MOST_POINTS - 1)) for i in range(MOST_POINTS)})


def axis_type(values: Sequence[float]) -> AxisType:
    """Return ``log`` where positive values span more than a factor of 30, else ``linear``."""
    least, most = min(values), max(values)
    return "log" if least > 0 and most > LOG_FROM * least else "linear"
