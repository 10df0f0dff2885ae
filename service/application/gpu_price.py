"""Which accelerator-hour price an estimate uses: the caller's own, or a row of the catalog."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from service.application.errors import InvalidRequestError, NoPriceError
from service.application.kept import Kept
from service.application.ports import CatalogSnapshot, GpuPriceRecord
from service.application.requests import EstimateRequest, PriceRequest

PREFERRED_COMMITMENTS = ("on_demand", "rental", "reserved_1y", "reserved_3y", "owned", "spot")
"""Where no commitment is asked for, the first of these that has a row."""

KEPT_CHOICES = 1_024


@dataclass(frozen=True, slots=True)
class ChosenPrice:
    """The price in force, the request that names it, and what was left to default."""

    amount: Decimal
    currency: str
    row: GpuPriceRecord | None
    request: PriceRequest
    defaulted: tuple[str, ...]


class GpuPriceChooser:
    """Chooses prices; keeps the choices of one catalog state between times at which they can change."""

    def __init__(self) -> None:
        self._edges: Kept[list[datetime]] = Kept(KEPT_CHOICES)
        self._choices: Kept[ChosenPrice] = Kept(KEPT_CHOICES)

    def choose(
        self, snapshot: CatalogSnapshot, asked: PriceRequest, where: tuple[str, datetime, int | None]
    ) -> ChosenPrice:
        """Return the price of one accelerator-hour; see :func:`choose_gpu_price`.

        Parameters
        ----------
        snapshot
            The catalog of the request.
        asked
            What the caller named.
        where
            Accelerator id, ``as_of``, ``known_at``.
        """
        accelerator, as_of, known_at = where
        if asked.amount is not None:
            return _own(asked)
        if known_at is not None:
            return choose_gpu_price(snapshot, asked, accelerator, as_of, known_at)
        state = snapshot.state_of("gpu_prices")
        edges = self._edges.get(state, accelerator, lambda: _edges(snapshot, accelerator))
        return self._choices.get(
            state,
            (accelerator, asked, bisect_right(edges, as_of)),
            lambda: choose_gpu_price(snapshot, asked, accelerator, as_of, None),
        )


def _edges(snapshot: CatalogSnapshot, accelerator: str) -> list[datetime]:
    """Return the times at which a choice among an accelerator's prices can change, in order."""
    stamps = [row.stamp for row in snapshot.gpu_prices(accelerator, None, None)]
    times = {stamp.valid_from for stamp in stamps}
    times.update(stamp.valid_to for stamp in stamps if stamp.valid_to is not None)
    return sorted(times)


def choose_gpu_price(
    snapshot: CatalogSnapshot, asked: PriceRequest, accelerator: str, as_of: datetime, known_at: int | None
) -> ChosenPrice:
    """Return the price of one accelerator-hour.

    Without an amount, the rows of the accelerator valid at ``as_of`` are narrowed by what the caller
    named; of those left the median by amount is taken (the lower one of two), so that neither a bargain
    nor a list price of one cloud decides.

    Raises
    ------
    InvalidRequestError
        An amount without a currency, or both an amount and a row.
    NoPriceError
        No row applies (codes ``price-not-found``, ``price-not-known-at``).
    """
    if asked.amount is not None:
        return _own(asked)
    rows = snapshot.gpu_prices(accelerator, as_of, known_at)
    if not rows:
        _refuse_undated(snapshot, accelerator, as_of, known_at)
    row = _median(_above_zero(_narrow(rows, asked, accelerator), accelerator))
    request = PriceRequest(
        basis="rental",
        currency=row.price.currency,
        provider=row.provider,
        region=row.region,
        commitment=row.commitment,
        gpus_per_instance=row.gpus_per_instance,
        source=row.source,
    )
    names = ("basis", "currency", "provider", "region", "commitment", "gpus_per_instance", "source")
    defaulted = tuple(f"price.{name}" for name in names if getattr(asked, name) is None)
    return ChosenPrice(row.price.amount, row.price.currency, row, request, defaulted)


def price_candidates(
    snapshot: CatalogSnapshot, request: EstimateRequest, row: GpuPriceRecord
) -> list[GpuPriceRecord]:
    """Return the rows that a resolved request leaves open, the chosen one among them.

    What the caller named is kept, what was chosen for him may be any; currency and commitment stay.
    """
    named = request.price or PriceRequest()
    kept = {
        name: getattr(named, name)
        for name in ("provider", "region", "gpus_per_instance", "source")
        if f"price.{name}" not in request.defaulted
    }
    asked = PriceRequest(currency=row.price.currency, commitment=row.commitment, **kept)
    rows = snapshot.gpu_prices(row.accelerator, request.as_of, request.known_at)
    return _above_zero(_narrow(rows, asked, row.accelerator), row.accelerator)


