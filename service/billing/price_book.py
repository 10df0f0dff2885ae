"""The price rows of one listing, ready to charge many requests exactly.

Which rows apply depends on little of a request: the interval of validity and the daily window its start
falls into, its tier, region and variant, the context band, and which meters it reports. So that much is
resolved once and kept; a request then costs a few integer products.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Context, Decimal
from typing import Final

from service.billing.charges import Basis, Charge, ChargeFacts, ChargeLine, LineRate, PriceRow
from service.billing.decomposition import Decomposition, Quantity, decompose, with_wholes
from service.billing.errors import NoMatchingPriceError, PriceNotKnownError
from service.billing.meters import cache_lifetime_of, fallback_of
from service.billing.money import charge_or_round
from service.billing.resolution import (
    PricedSlice,
    RequestFacts,
    check_service_tier,
    resolve_meter,
)

PER_REQUEST: Final = "requests"
"""The meter that counts one for every request, whether or not the usage says so."""
STANDARD_TIER: Final = "standard"
_SAME_AS_STANDARD: Final = frozenset({None, "default", STANDARD_TIER})
_ALWAYS_MEASURED: Final = ("input", "output")
"""A usage that leaves these out reports none of them, so bands that measure them can be decided."""
_INTEGERS: Final = frozenset({int})
_KEPT_PLANS: Final = 4_096
_EXACT: Final = Context(prec=120)


@dataclass(frozen=True, slots=True)
class _Plan:
    decomposition: Decomposition
    rates: tuple[LineRate | None, ...]
    """By share; None where ``excess`` bands make the row depend on the quantity."""
    factors: tuple[int, ...]
    """Charge of one single unit, as an integer at ``scale``; empty where a unit is no power of ten."""
    scale: int


@dataclass(slots=True)
class PriceBook:
    """All rows of one listing in one currency; both what holds now and what held before.

    >>> book = PriceBook.of(rows)  # doctest: +SKIP
    >>> book.charge({"input": 1_000, "cache_read": 800}, ChargeFacts(at)).total  # doctest: +SKIP
    """

    rows: tuple[PriceRow, ...]
    _by_meter: dict[str, tuple[tuple[PriceRow, ...], ...]] = field(default_factory=dict)
    """By meter, the rows of each source, the source of highest precedence first."""
    _times: tuple[datetime, ...] = ()
    _edges: dict[str, tuple[int, ...]] = field(default_factory=dict)
    _windowed: bool = False
    _plans: dict[tuple[object, ...], _Plan] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Iterable[PriceRow]) -> "PriceBook":
        """Index rows."""
        ordered = tuple(sorted(rows, key=lambda row: (-row.precedence, row.source)))
        sources: dict[str, dict[str, list[PriceRow]]] = {}
        times: set[datetime] = set()
        edges: dict[str, set[int]] = {}
        for row in ordered:
            sources.setdefault(row.meter, {}).setdefault(row.source, []).append(row)
            times |= {row.valid_from} | ({row.valid_to} if row.valid_to else set())
            band = row.selector
            if band.context_measure is not None:
                found = {edge for edge in (band.context_from, band.context_to) if edge is not None}
                edges.setdefault(band.context_measure, set()).update(found)
        return cls(
            rows=ordered,
            _by_meter={
                meter: tuple(tuple(group) for group in groups.values()) for meter, groups in sources.items()
            },
            _times=tuple(sorted(times)),
            _edges={measure: tuple(sorted(found)) for measure, found in edges.items()},
            _windowed=any(row.selector.time_zone is not None for row in ordered),
        )

    def charge(self, reported: Mapping[str, Quantity], facts: ChargeFacts) -> Charge:
        """Charge one request.

        Parameters
        ----------
        reported
            Quantities by meter, in single units; a whole includes its parts.
        facts
            When, under which tier, where.

        Raises
        ------
        UsageError
            If the usage contradicts itself.
        UnknownTierError
            If no row of the listing names the tier.
        PriceNotKnownError
            If a meter's price is first known later and ``facts.backdate`` is not set.
        NoMatchingPriceError, AmbiguousPriceError
            If no row or no single row prices a meter.
        """
        usage = with_wholes(reported)
        if PER_REQUEST in self._by_meter:
            usage.setdefault(PER_REQUEST, 1)
        plan = self._plan(usage, facts)
        quantities = plan.decomposition.quantities(usage)
        if not plan.factors or not _INTEGERS.issuperset(map(type, quantities)):
            return self._charge_slowly(plan, quantities, usage, facts)
        lines = []
        total = 0
        scale = -plan.scale
        for rate, factor, quantity in zip(plan.rates, plan.factors, quantities, strict=True):
            if quantity and rate is not None:
                product = int(quantity) * factor
                total += product
                lines.append(ChargeLine(rate, quantity, _EXACT.scaleb(Decimal(product), scale)))
        return Charge(tuple(lines), _EXACT.scaleb(Decimal(total), scale), plan.decomposition.folded)

    def _plan(self, usage: Mapping[str, Quantity], facts: ChargeFacts) -> _Plan:
        # Windows start and end at whole minutes.
        minute = facts.at.replace(second=0, microsecond=0) if self._windowed else None
        bands: tuple[int, ...] = ()
        if self._edges:
            found = [bisect_right(edges, usage.get(measure, 0)) for measure, edges in self._edges.items()]
            bands = tuple(found)
        key = (
            bisect_right(self._times, facts.at),
            minute,
            bands,
            tuple(usage),
            facts.service_tier,
            facts.region,
            facts.variant,
            facts.backdate,
        )
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= _KEPT_PLANS:
                self._plans.clear()
            plan = self._plans[key] = self._make_plan(usage, facts)
        return plan

    def _make_plan(self, usage: Mapping[str, Quantity], facts: ChargeFacts) -> _Plan:
        check_service_tier(self.rows, facts.service_tier)
        measured = self._request_facts(usage, facts)
        priced = frozenset(meter for meter in usage if self._slices(meter, measured, facts, 1)[0])
        decomposition = decompose(frozenset(usage), priced)
        rates: list[LineRate | None] = []
        for share in decomposition.shares:
            slices, tried, basis = self._resolve(share.meter, measured, facts, 1)
            rates.append(
                None if self._is_cut(tried[-1]) else _line_rate(share.meter, tried, slices[0].row, basis)
            )
        factors, scale = _integer_factors(rates)
        return _Plan(decomposition, tuple(rates), factors, scale)

    def _is_cut(self, meter: str) -> bool:
        """Return whether bands may cut a quantity of the meter, so that its rows depend on the quantity."""
        return any(
            row.selector.context_mode == "excess" for group in self._by_meter.get(meter, ()) for row in group
        )

    def _charge_slowly(
        self, plan: _Plan, quantities: Sequence[Quantity], usage: Mapping[str, Quantity], facts: ChargeFacts
    ) -> Charge:
        """Charge what needs more than integers: fractions, hours, bands that cut a quantity."""
        measured = self._request_facts(usage, facts)
        lines: list[ChargeLine] = []
        cut: dict[str, Quantity] = {}
        for share, rate, quantity in zip(plan.decomposition.shares, plan.rates, quantities, strict=True):
            if not quantity:
                continue
            if rate is not None:
                lines.append(_line(rate, quantity))
                continue
            slices, tried, basis = self._resolve(share.meter, measured, facts, quantity)
            # Shares that fall back to one meter fill its bands one after the other, not each from the first.
            before = cut.get(tried[-1], 0)
            if before:
                slices = self._resolve(share.meter, measured, facts, before + quantity)[0]
            cut[tried[-1]] = before + quantity
            lines += [
                _line(_line_rate(share.meter, tried, part.row, basis), part.quantity)
                for part in _beyond(slices, before)
            ]
        total = Decimal(0)
        for line in lines:
            total = _EXACT.add(total, line.charge)
        return Charge(tuple(lines), total, plan.decomposition.folded)

    def _request_facts(self, usage: Mapping[str, Quantity], facts: ChargeFacts) -> RequestFacts:
        tier = STANDARD_TIER if facts.service_tier in _SAME_AS_STANDARD else facts.service_tier
        return RequestFacts(
            at=facts.at,
            service_tier=tier,
            region=facts.region,
            variant=facts.variant,
            measures={**dict.fromkeys(_ALWAYS_MEASURED, 0), **usage},
        )

    def _resolve(
        self, meter: str, measured: RequestFacts, facts: ChargeFacts, quantity: Quantity
    ) -> tuple[tuple[PricedSlice[PriceRow], ...], tuple[str, ...], Basis | None]:
        tried: list[str] = []
        name: str | None = meter
        lifetime = cache_lifetime_of(meter)
        if lifetime is not None:
            measured = RequestFacts(
                measured.at,
                measured.service_tier,
                measured.region,
                lifetime,
                measured.variant,
                measured.measures,
            )
        while name is not None:
            tried.append(name)
            slices, basis = self._slices(name, measured, facts, quantity)
            if slices:
                return slices, tuple(tried), basis
            name = fallback_of(name)
        raise self._no_price(tried, facts)

    def _slices(
        self, meter: str, measured: RequestFacts, facts: ChargeFacts, quantity: Quantity
    ) -> tuple[tuple[PricedSlice[PriceRow], ...], Basis | None]:
        """Return what one meter's own rows make of a quantity; the basis only where it is not the row's."""
        groups = self._by_meter.get(meter, ())
        slices = _first_match(groups, facts.at, meter, measured, quantity)
        if slices:
            return slices, None
        # Rows of another tier may be dated and in force while the request's own are only seen later.
        for moment in sorted(
            {row.valid_from for group in groups for row in group if row.valid_from > facts.at}
        ):
            later = _first_match(groups, moment, meter, measured, quantity)
            if not later:
                continue
            if any(part.row.basis == "stated" for part in later):
                # A price stated to begin on a day did not hold before; one only seen then may have.
                return (), None
            if not facts.backdate:
                raise _known_later(meter, moment)
            return later, "assumed"
        return (), None

    def _no_price(
        self, tried: Sequence[str], facts: ChargeFacts
    ) -> NoMatchingPriceError | PriceNotKnownError:
        known = [row for row in self.rows if row.meter in tried]
        names = " or ".join(tried)
        if not known or any(row.in_force(facts.at) for row in known):
            return NoMatchingPriceError(
                f"No price row matches {names} for this request.",
                accepted={"meters": sorted(self._by_meter)},
            )
        first = min(row.valid_from for row in known)
        ends = [row.valid_to for row in known if row.valid_to is not None]
        accepted = {"first_known": first.isoformat()}
        if ends and facts.at >= first:
            accepted["known_until"] = max(ends).isoformat()
        return PriceNotKnownError(
            f"No price of {names} is in force at {facts.at.isoformat()}.", accepted=accepted
        )


def _beyond(slices: Iterable[PricedSlice[PriceRow]], before: Quantity) -> Iterator[PricedSlice[PriceRow]]:
    """Yield what is left of slices after their first units, which others took."""
    for part in slices:
        taken = min(before, part.quantity)
        before -= taken
        if part.quantity > taken:
            yield PricedSlice(part.row, part.quantity - taken)


def _first_match(
    groups: Iterable[Sequence[PriceRow]],
    moment: datetime,
    meter: str,
    measured: RequestFacts,
    quantity: Quantity,
) -> tuple[PricedSlice[PriceRow], ...]:
    """Return what the first source with a matching row in force at a time makes of a quantity."""
    for group in groups:
        rows = [row for row in group if row.in_force(moment)]
        slices = resolve_meter(rows, meter, measured, quantity)
        if slices:
            return slices
    return ()


def _known_later(meter: str, moment: datetime) -> PriceNotKnownError:
    return PriceNotKnownError(
        f"The price of {meter} is first known on {moment.date()}, after the request; what it was before is "
        'not known. "backdate": "earliest" assumes that it was the same.',
        accepted={"first_known": moment.isoformat(), "backdate": "earliest"},
    )


def _line_rate(meter: str, tried: tuple[str, ...], row: PriceRow, basis: Basis | None) -> LineRate:
    return LineRate(meter, tried, row, basis or row.basis)


def _line(rate: LineRate, quantity: Quantity) -> ChargeLine:
    row = rate.row
    value, exact = charge_or_round(quantity, row.amount, int(row.unit_size))
    return ChargeLine(rate, quantity, value, exact)


def _integer_factors(rates: Sequence[LineRate | None]) -> tuple[tuple[int, ...], int]:
    """Return each rate as an integer at one scale; nothing where that is not exact."""
    parts: list[tuple[int, int]] = []
    for rate in rates:
        size = None if rate is None else rate.row.unit_size.normalize()
        if rate is None or size is None or size.as_tuple().digits != (1,):
            return (), 0
        exponent = int(rate.row.amount.as_tuple().exponent)
        coefficient = int(rate.row.amount.scaleb(-exponent, _EXACT))
        parts.append((coefficient, int(size.as_tuple().exponent) - exponent))
    scale = max((places for _, places in parts), default=0)
    return tuple(coefficient * 10 ** (scale - places) for coefficient, places in parts), scale
