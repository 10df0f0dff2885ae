"""Offers of GPU instances, from whichever catalog: which accelerator, what one hour of it costs."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Final

from service.application.ports import Price
from service.billing.errors import BillingError
from service.billing.money import format_amount, rate_from_source
from service.catalog.drafts import GpuPriceDraft, RejectedDraft
from service.catalog.importers.reading import ReadContext, Row

_DIVISION: Final = Context(prec=40)
_PLAIN: Final = re.compile(r"[^a-z0-9]+", re.ASCII)

UNSAID: Final[Mapping[str, str]] = {
    "h100": "H100 SXM or PCIe",
    "a100": "A100 SXM or PCIe, 40 or 80 GB",
    "a100-40gb": "A100 40 GB SXM or PCIe",
    "a100-80gb": "A100 80 GB SXM or PCIe",
    "v100": "V100 SXM2 of 16 or 32 GB, or PCIe",
    "h800": "H800 SXM or PCIe",
    "rtx6000": "RTX 6000 of which generation",
}
"""Names that fit several accelerators of different speed; an alias of the catalog is too kind here."""

_FAMILIES: Final[tuple[tuple[str, str, str], ...]] = (
    # (provider, start of the instance type, accelerator), from the providers' instance type pages
    ("aws", "p3.", "v100-sxm"),
    ("aws", "p3dn.", "v100-sxm-32gb"),
    ("aws", "p4d.", "a100-sxm-40gb"),
    ("aws", "p4de.", "a100-sxm-80gb"),
    ("aws", "p5.", "h100-sxm"),
    ("aws", "p5e.", "h200-sxm"),
    ("aws", "p5en.", "h200-sxm"),
    ("gcp", "a2-highgpu", "a100-sxm-40gb"),
    ("gcp", "a2-megagpu", "a100-sxm-40gb"),
    ("gcp", "a2-ultragpu", "a100-sxm-80gb"),
    ("gcp", "a3-highgpu", "h100-sxm"),
    ("gcp", "a3-megagpu", "h100-sxm"),
    ("azure", "Standard_ND96asr_v4", "a100-sxm-40gb"),
    ("azure", "Standard_ND96amsr_A100_v4", "a100-sxm-80gb"),
    ("azure", "Standard_ND96isr_H100_v5", "h100-sxm"),
)


@dataclass(frozen=True, slots=True)
class Offer:
    """One line of a catalog of instances."""

    origin: str
    provider: str
    instance: str
    accelerator: str
    """The catalog's own name of it."""
    memory_gib: Decimal | None
    count: int
    region: str
    commitment: str
    instance_price: Decimal
    """US dollars an hour for the whole instance."""


def offer_rows(offers: Iterable[Offer | RejectedDraft], context: ReadContext) -> Iterator[Row]:
    """Yield a price for each accelerator, place and size: the cheapest of the instance types that offer it.

    Instance types of one accelerator differ in processors and memory around it, which no figure here
    depends on.
    """
    best: dict[tuple[str, ...], tuple[Offer, str]] = {}
    for offer in offers:
        if isinstance(offer, RejectedDraft):
            yield offer
            continue
        found = accelerator_of(offer, context.accelerators)
        if isinstance(found, RejectedDraft):
            yield found
            continue
        key = (offer.provider, found, offer.region, offer.commitment, str(offer.count))
        if key not in best or offer.instance_price < best[key][0].instance_price:
            best[key] = (offer, found)
    for offer, accelerator in best.values():
        yield _row(offer, accelerator, context)


def accelerator_of(offer: Offer, known: Mapping[str, str]) -> str | RejectedDraft:
    """Return the catalog's id of an offer's accelerator, or why it is not told."""
    for provider, start, accelerator in _FAMILIES:
        if offer.provider == provider and offer.instance.startswith(start):
            return accelerator
    name = offer.accelerator.lower().removeprefix("nvidia ").replace(" ", "-").replace("_", "-")
    said = _PLAIN.sub(" ", f"{offer.instance} {offer.accelerator}".lower())
    form = "sxm" if "sxm" in said else "pcie" if "pcie" in said else None
    stem = name.removesuffix("-sxm").removesuffix("-pcie").removesuffix("-sxm5").removesuffix("-sxm4")
    if form is not None and stem in UNSAID:
        size = "" if offer.memory_gib is None or "gb" in stem else f"-{_marketed(offer.memory_gib)}gb"
        for candidate in (f"{stem}-{form}", f"{stem}{size}-{form}", f"{stem.split('-')[0]}-{form}{size}"):
            if candidate in known and (stem != "a100" or size):
                return known[candidate]
    if stem in UNSAID:
        return RejectedDraft(offer.origin, f"{offer.accelerator} may be {UNSAID[stem]}; the row does not say")
    if name in known:
        return known[name]
    return RejectedDraft(offer.origin, f"accelerator {offer.accelerator[:60]!r} is not in the catalog")


def _marketed(memory_gib: Decimal) -> int:
    return 40 if memory_gib < 60 else 80


def _row(offer: Offer, accelerator: str, context: ReadContext) -> Row:
    exact = _DIVISION.divide(offer.instance_price, Decimal(offer.count))
    try:
        rate = rate_from_source(exact)
    except BillingError as error:
        return RejectedDraft(offer.origin, error.message)
    divided = offer.count > 1
    return GpuPriceDraft(
        source=context.source,
        provider=offer.provider,
        accelerator=accelerator,
        region=offer.region,
        commitment=offer.commitment,
        gpus_per_instance=offer.count,
        price=Price(
            rate.amount, "USD", "gpu_hour", format_amount(offer.instance_price) if rate.source_value else None
        ),
        valid_from=context.observed_at,
        valid_from_basis="observed",
        note=f"{offer.instance}; {format_amount(offer.instance_price)} an instance / {offer.count}."
        if divided
        else f"{offer.instance}.",
        origin=offer.origin,
    )
