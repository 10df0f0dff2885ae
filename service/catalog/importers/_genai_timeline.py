"""When each price of a ``genai-prices`` model is in force, by the package's own rules.

``ModelInfo.get_prices`` evaluates at one instant: of the standard prices the last active one, of the
variants, per key, the first active one. Here the same rules are evaluated over all time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import pairwise

from genai_prices import types as source

Rate = Decimal | source.TieredPrices
Constraint = source.StartDateConstraint | source.TimeOfDateConstraint | None
When = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Span:
    """Prices in force over [start, end) of UTC days; None is open."""

    start: date | None
    end: date | None
    window: tuple[str, str] | None
    """Start and end ``HH:MM`` of a daily window, UTC."""
    when: When
    """Request context that a variant is bound to, sorted; empty for standard prices."""
    prices: Mapping[str, Rate]


def base_spans(prices: source.ModelPrice | Sequence[source.ConditionalPrice]) -> Iterator[Span]:
    """Yield the standard prices: of the conditional ones the last active wins.

    A model whose first price has a start date has none before it (the package would reach forward
    to it); a daily window holds until a later entry of the list starts.
    """
    if isinstance(prices, source.ModelPrice):
        yield Span(None, None, None, (), _rates(prices))
        return
    constraints = [price.constraint for price in prices]
    for start, end, index in _runs(constraints, last_wins=True):
        yield Span(start, end, None, (), _rates(prices[index].prices))
    for index, price in enumerate(prices):
        if isinstance(price.constraint, source.TimeOfDateConstraint):
            later = [c.start_date for c in constraints[index:] if isinstance(c, source.StartDateConstraint)]
            yield Span(None, min(later, default=None), _window(price.constraint), (), _rates(price.prices))


def variant_spans(variants: Sequence[source.PriceVariant]) -> Iterator[Span]:
    """Yield the variants' prices, key by key: of those with the same context the first active wins."""
    groups: dict[When, list[source.PriceVariant]] = {}
    for variant in variants:
        groups.setdefault(tuple(sorted(variant.when.items())), []).append(variant)
    for when, members in groups.items():
        for key in dict.fromkeys(key for member in members for key in _rates(member.prices)):
            yield from _key_spans(when, key, [member for member in members if key in _rates(member.prices)])


def _key_spans(when: When, key: str, holders: Sequence[source.PriceVariant]) -> Iterator[Span]:
    """Yield the prices of one key from the variants of one context that have it."""
    rates = [_rates(holder.prices)[key] for holder in holders]
    for start, end, index in _runs([holder.constraint for holder in holders], last_wins=False):
        yield Span(start, end, None, when, {key: rates[index]})
    for holder, rate in zip(holders, rates, strict=True):
        if isinstance(holder.constraint, source.TimeOfDateConstraint):
            yield Span(None, None, _window(holder.constraint), when, {key: rate})


def _runs(
    constraints: Sequence[Constraint], *, last_wins: bool
) -> Iterator[tuple[date | None, date | None, int]]:
    """Yield [start, end) and the index of the entry that holds, daily windows aside."""
    starts = sorted({c.start_date for c in constraints if isinstance(c, source.StartDateConstraint)})
    current: tuple[date | None, int] | None = None
    for start, _ in pairwise([None, *starts, None]):
        winner = _winner(constraints, start, last_wins=last_wins)
        if current is not None and current[1] != winner:
            yield current[0], start, current[1]
        if winner is not None and (current is None or current[1] != winner):
            current = (start, winner)
    if current is not None:
        yield current[0], None, current[1]


def _winner(constraints: Sequence[Constraint], day: date | None, *, last_wins: bool) -> int | None:
    active = [
        index
        for index, constraint in enumerate(constraints)
        if constraint is None
        or (
            isinstance(constraint, source.StartDateConstraint)
            and day is not None
            and constraint.start_date <= day
        )
    ]
    return (active[-1] if last_wins else active[0]) if active else None


def _rates(prices: source.ModelPrice) -> dict[str, Rate]:
    return {key: value for key, value in vars(prices).items() if value is not None}


def _window(constraint: source.TimeOfDateConstraint) -> tuple[str, str]:
    return _utc_clock(constraint.start_time), _utc_clock(constraint.end_time)


def _utc_clock(value: time) -> str:
    if value.tzinfo is not None:
        value = datetime.combine(date(1970, 1, 1), value).astimezone(UTC).time()
    return value.isoformat("minutes")
