"""Predicts a run with separate pools for prefill and decode (METHOD 3 and 8)."""

from dataclasses import replace

from service.application.cases import Case
from service.application.predict import (
    MOST_MEMORY,
    Prediction,
    Predictor,
    bare_prefill_rate,
    bare_prefill_step,
    front_end_of,
    speculation_of,
)
from service.calibration.measured import Pool
from service.calibration.pool_protocol import PoolRun, replay_pools
from service.calibration.run_protocol import FrontEnd
from service.engine.attribution import Subject
from service.engine.disaggregation import PoolRates, handed_over, match_pools
from service.engine.energy import step_power, traits_of, working_power
from service.engine.errors import InfeasibleError
from service.engine.load import Load
from service.engine.memory import plan_memory
from service.engine.operating_point import Replica, solve_concurrency
from service.engine.speculation import serve
from service.engine.types import PLAIN_DECODING
from service.engine.units import TOKENS_PER_MILLION
from service.engine.workload import Moments, make_mix, reduce_mix


def predict_pools(case: Case, predictor: Predictor) -> Prediction:
    """Return the prediction of a disaggregated run.

    Raises
    ------
    EngineError
        A layout that divides nothing, a model that does not fit.
    ValueError
        The row describes one replica.
    """
    row = case.row
    if row.prefill is None or row.decode is None:
        raise ValueError("The row describes one replica, not pools.")
    whole = (row.mean_input_tokens, 0.0, row.mean_output_tokens)
    # Decode workers see every prompt as found in the cache: its keys came over the link.
    handed = (row.mean_input_tokens, row.mean_input_tokens, row.mean_output_tokens)
    alone = (row.mean_input_tokens, 0.0, 1.0)
    prefill = _replica(case, predictor, (row.prefill, alone))[0]
    decode, moments = _replica(case, predictor, (row.decode, handed))
    rate = bare_prefill_rate(prefill)
    front = front_end_of(case.calibration)
    capacity = rate * row.prefill.workers / max(row.mean_input_tokens, 1.0)
    per_prompt = _prompt_seconds(rate, row.mean_input_tokens, row.prefill)
    transfer = _transfer_seconds(case, decode.load)

    matched = match_pools(
        PoolRates(
            concurrency=row.concurrency,
            decode_workers=row.decode.workers,
            prefill_requests_per_second=capacity,
            prefill_seconds=per_prompt,
            transfer_seconds=transfer,
            decode_steps=max(row.mean_output_tokens - 1.0, 1e-9),
        ),
        lambda concurrency: _worker_rate(decode, concurrency),
    )
    solved = solve_concurrency(decode, max(matched.decode_concurrency, 1.0))
    subject = Subject(decode.table, decode.load, moments, solved.state)
    spec, served = case.accelerator.spec, matched.decode_concurrency
    decoding = _power(case, working_power(subject, spec, case.calibration), served)
    prefilling = _power(case, _prefill_power(case, prefill), matched.requests_per_second / capacity)
    prefill_gpus = row.prefill.workers * row.prefill.layout.accelerators
    decode_gpus = row.decode.workers * row.decode.layout.accelerators
    return Prediction(
        ttft_seconds=replay_pools(
            PoolRun(
                protocol=row.protocol,
                slots=row.concurrency,
                input_tokens=row.input_tokens,
                output_tokens=row.output_tokens,
                pool_seconds_per_token=1.0 / (rate * row.prefill.workers),
                own_seconds_per_token=per_prompt / max(row.mean_input_tokens, 1.0),
                request_seconds=transfer + _front_seconds(front, row.mean_input_tokens, matched.tpot_seconds),
                tpot_seconds=matched.tpot_seconds,
            )
        ),
        tpot_seconds=matched.tpot_seconds,
        steady_ttft_seconds=matched.ttft_seconds,
        bare_prefill_seconds=per_prompt,
        prefill_tokens_per_second_per_gpu=rate / row.prefill.layout.accelerators,
        accelerator_seconds_per_million_input=(
            prefill_gpus / matched.requests_per_second / whole[0] * TOKENS_PER_MILLION
        ),
        accelerator_seconds_per_million_output=(
            decode_gpus / matched.requests_per_second / whole[2] * TOKENS_PER_MILLION
        ),
        power_watts=(prefill_gpus * prefilling + decode_gpus * decoding) / (prefill_gpus + decode_gpus),
    )


def _replica(
    case: Case, predictor: Predictor, asked: tuple[Pool, tuple[float, float, float]]
) -> tuple[Replica, Moments]:
    """Return one worker of a pool under its part of the requests."""
    pool, lengths = asked
    decodes = pool is case.row.decode
    table = predictor.table(
        case, pool.layout, case.formats, speculation_of(case) if decodes else PLAIN_DECODING
    )
    moments = reduce_mix(make_mix([lengths], [0], [1.0]), table.spans, float("inf"))
    load = serve(table, moments)
    if decodes:
        load = handed_over(load)
    try:
        plan_memory(table, load, case.policy)
    except InfeasibleError:
        # The run was measured, so it did fit: its operators gave the engine more of the memory.
        return Replica(table, load, replace(case.policy, memory_utilisation=MOST_MEMORY)), moments
    return Replica(table, load, case.policy), moments


def _worker_rate(decode: Replica, concurrency: float) -> tuple[float, float]:
    """Return (requests per second, TPOT) of one decode worker with so many requests on it."""
    state = solve_concurrency(decode, max(concurrency, 1.0)).state
    # A worker that has a request only now and then serves it as a lone one.
    return float(state.requests_per_second[0]) * min(concurrency, 1.0), float(state.tpot_seconds[0])


def _prefill_power(case: Case, replica: Replica) -> float:
    """Watts of one accelerator of a prefill worker at work."""
    spec = case.accelerator.spec
    return float(step_power(spec, traits_of(spec, case.calibration), bare_prefill_step(replica)[0])[0])


def _power(case: Case, working_watts: float, busy: float) -> float:
    """Mean watts of one accelerator of a pool that works for a share of the time (or all of it) and waits."""
    idle = case.accelerator.spec.idle_power_watts
    return idle + min(busy, 1.0) * (working_watts - idle)


def _prompt_seconds(rate: float, tokens: float, pool: Pool) -> float:
    """Seconds of one prompt on one rank of an idle prefill worker; its ranks work on prompts of their own."""
    return tokens * pool.layout.attention_dp / rate


def _transfer_seconds(case: Case, load: Load) -> float:
    """Seconds to move a prompt's cache from a rank to a rank over the scale-out link (equation D2)."""
    link = case.accelerator.spec.scale_out_bandwidth_bytes_per_second * case.calibration.scale_out_efficiency
    return load.prompt_bytes / link


def _front_seconds(front: FrontEnd, tokens: float, step: float) -> float:
    return (
        front.trip_seconds
        + front.request_seconds
        + front.prompt_token_seconds * tokens
        + front.lag_steps * step
    )
