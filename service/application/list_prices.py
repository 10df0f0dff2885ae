"""What providers charge for a catalog model at a time: the rows behind a comparison.

Everything is read from the snapshot. Which row of a listing applies changes only at the edges of
validity, of context bands and of daily windows, so answers are kept between those edges.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from service.application.kept import Kept
from service.application.ports import CatalogSnapshot, ListingRecord, ListPriceRecord
from service.billing.errors import AmbiguousPriceError, NoMatchingPriceError
from service.billing.resolution import FALLBACKS, RequestFacts, resolve_meter

COMPARED_METERS: Final = ("input", "cache_read", "cache_write", "output")
TIER_VARIANT: Final = "tier_variant"
"""``method`` of a listing that is the same model under another service (batch, fast, one region)."""

_PER_MILLION: Final[Mapping[str, int]] = {"million_tokens": 1, "thousand_tokens": 1_000, "token": 1_000_000}
_KEPT_ANSWERS: Final = 4_096


@dataclass(frozen=True, slots=True)
class ListPriceQuery:
    """When, as known when, and for which context."""

    as_of: datetime
    context_tokens: int
    """Input tokens of the mean request; picks the context band."""
    known_at: int | None = None
    service_tier: str | None = None


@dataclass(frozen=True, slots=True)
class ListedRate:
    """One meter's rate and the row that states it."""

    per_million: Decimal
    currency: str
    row: ListPriceRecord
    priced_as: tuple[str, ...]
    """The meter and the fallbacks tried; longer than one where another meter's row applies."""


@dataclass(frozen=True, slots=True)
class ListedPrices:
    """What one listing of a model charges."""

    listing: ListingRecord
    input: ListedRate | None
    cache_read: ListedRate | None
    cache_write: ListedRate | None
    output: ListedRate | None
    unranked_because: str | None
    """None where the listing takes part in a ranking."""

    @property
    def rows(self) -> tuple[ListPriceRecord, ...]:
        """Return the rows used, each once."""
        rates = (self.input, self.cache_read, self.cache_write, self.output)
        return tuple({rate.row.stamp.row_id: rate.row for rate in rates if rate is not None}.values())

    @property
    def is_router(self) -> bool:
        """Whether the provider passes on another's offer."""
        return self.listing.routed_from is not None


@dataclass(frozen=True, slots=True)
class _Compiled:
    """All rows of a model's listings, and where the answer can change."""

    listings: tuple[tuple[ListingRecord, Mapping[str, Sequence[ListPriceRecord]]], ...]
    times: tuple[datetime, ...]
    context_edges: tuple[int, ...]
    windowed: bool


_Key = tuple[str, int, int, datetime | None, str | None]


