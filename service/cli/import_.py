"""``pertoken import``: prices from a source, previewed or applied."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from service.cli.lists import JSON_OPTION

EXIT_REJECTED: Final = 2
EXIT_HELD: Final = 3
SHOWN: Final = 20
"""Lines of each kind that are printed; ``--json`` has them all."""


def import_prices(
    source: Annotated[
        str,
        typer.Argument(
            help="genai-prices, litellm, openrouter, skypilot, gpuhunt, or the path of an own .yaml or .csv."
        ),
    ],
    place: Annotated[
        str | None, typer.Option("--from", metavar="FILE|URL", help="Where the source lies.")
    ] = None,
    provider: Annotated[
        str | None, typer.Option(help="Whose prices a file of skypilot or gpuhunt has.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change; change nothing.")
    ] = False,
    despite_hold: Annotated[
        bool, typer.Option("--despite-hold", help="Apply what would be held; look at a --dry-run first.")
    ] = False,
    as_json: JSON_OPTION = False,
) -> None:
    """Import prices: print what is added, changed, withdrawn, rejected and held, and where sources disagree.

    The exit code is 2 where the source is rejected and 3 where it is held for a person to look at.
    """
    from service import bootstrap
    from service.cli.catalog_access import load_settings, tell
    from service.cli.json_output import print_json

    request = bootstrap.import_request(source, place, provider, dry_run=dry_run, despite_hold=despite_hold)
    report = bootstrap.import_prices(load_settings(), request, tell)
    if as_json:
        print_json(_values(report))
    else:
        print("\n".join(_lines(report)))
    held = report.plan is not None and bool(report.plan.held) and report.state in ("held", "preview")
    if report.state == "rejected" or held:
        raise typer.Exit(EXIT_HELD if held else EXIT_REJECTED)


def _lines(report: Any) -> list[str]:
    """Return the report as a person reads it."""
    revision = "" if report.revision is None else f" as revision r{report.revision}"
    lines = [f"{report.state}{revision} (content sha256 {report.content_digest[:12]})"]
    plan = report.plan
    if plan is None:
        return lines
    counts = plan.counts() | {"disagreements": len(report.disagreements)}
    lines.append(", ".join(f"{count} {name}" for name, count in counts.items()))
    lines += _section("added", [f"{change.what}: {change.after}" for change in plan.added])
    lines += _section("changed", [_changed(change) for change in plan.changed])
    lines += _section("withdrawn", [f"{change.what}: was {change.before}" for change in plan.withdrawn])
    lines += _section("rejected", [f"{row.origin}: {row.reason}" for row in plan.rejected])
    lines += _section("held", list(plan.held))
    lines += _section("sources disagree", [_disagreement(item) for item in report.disagreements])
    return lines


def _section(title: str, texts: Sequence[str]) -> list[str]:
    if not texts:
        return []
    more = [f"  ... and {len(texts) - SHOWN} more"] if len(texts) > SHOWN else []
    return [f"{title}:", *(f"  {text}" for text in texts[:SHOWN]), *more]


def _changed(change: Any) -> str:
    percent = "" if change.percent is None else f" ({change.percent})"
    return f"{change.what}: {change.before or 'nothing'} -> {change.after or 'nothing'}{percent}"


def _disagreement(item: Any) -> str:
    from service.application.render import render_decimal

    mine, other = render_decimal(item.amount), render_decimal(item.other_amount)
    return (
        f"{item.what}: {item.source} {mine}, {item.other_source} {other} per {item.per}; "
        f"{item.decides} counts ({item.because})"
    )


def _values(report: Any) -> dict[str, Any]:
    """Return the report as JSON values, nothing left out."""
    from dataclasses import asdict

    from service.application.render import to_json_values

    plan = report.plan
    values: dict[str, Any] = {
        "state": report.state,
        "revision": report.revision,
        "content_sha256": report.content_digest,
        "disagreements": [to_json_values(item) for item in report.disagreements],
    }
    if plan is not None:
        values["counts"] = plan.counts()
        for name in ("added", "changed", "withdrawn", "rejected"):
            values[name] = [asdict(item) for item in getattr(plan, name)]
        values["held"] = list(plan.held)
    return values


def register(app: Any) -> None:
    """Add the command to the application."""
    app.command("import")(import_prices)
