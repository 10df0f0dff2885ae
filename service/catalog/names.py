"""Ids, aliases and near matches of one kind of catalog row."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final

from service.application.errors import UnknownIdError

NEAR_MATCHES: Final = 3
_LONGEST_COMPARED: Final = 128
"""Characters of a wrong name that are compared; similarity takes quadratic time."""


class NameIndex:
    """Finds an id by its id, an alias, or the part of an alias after the slash where that is unique.

    Parameters
    ----------
    kind
        What the names name, for messages.
    aliases
        Aliases by id. Case does not matter in look-ups.
    """

    def __init__(self, kind: str, aliases: Mapping[str, Iterable[str]]) -> None:
        self._kind = kind
        self._by_name: dict[str, str] = {}
        tails: dict[str, set[str]] = defaultdict(set)
        for row_id, names in aliases.items():
            for name in (row_id, *names):
                self._by_name[name.casefold()] = row_id
                if "/" in name:
                    tails[name.casefold().rpartition("/")[2]].add(row_id)
        for tail, row_ids in tails.items():
            if len(row_ids) == 1:
                self._by_name.setdefault(tail, next(iter(row_ids)))

    def resolve(self, name: str) -> str:
        """Return the id that a name stands for.

        Raises
        ------
        UnknownIdError
            With up to three similar ids.
        """
        row_id = self._by_name.get(name.casefold())
        if row_id is None:
            shown = name if len(name) <= _LONGEST_COMPARED else f"{name[:_LONGEST_COMPARED]}..."
            near = self.near(name)
            kind = self._kind
            alone = f"There is no {kind} {shown!r}, nor one of a like name; the list of {kind}s has all."
            raise UnknownIdError(self._kind, shown, near, message=None if near else alone)
        return row_id

    def near(self, name: str) -> list[str]:
        """Return ids whose id or alias looks like a name, best first."""
        wanted = name.casefold()[:_LONGEST_COMPARED]
        # More names than ids are asked for, because several of them often are one row's.
        close = get_close_matches(wanted, self._by_name, n=4 * NEAR_MATCHES, cutoff=0.5)
        return list(dict.fromkeys(self._by_name[found] for found in close))[:NEAR_MATCHES]
