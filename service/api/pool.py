"""Bounded places for heavy work: a few run, a few wait, the next is told to come back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio.to_thread

from service.api.problems import ProblemError

Result = TypeVar("Result")


class BoundedPool:
    """Admits so much work at once and lets so much wait.

    Parameters
    ----------
    running
        How many may run.
    waiting
        How many more may wait for a place.
    """

    def __init__(self, running: int, waiting: int) -> None:
        self._places = asyncio.Semaphore(running)
        self._threads: anyio.CapacityLimiter | None = None
        self._running = running
        self._admitted = 0
        self._most = running + waiting

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place while the block runs.

        Raises
        ------
        ProblemError
            503 with Retry-After where the queue is full.
        """
        if self._admitted >= self._most:
            raise ProblemError("overloaded", "More large requests are waiting than the service admits.")
        self._admitted += 1
        try:
            async with self._places:
                yield
        finally:
            self._admitted -= 1

    async def run(self, work: Callable[[], Result]) -> Result:
        """Run a function in a thread, in one of the places.

        Raises
        ------
        ProblemError
            As :meth:`place`; and whatever the work raises.
        """
        async with self.place():
            if self._threads is None:
                self._threads = anyio.CapacityLimiter(self._running)
            return await anyio.to_thread.run_sync(work, limiter=self._threads)
