"""``pertoken estimate``: options become the body that the API would take; the answer is printed."""

from typing import Any

from service.cli.options import takes
from service.cli.pool_options import PooledEstimateOptions


@takes(PooledEstimateOptions)
def estimate(options: PooledEstimateOptions) -> None:
    """Print what one token of each kind costs, why, and what providers charge.

    MODEL and ACCELERATOR alone are enough; what was chosen for you is listed.
    """
    from service.cli.catalog_access import current_snapshot, now
    from service.cli.moments import read_known_at
    from service.cli.pool_body import pooled_body_of
    from service.cli.request_body import read_estimate_request

    body = pooled_body_of(options)
    snapshot = current_snapshot()
    request = read_estimate_request(body, lambda text: read_known_at(text, snapshot))

    from service.application.estimate import estimate as run_estimate

    answer = run_estimate(request, snapshot, now())
    if options.as_json:
        from service.application.render import to_json_values
        from service.cli.json_output import print_json

        print_json(to_json_values(answer))
        return
    from service.cli.estimate_text import estimate_text

    print(estimate_text(answer))


def register(app: Any) -> None:
    """Add the command to the application."""
    app.command("estimate")(estimate)
