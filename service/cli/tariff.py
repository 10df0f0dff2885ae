"""``pertoken tariff``: options become the body that the API would take; the answer is printed."""

from typing import Any

from service.cli.economics_options import TariffOptions
from service.cli.options import takes


@takes(TariffOptions)
def tariff(options: TariffOptions) -> None:
    """Print the fair linear tariff of a mix or a trace, and what it and list prices do to its requests.

    Also the surcharge of long outputs, the discount of a cache hit, kept prefixes and flat plans.
    """
    from service.cli.catalog_access import current_snapshot, now
    from service.cli.economics_body import tariff_request
    from service.cli.moments import read_known_at
    from service.cli.plot_files import check_plot

    check_plot(options.plot)
    snapshot = current_snapshot()
    request = tariff_request(options, lambda text: read_known_at(text, snapshot))

    from service.application.estimate import Estimator
    from service.application.tariffs import TariffMaker

    answer = TariffMaker(Estimator()).make(request, snapshot, now())
    if options.plot is not None:
        from service.cli.tariff_plot import draw_tariff

        draw_tariff(answer, options.plot)
    if options.as_json:
        from service.application.render import to_json_values
        from service.cli.json_output import print_json

        print_json(to_json_values(answer))
        return
    from service.cli.tariff_text import tariff_text

    print(tariff_text(answer))


def register(app: Any) -> None:
    """Add the command to the application."""
    app.command("tariff")(tariff)