class ListPriceFinder:
    """Finds the list prices of catalog models in the current snapshot.

    >>> finder = ListPriceFinder()  # doctest: +SKIP
    >>> finder.for_model(snapshot, "llama-3.1-70b", ListPriceQuery(now, 4_000))  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self._compiled: Kept[_Compiled] = Kept(_KEPT_ANSWERS)
        self._answers: Kept[tuple[ListedPrices, ...]] = Kept(_KEPT_ANSWERS)

    def for_model(
        self, snapshot: CatalogSnapshot, model_id: str, query: ListPriceQuery
    ) -> tuple[ListedPrices, ...]:
        """Return the prices in force for every listing of a model, by provider and id.

        Parameters
        ----------
        snapshot
            The catalog of the request.
        model_id
            Catalog id, not an alias.
        query
            Time, context and knowledge.

        Returns
        -------
        tuple of ListedPrices
            Listings without any price at the time are left out; those of another relation than
            ``same``, routers beside their origin, service variants, and free ones say why they do
            not rank.
        """
        if query.known_at is not None:
            return _answer(_compile(snapshot, model_id, query.known_at), query)
        compiled = self._compiled.get(snapshot, model_id, lambda: _compile(snapshot, model_id, None))
        key = (
            model_id,
            bisect_right(compiled.times, query.as_of),
            bisect_right(compiled.context_edges, query.context_tokens),
            query.as_of.replace(second=0, microsecond=0) if compiled.windowed else None,
            query.service_tier,
        )
        return self._answers.get(snapshot, key, lambda: _answer(compiled, query))


def list_prices_for_model(
    snapshot: CatalogSnapshot, model_id: str, query: ListPriceQuery
) -> tuple[ListedPrices, ...]:
    """Return the prices of one model without keeping anything; see :meth:`ListPriceFinder.for_model`."""
    return _answer(_compile(snapshot, model_id, query.known_at), query)


def list_prices_of_listing(
    snapshot: CatalogSnapshot, listing: ListingRecord, query: ListPriceQuery
) -> ListedPrices | None:
    """Return the prices of one listing, reviewed or not; None where it has none at the time."""
    found = _answer(_compile_listings(snapshot, (listing,), query.known_at), query)
    return found[0] if found else None


def _compile(snapshot: CatalogSnapshot, model_id: str, known_at: int | None) -> _Compiled:
    return _compile_listings(snapshot, snapshot.listings(model_id), known_at)


def _compile_listings(
    snapshot: CatalogSnapshot, of: Sequence[ListingRecord], known_at: int | None
) -> _Compiled:
    precedence = {source.id: source.precedence for source in snapshot.sources().values()}
    listings: list[tuple[ListingRecord, Mapping[str, Sequence[ListPriceRecord]]]] = []
    times: set[datetime] = set()
    edges: set[int] = set()
    windowed = False
    for listing in of:
        by_meter: dict[str, list[ListPriceRecord]] = {}
        for row in snapshot.list_prices(listing.provider, listing.provider_model_id, None, known_at):
            if row.meter not in COMPARED_METERS or row.price.per not in _PER_MILLION:
                continue
            by_meter.setdefault(row.meter, []).append(row)
            times.add(row.stamp.valid_from)
            times.update(end for end in (row.stamp.valid_to,) if end is not None)
            selector = row.selector
            edges.update(e for e in (selector.context_from, selector.context_to) if e is not None)
            windowed = windowed or selector.time_zone is not None
        for rows in by_meter.values():
            rows.sort(key=lambda row: (-precedence.get(row.source, 0), row.source))
        listings.append((listing, by_meter))
    listings.sort(key=lambda pair: (pair[0].provider, pair[0].provider_model_id))
    return _Compiled(tuple(listings), tuple(sorted(times)), tuple(sorted(edges)), windowed)


def _answer(compiled: _Compiled, query: ListPriceQuery) -> tuple[ListedPrices, ...]:
    facts = RequestFacts(
        at=query.as_of, service_tier=query.service_tier, measures={"input": query.context_tokens}
    )
    found: list[tuple[ListingRecord, dict[str, ListedRate | None]]] = []
    for listing, by_meter in compiled.listings:
        rates = {meter: _rate(by_meter, meter, facts) for meter in COMPARED_METERS}
        if any(rate is not None for rate in rates.values()):
            found.append((listing, rates))
    direct = {
        listing.provider
        for listing, rates in found
        if listing.routed_from is None and _own_obstacle(listing, rates) is None
    }
    return tuple(
        ListedPrices(listing, **rates, unranked_because=_obstacle(listing, rates, direct))
        for listing, rates in found
    )


def _rate(
    by_meter: Mapping[str, Sequence[ListPriceRecord]], meter: str, facts: RequestFacts
) -> ListedRate | None:
    tried: list[str] = []
    name: str | None = meter
    while name is not None:
        tried.append(name)
        row = _row(by_meter.get(name, ()), name, facts)
        if row is not None:
            per_million = row.price.amount * _PER_MILLION[row.price.per]
            return ListedRate(per_million, row.price.currency, row, tuple(tried))
        name = FALLBACKS.get(name)
    return None


def _row(rows: Sequence[ListPriceRecord], meter: str, facts: RequestFacts) -> ListPriceRecord | None:
    """Return the row in force; of several sources the first that has any row at the time decides."""
    valid = [
        row
        for row in rows
        if row.stamp.valid_from <= facts.at and (row.stamp.valid_to is None or facts.at < row.stamp.valid_to)
    ]
    first = [row for row in valid if row.source == valid[0].source]
    try:
        slices = resolve_meter(first, meter, facts, 1)
    except (AmbiguousPriceError, NoMatchingPriceError):
        return None
    return slices[0].row if slices else None


def _own_obstacle(listing: ListingRecord, rates: Mapping[str, ListedRate | None]) -> str | None:
    if listing.relation != "same":
        return f"relation is {listing.relation}"
    if listing.method == TIER_VARIANT:
        return "another service of the same model"
    needed = (rates["input"], rates["output"])
    if any(rate is None for rate in needed):
        return "input or output has no price"
    if all(rate is not None and rate.per_million == 0 for rate in needed):
        return "free"
    return None


def _obstacle(listing: ListingRecord, rates: Mapping[str, ListedRate | None], direct: set[str]) -> str | None:
    own = _own_obstacle(listing, rates)
    if own is not None or listing.routed_from is None:
        return own
    if listing.routed_from in direct or (listing.routed_from == "various" and direct):
        return f"router; {listing.routed_from} counts already"
    return None
