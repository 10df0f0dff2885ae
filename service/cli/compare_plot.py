"""A comparison as a picture: prices of the mix beside its cost, and ratios over the catalog."""

from pathlib import Path

import altair as alt

from service.application.compare_answers import AcrossModels, CompareAnswer
from service.application.errors import InvalidRequestError
from service.cli.charts import Panel, chart_of, mark_over, save

WIDTH, HEIGHT = 560, 420
BAR = 16


def draw_compare(answer: CompareAnswer, path: Path) -> None:
    """Draw what each provider asks for a request of the mix, and where asked the ratios of all models.

    Raises
    ------
    InvalidRequestError
        Where there is no price to draw.
    """
    panels: list[Panel] = []
    if any(row.listing.rank is not None for row in answer.listings):
        panels.append(_prices(answer))
    if answer.across_models is not None and answer.across_models.compared:
        panels.append(_ratios(answer.across_models))
    if not panels:
        raise InvalidRequestError(
            f"No provider's price of {answer.model} can be drawn; --across-models has others.", field="plot"
        )
    title = f"{answer.model} on {answer.accelerator}"
    save(panels, title, path)


def _prices(answer: CompareAnswer) -> Panel:
    rows = [
        {
            "offer": f"{row.listing.offer.provider}: {row.listing.offer.provider_model_id}",
            "price": float(row.listing.price_per_request or 0),
            "rank": row.listing.rank,
        }
        for row in answer.listings
        if row.listing.rank is not None
    ]
    unit = f"{answer.currency} per request"
    bars = (
        chart_of(rows, WIDTH, max(len(rows), 2) * BAR)
        .mark_bar(color="lightsteelblue")
        .encode(
            x=alt.X("price:Q", title=unit, axis=alt.Axis(tickCount=6)),
            y=alt.Y("offer:N", title=None, sort=alt.EncodingSortField("rank"), axis=alt.Axis(labelLimit=320)),
        )
    )
    wanted = answer.cost_per_request / (1.0 - answer.target_margin)
    marks = [
        {"at": answer.cost_per_request, "what": "modelled cost"},
        {"at": wanted, "what": f"price that leaves {answer.target_margin:.0%}"},
    ]
    rules = (
        mark_over(marks)
        .mark_rule(size=2)
        .encode(x="at:Q", color=alt.Color("what:N", title=None, sort=[str(one["what"]) for one in marks]))
    )
    return alt.layer(bars, rules)


def _ratios(across: AcrossModels) -> Panel:
    pairs = [
        (row.model, row.modelled_ratio, row.listed_ratio_median)
        for row in across.models
        if row.modelled_ratio is not None and row.listed_ratio_median is not None
    ]
    rows = [{"model": model, "modelled": modelled, "listed": listed} for model, modelled, listed in pairs]
    across_x, across_y = ([low / 1.1, high * 1.4] for low, high in _ranges(pairs))
    points = chart_of(rows, WIDTH, HEIGHT).encode(
        x=alt.X("modelled:Q", title="modelled output : input", scale=_scale(across_x)),
        y=alt.Y("listed:Q", title="listed output : input (median)", scale=_scale(across_y)),
    )
    ends = [max(across_x[0], across_y[0]), min(across_x[1], across_y[1])]
    names = points.mark_text(align="left", dx=5, fontSize=8, angle=325).encode(text="model:N")
    same = (
        mark_over([{"modelled": end, "listed": end} for end in ends])
        .mark_line(strokeDash=[4, 4], color="grey")
        .encode(x="modelled:Q", y="listed:Q")
    )
    return alt.layer(same, points.mark_circle(), names)


def _ranges(pairs: list[tuple[str, float, float]]) -> list[tuple[float, float]]:
    _, modelled, listed = zip(*pairs, strict=True)
    return [(min(modelled), max(modelled)), (min(listed), max(listed))]


def _scale(domain: list[float]) -> alt.Scale:
    return alt.Scale(type="log", domain=domain, nice=False)
