"""Named adjustments of a charge: each scales the components it names and shows as a line of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact
from typing import Final, Literal

from service.billing.charges import ChargeLine
from service.billing.errors import AdjustmentError
from service.billing.money import MAX_FRACTION_DIGITS

AdjustmentKind = Literal["discount", "margin", "markup"]
_HUNDRED: Final = Decimal(100)
_STEP: Final = Decimal(1).scaleb(-MAX_FRACTION_DIGITS)


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A percentage with a name, of some meters or of all."""

    name: str
    kind: AdjustmentKind
    """``discount`` takes the percentage off, ``markup`` puts it on, ``margin`` makes it that share of
    the price that results."""
    percent: Decimal
    meters: tuple[str, ...] | None = None
    """The lines that it scales; all where None."""


@dataclass(frozen=True, slots=True)
class AdjustmentLine:
    """What an adjustment adds to the total or takes off it."""

    name: str
    kind: AdjustmentKind
    percent: Decimal
    base: Decimal
    """Sum of the lines it scales, earlier adjustments included."""
    amount: Decimal
    exact: bool
    """False where a margin has no finite decimal and 18 fraction digits were kept."""


def adjust(lines: Sequence[ChargeLine], adjustments: Sequence[Adjustment]) -> tuple[AdjustmentLine, ...]:
    """Return one line for each adjustment, in their order.

    Each scales what the lines have become under those before it: a margin after a discount is one on
    the discounted price.

    Raises
    ------
    AdjustmentError
        If a percentage is not finite, negative, or (of a discount or margin) leaves no price.
    """
    amounts = [line.charge for line in lines]
    found: list[AdjustmentLine] = []
    for adjustment in adjustments:
        context = Context(prec=120, rounding=ROUND_HALF_EVEN)
        numerator, denominator = _factor(adjustment)
        base, added = Decimal(0), Decimal(0)
        for index, line in enumerate(lines):
            if adjustment.meters is not None and line.rate.meter not in adjustment.meters:
                continue
            change = context.divide(context.multiply(amounts[index], numerator), denominator)
            if context.flags[Inexact]:
                change = context.quantize(change, _STEP)
            base = context.add(base, amounts[index])
            amounts[index] = context.add(amounts[index], change)
            added = context.add(added, change)
        found.append(
            AdjustmentLine(
                adjustment.name,
                adjustment.kind,
                adjustment.percent,
                base,
                added,
                not context.flags[Inexact],
            )
        )
    return tuple(found)


def _factor(adjustment: Adjustment) -> tuple[Decimal, Decimal]:
    """Return what the base is multiplied by, as a fraction."""
    percent = adjustment.percent
    if not percent.is_finite() or percent < 0:
        raise AdjustmentError(f"{adjustment.name}: {percent} % is not zero or more.")
    if adjustment.kind == "markup":
        return percent, _HUNDRED
    if adjustment.kind == "discount":
        if percent > _HUNDRED:
            raise AdjustmentError(f"{adjustment.name}: a discount of {percent} % is more than the price.")
        return -percent, _HUNDRED
    if percent >= _HUNDRED:
        raise AdjustmentError(
            f"{adjustment.name}: a margin of {percent} % leaves no cost; below 100 is wanted."
        )
    return percent, _HUNDRED - percent
