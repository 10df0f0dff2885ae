"""``pertoken usage``: what usage records are charged, from a file of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

usage = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Exact charges of usage records.")

Format = Literal["table", "json", "csv", "focus"]


@usage.command("price")
def price(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="One record as JSON, or many as NDJSON, each as POST /v1/usage/price takes it.",
        ),
    ],
    output: Annotated[
        Format,
        typer.Option(
            "--format", help="table; json, one answer a line; csv; focus, FinOps FOCUS 1.2 columns."
        ),
    ] = "table",
) -> None:
    """Print what each record of FILE is charged, by which rows, and the total by currency."""
    from service import bootstrap
    from service.cli.catalog_access import current_snapshot, now
    from service.cli.usage_body import read_usage_records

    snapshot = current_snapshot()
    pricer = bootstrap.usage_pricer()
    moment = now()
    answers = (pricer.price(record, snapshot, moment) for record in read_usage_records(file, snapshot))
    if output == "json":
        _print_json(answers)
    elif output == "table":
        _print_table(answers)
    else:
        _print_csv(answers, output)


def _print_json(answers: Iterator[Any]) -> None:
    from service.application.usage_json import UsageEncoder

    encoder = UsageEncoder()
    for answer in answers:
        print(encoder.encode(answer).decode())


def _print_csv(answers: Iterator[Any], output: Format) -> None:
    from service.application.usage_csv import FOCUS_COLUMNS, PLAIN_COLUMNS, csv_text, focus_rows, plain_rows

    columns, rows = (FOCUS_COLUMNS, focus_rows) if output == "focus" else (PLAIN_COLUMNS, plain_rows)
    print(",".join(columns), end="\r\n")
    for answer in answers:
        print(csv_text(columns, rows(answer)), end="")


def _print_table(answers: Iterator[Any]) -> None:
    from decimal import Decimal

    from service.billing.money import total
    from service.cli.tables import amount, table

    rows: list[list[str]] = []
    totals: dict[str, Decimal] = {}
    for number, answer in enumerate(answers, 1):
        name = answer.reference or str(number)
        listing = f"{answer.provider}/{answer.model}"
        for line in answer.lines:
            unit = f"{amount(line.price.amount)} per {line.price.per}"
            basis = f"{line.price.source}, {line.price.valid_from_basis}"
            cells = [" -> ".join(line.priced_as), amount(line.quantity), unit, amount(line.charge), basis]
            rows.append([name, listing, *cells])
        for item in answer.adjustments:
            share = f"{amount(item.percent)} % {item.kind}"
            rows.append([name, listing, item.name, "", share, amount(item.charge), ""])
        totals[answer.currency] = total((totals.get(answer.currency, Decimal(0)), answer.total))
    print(table(["record", "listing", "meter", "quantity", "price", "charge", "source"], rows))
    for currency, charge in totals.items():
        print(f"total {amount(charge)} {currency}")


def register(app: Any) -> None:
    """Add the commands to the application."""
    app.add_typer(usage, name="usage")
