"""A curve as a picture."""

from pathlib import Path
from typing import Any

import altair as alt

from service.application.curve_answers import CurveAnswer
from service.cli.charts import AxisType, Panel, axis_type, chart_of, save, thinned
from service.cli.curve_text import unit_of

RESOURCES = ("compute", "memory", "network", "overhead")
HEIGHT = 300


def draw_curve(answer: CurveAnswer, path: Path) -> None:
    """Draw the series of a curve, one panel for each unit; of positions, what each token pays for."""
    panels = _positions(answer) if answer.axis == "position" else _series(answer)
    title = f"{answer.model} on {answer.accelerator}"
    save(panels, title, path)


def _positions(answer: CurveAnswer) -> list[Panel]:
    rows = [
        {"x": answer.x[i], "resource": name, "y": answer.series[name][i], "order": order}
        for i in thinned(len(answer.x))
        for order, name in enumerate(RESOURCES)
    ]
    areas = (
        chart_of(rows)
        .mark_area(interpolate="step")
        .encode(
            x=alt.X("x:Q", title=answer.axis_unit, scale=alt.Scale(nice=False)),
            y=alt.Y("y:Q", title=unit_of(answer, "cost"), stack="zero"),
            color=alt.Color("resource:N", title="pays for", sort=list(RESOURCES)),
            order="order:Q",
        )
    )
    shared = _line(answer, ["share_of_requests"], height=90, x_type="linear")
    return [areas, shared] if min(answer.series["share_of_requests"]) < 1 else [areas]


def _series(answer: CurveAnswer) -> list[Panel]:
    units: dict[str, list[str]] = {}
    for name in answer.series:
        if name != answer.axis:
            units.setdefault(unit_of(answer, name), []).append(name)
    panels: list[Panel] = []
    for place, names in enumerate(units.values()):
        panels.append(_line(answer, names, HEIGHT if place == 0 else 110, axis_type(answer.x)))
    return panels


def _line(answer: CurveAnswer, names: list[str], height: int, x_type: AxisType) -> alt.Chart:
    shown = thinned(len(answer.x))
    rows: list[dict[str, Any]] = [
        {"x": answer.x[i], "series": name.replace("_", " "), "y": answer.series[name][i]}
        for name in names
        for i in shown
    ]
    values = [row["y"] for row in rows]
    chart: alt.Chart = (
        chart_of(rows, height=height)
        .mark_line()
        .encode(
            x=alt.X("x:Q", title=answer.axis_unit, scale=alt.Scale(type=x_type, nice=False)),
            y=alt.Y("y:Q", title=unit_of(answer, names[0]), scale=alt.Scale(type=axis_type(values))),
            color=alt.Color("series:N", title=None, sort=[name.replace("_", " ") for name in names]),
        )
    )
    return chart
