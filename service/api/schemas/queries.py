"""Query parameters of the lists; what is not named here is refused."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from service.api.schemas.fields import KnownAt, Moment, Name

_CONFIG = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

Limit = Annotated[int, Field(ge=1, le=1000, examples=[100])]
CursorText = Annotated[str, Field(min_length=1, max_length=400)]


class PageQuery(BaseModel):
    """The page of a list."""

    model_config = _CONFIG

    limit: Limit = 100
    """Most rows of the page, 1 to 1000."""
    cursor: CursorText | None = None
    """`next_cursor` of the page before, with the same filters."""


class ModelsQuery(PageQuery):
    """Filters of the models."""

    alias: Name | None = None
    """Only the model of this id or alias, for example its Hugging Face name."""
    organisation: Name | None = None
    """Only models of this organisation."""


class AcceleratorsQuery(PageQuery):
    """Filters of the accelerators."""

    alias: Name | None = None
    """Only the accelerator of this id or alias."""
    vendor: Name | None = None
    """Only accelerators of this vendor."""
    family: Name | None = None
    """Only accelerators of this calibration family."""


class HistoryQuery(PageQuery):
    """Where on both time axes a price list is read."""

    as_of: Moment | None = None
    """Only rows valid at this time; all valid times where left out."""
    known_at: KnownAt | None = None
    """Rows as the catalog believed them at this revision or time; the newest where left out."""
    provider: Name | None = None
    """Only rows of this provider."""
    currency: Name | None = None
    """Only rows in this currency."""
    source: Name | None = None
    """Only rows of this source."""


class GpuPricesQuery(HistoryQuery):
    """Filters of the GPU prices."""

    accelerator: Name | None = None
    """Only prices of this accelerator, by id or alias."""
    region: Name | None = None
    """Only rows of this region."""
    commitment: Name | None = None
    """Only rows of this commitment, for example on_demand or spot."""


class ListPricesQuery(HistoryQuery):
    """Filters of the list prices."""

    provider_model_id: Name | None = None
    """Only rows of this id of the provider's."""
    model: Name | None = None
    """Only rows of listings of this catalog model, by id or alias."""
    meter: Name | None = None
    """Only rows of this meter, for example input, cache_read or output."""


class ListingsQuery(PageQuery):
    """Filters of the listings."""

    model: Name | None = None
    """Only listings of this catalog model, by id or alias."""
    provider: Name | None = None
    """Only listings of this provider."""
    relation: Name | None = None
    """Only listings of this relation: same, quantised, fine_tune, distilled or unknown."""


class RowQuery(BaseModel):
    """When a single row is looked up."""

    model_config = _CONFIG

    known_at: KnownAt | None = None
    """Find the row as the catalog believed it at this revision or time; retired rows need it."""
