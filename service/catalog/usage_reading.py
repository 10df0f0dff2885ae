"""Reads providers' own usage objects with the extractors of ``genai-prices``; implements ``UsageReader``."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from genai_prices.data import providers as package_providers
from genai_prices.types import Provider, UsageExtractor

from service.application.errors import InvalidRequestError
from service.application.ports import ExtractedUsage

_WRAPPERS: Final = ("message", "response", "metadata")
"""Members of stream events that hold a whole response: Anthropic's, OpenAI's, Bedrock's."""
_LABELS: Final = ("model", "modelVersion", "service_tier")
_COUNTS: Final = ("usage", "usageMetadata")
_STANDARD_SHAPE: Final = "openai"
"""Providers whose responses the package does not describe answer in OpenAI's shape."""


class GenaiUsageReader:
    """Finds the extractor that reads a response, and what it reports by meter."""

    def read(
        self, response: Mapping[str, object] | Sequence[object], provider: str, api_flavor: str | None
    ) -> ExtractedUsage:
        """Return what a response, its usage object, or the events of a stream report.

        Parameters
        ----------
        response
            As the provider sent it; of a stream, its events in their order.
        provider
            Whose shape it has.
        api_flavor
            Flavor of the provider's API; the first that reads the response where None.

        Raises
        ------
        InvalidRequestError
            Where no extractor of the provider reads it; says what each one missed.
        """
        whole = response if isinstance(response, Mapping) else merge_events(response)
        reasons: dict[str, str] = {}
        for extractor in _extractors(provider, api_flavor):
            for candidate in _candidates(whole, extractor):
                try:
                    model, usage = extractor.extract(candidate)
                except (ValueError, TypeError) as error:
                    reasons.setdefault(extractor.api_flavor, str(error)[:200])
                    continue
                quantities = {
                    name.removesuffix("_tokens"): _quantity(value) for name, value in vars(usage).items()
                }
                return ExtractedUsage(model or _model(whole), _service_tier(whole), quantities)
        raise InvalidRequestError(
            f"The response has no usage that the extractors of {provider} can read.",
            field="response",
            code="unreadable-usage",
            accepted={"missed": reasons},
        )


def merge_events(events: Sequence[object]) -> Mapping[str, object]:
    """Return one response from the events of a stream.

    Counts are cumulative in every provider's stream, so what a later event says replaces what an
    earlier one said; Anthropic splits input (``message_start``) and output (``message_delta``).
    """
    merged: dict[str, Any] = {}
    for event in events:
        for part in _parts(event):
            _merge(merged, part)
    return merged


def _merge(merged: dict[str, Any], part: Mapping[str, Any]) -> None:
    merged |= {name: part[name] for name in _LABELS if isinstance(part.get(name), str)}
    for name in _COUNTS:
        found = part.get(name)
        if isinstance(found, Mapping):
            known = merged.setdefault(name, {})
            known.update({key: value for key, value in found.items() if value is not None})


def _parts(event: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(event, Mapping):
        yield event
        yield from (event[name] for name in _WRAPPERS if isinstance(event.get(name), Mapping))


@lru_cache(maxsize=1)
def _by_id() -> Mapping[str, Provider]:
    return {provider.id: provider for provider in package_providers}


def _extractors(provider: str, api_flavor: str | None) -> Sequence[UsageExtractor]:
    known = _by_id().get(provider)
    extractors = (known.extractors if known else None) or _by_id()[_STANDARD_SHAPE].extractors or []
    if api_flavor is None:
        return extractors
    chosen = [extractor for extractor in extractors if extractor.api_flavor == api_flavor]
    if not chosen:
        raise InvalidRequestError(
            f"{provider} has no API flavor {api_flavor[:100]!r}.",
            field="api_flavor",
            code="invalid-choice",
            accepted={"api_flavors": [extractor.api_flavor for extractor in extractors]},
        )
    return chosen


def _candidates(whole: Mapping[str, object], extractor: UsageExtractor) -> Iterator[Mapping[str, object]]:
    """Yield the response, then what it is if it is the usage object alone."""
    yield whole
    path = [extractor.root] if isinstance(extractor.root, str) else list(extractor.root)
    wrapped: Mapping[str, object] = whole
    for name in reversed(path):
        if not isinstance(name, str):
            return
        wrapped = {name: wrapped}
    yield wrapped


def _quantity(value: Any) -> int | Decimal:
    if isinstance(value, int):
        return value
    number = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    return int(number) if number == number.to_integral_value() else number


def _model(whole: Mapping[str, object]) -> str | None:
    found = whole.get("model")
    return found if isinstance(found, str) else None


def _service_tier(whole: Mapping[str, object]) -> str | None:
    """Return the tier that served the request, where the provider says so."""
    usage = whole.get("usage")
    places = (whole, usage) if isinstance(usage, Mapping) else (whole,)
    found = (place.get(name) for place in places for name in ("service_tier", "serviceTier"))
    return next((tier for tier in found if isinstance(tier, str)), None)
