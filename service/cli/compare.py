"""``pertoken compare``: options become the body that the API would take; the answer is printed."""

from typing import Any

from service.cli.economics_options import CompareOptions
from service.cli.options import takes


@takes(CompareOptions)
def compare(options: CompareOptions) -> None:
    """Print the modelled cost beside every provider's list prices: margins, implied utilisation, rank.

    A closed model is compared under an architecture that you assume: --config and --priced-as.
    """
    from service.cli.catalog_access import current_snapshot, now
    from service.cli.economics_body import compare_request
    from service.cli.moments import read_known_at
    from service.cli.plot_files import check_plot

    check_plot(options.plot)
    snapshot = current_snapshot()
    request = compare_request(options, lambda text: read_known_at(text, snapshot))

    from service.application.comparisons import Comparer
    from service.application.estimate import Estimator

    answer = Comparer(Estimator()).compare(request, snapshot, now())
    if options.plot is not None:
        from service.cli.compare_plot import draw_compare

        draw_compare(answer, options.plot)
    if options.as_json:
        from service.application.render import to_json_values
        from service.cli.json_output import print_json

        print_json(to_json_values(answer))
        return
    from service.cli.compare_text import compare_text

    print(compare_text(answer))


def register(app: Any) -> None:
    """Add the command to the application."""
    app.command("compare")(compare)
