"""FLOP of a request: arithmetic by hand, and the engine's own steps where it is served alone."""

import numpy as np
import pytest

from service.engine.architecture import head_flop_per_token, linear_flop_per_token
from service.engine.load import make_load
from service.engine.replica import compile_replica
from service.engine.request_flop import attention_flop_at, request_flop
from service.engine.step import StepLoad, step_work
from service.engine.types import Layout
from service.engine.workload import make_mix, reduce_mix
from tests.builders.known_models import IDEAL, endless, known_work
from tests.builders.operating_points import FORMATS


def test_llama_70b_by_hand() -> None:
    # config.json: 80 layers, 64 heads of 128, hidden 8192, feed-forward 28672, 8 KV heads, vocabulary 128256.
    layer = 8192 * 8192 * 2 + 8192 * 1024 * 2 + 3 * 8192 * 28672
    pair = 2 * 64 * (128 + 128)
    flop = request_flop(known_work("llama-3.1-70b"), 3, 2)
    assert flop.linear == 4 * 2 * 80 * layer
    assert flop.attention_prefill == 80 * pair * (1 + 2 + 3)
    assert flop.attention_decode == 80 * pair * 4
    assert flop.head == 2 * 2 * 8192 * 128256
    assert attention_flop_at(known_work("llama-3.1-70b"), 1001) == 80 * pair * 1001


@pytest.mark.parametrize("name", ["llama-3.1-70b", "gpt-oss-120b", "llama-4-scout", "deepseek-v3"])
@pytest.mark.parametrize(("prompt", "output"), [(100, 900), (900, 100), (9000, 1)])
def test_it_is_what_the_steps_of_a_request_served_alone_do(name: str, prompt: int, output: int) -> None:
    work = known_work(name)
    table = compile_replica(work, endless(), Layout(), FORMATS, IDEAL)
    moments = reduce_mix(make_mix([(prompt, 0, output)], [0], [1.0]), table.spans, np.inf)
    coefficients = make_load(table, moments).coefficients

    def step(decode: float, chunk: float) -> float:
        columns = (np.array([value]) for value in (decode, chunk, decode + chunk))
        return float(step_work(coefficients, StepLoad(*columns))[0].sum())

    served = step(0, prompt) + (output - 1) * (step(1, 0) if output > 1 else 0.0)
    assert request_flop(work, prompt, output).total == pytest.approx(served, rel=1e-9)


@pytest.mark.parametrize("name", ["llama-3.1-8b", "llama-3.1-70b", "gpt-oss-120b"])
def test_swapped_lengths_differ_by_the_head_alone(name: str) -> None:
    work = known_work(name)
    there, back = request_flop(work, 100, 900), request_flop(work, 900, 100)
    assert there.total - back.total == 800 * head_flop_per_token(work)
    assert there.linear == back.linear == 999 * linear_flop_per_token(work)


@pytest.mark.parametrize(("prompt", "output"), [(0, 1), (1, 0)])
def test_a_request_has_at_least_one_token_each_way(prompt: int, output: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        request_flop(known_work("llama-3.1-8b"), prompt, output)
