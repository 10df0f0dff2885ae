"""LiteLLM's ``model_prices_and_context_window.json``: one object of models, US dollars per token.

A price key is a meter with suffixes: ``input_cost_per_token_above_200k_tokens_priority`` is the input
price of the priority tier for prompts of more than 200 000 tokens. Prices per image, pixel, character,
query or second have no meter here that would mean the same, and are rejected with that reason.
"""

import re
from collections.abc import Iterator, Mapping
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

SOURCE: Final = "litellm"
URL: Final = "https://raw.githubusercontent.com/BerriAI/litellm/main/model_prices_and_context_window.json"

_METERS: Final[Mapping[str, str]] = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "output_cost_per_reasoning_token": "output_reasoning",
    "input_cost_per_audio_token": "input_audio",
    "output_cost_per_audio_token": "output_audio",
    "input_cost_per_image_token": "input_image",
    "output_cost_per_image_token": "output_image",
    "cache_read_input_audio_token_cost": "cache_audio_read",
    "cache_creation_input_audio_token_cost": "cache_audio_write",
}
_TIERS: Final[Mapping[str, str]] = {"batches": "batch", "priority": "priority", "flex": "flex"}
_KEY: Final = re.compile(
    r"(?P<base>.+?)(?:_above_(?P<thousands>[0-9]{1,5})k_tokens)?(?:_(?P<tier>batches|priority|flex))?",
    re.ASCII,
)
_PRICE: Final = re.compile(r"cost", re.ASCII)
_PROVIDERS: Final[Mapping[str, str]] = {
    "azure": "azure",
    "azure_ai": "azure",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "bedrock_mantle": "aws",
    "deepinfra": "deepinfra",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "moonshot": "moonshotai",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "vertex_ai": "google",
    "xai": "x-ai",
}
"""Our provider ids where LiteLLM's differ; families of Vertex (``vertex_ai-...``) are Google's."""
_SLUG: Final = re.compile(r"[^a-z0-9._-]+", re.ASCII)


def read(content: bytes, context: ReadContext) -> ImportBatch:
    """Read the file.

    Raises
    ------
    SourceError
        Where it is not one object of models.
    """
    document = read_json(content)
    if not isinstance(document, dict):
        raise SourceError("LiteLLM's file is one object with a model under each key.")
    return batch_of(_rows(document, context), context, complete=True)


def _rows(document: Mapping[str, Any], context: ReadContext) -> Iterator[Row]:
    for key, entry in document.items():
        # Not a model: it tells contributors which keys there are.
        if key == "sample_spec":
            continue
        provider = entry.get("litellm_provider") if isinstance(entry, dict) else None
        if not isinstance(provider, str) or not provider:
            yield RejectedDraft(key, "no litellm_provider")
            continue
        yield from _model_rows(key, provider, entry, context)


def _model_rows(key: str, provider: str, entry: Mapping[str, Any], context: ReadContext) -> Iterator[Row]:
    ours = _provider(provider)
    model = key.removeprefix(f"{provider}/")
    for name, value in entry.items():
        if not _PRICE.search(name) or value is None:
            continue
        origin = f"{key} {name}"
        match = _KEY.fullmatch(name)
        meter = _METERS.get(name) or (_METERS.get(match["base"]) if match else None)
        if meter is None or match is None:
            yield RejectedDraft(origin, "no meter of the registry measures what this price is per")
            continue
        try:
            amount = decimal_of(value)
        except ValueError as error:
            yield RejectedDraft(origin, str(error))
            continue
        axes = {} if name in _METERS else _axes(match)
        yield list_price_row(Quote(ours, model, meter, amount, axes=axes), context, origin)


def _provider(name: str) -> str:
    known = _PROVIDERS.get(name) or ("google" if name.startswith("vertex_ai") else name)
    return _SLUG.sub("-", known.lower())


def _axes(match: re.Match[str]) -> dict[str, object]:
    axes: dict[str, object] = {}
    if match["tier"]:
        axes["service_tier"] = _TIERS[match["tier"]]
    if match["thousands"]:
        # "above 200k": the price of all tokens of a request whose prompt has more than that.
        axes |= {
            "context_measure": "input",
            "context_from": int(match["thousands"]) * 1_000 + 1,
            "context_mode": "whole_request",
        }
    return axes


ADAPTER: Final = Adapter("litellm", read, SOURCE, URL, complete=True)
