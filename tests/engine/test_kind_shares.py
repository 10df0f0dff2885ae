"""The split by kind at many states at once is the split of each state by itself."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from service.engine.attribution import KvView, Subject, attribute, busy_seconds, phase_increments
from service.engine.batching import steady_state
from service.engine.kind_shares import busy_seconds_of, kind_shares, phase_shares
from service.engine.types import Layout, Span
from tests.builders.operating_points import POLICY, make_layer, make_point, make_table, make_work

BATCHES = np.array([1.0, 3.0, 17.0, 64.0, 150.0])
ALONE = ((1.0, 3000.0, 0.0, 400.0),)
MIXES: dict[str, dict[str, Any]] = {
    "one class": {"classes": ALONE},
    "a cache": {"classes": ((1.0, 3000.0, 2500.0, 40.0),)},
    "two classes": {"classes": ((1.0, 3000.0, 500.0, 400.0), (2.0, 90.0, 0.0, 700.0))},
    "prefill alone": {"classes": ((1.0, 900.0, 0.0, 1.0),)},
    "nothing to compute": {"classes": ((1.0, 900.0, 899.0, 300.0),)},
    "experts on eight ranks": {
        "classes": ALONE,
        "table": make_table(make_work(make_layer(experts=64)), Layout(tp=1, attention_dp=8, moe_ep=8)),
    },
    "a window and a recurrent layer": {
        "classes": ALONE,
        "table": make_table(
            make_work(
                make_layer((Span("sliding", 512),), count=16),
                make_layer((), count=16, recurrent_flop_per_token=10**7, state_elements_per_sequence=10**6),
            )
        ),
    },
    "two stages": {"classes": ALONE, "table": make_table(layout=Layout(tp=1, pp=2))},
}


def _at(asked: dict[str, Any], batches: np.ndarray[Any, Any]) -> Subject:
    subject = make_point(**asked).subject
    return replace(subject, state=steady_state(subject.table, subject.load, POLICY, batches, "closed"))


@pytest.mark.parametrize("view", ["by_pass", "by_cause"])
@pytest.mark.parametrize("name", MIXES)
def test_many_states_split_as_each_alone(name: str, view: KvView) -> None:
    plain, mixed = kind_shares(_at(MIXES[name], BATCHES), view)
    assert (plain + mixed).sum(axis=0) == pytest.approx(1.0, rel=1e-12)
    for place, batch in enumerate(BATCHES):
        one = attribute(_at(MIXES[name], np.array([batch])), view)
        assert plain[:, place] == pytest.approx(one.plain_by_kind, abs=1e-12)
        every = one.shares.sum(axis=(0, 2, 3))
        assert (plain + mixed)[:, place] == pytest.approx(every, abs=1e-12)


@pytest.mark.parametrize("name", MIXES)
def test_busy_seconds_are_those_of_each_state(name: str) -> None:
    plain, mixed = busy_seconds_of(_at(MIXES[name], BATCHES))
    for place, batch in enumerate(BATCHES):
        one = busy_seconds(_at(MIXES[name], np.array([batch])))
        assert (plain[place], mixed[place]) == pytest.approx(one, rel=1e-12)


@pytest.mark.parametrize("name", MIXES)
def test_the_phase_rule_charges_what_the_chunk_adds(name: str) -> None:
    subject = _at(MIXES[name], BATCHES)
    plain, mixed = phase_shares(subject, kind_shares(subject, "by_pass"))
    for place, batch in enumerate(BATCHES):
        alone = _at(MIXES[name], np.array([batch]))
        wanted = phase_increments(alone, attribute(alone)).over_decode
        assert (plain + mixed)[:, place] == pytest.approx(wanted, abs=1e-12)
    assert (plain[:2] == 0).all()
