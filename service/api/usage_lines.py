"""From a usage record's body to the bytes of its charge; what one line of a batch is, too."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from service.api.answers import unconfirmed_seconds
from service.api.deps import Services
from service.api.strict_json import parse_strict_json
from service.api.translate_usage import read_usage
from service.application.ports import CatalogSnapshot
from service.application.usage_answers import UsageAnswer
from service.application.usage_json import UsageEncoder
from service.billing.money import format_amount, total


class UsageLines:
    """Prices records on one snapshot, and sums the charges exactly, by currency."""

    def __init__(self, snapshot: CatalogSnapshot, services: Services, now: datetime) -> None:
        self._snapshot = snapshot
        self._services = services
        self._now = now
        self._encoder = UsageEncoder()
        self._age = unconfirmed_seconds(services.catalog)
        self._charges: dict[str, Decimal] = {}

    def price(self, body: bytes) -> UsageAnswer:
        """Return the answer to one record as a caller wrote it.

        Raises
        ------
        UnreadableJsonError, ProblemError, ApplicationError, BillingError, EngineError
            Everything that can be wrong with it.
        """
        request = read_usage(parse_strict_json(body), self._snapshot)
        return self._services.price_usage(request, self._snapshot, self._now)

    def answer(self, line: bytes) -> bytes:
        """Return the JSON text of one record's charge."""
        answer = self.price(line)
        text = self._encoder.encode(answer, self._age)
        known = self._charges.get(answer.currency)
        self._charges[answer.currency] = answer.total if known is None else total((known, answer.total))
        return text

    def totals(self) -> dict[str, Any]:
        """Return the charge by currency."""
        return {"charge": {currency: format_amount(charge) for currency, charge in self._charges.items()}}
