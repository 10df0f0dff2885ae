"""Fills the template: ``{{path|format}}`` is a figure, ``{{table:name}}`` a table, ``[!name]`` marks a claim.

A sentence that says more than its numbers ends in a mark; the mark names a check in :mod:`essay.claims`,
and the page is not written where the check fails.
"""

import re
import textwrap
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from essay.claims import CLAIMS

NARROW_SPACE: Final = "\u202f"
"""Between the thousands."""
FIXED_SPACE: Final = "\u00a0"
"""Before a percent sign, so that no line begins with one."""
MINUS: Final = "\u2212"
_FIGURE = re.compile(r"\{\{([^{}|:]+)(?:\|([^{}]+))?\}\}")
WIDTH: Final = 118
_VERBATIM = ("|", "    ", "#", "<!--", "![")
_FENCE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
_TABLE = re.compile(r"\{\{table:([a-z]+)\}\}")
_MARK = re.compile(r"\[!([a-z0-9_]+)\]")
_BLANK = re.compile(r"[ \n]+")
_NUMBER = re.compile(r"\d+(?:\u202f\d{3})*(?:\.\d+)?")


class FalseClaimError(Exception):
    """A sentence of the template is not true of today's figures."""


def render(template: str, figures: Mapping[str, Any]) -> str:
    """Return the page.

    Raises
    ------
    FalseClaimError
        Naming the sentences that today's figures contradict.
    KeyError, ValueError
        A figure, format, table or claim that does not exist.
    """
    _check(template, figures)
    text = _MARK.sub("", template)
    text = _TABLE.sub(lambda match: TABLES[match[1]](figures), text)
    text = _FIGURE.sub(lambda match: format_figure(look_up(figures, match[1]), match[2] or "word"), text)
    return reflow(text)


def reflow(text: str) -> str:
    """Wrap paragraphs and list items, whose lines the figures made uneven; leave everything else as it is."""
    blocks = []
    for block in _FENCE.split(text):
        kept = block.startswith("```")
        blocks.append(block if kept else "\n\n".join(_wrapped(part) for part in block.split("\n\n")))
    return "".join(blocks)


def _wrapped(block: str) -> str:
    if block.lstrip("\n").startswith(_VERBATIM) or not block.strip("\n"):
        return block
    edge = len(block) - len(block.rstrip("\n"))
    items = re.split(r"\n(?=- )", block.strip("\n"))
    lines = [_fill(item.replace("\n", " "), "  " if item.startswith("- ") else "") for item in items]
    start = len(block) - len(block.lstrip("\n"))
    return "\n" * start + "\n".join(lines) + "\n" * edge


