"""A tariff as a picture: how margins spread over requests, and who pays for whom."""

from pathlib import Path

import altair as alt

from service.application.tariff_answers import MarginSpread, TariffAnswer
from service.cli.charts import Panel, chart_of, mark_over, save

HEIGHT = 260
MOST_SHEETS = 8
LEAST_MARGIN = -2.0
"""Margins below are drawn at the edge: a request may lose any multiple of its price."""


def draw_tariff(answer: TariffAnswer, path: Path) -> None:
    """Draw the margin of requests by quantile under up to eight price sheets, and who pays for whom."""
    sheets = answer.spreads[:MOST_SHEETS]
    title = f"{answer.model} on {answer.accelerator}"
    save([_quantiles(sheets), _transfers(sheets)], title, path, shared=True)


def _quantiles(sheets: tuple[MarginSpread, ...]) -> Panel:
    rows = [
        {"share": float(name[1:]), "margin": max(margin, LEAST_MARGIN), "prices": one.name}
        for one in sheets
        for name, margin in one.margin_quantiles.items()
    ]
    lines = (
        chart_of(rows, height=HEIGHT)
        .mark_line(point=True)
        .encode(
            x=alt.X("share:Q", title="per cent of requests with at most this margin"),
            y=alt.Y("margin:Q", title="margin of a request", axis=alt.Axis(format="%")),
            color=alt.Color("prices:N", sort=[one.name for one in sheets], legend=alt.Legend(labelLimit=400)),
        )
    )
    nil = mark_over([{"margin": 0.0}]).mark_rule(strokeDash=[4, 4]).encode(y="margin:Q")
    return alt.layer(lines, nil)


def _transfers(sheets: tuple[MarginSpread, ...]) -> alt.Chart:
    groups = [row.group for row in sheets[0].transfers]
    rows = [
        {"group": row.group, "subsidy": row.subsidy, "prices": one.name}
        for one in sheets
        for row in one.transfers
    ]
    chart: alt.Chart = (
        chart_of(rows, height=HEIGHT)
        .mark_bar()
        .encode(
            x=alt.X("group:N", title="requests", sort=groups, axis=alt.Axis(labelAngle=0)),
            xOffset=alt.XOffset("prices:N", sort=[one.name for one in sheets]),
            y=alt.Y("subsidy:Q", title="share of revenue less share of cost", axis=alt.Axis(format="%")),
            color=alt.Color("prices:N", sort=[one.name for one in sheets], legend=alt.Legend(labelLimit=400)),
        )
    )
    return chart
