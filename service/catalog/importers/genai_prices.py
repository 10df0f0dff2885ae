"""Adapter of the ``genai-prices`` package: every provider, model and meter as list price drafts.

How the source's shapes map (read from its ``types.py``, release 0.2.3):

==============================================  ====================================================
in the package                                  here
==============================================  ====================================================
price key and unit (``input_mtok``, per 10**6)  meter and unit of the registry
``TieredPrices``: the highest tier with total   bands of measure ``input``, mode ``whole_request``;
input tokens > ``start`` prices *all* tokens    tier ``start`` n begins at n + 1
list of prices, the last active one wins        dated rows; each ends where the next one takes over
``StartDateConstraint`` (UTC date)              ``valid_from``, basis ``stated``
``TimeOfDateConstraint`` (half-open, UTC)       time window of the selector, zone UTC
``price_variants``: per key, first active wins  service tier, region or variant of the selector
no date                                         ``valid_from`` = date of the release, basis ``observed``
no date, superseded before the release          the last day before it was, basis ``observed``
==============================================  ====================================================

A standard price with more bands than a bound one (a flat batch price beside a tiered standard price)
would leave neither the more specific; the bound one is written once per band, at its one rate.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from importlib.metadata import version
from importlib.resources import files

from genai_prices import types as source
from genai_prices.data import providers as package_providers
from genai_prices.data_units import unit_data

from service.application.ports import Price, Selector, ValidFromBasis
from service.billing.errors import BillingError
from service.billing.money import rate_from_source
from service.billing.selectors import selector_from_mapping
from service.catalog.drafts import ImportBatch, ListPriceDraft, RejectedDraft
from service.catalog.importers._genai_bands import band_axis, band_starts, rates_by_band, tier_starts
from service.catalog.importers._genai_timeline import Span, base_spans, variant_spans
from service.catalog.importers._genai_units import Unit, units_by_price_key
from service.catalog.importers.reading import Adapter, ReadContext, SourceError

SOURCE = "genai-prices"
CURRENCY = "USD"
"""Every price of the package is in US dollars (``TieredPrices.base``); zhipuai's are its conversions."""

ADAPTER_VERSION = 2
"""Raise it where the same package would now yield other rows, so that the next seeding reads it again."""

RELEASED_ON: Mapping[str, date] = {"0.2.3": date(2026, 11, 10)}
"""Day of upload by version, from ``upload_time`` in the Python package index.

The package itself does not carry its date; a version that is not here needs ``released_on``.
"""

_AXES: Mapping[str, str] = {
    "service_tier": "service_tier",
    "processing": "service_tier",
    "speed": "service_tier",
    "route": "region",
}
"""Axis by key of a variant's ``when``; batch and fast modes exclude each other, so they share one."""

_CONVERTED = "converted to USD"


@dataclass(frozen=True, slots=True)
class GenaiPricesReading:
    """What one reading found, beside the drafts."""

    batch: ImportBatch
    models: int
    unpriced: tuple[str, ...]
    """``provider/model`` ids that the source lists without any price (free or unknown): no row."""
    rounded: int
    """Rates of more than 15 significant digits, rounded; their digits are in ``source_value``."""


@dataclass(frozen=True, slots=True)
class _Listing:
    """What all rows of one model share."""

    provider: str
    model: str
    released_on: date
    units: Mapping[str, Unit]
    note: str


def read_genai_prices(released_on: date | None = None) -> GenaiPricesReading:
    """Read the installed package.

    Parameters
    ----------
    released_on
        Day of the package's release; needed for versions that :data:`RELEASED_ON` lacks.

    Raises
    ------
    LookupError
        If the release date is neither known nor given.
    """
    installed = version(SOURCE)
    day = released_on or RELEASED_ON.get(installed)
    if day is None:
        raise LookupError(
            f"The release date of {SOURCE} {installed} is not recorded, so its undated prices have no "
            f"first day; pass released_on or add it to RELEASED_ON (known: {', '.join(RELEASED_ON)})."
        )
    return convert(package_providers, unit_data, day, _package_digest(installed))


def read_package(_content: bytes, _context: ReadContext) -> ImportBatch:
    """Read the installed package as an adapter reads a file.

    Raises
    ------
    SourceError
        Where the day of the package's release is not recorded.
    """
    try:
        return read_genai_prices().batch
    except LookupError as error:
        raise SourceError(str(error.args[0])) from error


ADAPTER = Adapter(SOURCE, read_package, SOURCE, complete=True, packaged=True)


