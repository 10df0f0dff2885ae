"""A curve as a page of plain text for a person."""

from collections.abc import Iterator, Sequence

from service.application.curve_answers import Counterfactual, Crossover, CurveAnswer
from service.cli.answer_pages import heading, paragraph, sources
from service.cli.tables import figure, pairs, table, wrapped

SHOWN_POINTS = 21
"""Rows of the table; all points are in ``--json`` and in the plot."""


def curve_text(answer: CurveAnswer) -> str:
    """Return the whole page, sections parted by empty lines."""
    return "\n\n".join(section for section in _sections(answer) if section)


def _sections(answer: CurveAnswer) -> Iterator[str]:
    yield heading(answer.model, answer.accelerator, answer.operating_point)
    yield _points(answer)
    yield "Where things cross\n" + pairs([(_place(row), row.meaning) for row in answer.crossovers])
    yield _counterfactuals(answer)
    yield paragraph("Why", answer.explanation)
    yield paragraph("Mind", answer.warnings)
    chosen = answer.resolved.get("defaulted", ())
    yield sources(answer.provenance, answer.digest, [str(one) for one in _as_list(chosen)])


def _points(answer: CurveAnswer) -> str:
    count = len(answer.x)
    shown = sorted({round(i * (count - 1) / (SHOWN_POINTS - 1)) for i in range(SHOWN_POINTS)})
    names = list(answer.series)
    titles = [answer.axis.replace("_", " "), *(name.replace("_", " ") for name in names)]
    rows = [(figure(answer.x[i], 6), *(figure(answer.series[name][i]) for name in names)) for i in shown]
    of = answer.request
    lines = [
        f"Over {answer.axis_unit}" + ("" if count == len(shown) else f" ({len(shown)} of {count} points)")
    ]
    if of is not None:
        lines.append(
            f"A request of {figure(of.input_tokens, 9)} tokens in, {figure(of.cached_tokens, 9)} of them "
            f"cached, and {figure(of.output_tokens, 9)} out"
        )
    lines += [table(titles, rows), wrapped(_units(answer), "  ")]
    check = answer.conservation
    if check is not None:
        lines.append(
            f"all positions add up to {check.currency} {figure(check.sum_per_request, 6)}; the request costs "
            f"{figure(check.bill_per_request, 6)}"
        )
    return "\n".join(lines)


def _place(row: Crossover) -> str:
    return "nowhere" if row.at is None else f"{figure(row.at, 9)} {row.unit}"


def _units(answer: CurveAnswer) -> str:
    """Return which columns are in which unit."""
    columns: dict[str, list[str]] = {}
    for name in answer.series:
        columns.setdefault(unit_of(answer, name), []).append(name.replace("_", " "))
    return "; ".join(f"{', '.join(names)}: {unit}" for unit, names in columns.items())


def unit_of(answer: CurveAnswer, name: str) -> str:
    """Return the unit of a series, with the currency where it is money."""
    unit = answer.units[name]
    return f"{answer.currency} {unit}" if unit.startswith("per ") else unit


def _counterfactuals(answer: CurveAnswer) -> str:
    if not answer.counterfactuals:
        return ""
    titles = ("with", "per request", "x actual", "input", "cached", "output", "out:in", "batch")
    lines = [f"With another cache, {answer.currency} per request and per million tokens"]
    lines.append(table(titles, [_counterfactual(row) for row in answer.counterfactuals]))
    lines += [f"  {row.kind}: {row.infeasible}" for row in answer.counterfactuals if row.infeasible]
    return "\n".join(lines)


def _counterfactual(row: Counterfactual) -> tuple[str, ...]:
    rates = row.per_million_tokens
    return (
        f"{row.kind.replace('_', ' ')} {row.value}".strip(),
        figure(row.cost_per_request),
        figure(row.cost_over_actual),
        *(figure(rates.get(kind)) for kind in ("uncached_input", "cached_input", "output")),
        figure(row.output_to_input_ratio, 3),
        figure(row.batch),
    )


def _as_list(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()
