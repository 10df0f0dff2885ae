"""A server's interpreter: set while it serves, and as it was afterwards."""

import gc
import sys

from service.interpreter import THRESHOLDS, TURN_SECONDS, set_for_serving


def test_threads_take_short_turns_and_the_collector_skips_what_was_there() -> None:
    turn, frozen, thresholds = sys.getswitchinterval(), gc.get_freeze_count(), gc.get_threshold()
    with set_for_serving():
        assert abs(sys.getswitchinterval() - TURN_SECONDS) < 1e-6
        assert gc.get_freeze_count() > frozen + 1000
        assert gc.get_threshold() == THRESHOLDS
    assert (sys.getswitchinterval(), gc.get_threshold()) == (turn, thresholds)
    assert gc.get_freeze_count() == 0


def test_what_comes_later_is_still_collected() -> None:
    with set_for_serving():
        ring: list[object] = []
        ring.append(ring)
        del ring
        assert gc.collect() >= 1
