"""What is worth keeping for as long as one state of the catalog, or of a part of it, is in force."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Kept(Generic[V]):
    """Values made from a snapshot or a part of it, by key.

    Threads may share it: the state and its values change as one reference, so a request that still
    holds the former snapshot never leaves a value among the newer one's.

    Parameters
    ----------
    most
        Values held before all are dropped and made again.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._state: tuple[object, dict[Hashable, V]] = (None, {})

    def get(self, state: object, key: Hashable, make: Callable[[], V]) -> V:
        """Return the value of a key, made now where there is none for this state.

        Parameters
        ----------
        state
            The snapshot, or what its ``state_of`` returns for the part that the value is made of.
        key
            Of the value among those of the state.
        make
            Makes the value.
        """
        owner, values = self._state
        if owner is not state:
            values = {}
            self._state = (state, values)
        found = values.get(key)
        if found is None:
            found = make()
            if len(values) >= self._most:
                values = {}
                self._state = (state, values)
            values[key] = found
        return found
