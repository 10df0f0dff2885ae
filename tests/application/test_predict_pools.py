"""Runs on separate pools: rates, times and power of both, and what speculation does to the second."""

import pytest

from service.application.cases import Case, CaseBuilder
from service.application.predict import Prediction, Predictor
from service.application.predict_pools import predict_pools
from service.calibration.measured import read_row
from tests.builders.estimates import SNAPSHOT
from tests.builders.measured_rows import make_pools_row, make_row

PROMPT, OUTPUT = 0.9 * 4000, 0.9 * 500


def _case(**cells: str) -> Case:
    return CaseBuilder(SNAPSHOT).build(read_row(make_pools_row(**cells)))


def _predict(**cells: str) -> Prediction:
    return predict_pools(_case(**cells), Predictor())


def _rate(found: Prediction, decode_gpus: int = 2) -> float:
    """Requests per second, from what the decode pool pays for a request's output."""
    return decode_gpus / (found.accelerator_seconds_per_million_output * OUTPUT / 1e6)


def test_requests_in_flight_are_conserved() -> None:
    for concurrency in ("1", "8", "64", "512"):
        found = _predict(concurrency=concurrency)
        in_flight = _rate(found) * (found.steady_ttft_seconds + (OUTPUT - 1) * found.tpot_seconds)
        assert in_flight == pytest.approx(float(concurrency), rel=1e-6)


def test_seconds_of_input_and_output_stand_as_the_pools_and_lengths_do() -> None:
    # METHOD 8: output over input is (decode accelerators x ISL) / (prefill accelerators x OSL), here
    # 2 x 3,600 / (2 x 450), whatever binds.
    for concurrency in ("4", "4096"):
        found = _predict(concurrency=concurrency)
        ratio = found.accelerator_seconds_per_million_output / found.accelerator_seconds_per_million_input
        assert ratio == pytest.approx(8.0, rel=1e-9)


def test_where_prefill_binds_it_works_at_its_capacity() -> None:
    found = _predict(concurrency="2000", output_tokens="50", decode_num_workers="8")
    prompts = found.prefill_tokens_per_second_per_gpu * 2 / PROMPT
    rate = 16 / (found.accelerator_seconds_per_million_output * 45 / 1e6)
    assert rate == pytest.approx(prompts, rel=0.02)
    assert rate <= prompts


def test_where_decoding_is_full_more_requests_only_wait() -> None:
    # Contexts of 50,000 tokens: a worker of two accelerators holds few of them.
    cells = {"input_tokens": "50000", "output_tokens": "4000", "prefill_num_workers": "32"}
    near, far = (_predict(**cells, concurrency=concurrency) for concurrency in ("200", "400"))
    assert far.tpot_seconds == pytest.approx(near.tpot_seconds, rel=1e-6)
    assert far.accelerator_seconds_per_million_output == pytest.approx(
        near.accelerator_seconds_per_million_output, rel=1e-6
    )
    assert far.steady_ttft_seconds > 1.5 * near.steady_ttft_seconds


def test_a_lone_prompt_takes_a_prefill_the_link_and_a_step() -> None:
    case = _case(concurrency="1")
    found = predict_pools(case, Predictor())
    # Llama-3.1-8B's cache of bf16: 2 x 8 heads x 128 x 2 bytes x 32 layers a token, over two ranks.
    cache = 2 * 8 * 128 * 2 * 32 * PROMPT / 2
    link = cache / (
        case.accelerator.spec.scale_out_bandwidth_bytes_per_second * case.calibration.scale_out_efficiency
    )
    alone = PROMPT / found.prefill_tokens_per_second_per_gpu
    assert found.bare_prefill_seconds == pytest.approx(alone, rel=1e-9)
    rest = found.steady_ttft_seconds - alone - link
    # One step to join the decode worker; a lone request queues behind nobody but the loop's approximation.
    assert 0.9 * found.tpot_seconds < rest < 3 * found.tpot_seconds + 0.05 * alone


def test_drafts_are_made_by_decode_workers() -> None:
    plain, drafting = _predict(concurrency="4"), _predict(concurrency="4", speculative="mtp")
    # Three drafts at 0.75: 2.73 tokens a step that costs more than a plain one.
    accepted = 1 + 0.75 + 0.75**2 + 0.75**3
    assert plain.tpot_seconds / accepted < drafting.tpot_seconds < plain.tpot_seconds
    assert drafting.bare_prefill_seconds == plain.bare_prefill_seconds
    assert _predict(concurrency="4", speculative="unknown") == plain


def test_power_is_the_mean_of_a_pool_that_decodes_and_one_that_waits() -> None:
    idle_prefill = _predict(concurrency="1", prefill_num_workers="64")
    spec = SNAPSHOT.accelerator("h100_sxm").spec
    # 64 accelerators wait nearly all of the time beside two that work.
    assert idle_prefill.power_watts < spec.idle_power_watts + 0.1 * (
        spec.max_power_watts - spec.idle_power_watts
    )
    idle_decode = _predict(concurrency="1", decode_num_workers="64")
    # A lone request is at one of 64 workers at a time.
    assert idle_decode.power_watts < spec.idle_power_watts + 0.1 * (
        spec.max_power_watts - spec.idle_power_watts
    )
    busy = _predict(concurrency="2000", output_tokens="50", decode_num_workers="8")
    assert busy.power_watts > idle_prefill.power_watts


def test_further_prefill_workers_add_their_idle_power_alone() -> None:
    few, many = (_predict(concurrency="4", prefill_num_workers=workers) for workers in ("2", "64"))
    idle = SNAPSHOT.accelerator("h100_sxm").spec.idle_power_watts
    added = many.power_watts * (64 + 2) - few.power_watts * (2 + 2)
    assert added == pytest.approx(62 * idle, rel=0.01)


def test_a_row_of_one_replica_has_no_pools() -> None:
    with pytest.raises(ValueError, match="one replica"):
        predict_pools(CaseBuilder(SNAPSHOT).build(read_row(make_row())), Predictor())
