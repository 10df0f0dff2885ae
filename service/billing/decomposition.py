"""From what a provider reports to what is charged: wholes less the parts that are charged apart."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import combinations

from service.billing.errors import UsageError
from service.billing.meters import fallback_of, is_part_of, joint_properties, properties_of
from service.billing.resolution import FALLBACKS

Quantity = int | Decimal


@dataclass(frozen=True, slots=True)
class Share:
    """One meter that is charged, and the charged meters that are parts of it."""

    meter: str
    parts: tuple[int, ...]
    """Positions, in the same decomposition, of the meters whose quantities are taken out; all earlier."""


@dataclass(frozen=True, slots=True)
class Decomposition:
    """Which of the reported meters are charged apart; the others are counted in their wholes."""

    shares: tuple[Share, ...]
    """Parts before wholes."""
    folded: tuple[tuple[str, str], ...]
    """A reported meter without a price of its own, and the meter in which its units are charged."""

    def quantities(self, reported: Mapping[str, Quantity]) -> list[Quantity]:
        """Return what is charged of each share.

        Raises
        ------
        UsageError
            If parts exceed their whole.
        """
        left: list[Quantity] = []
        for share in self.shares:
            quantity = reported.get(share.meter, 0)
            for position in share.parts:
                quantity -= left[position]
            if quantity < 0:
                raise UsageError(
                    f"The parts of {share.meter} exceed its {reported.get(share.meter, 0)} by {-quantity}; "
                    "a whole includes its parts, so cached tokens are counted in input as well.",
                    accepted={
                        "meter": share.meter,
                        "parts": [self.shares[position].meter for position in share.parts],
                    },
                )
            left.append(quantity)
        return left


@lru_cache(maxsize=4096)
def decompose(reported: frozenset[str], priced: frozenset[str]) -> Decomposition:
    """Choose the meters to charge.

    Parameters
    ----------
    reported
        Meters of the usage with a quantity above zero.
    priced
        Those of them that a price row of their own matches.

    Raises
    ------
    UsageError
        If two charged meters may count the same units and the usage does not say how many.
    """
    charged = {meter for meter in reported if meter in priced or meter in FALLBACKS or _is_whole(meter)}
    for one, other in combinations(sorted(charged), 2):
        charged |= _shared(one, other, reported)
    ordered = sorted(charged, key=lambda meter: (-len(properties_of(meter)), meter))
    position = {meter: index for index, meter in enumerate(ordered)}
    shares = tuple(
        Share(meter, tuple(position[part] for part in ordered if is_part_of(part, meter)))
        for meter in ordered
    )
    folded = tuple((meter, _counted_in(meter, charged)) for meter in sorted(reported - charged))
    return Decomposition(shares, folded)


def with_wholes(reported: Mapping[str, Quantity]) -> dict[str, Quantity]:
    """Return the usage without zeros, each part's missing whole filled in.

    A caller may state ``cache_read`` alone; the input is then at least that.
    """
    present = {meter: quantity for meter, quantity in reported.items() if quantity}
    for whole, parts in _missing_wholes(tuple(present)):
        present[whole] = sum((present[part] for part in parts), start=0)
    return present


@lru_cache(maxsize=4096)
def _missing_wholes(present: tuple[str, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return each whole that is not reported, with the reported parts that make it up."""
    wholes = dict.fromkeys(_whole_of(meter) for meter in present)
    return tuple((whole, tuple(_outermost(present, whole))) for whole in wholes if whole not in present)


def _outermost(present: Iterable[str], whole: str) -> list[str]:
    parts = [meter for meter in present if is_part_of(meter, whole)]
    return [part for part in parts if not any(is_part_of(part, other) for other in parts)]


def _is_whole(meter: str) -> bool:
    return _whole_of(meter) == meter


@lru_cache(maxsize=1024)
def _whole_of(meter: str) -> str:
    kinds = dict(properties_of(meter))
    if kinds.get("unit") == "token":
        return kinds["direction"]
    return "input_document_pages" if kinds.get("unit") == "page" else meter


def _shared(one: str, other: str, reported: frozenset[str]) -> set[str]:
    """Return the reported meter of what two charged meters share, if they can share anything."""
    joint = joint_properties(one, other)
    if joint is None or joint in (properties_of(one), properties_of(other)):
        return set()
    common = {meter for meter in reported if properties_of(meter) == joint}
    if not common and not _kept_apart(joint, reported):
        raise UsageError(
            f"{one} and {other} may count the same tokens, and the usage does not say how many.",
            accepted={"state": sorted(f"{name}={value}" for name, value in joint)},
        )
    return common


def _kept_apart(joint: frozenset[tuple[str, str]], reported: frozenset[str]) -> bool:
    """Return whether the usage splits the shared use by modality and leaves this modality out.

    A provider that says which modalities were cached, and does not name audio, cached no audio.
    """
    use = frozenset(item for item in joint if item[0] != "modality")
    return any(
        properties_of(meter) > use and dict(properties_of(meter)).keys() == dict(joint).keys()
        for meter in reported
    )


def _counted_in(meter: str, charged: set[str]) -> str:
    name: str | None = meter
    while name is not None and name not in charged:
        name = fallback_of(name)
    return name or _whole_of(meter)
