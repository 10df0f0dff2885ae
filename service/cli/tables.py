"""Figures and tables as plain text, aligned for a person; no colour, so a pipe gets the same bytes."""

import re
import textwrap
from collections.abc import Sequence
from decimal import Decimal

from service.engine.units import GIGA

LINE_LENGTH = 110
"""Fixed, so that a page reads the same in every terminal and in documents."""

_NUMBER = re.compile(r"[-+]?[0-9][0-9.,]*( ?[%x])?")


def figure(value: float | Decimal | None, digits: int = 4) -> str:
    """Return a number in plain notation with so many significant digits; a dash where there is none."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    return format(Decimal(f"{value:.{digits}g}"), "f")


def amount(value: Decimal | None) -> str:
    """Return an exact amount with all its digits."""
    if value is None:
        return "-"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float | None) -> str:
    """Return a share as a whole percentage."""
    if share is None:
        return "-"
    text = f"{100 * share:.0f}"
    return "0 %" if text == "-0" else f"{text} %"


def gigabytes(size_bytes: float) -> str:
    """Return bytes as GB, 10**9."""
    return f"{figure(size_bytes / GIGA)} GB"


def duration(seconds: float) -> str:
    """Return a time in seconds, or in milliseconds below a tenth of one."""
    return f"{figure(seconds)} s" if seconds >= 0.1 else f"{figure(1000 * seconds)} ms"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return aligned lines under titles; columns of numbers to the right.

    Raises
    ------
    ValueError
        Where a row has more or fewer cells than there are titles.
    """
    columns = list(zip(titles, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    to_right = [_is_numeric(column[1:]) for column in columns]

    def line(cells: Sequence[str]) -> str:
        placed = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, to_right, strict=True)
        )
        return "  ".join(placed).rstrip()

    return "\n".join([line(titles), line(["-" * width for width in widths]), *map(line, rows)])


def pairs(values: Sequence[tuple[str, str]], indent: str = "  ") -> str:
    """Return one aligned ``name  value`` line for each pair."""
    width = max((len(name) for name, _ in values), default=0)
    hanging = " " * (len(indent) + width + 2)
    return "\n".join(wrapped(f"{indent}{name.ljust(width)}  {value}", hanging) for name, value in values)


def wrapped(text: str, hanging: str) -> str:
    """Return a line broken at 110 characters, what follows hanging below its beginning."""
    lines = textwrap.wrap(
        text.lstrip(),
        LINE_LENGTH,
        initial_indent=text[: len(text) - len(text.lstrip())],
        subsequent_indent=hanging,
        drop_whitespace=True,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines)


def _is_numeric(cells: Sequence[str]) -> bool:
    said = [cell for cell in cells if cell not in ("", "-")]
    return bool(said) and all(_NUMBER.fullmatch(cell) for cell in said)
