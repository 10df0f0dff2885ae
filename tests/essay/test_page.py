"""What is committed is what the engine says today, but for rounding. ``make examples`` writes it again."""

import re

from essay.charts import draw_charts
from essay.figures import Figures
from essay.places import PAGE, PLOTS, TEMPLATE
from essay.render import render, same_but_for_rounding

PIXELS = 1.5
"""By which a drawing may differ where another font is measured."""


def test_the_page_says_what_the_engine_says(figures: Figures) -> None:
    written = render(TEMPLATE.read_text(encoding="utf-8"), figures.tree)
    committed = PAGE.read_text(encoding="utf-8")
    if not same_but_for_rounding(committed, written):
        assert committed == written  # shows where


def test_the_plots_show_what_the_engine_says(figures: Figures) -> None:
    for name, svg in draw_charts(figures.rows, figures.marks).items():
        committed = (PLOTS / f"{name}.svg").read_text(encoding="utf-8")
        assert same_but_for_rounding(committed, svg, PIXELS), f"{name}.svg is not today's"


def test_every_plot_is_shown_and_described() -> None:
    text = PAGE.read_text(encoding="utf-8")
    shown = {path: words for words, path in re.findall(r"!\[([^]]+)\]\(([^)]+)\)", text)}
    assert sorted(shown) == sorted(f"{PLOTS.name}/{path.name}" for path in PLOTS.iterdir())
    assert all(len(words) > 30 for words in shown.values())


def test_a_plot_refers_to_nothing_outside_itself() -> None:
    for path in PLOTS.glob("*.svg"):
        svg = path.read_text(encoding="utf-8")
        for reference in re.findall(r'(?:href|src)="([^"]*)"', svg):
            assert reference.startswith("#"), path.name
        assert "<script" not in svg
