"""Plots of the essay as SVG, one look for all; the two colours differ in lightness too."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import altair as alt
import vl_convert as vlc

from essay.figures import Rows

Plot = Any
"""A chart of altair: its mark and encode methods are not typed to what they return."""
WIDTH, HEIGHT = 620, 300
INPUT_COLOUR, OUTPUT_COLOUR, ACCENT, MUTED = "#2b6cb0", "#d9822b", "#1c2733", "#8a97a6"
FONT: Final = "Helvetica, Arial, sans-serif"
LOG_BATCH: Final = [1, 4, 16, 64, 256, 1024]


def draw_charts(rows: Mapping[str, Rows], marks: Mapping[str, Any]) -> dict[str, str]:
    """Return the SVG of each plot by name.

    Parameters
    ----------
    rows
        Data by plot.
    marks
        Single figures that are drawn as lines: ``compute_bound_batch``, ``base_batch``, ``ridge``.
    """
    return {name: _svg(draw(rows[name], marks)) for name, draw in CHARTS.items()}


def _svg(chart: Plot) -> str:
    """Return a chart as SVG with its text as text."""
    styled = (
        chart.properties(width=WIDTH, height=HEIGHT, background="#ffffff", padding=12)
        .configure(font=FONT)
        .configure_view(stroke=None)
        .configure_axis(
            gridColor="#e3e8ee",
            domainColor=MUTED,
            tickColor=MUTED,
            labelColor=ACCENT,
            titleColor=ACCENT,
            labelFontSize=12,
            titleFontSize=13,
            titleFontWeight="normal",
            titlePadding=10,
        )
        .configure_legend(
            title=None, orient="top", labelFontSize=13, labelColor=ACCENT, symbolStrokeWidth=3, labelLimit=400
        )
    )
    return str(vlc.vegalite_to_svg(styled.to_dict())) + "\n"


def _intensity(rows: Rows, marks: Mapping[str, Any]) -> Plot:
    ridge = _chart([{"y": marks["ridge"], "text": "ridge: memory is the limit below"}])
    lines = (
        _chart(rows)
        .mark_line(strokeWidth=3, point={"size": 45})
        .encode(
            x=_batch("sequences decoding together"),
            y=alt.Y(
                "intensity:Q",
                scale=alt.Scale(type="log", domain=[1, 2000]),
                axis=alt.Axis(title="FLOP per byte read", values=[1, 10, 100, 1000]),
            ),
            color=_colour("step:N", ["a run that carries a prompt", "a run that only decodes"]),
        )
    )
    rule = ridge.mark_rule(strokeDash=[6, 4], color=ACCENT, strokeWidth=1.5).encode(y="y:Q")
    label = ridge.mark_text(align="left", dy=14, fontSize=12, color=ACCENT).encode(
        y="y:Q", x=alt.value(6), text="text:N"
    )
    return alt.layer(lines, rule, label)


def _batch_cost(rows: Rows, marks: Mapping[str, Any]) -> Plot:
    lines = (
        _chart(rows)
        .mark_line(strokeWidth=3)
        .encode(
            x=_batch("sequences decoding together"),
            y=alt.Y(
                "cost:Q",
                scale=alt.Scale(type="log"),
                axis=alt.Axis(title="USD per million tokens", values=[0.1, 0.3, 1, 3, 10, 30, 100]),
            ),
            color=_colour("kind:N", ["input", "output"]),
        )
    )
    return alt.layer(
        lines,
        *_upright(marks["base_batch"], "the example", 14),
        *_upright(marks["compute_bound_batch"], "weights: as long to compute as to read", 34, "right"),
    )


def _positions(rows: Rows, _: Mapping[str, Any]) -> Plot:
    return (
        _chart(rows)
        .mark_area()
        .encode(
            x=alt.X(
                "position:Q",
                axis=alt.Axis(title="position of the input token", format="~s"),
                scale=alt.Scale(nice=False),
            ),
            y=alt.Y("cost:Q", axis=alt.Axis(title="USD per million tokens"), stack="zero"),
            color=_colour("part:N", ["everything else", "attention"]),
            order=alt.Order("part:N", sort="descending"),
        )
    )


def _views(rows: Rows, _: Mapping[str, Any]) -> Plot:
    return (
        _chart(rows)
        .mark_line(strokeWidth=3)
        .encode(
            x=alt.X(
                "position:Q",
                axis=alt.Axis(title="position of the output token", format="~s"),
                scale=alt.Scale(nice=False),
            ),
            y=alt.Y("cost:Q", axis=alt.Axis(title="USD per million tokens"), scale=alt.Scale(zero=True)),
            color=_colour("view:N", ["charged to the token read", "charged to the run that reads"]),
        )
    )


def _runs(rows: Rows, _: Mapping[str, Any]) -> Plot:
    return (
        _chart(rows)
        .mark_line(strokeWidth=3)
        .encode(
            x=alt.X(
                "position:Q",
                axis=alt.Axis(title="position of the output token"),
                scale=alt.Scale(nice=False, domain=[0, 800]),
            ),
            y=alt.Y(
                "joined:Q",
                axis=alt.Axis(title="share of all decode runs that read it", format="%"),
                scale=alt.Scale(domain=[0, 1]),
            ),
            color=_colour("trace:N", ["chat (Azure)", "chat with long prompts (Mooncake)"]),
        )
    )


def _mix(rows: Rows, _: Mapping[str, Any]) -> Plot:
    band = (
        _chart([{"from": 3, "to": 10}])
        .mark_rect(color="#dbe7f3")
        .encode(x=alt.X("from:Q", scale=alt.Scale(type="log", nice=False)), x2="to:Q")
    )
    line = (
        _chart(rows)
        .mark_line(strokeWidth=3, color=INPUT_COLOUR)
        .encode(
            x=alt.X(
                "mix:Q",
                scale=alt.Scale(type="log", nice=False),
                axis=alt.Axis(title="input tokens for each output token", values=[0.1, 0.3, 1, 3, 10, 30]),
            ),
            y=alt.Y(
                "input:Q",
                axis=alt.Axis(title="share of the bill that is input", format="%"),
                scale=alt.Scale(domain=[0, 1]),
            ),
        )
    )
    half = _chart([{"y": 0.5}]).mark_rule(strokeDash=[6, 4], color=MUTED).encode(y="y:Q")
    return alt.layer(band, half, line)


def _margins(rows: Rows, _: Mapping[str, Any]) -> Plot:
    lines = (
        _chart(rows)
        .mark_line(strokeWidth=3, point={"size": 40})
        .encode(
            x=alt.X(
                "share:Q",
                axis=alt.Axis(title="share of requests, worst first", format="%"),
                scale=alt.Scale(domain=[0, 1]),
            ),
            y=alt.Y("margin:Q", axis=alt.Axis(title="margin of the request", format="%")),
            color=_colour("trace:N", ["chat (Azure)", "chat with long prompts (Mooncake)"]),
        )
    )
    zero = _chart([{"y": 0}]).mark_rule(strokeDash=[6, 4], color=ACCENT).encode(y="y:Q")
    return alt.layer(lines, zero)


def _listed(rows: Rows, _: Mapping[str, Any]) -> Plot:
    scale = alt.Scale(type="log", domain=[0.8, 30], nice=False)
    ticks = [1, 2, 3, 4, 5, 10, 20]
    equal = (
        _chart([{"a": 0.8}, {"a": 30}])
        .mark_line(strokeDash=[6, 4], color=MUTED)
        .encode(x=alt.X("a:Q", scale=scale), y=alt.Y("a:Q", scale=scale))
    )
    points = (
        _chart(rows)
        .mark_circle(size=90, color=OUTPUT_COLOUR, opacity=0.75)
        .encode(
            x=alt.X(
                "modelled:Q",
                scale=scale,
                axis=alt.Axis(title="modelled output:input ratio", values=ticks, grid=True),
            ),
            y=alt.Y(
                "listed:Q",
                scale=scale,
                axis=alt.Axis(title="listed output:input ratio (median of providers)", values=ticks),
            ),
        )
    )
    text = (
        _chart([{"x": 18, "y": 21, "text": "listed = modelled"}])
        .mark_text(align="right", dx=-8, fontSize=12, color=ACCENT)
        .encode(x=alt.X("x:Q", scale=scale), y=alt.Y("y:Q", scale=scale), text="text:N")
    )
    return alt.layer(equal, points, text)


def _chart(rows: Rows) -> Plot:
    return alt.Chart(alt.Data(values=rows))  # type: ignore[no-untyped-call]


def _batch(title: str) -> alt.X:
    return alt.X(
        "batch:Q", scale=alt.Scale(type="log", nice=False), axis=alt.Axis(title=title, values=LOG_BATCH)
    )


def _colour(field: str, domain: list[str]) -> alt.Color:
    return alt.Color(field, scale=alt.Scale(domain=domain, range=[INPUT_COLOUR, OUTPUT_COLOUR]))


def _upright(at: float, text: str, dy: int, align: str = "left") -> tuple[Plot, Plot]:
    base = _chart([{"x": at, "text": text}])
    rule = base.mark_rule(strokeDash=[6, 4], color=MUTED).encode(x="x:Q")
    shift = 6 if align == "left" else -6
    label = base.mark_text(align=align, dx=shift, dy=dy, fontSize=12, color=ACCENT).encode(
        x="x:Q", y=alt.value(0), text="text:N"
    )
    return rule, label


CHARTS: Final[Mapping[str, Callable[[Rows, Mapping[str, Any]], Plot]]] = {
    "intensity": _intensity,
    "batch": _batch_cost,
    "positions": _positions,
    "early-late": _views,
    "runs": _runs,
    "mix": _mix,
    "margins": _margins,
    "listed": _listed,
}
