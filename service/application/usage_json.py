"""A usage answer as JSON text, quickly: a million lines of a batch differ in a few figures only.

The text says what ``render.to_json_values`` would, amounts in their canonical form; a test compares
them. What repeats (a row and how it was chosen) is rendered once.
"""

from typing import Final

import orjson

from service.application.render import render_datetime, to_json_values
from service.application.usage_answers import AdjustmentAnswer, PriceUsed, UsageAnswer, UsageLine
from service.billing.money import format_amount

_KEPT: Final = 16_384


class UsageEncoder:
    """Encodes answers; keeps the text of rows that it has seen."""

    def __init__(self) -> None:
        self._prices: dict[tuple[int, str, tuple[str, ...]], tuple[PriceUsed, str]] = {}

    def encode(self, answer: UsageAnswer, age_seconds: float = 0.0) -> bytes:
        """Return the JSON text of an answer.

        Parameters
        ----------
        answer
            What to encode.
        age_seconds
            Stands in for the answer's ``catalog_age_seconds``, which the use case does not know.
        """
        lines = ",".join([self._line(line) for line in answer.lines])
        adjustments = orjson.dumps([_adjustment(item) for item in answer.adjustments])
        converted = b"null" if answer.converted is None else orjson.dumps(to_json_values(answer.converted))
        deployment = b"null" if answer.deployment is None else orjson.dumps(to_json_values(answer.deployment))
        head = orjson.dumps(
            {
                "reference": answer.reference,
                "provider": answer.provider,
                "model": answer.model,
                "at": render_datetime(answer.at),
                "service_tier": answer.service_tier,
                "usage": answer.usage,
                "currency": answer.currency,
            }
        )
        middle = orjson.dumps(answer.folded)
        rest = orjson.dumps(
            {
                "known_at": answer.known_at,
                "catalog_revision": answer.catalog_revision,
                "catalog_age_seconds": age_seconds,
                "digest": answer.digest,
            }
        )
        digits = b"null" if answer.rounded_to_digits is None else b"%d" % answer.rounded_to_digits
        return (
            b'%b,"lines":[%b],"adjustments":%b,"folded":%b,"total":"%b","rounded_to_digits":%b,'
            b'"converted":%b,"deployment":%b,%b'
            % (
                head[:-1],
                lines.encode(),
                adjustments,
                middle,
                format_amount(answer.total).encode(),
                digits,
                converted,
                deployment,
                rest[1:],
            )
        )

    def _line(self, line: UsageLine) -> str:
        exact = "true" if line.exact else "false"
        return (
            f'{self._static(line)}"quantity":"{format_amount(line.quantity)}",'
            f'"charge":"{format_amount(line.charge)}","exact":{exact}}}'
        )

    def _static(self, line: UsageLine) -> str:
        key = (id(line.price), line.meter, line.priced_as)
        kept = self._prices.get(key)
        if kept is None:
            if len(self._prices) >= _KEPT:
                self._prices.clear()
            values = {
                "meter": line.meter,
                "priced_as": list(line.priced_as),
                "price": to_json_values(line.price),
            }
            # The row is kept beside its text, so that its id stays its own.
            kept = self._prices[key] = (line.price, orjson.dumps(values).decode()[:-1] + ",")
        return kept[1]


def _adjustment(item: AdjustmentAnswer) -> dict[str, object]:
    return {
        "name": item.name,
        "kind": item.kind,
        "percent": format_amount(item.percent),
        "base": format_amount(item.base),
        "charge": format_amount(item.charge),
        "exact": item.exact,
    }
