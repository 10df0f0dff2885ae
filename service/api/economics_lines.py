"""From the body of a curve, a tariff or a comparison to the bytes of its answer; a line of a batch, too."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from service.api.answers import unconfirmed_seconds
from service.api.deps import Economics, Services
from service.api.problems import ProblemError
from service.api.strict_json import parse_strict_json
from service.api.translate_economics import read_comparison, read_curve, read_tariff
from service.application.compare_answers import CompareAnswer
from service.application.curve_answers import CurveAnswer
from service.application.errors import UnavailableError
from service.application.ports import CatalogSnapshot
from service.application.render import render_float, to_json_text
from service.application.tariff_answers import TariffAnswer

Answer = CurveAnswer | TariffAnswer | CompareAnswer
Read = Callable[[object, CatalogSnapshot], Any]
UseCase = Callable[[Any, CatalogSnapshot, datetime], Answer]


@dataclass(frozen=True, slots=True)
class Computation:
    """One computation: how its body is read and which use case answers it."""

    read: Read
    use_case: Callable[[Economics], UseCase]
    takes_trace: bool = False


CURVE = Computation(read_curve, lambda found: found.draw_curve)
TARIFF = Computation(read_tariff, lambda found: found.make_tariff, takes_trace=True)
COMPARISON = Computation(read_comparison, lambda found: found.compare)


class EconomicsLines:
    """Answers bodies on one snapshot, and sums what one request of each costs, by currency."""

    def __init__(
        self,
        computation: Computation,
        snapshot: CatalogSnapshot,
        services: Services,
        now: datetime,
    ) -> None:
        self._computation = computation
        self._snapshot = snapshot
        self._services = services
        self._now = now
        self._age = unconfirmed_seconds(services.catalog)
        self._cost_per_request: dict[str, float] = {}

    def answer(self, line: bytes) -> bytes:
        """Return the JSON text of one body's answer.

        Raises
        ------
        UnreadableJsonError, ProblemError, ApplicationError, EngineError
            Everything that can be wrong with it.
        """
        found = self._compute(line)
        provenance = replace(found.provenance, catalog_age_seconds=self._age)
        if not isinstance(found, CurveAnswer):
            total = self._cost_per_request.get(found.currency, 0.0)
            self._cost_per_request[found.currency] = total + found.cost_per_request
        return to_json_text(replace(found, provenance=provenance)).encode()

    def totals(self) -> dict[str, Any]:
        """Return the cost by currency; curves have none."""
        rounded = {currency: render_float(cost) for currency, cost in self._cost_per_request.items()}
        return {"cost_per_request": rounded} if rounded else {}

    def _compute(self, line: bytes) -> Answer:
        if self._services.economics is None:
            raise UnavailableError("Curves, tariffs and comparisons are not set up in this service.")
        value = parse_strict_json(line)
        limit = self._services.limits.body_bytes
        if len(line) > limit and not (isinstance(value, dict) and value.get("trace")):
            raise ProblemError(
                "body-too-large",
                f"The body is larger than {limit} bytes and carries no trace.",
                accepted={"maximum_bytes": limit},
            )
        request = self._computation.read(value, self._snapshot)
        use_case = self._computation.use_case(self._services.economics)
        return use_case(request, self._snapshot, self._now)
