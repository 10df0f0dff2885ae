"""Provider ids that no reviewed listing ties to a catalog model, and the models whose name they resemble.

Resemblance is for the reviewer's eye alone: it decides nothing (CONTRACT 4).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from service.application.ports import CatalogSnapshot, ModelRecord

_WORDS: Final = re.compile(r"[a-z]+|[0-9]+(?:\.[0-9]+)?", re.ASCII)
_VERSION: Final = re.compile(r"(?<=[0-9])[-_p](?=[0-9](?:[^0-9b]|$))", re.ASCII)
_SAID_BY_MANY: Final = frozenset({"b", "a", "it", "chat", "instruct", "base", "fp", "nvfp", "v", "hf"})
"""Words that tell no model from another."""


@dataclass(frozen=True, slots=True)
class UnmatchedId:
    """A provider's model id without a reviewed listing."""

    provider: str
    provider_model_id: str
    resembles: tuple[str, ...]
    """Catalog models all of whose words the id has."""


def unmatched_ids(snapshot: CatalogSnapshot, *, all_ids: bool = False) -> tuple[UnmatchedId, ...]:
    """Return the ids with list prices that no listing names, by provider and id.

    Parameters
    ----------
    snapshot
        The catalog.
    all_ids
        Those that resemble no catalog model, too.
    """
    reviewed = {(row.provider, row.provider_model_id) for row in snapshot.listings()}
    known = {(row.provider, row.provider_model_id) for row in snapshot.list_prices(None, None, None, None)}
    words = {model.id: _needed(model) for model in snapshot.models()}
    found = (
        UnmatchedId(provider, name, _resembled(name, words)) for provider, name in sorted(known - reviewed)
    )
    return tuple(item for item in found if all_ids or item.resembles)


def _needed(model: ModelRecord) -> tuple[frozenset[str], ...]:
    """Return, for each name of a model, the words that an id of it would have."""
    names = {model.id, *(alias.rpartition("/")[2] for alias in model.aliases)}
    return tuple({words for name in names if len(words := _words(name)) > 1})


def _words(name: str) -> frozenset[str]:
    text = _VERSION.sub(".", name.lower())
    return frozenset(_WORDS.findall(text)) - _SAID_BY_MANY


def _resembled(name: str, words: Mapping[str, Iterable[frozenset[str]]]) -> tuple[str, ...]:
    said = _words(name.rpartition("/")[2])
    return tuple(sorted(model for model, needed in words.items() if any(part <= said for part in needed)))
