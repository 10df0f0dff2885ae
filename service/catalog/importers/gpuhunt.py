"""gpuhunt's catalog, one CSV file a provider (dstackai/gpuhunt): US dollars an hour of an instance."""

from collections.abc import Iterator, Mapping
from typing import Final

from service.catalog.drafts import ImportBatch, RejectedDraft
from service.catalog.importers._gpu_offers import Offer, offer_rows
from service.catalog.importers.reading import (
    Adapter,
    ReadContext,
    SourceError,
    batch_of,
    decimal_of,
    read_csv,
)

SOURCE: Final = "gpuhunt-catalog"
_COLUMNS: Final = ("instance_name", "location", "price", "gpu_count", "gpu_name", "gpu_memory", "spot")
_SPOT: Final[Mapping[str, str]] = {"true": "spot", "false": "on_demand", "": "on_demand"}


def read(content: bytes, context: ReadContext) -> ImportBatch:
    """Read one provider's table.

    Raises
    ------
    SourceError
        Where no provider is told, or the table lacks a column.
    """
    if context.provider is None:
        raise SourceError("A gpuhunt file does not name its provider; tell it.")
    return batch_of(offer_rows(_offers(content, context.provider), context), context)


def _offers(content: bytes, provider: str) -> Iterator[Offer | RejectedDraft]:
    for line, cells in read_csv(content, _COLUMNS):
        if isinstance(cells, str):
            yield RejectedDraft(f"line {line}", cells)
        elif cells["gpu_name"] and cells["gpu_count"] not in ("", "0"):
            yield _offer(line, cells, provider)


def _offer(line: int, cells: Mapping[str, str], provider: str) -> Offer | RejectedDraft:
    origin = f"line {line} {cells['instance_name']} {cells['location']}"
    commitment = _SPOT.get(cells["spot"].lower())
    if commitment is None:
        return RejectedDraft(origin, f"spot is {cells['spot'][:20]!r}; True or False is wanted")
    try:
        count, amount = decimal_of(cells["gpu_count"]), decimal_of(cells["price"])
        memory = decimal_of(cells["gpu_memory"]) if cells["gpu_memory"] else None
    except ValueError as error:
        return RejectedDraft(origin, str(error))
    if count != count.to_integral_value() or not 1 <= count <= 1024:
        return RejectedDraft(origin, f"{count} accelerators are no whole instance")
    return Offer(
        origin=origin,
        provider=provider,
        instance=cells["instance_name"],
        accelerator=cells["gpu_name"],
        memory_gib=memory,
        count=int(count),
        region=cells["location"] or "any",
        commitment=commitment,
        instance_price=amount,
    )


ADAPTER: Final = Adapter("gpuhunt", read, SOURCE, needs_provider=True)
