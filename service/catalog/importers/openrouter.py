"""OpenRouter's ``/api/v1/models``: US dollars per token, request or search, as strings.

``overrides`` are prices of longer prompts (``min_prompt_tokens``) and of daily windows (``utc_start`` and
``utc_end`` as HHMM, ``utc_days``). An override that is not understood rejects its model: the base price
alone would be wrong part of the time.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from service.catalog.drafts import ImportBatch, RejectedDraft
from service.catalog.importers.reading import (
    Adapter,
    Quote,
    ReadContext,
    Row,
    SourceError,
    batch_of,
    decimal_of,
    list_price_row,
    read_json,
)

SOURCE: Final = "openrouter-models"
URL: Final = "https://openrouter.ai/api/v1/models"
PROVIDER: Final = "openrouter"
_ONE: Final = Decimal(1)

_PER_TOKEN: Final[Mapping[str, str]] = {
    "prompt": "input",
    "completion": "output",
    "input_cache_read": "cache_read",
    "input_cache_write": "cache_write",
    "input_audio_cache": "cache_audio_read",
    "internal_reasoning": "output_reasoning",
    "audio": "input_audio",
}
_PER_UNIT: Final[Mapping[str, tuple[str, str]]] = {
    "request": ("requests", "request"),
    "web_search": ("web_searches", "call"),
}
_ZERO_MEANS_NONE: Final = frozenset({"request", "web_search", "internal_reasoning", "image", "audio"})
"""Stated as 0 where there is no such charge; a zero row would make reasoning free."""
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_CONDITIONS: Final = frozenset({"min_prompt_tokens", "utc_start", "utc_end", "utc_days"})


def read(content: bytes, context: ReadContext) -> ImportBatch:
    """Read the answer of the API.

    Raises
    ------
    SourceError
        Where it is not an object with a list ``data``.
    """
    document = read_json(content)
    models = document.get("data") if isinstance(document, dict) else None
    if not isinstance(models, list):
        raise SourceError('OpenRouter answers {"data": [...]}; this is something else.')
    return batch_of(_rows(models, context), context, complete=True)


def _rows(models: list[Any], context: ReadContext) -> Iterator[Row]:
    for index, model in enumerate(models):
        name = model.get("id") if isinstance(model, dict) else None
        pricing = model.get("pricing") if isinstance(model, dict) else None
        if not isinstance(name, str) or not name.strip():
            yield RejectedDraft(f"data.{index}", "no id")
        elif not isinstance(pricing, dict):
            yield RejectedDraft(name, "no pricing")
        else:
            yield from _model_rows(name, pricing, context)


def _model_rows(name: str, pricing: Mapping[str, Any], context: ReadContext) -> Iterator[Row]:
    overrides = pricing.get("overrides") or []
    try:
        bound = [(_axes(item), item) for item in overrides]
    except (ValueError, TypeError, AttributeError) as error:
        yield RejectedDraft(name, f"an override is not understood: {error}")
        return
    for axes, prices in [({}, pricing), *bound]:
        for key, value in prices.items():
            if key in _CONDITIONS or key in ("overrides", "discount") or value is None:
                continue
            row = _row(name, key, value, axes, context)
            if row is not None:
                yield row


def _row(name: str, key: str, value: object, axes: Mapping[str, object], context: ReadContext) -> Row | None:
    origin = f"{name} {key}"
    if value in ("-1", -1):
        return RejectedDraft(origin, "the price is decided for each request")
    try:
        amount = decimal_of(value)
    except ValueError as error:
        return RejectedDraft(origin, str(error))
    if not amount and key in _ZERO_MEANS_NONE:
        return None
    if key in _PER_TOKEN:
        return list_price_row(Quote(PROVIDER, name, _PER_TOKEN[key], amount, axes=axes), context, origin)
    if key in _PER_UNIT:
        meter, per = _PER_UNIT[key]
        quote = Quote(PROVIDER, name, meter, amount, per=per, unit_size=_ONE, axes=axes)
        return list_price_row(quote, context, origin)
    return RejectedDraft(origin, "no meter of the registry measures what this price is per")


def _axes(override: Mapping[str, Any]) -> dict[str, object]:
    axes: dict[str, object] = {}
    tokens = override.get("min_prompt_tokens")
    if tokens is not None:
        axes |= {"context_measure": "input", "context_from": _whole(tokens), "context_mode": "whole_request"}
    start, end = override.get("utc_start"), override.get("utc_end")
    if (start is None) != (end is None):
        raise ValueError("utc_start and utc_end come together")
    if start is not None and _whole(start) != _whole(end):
        axes |= {"start_time": _clock(start), "end_time": _clock(end), "time_zone": "UTC"}
    days = override.get("utc_days")
    if days is not None:
        numbers = sorted(_DAYS.index(str(day).lower()) + 1 for day in days)
        axes |= {"weekdays": "".join(map(str, numbers)), "time_zone": "UTC"}
    if not axes:
        raise ValueError("it names no condition that is known")
    return axes


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{str(value)[:40]!r} is no whole number")
    return value


def _clock(value: object) -> str:
    hours, minutes = divmod(_whole(value), 100)
    return f"{hours:02d}:{minutes:02d}"


ADAPTER: Final = Adapter("openrouter", read, SOURCE, URL, complete=True)
