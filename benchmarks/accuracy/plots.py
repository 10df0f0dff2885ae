"""Predicted against measured, log-log, one figure for each engine and time, as SVG."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.accuracy.judged import Judged
from benchmarks.accuracy.sections import measured_and_predicted
from service.engine.units import MILLI

SIZE = 360
DOT = 12
Point = tuple[float, float, str]
"""Measured and predicted, milliseconds, and the architecture."""


def write_plots(judged: Judged, folder: Path) -> list[tuple[str, Path]]:
    """Write the figures; return their titles and paths, none where altair and vl-convert are missing."""
    if any(importlib.util.find_spec(name) is None for name in ("altair", "vl_convert")):
        return []
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for what, (measured, predicted) in measured_and_predicted(judged).items():
        known = judged.plain & np.isfinite(measured) & np.isfinite(predicted)
        for engine in np.unique(judged.labels["engine"][known]):
            inside = known & (judged.labels["engine"] == engine)
            points = [
                (float(f"{x / MILLI:.4g}"), float(f"{y / MILLI:.4g}"), str(name))
                for x, y, name in zip(
                    measured[inside], predicted[inside], judged.labels["architecture"][inside], strict=True
                )
            ]
            title = f"{what}, {engine}: {len(points)} runs, architecture left out"
            path = folder / f"{what.lower()}_{engine}.svg"
            path.write_text(_figure(what, title, points), encoding="utf-8")
            written.append((title, path))
    return written


def _figure(what: str, title: str, points: Sequence[Point]) -> str:
    """Return dots and the diagonal as SVG."""
    import altair as alt
    import vl_convert

    names = ("measured", "predicted", "architecture")
    dots = alt.Data(values=[dict(zip(names, point, strict=True)) for point in points])  # type: ignore[no-untyped-call]
    ends = (min(point[0] for point in points), max(point[0] for point in points))
    diagonal = alt.Data(values=[{"x": end, "y": end} for end in ends])  # type: ignore[no-untyped-call]
    scale = alt.Scale(type="log")
    marks = (
        alt.Chart(dots)
        .mark_circle(size=DOT, opacity=0.7)
        .encode(
            x=alt.X("measured:Q", scale=scale, title=f"measured {what}, ms"),
            y=alt.Y("predicted:Q", scale=scale, title=f"predicted {what}, ms"),
            color=alt.Color("architecture:N"),
        )
    )
    line = (
        alt.Chart(diagonal)
        .mark_line(color="black", strokeWidth=1)
        .encode(x=alt.X("x:Q", scale=scale), y=alt.Y("y:Q", scale=scale))
    )
    chart = alt.layer(marks, line).properties(width=SIZE, height=SIZE, title=title)
    return str(vl_convert.vegalite_to_svg(chart.to_json()))