def _fill(text: str, indent: str) -> str:
    words = re.sub(" +", " ", text)
    return textwrap.fill(
        words, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _check(template: str, figures: Mapping[str, Any]) -> None:
    marked = _MARK.findall(template)
    if set(marked) != set(CLAIMS):
        raise ValueError(f"marked but not checked, or the reverse: {set(marked) ^ set(CLAIMS)}")
    false = [name for name in marked if not CLAIMS[name](figures)]
    if false:
        places = {name: template[: template.index(f"[!{name}]")][-160:].replace("\n", " ") for name in false}
        raise FalseClaimError("\n".join(f"{name}: ...{words}" for name, words in places.items()))


def look_up(figures: Mapping[str, Any], path: str) -> Any:
    """Return the figure at a dotted path; numbers are keys of integers."""
    found: Any = figures
    for key in path.split("."):
        found = found[int(key) if key.isdigit() and int(key) in found else key]
    return found


def significant(value: float, digits: int) -> str:
    """Return a number with so many significant digits, its thousands apart, without exponent."""
    if value == 0:
        return "0"
    exact = float(f"{value:.{digits - 1}e}")
    decimals = max(digits - 1 - int(f"{exact:e}".split("e")[1]), 0)
    return f"{exact:,.{decimals}f}".replace(",", NARROW_SPACE).replace("-", MINUS)


def percent(value: float) -> str:
    """Return a share in percent, at least two digits of it."""
    if value == 0:
        return f"0{FIXED_SPACE}%"
    digits = 2 if abs(value) < 0.0995 else len(f"{abs(value) * 100:.0f}")
    return f"{significant(value * 100, digits)}{FIXED_SPACE}%"


FORMATS: Final[Mapping[str, Callable[[Any], str]]] = {
    "word": str,
    "1": lambda value: significant(float(value), 1),
    "ms": lambda value: significant(value * 1e3, 2),
    "2": lambda value: significant(float(value), 2),
    "3": lambda value: significant(float(value), 3),
    "int": lambda value: f"{value:,.0f}".replace(",", NARROW_SPACE),
    "pct": percent,
    "signed": lambda value: f"{value:+.2f}".replace("-", MINUS),
    "signed_pct": lambda value: percent(value) if value >= 0 else MINUS + percent(-value),
    "T": lambda value: f"{value * 1e-12:.1f}",
    "G": lambda value: significant(value * 1e-9, 3),
    "GB": lambda value: significant(value * 1e-9, 3),
    "MB": lambda value: significant(value * 1e-6, 3),
    "TB": lambda value: significant(value * 1e-12, 3),
    "P": lambda value: significant(value * 1e-15, 3),
    "us": lambda value: significant(value * 1e6, 2),
    "kB": lambda value: significant(value * 1e-3, 3),
    "date": lambda value: value.date().isoformat() if isinstance(value, datetime) else str(value),
}


def format_figure(value: Any, name: str) -> str:
    """Return a figure as the template asks for it."""
    if isinstance(value, Mapping | list):
        raise TypeError(f"a figure is wanted, not {type(value).__name__}")
    return FORMATS[name](value)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _levels(figures: Mapping[str, Any]) -> str:
    return "\n".join(
        _row(
            str(level["concurrency"]),
            significant(level["per_user"], 3),
            significant(level["rates"]["uncached_input"], 3),
            significant(level["rates"]["output"], 3),
            significant(level["ratio"], 3),
        )
        for level in figures["serve"]["levels"]
    )


def _crossovers(figures: Mapping[str, Any]) -> str:
    def at(value: int | None) -> str:
        return "never" if value is None else FORMATS["int"](value)

    return "\n".join(
        _row(row["model"], at(row["per_token"]), at(row["cumulative"]), at(row["context"]))
        for row in figures["flop"]["crossovers"]
    )


def _runs(figures: Mapping[str, Any]) -> str:
    trace = figures["place"]["azure"]
    return "\n".join(
        _row(str(n), percent(trace["reach"][n]), percent(trace["join"][n])) for n in trace["reach"]
    )


def _ratios(figures: Mapping[str, Any]) -> str:
    return "\n".join(
        _row(
            row["model"],
            str(row["accelerators"]),
            significant(row["modelled"], 2),
            significant(row["listed"], 3),
            f"{significant(row['least'], 3)} to {significant(row['most'], 3)}",
            str(row["listings"]),
        )
        for row in figures["market"]["table"]
    )


def _unlisted(figures: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{row['model']} {significant(row['modelled'], 2)}" for row in figures["market"]["unlisted"]
    )


TABLES: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "levels": _levels,
    "crossovers": _crossovers,
    "runs": _runs,
    "ratios": _ratios,
    "unlisted": _unlisted,
}


def same_but_for_rounding(committed: str, written: str, slack: float = 0.0) -> bool:
    """Tell whether two texts say the same: equal words, numbers apart by one in their last digit at most.

    Parameters
    ----------
    committed, written
        The texts.
    slack
        Absolute difference of numbers that is let pass as well: pixels of a drawing.
    """
    words = [_BLANK.sub(" ", _NUMBER.sub("#", text)) for text in (committed, written)]
    if words[0] != words[1]:
        return False
    pairs = zip(_NUMBER.findall(committed), _NUMBER.findall(written), strict=True)
    return all(_near(one, other, slack) for one, other in pairs)


def _near(one: str, other: str, slack: float) -> bool:
    if one == other:
        return True
    values = [float(text.replace(NARROW_SPACE, "")) for text in (one, other)]
    decimals = min(len(text.partition(".")[2]) for text in (one, other))
    return abs(values[0] - values[1]) <= max(10.0**-decimals * 1.001, slack)