def _above_zero(rows: Sequence[GpuPriceRecord], accelerator: str) -> list[GpuPriceRecord]:
    """Leave out what is given away: shares of nothing are no rates."""
    left = [row for row in rows if row.price.amount > 0]
    if not left:
        raise InvalidRequestError(
            f"Every price row of {accelerator} that is left is 0; name another row, or give price.amount "
            "and price.currency.",
            field="price",
            code="price-not-found",
        )
    return left


def _own(asked: PriceRequest) -> ChosenPrice:
    if asked.currency is None:
        raise InvalidRequestError(
            "price.amount needs price.currency beside it; nothing is USD by default.",
            field="price.currency",
            code="currency-missing",
            accepted={"currency": "an ISO 4217 code, for example USD"},
        )
    named = [
        name
        for name in ("provider", "region", "commitment", "gpus_per_instance", "source")
        if getattr(asked, name) is not None
    ]
    if named:
        raise InvalidRequestError(
            f"price.amount is given, so price.{named[0]} would select nothing; give one or the other.",
            field=f"price.{named[0]}",
            code="price-given-twice",
        )
    if asked.amount is None or not asked.amount.is_finite() or asked.amount <= 0:
        raise InvalidRequestError(
            f"price.amount is {asked.amount}; it must be greater than 0.", field="price.amount"
        )
    request = PriceRequest(basis="rental", amount=asked.amount, currency=asked.currency)
    defaulted = ("price.basis",) if asked.basis is None else ()
    return ChosenPrice(asked.amount, asked.currency, None, request, defaulted)


def _narrow(rows: Sequence[GpuPriceRecord], asked: PriceRequest, accelerator: str) -> list[GpuPriceRecord]:
    tests: dict[str, Callable[[GpuPriceRecord], str | int]] = {
        "currency": lambda row: row.price.currency,
        "provider": lambda row: row.provider,
        "region": lambda row: row.region,
        "commitment": lambda row: row.commitment,
        "gpus_per_instance": lambda row: row.gpus_per_instance,
        "source": lambda row: row.source,
    }
    left = list(rows)
    for name, read in tests.items():
        wanted = getattr(asked, name)
        if wanted is None:
            continue
        there = sorted({read(row) for row in left}, key=str)
        left = [row for row in left if read(row) == wanted]
        if not left:
            raise NoPriceError(
                f"No price of {accelerator} has {name} {wanted!r}; there are {', '.join(map(str, there))}. "
                "Name one of these, or give price.amount and price.currency.",
                field=f"price.{name}",
                code="price-not-found",
                accepted={name: there},
            )
    if asked.commitment is None:
        for commitment in PREFERRED_COMMITMENTS:
            some = [row for row in left if row.commitment == commitment]
            if some:
                return some
    return left


def _median(rows: list[GpuPriceRecord]) -> GpuPriceRecord:
    # Of several currencies the one most rows have; amounts of different currencies do not compare.
    currencies = sorted(row.price.currency for row in rows)
    currency = max(dict.fromkeys(currencies), key=currencies.count)
    ordered = sorted(
        (row for row in rows if row.price.currency == currency),
        key=lambda row: (row.price.amount, row.provider, row.region, row.gpus_per_instance, row.source),
    )
    return ordered[(len(ordered) - 1) // 2]


def _refuse_undated(
    snapshot: CatalogSnapshot, accelerator: str, as_of: datetime, known_at: int | None
) -> None:
    known = snapshot.gpu_prices(accelerator, None, known_at)
    if not known:
        raise NoPriceError(
            f"The catalog has no price for {accelerator}; give price.amount and price.currency.",
            field="price",
            code="price-not-found",
            accepted={"amount": "a price per accelerator-hour", "currency": "an ISO 4217 code"},
        )
    first = min(row.stamp.valid_from for row in known)
    raise NoPriceError(
        f"No price of {accelerator} is known at {as_of.isoformat()}; the first is from {first.isoformat()}. "
        "Choose a later as_of, or give price.amount and price.currency.",
        field="as_of",
        code="price-not-known-at",
        accepted={"first_known": first.isoformat()},
    )
