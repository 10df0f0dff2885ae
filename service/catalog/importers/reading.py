"""What adapters share: hostile bytes to plain values, rates to drafts, each refusal with its reason."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from service.application.ports import Price, Selector
from service.billing.errors import BillingError
from service.billing.money import rate_from_source
from service.billing.selectors import selector_from_mapping
from service.catalog.drafts import ImportBatch, ListPriceDraft, PriceDraft, RejectedDraft

MAX_ROWS: Final = 500_000
MAX_DEPTH: Final = 64
MAX_CELL_CHARACTERS: Final = 131_072
_TOKENS_PER_MILLION: Final = Decimal(1_000_000)
_LONGEST_ORIGIN: Final = 200
_NUMERAL: Final = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][-+]?[0-9]{1,4})?", re.ASCII)


class SourceError(ValueError):
    """A source as a whole cannot be read; nothing of it is imported."""


@dataclass(frozen=True, slots=True)
class ReadContext:
    """What an adapter is told beside the bytes."""

    source: str
    """Id of the source registry under which rows are kept."""
    observed_at: datetime
    """First instant of undated prices, basis ``observed``."""
    content_digest: str
    accelerators: Mapping[str, str]
    """Id by id and alias, lower case."""
    provider: str | None = None
    """Whose prices these are, where the file does not say."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """How one kind of source is read."""

    name: str
    read: Callable[[bytes, ReadContext], ImportBatch]
    source: str | None
    """Source id of its rows; None where the rows name theirs."""
    url: str | None = None
    """Where it is published, if it is one file."""
    complete: bool = False
    """Whether one reading has all rows of the source, so that absence means withdrawal."""
    needs_provider: bool = False
    packaged: bool = False
    """Whether it is an installed package, so that there are no bytes to hand over."""


Row = PriceDraft | RejectedDraft


def batch_of(rows: Iterator[Row], context: ReadContext, *, complete: bool = False) -> ImportBatch:
    """Return one reading as a batch.

    Raises
    ------
    SourceError
        Where the source has no row at all, or more than are admitted.
    """
    drafts: list[PriceDraft] = []
    rejected: list[RejectedDraft] = []
    for row in rows:
        if isinstance(row, RejectedDraft):
            rejected.append(RejectedDraft(row.origin[:_LONGEST_ORIGIN], row.reason[:_LONGEST_ORIGIN]))
        else:
            drafts.append(row)
        if len(drafts) + len(rejected) > MAX_ROWS:
            raise SourceError(f"The source has more than {MAX_ROWS} rows.")
    if not drafts and not rejected:
        raise SourceError("The source has no rows.")
    return ImportBatch(
        name=context.source if context.provider is None else f"{context.source}/{context.provider}",
        observed_at=context.observed_at,
        content_digest=context.content_digest,
        drafts=tuple(drafts),
        rejected=tuple(rejected),
        complete_sources=frozenset({context.source} if complete else ()),
    )


def read_text(content: bytes) -> str:
    """Return the text of a source.

    Raises
    ------
    SourceError
        Where it is empty, not UTF-8, holds NUL, or is a web page.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"The source is not UTF-8: byte {error.start} is unreadable.") from error
    if "\0" in text:
        raise SourceError("The source holds NUL bytes; it is no text.")
    start = text.lstrip()[:200].lower()
    if not start:
        raise SourceError("The source is empty.")
    if start.startswith("<"):
        raise SourceError("The source is a web page or XML, not data; the address may want a login.")
    return text


def read_json(content: bytes) -> Any:
    """Return a JSON document: numbers with a fraction exact, no key twice, no NaN.

    Raises
    ------
    SourceError
        Naming the place, where the text is not such JSON, or ends early.
    """
    text = read_text(content)
    _check_depth(text)
    try:
        return json.loads(
            text, parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_unique_pairs
        )
    except json.JSONDecodeError as error:
        cut = " The text ends early; half a file?" if error.pos >= len(text.rstrip()) - 1 else ""
        raise SourceError(f"The source is not JSON: {error}.{cut}") from error
    except RecursionError as error:
        raise SourceError("The source is nested too deep.") from error


def _check_depth(text: str) -> None:
    depth = 0
    in_string = escaped = False
    for character in text:
        if in_string:
            in_string = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise SourceError(f"The source is nested deeper than {MAX_DEPTH} levels.")
        elif character in "]}":
            depth -= 1


def _refuse_constant(name: str) -> Any:
    raise SourceError(f"The source holds {name}, which is no number.")


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise SourceError(f"The key {twice[:80]!r} appears twice in one object.")
    return result


def read_csv(content: bytes, wanted: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str] | str]]:
    """Yield each row by its line number: its cells by column, or why it cannot be read.

    Raises
    ------
    SourceError
        Where the header lacks a wanted column or names one twice.
    """
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    reader = csv.reader(io.StringIO(read_text(content), newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader)]
    except csv.Error as error:
        raise SourceError(f"The header is not CSV: {error}.") from error
    missing = [name for name in wanted if name not in header]
    if missing:
        raise SourceError(
            f"The table lacks the column {' and '.join(missing)}; it has {', '.join(header)[:200]}."
        )
    if len(set(header)) < len(header):
        raise SourceError("A column of the table appears twice.")
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, f"not CSV: {error}; half a file?"
            return
        if not cells:
            continue
        if len(cells) != len(header):
            yield reader.line_num, f"{len(cells)} cells where the header has {len(header)}; half a file?"
            continue
        yield reader.line_num, dict(zip(header, (cell.strip() for cell in cells), strict=True))


def decimal_of(value: object) -> Decimal:
    """Return an exact number from a JSON number or a numeral.

    Raises
    ------
    ValueError
        Where it is neither, not finite, or of absurd size.
    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise ValueError(f"{str(value)[:40]!r} is no number")
    # Python would read underscores and the digits of other scripts as well.
    if isinstance(value, str) and not _NUMERAL.fullmatch(value):
        raise ValueError(f"{value[:40]!r} is no number")
    try:
        number = Decimal(value)
    except ArithmeticError as error:
        raise ValueError(f"{str(value)[:40]!r} is no number") from error
    if not number.is_finite() or abs(number.adjusted()) > 30:
        raise ValueError(f"{str(value)[:40]} is not a price")
    if number < 0:
        raise ValueError(f"{str(value)[:40]} is negative")
    return number


@dataclass(frozen=True, slots=True)
class Quote:
    """One rate as a source of list prices states it."""

    provider: str
    model: str
    meter: str
    amount: Decimal
    """US dollars per single unit of the meter."""
    per: str = "million_tokens"
    unit_size: Decimal = _TOKENS_PER_MILLION
    axes: Mapping[str, object] | None = None
    note: str = ""


def list_price_row(quote: Quote, context: ReadContext, origin: str) -> Row:
    """Return a quote as a draft, or why it is none."""
    try:
        rate = rate_from_source(quote.amount * quote.unit_size)
        selector = selector_from_mapping(quote.axes) if quote.axes else Selector()
    except BillingError as error:
        return RejectedDraft(origin, error.message)
    return ListPriceDraft(
        source=context.source,
        provider=quote.provider,
        provider_model_id=quote.model,
        meter=quote.meter,
        selector=selector,
        price=Price(rate.amount, "USD", quote.per, rate.source_value),
        valid_from=context.observed_at,
        valid_from_basis="observed",
        note=quote.note,
        origin=origin[:_LONGEST_ORIGIN],
    )