def convert(
    providers: Sequence[source.Provider],
    raw_units: Mapping[str, Mapping[str, object]],
    released_on: date,
    content_digest: str,
) -> GenaiPricesReading:
    """Turn the package's providers into one complete import batch."""
    units = units_by_price_key(raw_units)
    drafts: list[ListPriceDraft] = []
    rejected: list[RejectedDraft] = []
    unpriced: list[str] = []
    models = sorted(
        ((provider, model) for provider in providers for model in provider.models),
        key=lambda pair: (pair[0].id, pair[1].id),
    )
    for provider, model in models:
        listing = _Listing(provider.id, model.id, released_on, units, _note(provider, model))
        rows = list(_model_rows(listing, model))
        drafts.extend(row for row in rows if isinstance(row, ListPriceDraft))
        rejected.extend(row for row in rows if isinstance(row, RejectedDraft))
        if not rows:
            unpriced.append(f"{provider.id}/{model.id}")
    batch = ImportBatch(
        name=SOURCE,
        observed_at=_midnight(released_on),
        content_digest=content_digest,
        drafts=tuple(drafts),
        rejected=tuple(rejected),
        complete_sources=frozenset({SOURCE}),
    )
    rounded = sum(1 for draft in drafts if draft.price.source_value is not None)
    return GenaiPricesReading(batch, len(models), tuple(unpriced), rounded)


def _note(provider: source.Provider, model: source.ModelInfo) -> str:
    comments = f"{provider.price_comments or ''} {model.price_comments or ''}".lower()
    parts = ["Deprecated by the provider."] if model.deprecated else []
    if _CONVERTED.lower() in comments:
        parts.append(f"The provider bills in another currency; {_CONVERTED} by the source.")
    return " ".join(parts)


def _package_digest(installed: str) -> str:
    """Return the SHA-256 over the package's data files and version, and over how they are read."""
    digest = hashlib.sha256(f"{installed} read by {ADAPTER_VERSION}".encode())
    for name in ("data.py", "data_units.py"):
        digest.update(files("genai_prices").joinpath(name).read_bytes())
    return digest.hexdigest()


def _model_rows(listing: _Listing, model: source.ModelInfo) -> Iterator[ListPriceDraft | RejectedDraft]:
    standard = list(base_spans(model.prices))
    bound = list(variant_spans(model.price_variants or ()))
    edges = band_starts([*standard, *bound])
    windows = {span.window for span in standard if span.window is not None}
    for span in standard:
        yield from _span_rows(listing, span, edges)
    for span in bound:
        yield from _span_rows(listing, span, edges)
        for window in windows:
            # A variant's price holds inside the standard price's windows too.
            yield from _span_rows(listing, Span(span.start, span.end, window, span.when, span.prices), edges)


def _span_rows(
    listing: _Listing, span: Span, edges: Mapping[str, frozenset[int]]
) -> Iterator[ListPriceDraft | RejectedDraft]:
    for key, value in span.prices.items():
        unit = listing.units.get(key)
        origin = f"{listing.provider}/{listing.model} {key}"
        if unit is None:
            yield RejectedDraft(origin, f"no meter or unit of the registry for the price key {key}")
            continue
        own_edges = edges[key] if span.when or span.window else tier_starts(value)
        try:
            axes = _axes(span)
            for low, high, rate in rates_by_band(value, own_edges):
                yield _draft(listing, span, unit, selector_from_mapping(axes | band_axis(low, high)), rate)
        except BillingError as error:
            yield RejectedDraft(origin, error.message)


def _draft(listing: _Listing, span: Span, unit: Unit, selector: Selector, rate: Decimal) -> ListPriceDraft:
    rounded = rate_from_source(rate)
    valid_from, basis = _valid_from(span, listing.released_on)
    return ListPriceDraft(
        source=SOURCE,
        provider=listing.provider,
        provider_model_id=listing.model,
        meter=unit.meter,
        selector=selector,
        price=Price(rounded.amount, CURRENCY, unit.per, rounded.source_value),
        valid_from=valid_from,
        valid_from_basis=basis,
        valid_to=_midnight(span.end) if span.end is not None else None,
        note=listing.note,
        origin=f"{listing.provider}/{listing.model}",
    )


def _valid_from(span: Span, released_on: date) -> tuple[datetime, ValidFromBasis]:
    if span.start is not None:
        return _midnight(span.start), "stated"
    if span.end is not None and span.end <= released_on:
        return _midnight(span.end - timedelta(days=1)), "observed"
    return _midnight(released_on), "observed"


def _axes(span: Span) -> dict[str, object]:
    axes: dict[str, object] = {}
    for key, value in span.when:
        axis = _AXES.get(key, "variant")
        named = f"{key}={value}" if axis == "variant" else value
        if axis in axes:
            named = f"{axes[axis]},{named}"
        axes[axis] = named
    if span.window is not None:
        axes |= {"start_time": span.window[0], "end_time": span.window[1], "time_zone": "UTC"}
    return axes


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
