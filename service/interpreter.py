"""How the interpreter of a server is set: short turns for threads, and a collector that skips what stays.

A worker answers on one thread while others read the database. Python hands the interpreter over at most
every 5 ms, so an answer that waits for it twice would wait 10 ms; and a full collection walks all that is
in memory, during which nobody is answered.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

TURN_SECONDS: Final = 0.0005
"""Longest turn of a thread that others wait for."""
THRESHOLDS: Final = (2_000, 10, 1_000)
"""Of the collector's three generations: young objects as ever, all of them a hundred times more seldom."""


@contextmanager
def set_for_serving() -> Iterator[None]:
    """Set the interpreter while the block runs; what is in memory at its start counts as there to stay."""
    turn = sys.getswitchinterval()
    sys.setswitchinterval(TURN_SECONDS)
    thresholds = gc.get_threshold()
    gc.set_threshold(*THRESHOLDS)
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        sys.setswitchinterval(turn)
