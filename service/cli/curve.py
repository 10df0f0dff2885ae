"""``pertoken curve``: options become the body that the API would take; the answer is printed."""

from typing import Any

from service.cli.economics_options import CurveOptions
from service.cli.options import takes


@takes(CurveOptions)
def curve(options: CurveOptions) -> None:
    """Print what tokens and requests cost over one axis, where things cross, and what another cache changes.

    By default the cost of every token of the mean request, by position.
    """
    from service.cli.catalog_access import current_snapshot, now
    from service.cli.economics_body import curve_request
    from service.cli.moments import read_known_at
    from service.cli.plot_files import check_plot

    check_plot(options.plot)
    snapshot = current_snapshot()
    request = curve_request(options, lambda text: read_known_at(text, snapshot))

    from service.application.curves import CurveDrawer
    from service.application.estimate import Estimator

    answer = CurveDrawer(Estimator()).draw(request, snapshot, now())
    if options.plot is not None:
        from service.cli.curve_plot import draw_curve

        draw_curve(answer, options.plot)
    if options.as_json:
        from service.application.render import to_json_values
        from service.cli.json_output import print_json

        print_json(to_json_values(answer))
        return
    from service.cli.curve_text import curve_text

    print(curve_text(answer))


def register(app: Any) -> None:
    """Add the command to the application."""
    app.command("curve")(curve)
