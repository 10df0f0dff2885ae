"""Decode workers of a disaggregated deployment do no prefill."""

from dataclasses import replace

import numpy as np
import pytest

from service.engine.batching import steady_state
from service.engine.disaggregation import handed_over
from service.engine.operating_point import Replica, solve_concurrency
from service.engine.step import StepLoad, step_times
from service.engine.tables import ATTENTION_PREFILL, HOST
from tests.builders.operating_points import POLICY, make_layer, make_point, make_stream, make_table, make_work

PROMPT, OUTPUT = 4000.0, 300.0


def _latent() -> float:
    """Return FLOP to expand a key of DeepSeek-V3 for all heads: 2 r H (d_nope + d_v)."""
    return 2.0 * 512 * 128 * (128 + 128)


def test_a_handed_prompt_passes_no_prefill_attention() -> None:
    stream = replace(make_stream(), expand_flop_per_key=int(_latent()))
    table = make_table(make_work(make_layer(streams=(stream,))))
    made = make_point(((1.0, PROMPT, PROMPT, OUTPUT),), 64.0, table)
    found_in_cache, handed = made.subject.load, handed_over(made.subject.load)
    step = StepLoad(np.array([64.0]), np.array([1.0]), np.array([65.0]))
    before, after = (step_times(load.coefficients, step) for load in (found_in_cache, handed))
    # The last token of a prompt found in a cache expands all 4,000 keys before it.
    expansion = 32 * (PROMPT - 1) * _latent() / (989e12 * 0.6)
    assert before.compute_seconds[ATTENTION_PREFILL, 0] == pytest.approx(expansion, rel=0.05)
    assert after.seconds[ATTENTION_PREFILL, 0] == 0.0
    assert after.seconds[HOST, 0] <= before.seconds[HOST, 0]
    assert after.compute_seconds[:ATTENTION_PREFILL] == pytest.approx(
        before.compute_seconds[:ATTENTION_PREFILL]
    )


def test_decode_steps_are_the_same_and_throughput_never_falls() -> None:
    made = make_point(((1.0, PROMPT, PROMPT, OUTPUT),), 64.0)
    table, load = made.subject.table, made.subject.load
    cached, handed = (
        steady_state(table, item, POLICY, np.array([64.0]), "closed") for item in (load, handed_over(load))
    )
    assert handed.decode.total == pytest.approx(cached.decode.total)
    assert handed.requests_per_second[0] >= cached.requests_per_second[0]
    # With nothing to prefill a request decodes nearly all of its time.
    solved = solve_concurrency(Replica(table, handed_over(load), POLICY), 64.0)
    assert solved.state.batch[0] == pytest.approx(64.0, rel=0.03)
