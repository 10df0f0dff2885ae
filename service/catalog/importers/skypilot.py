"""SkyPilot's instances, ``catalogs/vN/<cloud>/vms.csv``: US dollars an hour, spot beside on demand.

The file does not name its cloud, so the provider is told beside it.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
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

SOURCE: Final = "skypilot-vms"
_COLUMNS: Final = ("InstanceType", "AcceleratorName", "AcceleratorCount", "Price", "Region")
_MEMORY: Final = re.compile(r"'SizeInMiB': ([0-9]{1,9})", re.ASCII)


def read(content: bytes, context: ReadContext) -> ImportBatch:
    """Read one cloud's table.

    Raises
    ------
    SourceError
        Where no provider is told, or the table lacks a column.
    """
    if context.provider is None:
        raise SourceError("vms.csv does not name its cloud; tell the provider.")
    return batch_of(offer_rows(_offers(content, context.provider), context), context)


def _offers(content: bytes, provider: str) -> Iterator[Offer | RejectedDraft]:
    for line, cells in read_csv(content, _COLUMNS):
        if isinstance(cells, str):
            yield RejectedDraft(f"line {line}", cells)
            continue
        # Instances without an accelerator are no prices of ours.
        if not cells["AcceleratorName"]:
            continue
        for column, commitment in (("Price", "on_demand"), ("SpotPrice", "spot")):
            if cells.get(column):
                yield _offer(line, cells, (column, commitment), provider)


def _offer(
    line: int, cells: Mapping[str, str], price: tuple[str, str], provider: str
) -> Offer | RejectedDraft:
    origin = f"line {line} {cells['InstanceType']} {cells['Region']}"
    column, commitment = price
    try:
        count = decimal_of(cells["AcceleratorCount"])
        amount = decimal_of(cells[column])
    except ValueError as error:
        return RejectedDraft(origin, str(error))
    if count != count.to_integral_value() or not 1 <= count <= 1024:
        return RejectedDraft(origin, f"{count} accelerators are no whole instance")
    memory = _MEMORY.search(cells.get("GpuInfo", ""))
    return Offer(
        origin=origin,
        provider=provider,
        instance=cells["InstanceType"],
        accelerator=cells["AcceleratorName"],
        memory_gib=None if memory is None else Decimal(memory[1]) / 1024,
        count=int(count),
        region=cells["Region"] or "any",
        commitment=commitment,
        instance_price=amount,
    )


ADAPTER: Final = Adapter("skypilot", read, SOURCE, needs_provider=True)
