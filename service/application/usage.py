"""Usage pricing: what one usage record is charged, to the digit, and by which rows (CONTRACT 1-4)."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Final

from service.application.answers import EstimateAnswer
from service.application.errors import InvalidRequestError, LimitExceededError, UnknownIdError
from service.application.ports import CatalogSnapshot, ListPriceRecord, UsageReader
from service.application.requests import EstimateRequest
from service.application.usage_answers import (
    AdjustmentAnswer,
    ConvertedCharge,
    PriceUsed,
    UsageAnswer,
    UsageLine,
)
from service.application.usage_conversion import ChargeConverter
from service.application.usage_cost import modelled_usage
from service.application.usage_requests import UsageRequest
from service.application.usage_views import digest_of, price_used, quantity_text, rate_text
from service.billing.adjustments import Adjustment, AdjustmentLine, adjust
from service.billing.charges import Charge, ChargeFacts, LineRate, PriceRow
from service.billing.decomposition import Quantity
from service.billing.money import round_lines, total
from service.billing.price_book import PriceBook

EstimateUseCase = Callable[[EstimateRequest, CatalogSnapshot, datetime], EstimateAnswer]

MAX_QUANTITY: Final = 2**53 - 1
"""Largest quantity of a meter; charges of it are exact at every admissible price."""
_KEPT_SNAPSHOTS: Final = 3
_KEPT_BOOKS: Final = 4_096
_KEPT_PRICES: Final = 16_384
_NEAR: Final = 3
_LONGEST_COMPARED: Final = 128


class UsagePricer:
    """Prices usage records; keeps the price rows of listings in the form that billing needs.

    Parameters
    ----------
    reader
        Reads providers' own usage objects.
    estimate
        Models the cost of an own deployment, where a record names one.
    """

    def __init__(self, reader: UsageReader, estimate: EstimateUseCase) -> None:
        self._reader = reader
        self._estimate = estimate
        self._kept: tuple[_Kept, ...] = ()
        self._converter = ChargeConverter()

    def price(self, request: UsageRequest, snapshot: CatalogSnapshot, now: datetime) -> UsageAnswer:
        """Charge one record.

        Parameters
        ----------
        request
            What was used.
        snapshot
            The catalog to charge from.
        now
            The time of asking; prices are read at the time of the request, only an own deployment's
            price is read now unless the deployment says otherwise.

        Raises
        ------
        ApplicationError, BillingError, EngineError
            Everything a readable record can get wrong.
        """
        kept = self._kept_of(snapshot)
        model, tier, usage = self._read(request)
        book = kept.book(request, model)
        facts = ChargeFacts(request.at, tier, request.region, request.variant, request.backdate is not None)
        charge = book.charge(usage, facts)
        adjusted = _adjusted(charge, request)
        lines, rates, adjustments, amount = kept.lines(charge, adjusted, request.round_digits)
        texts = {
            meter: str(quantity) if quantity.__class__ is int else quantity_text(quantity)
            for meter, quantity in usage.items()
        }
        converted = self._converted(request, book.rows[0].currency, amount, snapshot)
        deployment = None
        if request.deployment is not None:
            estimate = self._estimate(request.deployment, snapshot, now)
            charged = (book.rows[0].currency, amount)
            if converted is not None and converted.currency == estimate.currency:
                charged = (converted.currency, converted.total)
            deployment = modelled_usage(estimate, usage, charged)
        return UsageAnswer(
            reference=request.reference,
            provider=request.provider,
            model=model,
            at=request.at,
            service_tier=tier,
            usage=texts,
            currency=book.rows[0].currency,
            lines=lines,
            adjustments=adjustments,
            folded=dict(charge.folded),
            total=amount,
            rounded_to_digits=request.round_digits,
            converted=converted,
            deployment=deployment,
            known_at=kept.known_at if request.known_at is None else f"r{request.known_at}",
            catalog_revision=kept.revision,
            catalog_age_seconds=0.0,
            digest=digest_of(request, model, texts, (rates, adjustments, converted)),
        )

    def _converted(
        self, request: UsageRequest, currency: str, amount: Decimal, snapshot: CatalogSnapshot
    ) -> ConvertedCharge | None:
        if request.convert_to is None:
            return None
        pair, believed = (currency, request.convert_to), (snapshot, request.known_at)
        return self._converter.convert(amount, pair, request.at, request.round_digits, believed)

    def _read(self, request: UsageRequest) -> tuple[str, str | None, Mapping[str, Quantity]]:
        """Return model, tier and quantities, from the response where that is what was sent."""
        model, tier, usage = request.model, request.service_tier, request.usage
        if request.response is not None:
            shape = request.response_format or request.provider
            found = self._reader.read(request.response, shape, request.api_flavor)
            model, tier, usage = model or found.model, tier or found.service_tier, found.quantities
        if model is None:
            raise InvalidRequestError(
                "The record names no model, and neither does the response.",
                field="model",
                code="missing-field",
            )
        if usage and max(usage.values()) > MAX_QUANTITY:
            raise LimitExceededError(
                "A quantity of the record is not below 2^53.",
                field="usage",
                accepted={"maximum": MAX_QUANTITY},
            )
        if not usage:
            raise InvalidRequestError("The record reports no usage.", field="usage", code="missing-field")
        return model, tier, usage

    def _kept_of(self, snapshot: CatalogSnapshot) -> "_Kept":
        """Return what is kept of a snapshot; a batch goes on with an older one while others move on."""
        for kept in self._kept:
            if kept.snapshot is snapshot:
                return kept
        fresh = _Kept(snapshot)
        # Replaced as a whole, because threads read it.
        self._kept = (fresh, *self._kept[: _KEPT_SNAPSHOTS - 1])
        return fresh


class _Kept:
    """Price books and views of one snapshot."""

    def __init__(self, snapshot: CatalogSnapshot) -> None:
        self.snapshot = snapshot
        self.revision = snapshot.info.revision
        self.known_at = f"r{self.revision}"
        self._books: dict[tuple[str, str, int | None, str | None], PriceBook] = {}
        self._names: dict[tuple[str, str], UnknownIdError] = {}
        self._prices: dict[int, tuple[LineRate, PriceUsed, str]] = {}

    def book(self, request: UsageRequest, model: str) -> PriceBook:
        """Return the price rows of a record's listing."""
        key = (request.provider, model, request.known_at, request.currency)
        book = self._books.get(key)
        if book is None:
            rows = self._rows(request, model)
            if len(self._books) >= _KEPT_BOOKS:
                self._books.clear()
            book = self._books[key] = PriceBook.of(price_rows(rows, self.snapshot))
        return book

    def _rows(self, request: UsageRequest, model: str) -> Sequence[ListPriceRecord]:
        known = self.snapshot.list_prices(request.provider, model, None, request.known_at)
        if not known:
            raise self._unknown(request.provider, model)
        currencies = sorted({row.price.currency for row in known})
        wanted = request.currency
        if wanted is None and len(currencies) == 1:
            return known
        rows = [row for row in known if row.price.currency == wanted]
        if rows:
            return rows
        raise InvalidRequestError(
            f"{request.provider} prices {model} in {' and '.join(currencies)}"
            + (f", not in {wanted}." if wanted else "; name one as currency."),
            field="currency",
            code="price-not-found",
            accepted={"currencies": currencies},
        )

    def _unknown(self, provider: str, model: str) -> UnknownIdError:
        # A batch may repeat one wrong name a million times; similarity takes a millisecond.
        known = self._names.get((provider, model))
        if known is None:
            if len(self._names) >= _KEPT_BOOKS:
                self._names.clear()
            known = self._names[provider, model] = unknown_listing(provider, model, self.snapshot)
        return known

    def lines(
        self, charge: Charge, adjusted: Sequence[AdjustmentLine], digits: int | None
    ) -> tuple[tuple[UsageLine, ...], list[str], tuple[AdjustmentAnswer, ...], Decimal]:
        """Return lines, their rates for a digest, adjustments and the sum, rounded where asked."""
        amounts: Sequence[Decimal] = [line.charge for line in charge.lines]
        changes: Sequence[Decimal] = [line.amount for line in adjusted]
        amount = charge.total
        if digits is not None:
            rounded, amount = round_lines([*amounts, *changes], digits)
            amounts, changes = rounded[: len(amounts)], rounded[len(amounts) :]
        elif adjusted:
            amount = total([amount, *changes])
        known = self._prices
        lines, rates = [], []
        for line, value in zip(charge.lines, amounts, strict=True):
            rate = line.rate
            _, price, text = known.get(id(rate)) or self._keep_price(rate)
            quantity = Decimal(line.quantity)
            lines.append(UsageLine(rate.meter, rate.priced_as, price, quantity, value, line.exact))
            rates.append(text)
        adjustments = tuple(
            AdjustmentAnswer(line.name, line.kind, line.percent, line.base, value, line.exact)
            for line, value in zip(adjusted, changes, strict=True)
        )
        return tuple(lines), rates, adjustments, amount

    def _keep_price(self, rate: LineRate) -> tuple[LineRate, PriceUsed, str]:
        """Return the row of a rate as answers show it, and as a digest does; one object for one rate."""
        if len(self._prices) >= _KEPT_PRICES:
            self._prices.clear()
        # The rate is kept beside its view, so that its id stays its own.
        price = price_used(rate)
        kept = self._prices[id(rate)] = (rate, price, rate_text(rate.meter, price))
        return kept


