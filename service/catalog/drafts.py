"""Rows before they are in the catalog: what seeds and importers hand to the import plan.

A draft says what its source says, nothing about revisions. Decimals are exact, times are aware and
in UTC, texts are stripped. ``origin`` names the place in the source's file for messages; it is not
stored and does not take part in comparisons.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from service.application.ports import ListingRelation, Price, Selector, ValidFromBasis

ReferenceKind = Literal[
    "source", "unit", "meter", "number_format", "accelerator", "engine_policy", "model", "calibration"
]


@dataclass(frozen=True, slots=True)
class GpuPriceDraft:
    """What one source says one accelerator-hour costs in [valid_from, valid_to)."""

    source: str
    provider: str
    accelerator: str
    """Catalog id, not an alias."""
    region: str
    """``any`` where the source states one price for all regions; never empty."""
    commitment: str
    """``on_demand``, ``spot``, ``reserved_1y``, ..."""
    gpus_per_instance: int
    price: Price
    valid_from: datetime
    valid_from_basis: ValidFromBasis
    valid_to: datetime | None = None
    note: str = ""
    origin: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class ListPriceDraft:
    """What one source says a provider charges for one meter in [valid_from, valid_to)."""

    source: str
    provider: str
    provider_model_id: str
    meter: str
    """Id of the meter registry (``hardware_catalog/units.yaml``)."""
    selector: Selector
    price: Price
    valid_from: datetime
    """For an undated price the date of the source's release, with basis ``observed``."""
    valid_from_basis: ValidFromBasis
    valid_to: datetime | None = None
    note: str = ""
    origin: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class ListingDraft:
    """A reviewed tie between a provider's model id and a catalog model."""

    source: str
    provider: str
    provider_model_id: str
    model: str
    """Catalog id, not an alias."""
    relation: ListingRelation
    routed_from: str | None
    """Provider whose offer a router passes on; None for a provider of its own."""
    method: str
    checked_on: date
    note: str = ""
    origin: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class ReferenceDraft:
    """A reference row kept as one document: an accelerator, a model, a format, a policy, ..."""

    kind: ReferenceKind
    id: str
    aliases: tuple[str, ...]
    document: Mapping[str, object]
    """JSON values only; exact decimals as text."""
    source: str
    """Id of a source. A model names the repository it was read from; sources, units and meters are empty."""
    origin: str = field(default="", compare=False)


PriceDraft = GpuPriceDraft | ListPriceDraft
Draft = GpuPriceDraft | ListPriceDraft | ListingDraft | ReferenceDraft


@dataclass(frozen=True, slots=True)
class RejectedDraft:
    """A row of a source that cannot be used, and why."""

    origin: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImportBatch:
    """Everything one reading of a source yields.

    ``content_digest`` is the SHA-256 of what was read (the file, or the seed folder); the same
    digest applied twice is a no-op. ``complete_sources`` are those whose rows are all here: only
    their rows may be withdrawn for absence, and that at ``observed_at``.
    """

    name: str
    observed_at: datetime
    content_digest: str
    drafts: tuple[Draft, ...]
    rejected: tuple[RejectedDraft, ...] = ()
    complete_sources: frozenset[str] = frozenset()
    complete_kinds: frozenset[ReferenceKind] = frozenset()
    """Kinds of reference rows whose every row is here; the others of these kinds are dropped."""
