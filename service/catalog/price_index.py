"""Price rows in a fixed order, by what they price; a later state renews only the groups that changed."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from service.application.ports import GpuPriceRecord, ListPriceRecord

P = TypeVar("P", GpuPriceRecord, ListPriceRecord)
Group = tuple[str, ...]
Order = tuple[str | int | datetime, ...]


@dataclass(frozen=True, slots=True)
class Ordering(Generic[P]):
    """How the rows of a table are grouped, and which comes first."""

    group: Callable[[P], Group]
    order: Callable[[P], Order]
    """Begins with the group, so that groups in order make one order of all rows."""


class PriceIndex(Generic[P]):
    """All rows of a price table by group.

    Threads that answer requests share the interpreter with the one that builds this, and a sort of all rows
    is one call that keeps it: only groups are sorted, and of a later state only those with other rows.

    Parameters
    ----------
    rows
        By row id.
    ordering
        Their groups and order.
    before
        The index of an earlier state, whose rows are all among ``rows`` or were closed since.
    """

    def __init__(
        self, rows: Mapping[int, P], ordering: Ordering[P], before: "PriceIndex[P] | None" = None
    ) -> None:
        self._rows: Mapping[int, P] = rows
        known: Mapping[int, P] = {} if before is None else before._rows
        self._groups: dict[Group, tuple[P, ...]] = {} if before is None else dict(before._groups)
        if rows is known:
            return
        renewed: dict[Group, dict[int, P]] = defaultdict(dict)
        for number, row in rows.items():
            if known.get(number) is not row:
                renewed[ordering.group(row)][number] = row
        for group, some in renewed.items():
            mine = {row.stamp.row_id: row for row in self._groups.get(group, ())} | some
            self._groups[group] = tuple(sorted(mine.values(), key=ordering.order))

    def of(self, *group: str) -> Sequence[P]:
        """Return the rows of a group in order; none for a group that is not there."""
        return self._groups.get(group, ())

    def __iter__(self) -> Iterator[P]:
        """Yield all rows in order."""
        for group in sorted(self._groups):
            yield from self._groups[group]


def _gpu_order(row: GpuPriceRecord) -> Order:
    place = (row.accelerator, row.provider, row.region, row.commitment, row.gpus_per_instance)
    return (*place, row.source, row.price.currency, row.stamp.valid_from, row.stamp.row_id)


def _list_order(row: ListPriceRecord) -> Order:
    place = (row.provider, row.provider_model_id, row.meter, row.source, row.price.currency)
    return (*place, row.stamp.valid_from, row.stamp.row_id)


GPU_PRICES: Ordering[GpuPriceRecord] = Ordering(lambda row: (row.accelerator,), _gpu_order)
LIST_PRICES: Ordering[ListPriceRecord] = Ordering(
    lambda row: (row.provider, row.provider_model_id), _list_order
)
