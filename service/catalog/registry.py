"""What a draft may refer to: known sources, accelerators, models, units and meters."""

from collections.abc import Mapping
from dataclasses import dataclass

from service.application.ports import Price
from service.billing.currencies import CURRENCIES
from service.catalog.drafts import (
    Draft,
    GpuPriceDraft,
    ListingDraft,
    ListPriceDraft,
    ReferenceDraft,
    ReferenceKind,
)

GPU_PRICE_DIMENSION = "gpu-second"
_DESCRIBES_ITSELF: frozenset[ReferenceKind] = frozenset({"source", "unit", "meter", "model"})
"""Kinds whose ``source`` is not an id of the source registry."""


@dataclass(frozen=True, slots=True)
class Registry:
    """Ids that exist, before or with an import."""

    documents: Mapping[ReferenceKind, Mapping[str, Mapping[str, object]]]
    """Document by id, by kind."""

    def problem(self, draft: Draft) -> str | None:
        """Return why a draft cannot be used; None where it can."""
        match draft:
            case GpuPriceDraft():
                return (
                    self._source_problem(draft.source)
                    or self._missing("accelerator", draft.accelerator)
                    or _empty(region=draft.region, commitment=draft.commitment, provider=draft.provider)
                    or _interval_problem(draft)
                    or self._price_problem(draft.price, GPU_PRICE_DIMENSION)
                )
            case ListPriceDraft():
                return (
                    self._source_problem(draft.source)
                    or self._missing("meter", draft.meter)
                    or _empty(provider=draft.provider, provider_model_id=draft.provider_model_id)
                    or _interval_problem(draft)
                    or self._band_problem(draft)
                    or self._price_problem(draft.price, self._dimension("meter", draft.meter))
                )
            case ListingDraft():
                return self._source_problem(draft.source) or self._missing("model", draft.model)
            case ReferenceDraft():
                return None if draft.kind in _DESCRIBES_ITSELF else self._source_problem(draft.source)

    def _band_problem(self, draft: ListPriceDraft) -> str | None:
        """Return why no request could ever be priced by a row's context band."""
        measure = draft.selector.context_measure
        if measure is None:
            return None
        if draft.selector.context_mode == "excess" and measure != draft.meter:
            return f"an excess band cuts the meter's own quantity: {measure!r} is not {draft.meter!r}"
        return self._missing("meter", measure)

    def _source_problem(self, source: str) -> str | None:
        return self._missing("source", source)

    def _missing(self, kind: ReferenceKind, value: str) -> str | None:
        if value in self.documents.get(kind, {}):
            return None
        return f"{kind} {value!r} is not in the catalog"

    def _dimension(self, kind: ReferenceKind, value: str) -> str:
        return str(self.documents[kind][value]["dimension"])

    def _price_problem(self, price: Price, dimension: str) -> str | None:
        if price.per not in self.documents.get("unit", {}):
            return f"unit {price.per!r} is not in the catalog"
        if self._dimension("unit", price.per) != dimension:
            return f"a price per {price.per} does not measure {dimension}"
        if price.currency not in CURRENCIES:
            return f"currency {price.currency!r} is none of ISO 4217"
        if not price.amount.is_finite() or price.amount < 0:
            return f"amount {price.amount} is not zero or more"
        return None


def _empty(**fields: str) -> str | None:
    return next((f"{name} is empty" for name, value in fields.items() if not value.strip()), None)


def _interval_problem(draft: GpuPriceDraft | ListPriceDraft) -> str | None:
    if draft.valid_from.tzinfo is None or (draft.valid_to is not None and draft.valid_to.tzinfo is None):
        return "a time has no offset"
    if draft.valid_to is not None and draft.valid_to <= draft.valid_from:
        return f"valid_to {draft.valid_to.isoformat()} is not after valid_from {draft.valid_from.isoformat()}"
    return None