def price_rows(records: Sequence[ListPriceRecord], snapshot: CatalogSnapshot) -> list[PriceRow]:
    """Return catalog rows as billing takes them; units and precedence are looked up here."""
    sizes = snapshot.unit_sizes()
    precedence = {source.id: source.precedence for source in snapshot.sources().values()}
    return [
        PriceRow(
            row_id=record.stamp.row_id,
            revision_from=record.stamp.revision_from,
            source=record.source,
            precedence=precedence.get(record.source, 0),
            meter=record.meter,
            selector=record.selector,
            amount=record.price.amount,
            currency=record.price.currency,
            per=record.price.per,
            unit_size=sizes[record.price.per],
            valid_from=record.stamp.valid_from,
            valid_to=record.stamp.valid_to,
            basis=record.stamp.valid_from_basis,
        )
        for record in records
    ]


def unknown_listing(provider: str, model: str, snapshot: CatalogSnapshot) -> UnknownIdError:
    """Return the error for a provider or model id without any price, with near matches."""
    ids: dict[str, set[str]] = {}
    for row in snapshot.list_prices(None, None, None, None):
        ids.setdefault(row.provider, set()).add(row.provider_model_id)
    if provider not in ids:
        near = get_close_matches(provider[:_LONGEST_COMPARED], ids, n=_NEAR, cutoff=0.5)
        return UnknownIdError("provider", provider[:_LONGEST_COMPARED], near, field="provider")
    near = get_close_matches(model[:_LONGEST_COMPARED], sorted(ids[provider]), n=_NEAR, cutoff=0.5)
    return UnknownIdError("provider model", model[:_LONGEST_COMPARED], near, field="model")


def _adjusted(charge: Charge, request: UsageRequest) -> tuple[AdjustmentLine, ...]:
    if not request.adjustments:
        return ()
    wanted = [Adjustment(item.name, item.kind, item.percent, item.meters) for item in request.adjustments]
    return adjust(charge.lines, wanted)
