"""What is worth keeping for as long as one state of the catalog is in force."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from service.application.ports import CatalogSnapshot

V = TypeVar("V")


class Kept(Generic[V]):
    """Values made from a snapshot, by key.

    Threads may share it: the snapshot and its values change as one reference, so a request that still
    holds the former snapshot never leaves a value among the newer one's.

    Parameters
    ----------
    most
        Values held before all are dropped and made again.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._state: tuple[CatalogSnapshot | None, dict[Hashable, V]] = (None, {})

    def get(self, snapshot: CatalogSnapshot, key: Hashable, make: Callable[[], V]) -> V:
        """Return the value of a key, made now where there is none for this snapshot."""
        owner, values = self._state
        if owner is not snapshot:
            values = {}
            self._state = (snapshot, values)
        found = values.get(key)
        if found is None:
            found = make()
            if len(values) >= self._most:
                values = {}
                self._state = (snapshot, values)
            values[key] = found
        return found
