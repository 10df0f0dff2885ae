"""``python -m essay``: write the page and its plots."""

import sys

from essay.charts import draw_charts
from essay.figures import all_figures
from essay.places import PAGE, PLOTS, TEMPLATE
from essay.render import render
from essay.workshop import own_workshop


def main() -> None:
    """Write everything, or nothing where a sentence would be false."""
    with own_workshop() as workshop:
        figures = all_figures(workshop)
    page = render(TEMPLATE.read_text(encoding="utf-8"), figures.tree)
    plots = draw_charts(figures.rows, figures.marks)
    PAGE.write_text(page, encoding="utf-8")
    PLOTS.mkdir(exist_ok=True)
    for name, svg in plots.items():
        (PLOTS / f"{name}.svg").write_text(svg, encoding="utf-8")
    sys.stdout.write(f"{PAGE.name} and {len(plots)} plots\n")


if __name__ == "__main__":
    main()
