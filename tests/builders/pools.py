"""Separate pools of a small model, compiled, and estimates with pools on the catalog in memory."""

from dataclasses import replace
from typing import Any

import numpy as np

from service.application.answers import EstimateAnswer, Pools
from service.application.requests import (
    DecodePoolRequest,
    OperatingPointRequest,
    PoolsRequest,
    PrefillPoolRequest,
)
from service.engine.disaggregation import handed_over
from service.engine.load import make_load
from service.engine.memory import plan_memory
from service.engine.operating_point import Replica
from service.engine.pools import Plant
from service.engine.prefill_pool import PrefillWorker
from service.engine.tables import ReplicaTable
from service.engine.types import EnginePolicy
from service.engine.workload import make_mix, reduce_mix
from tests.builders.estimates import make_estimate
from tests.builders.operating_points import POLICY, make_table

PLANNED = PoolsRequest()
CHEAPEST = OperatingPointRequest(kind="cheapest", max_ttft_seconds=2.0, max_tpot_seconds=0.05)


def given(prefill: int, decode: int, **changes: Any) -> PoolsRequest:
    """Make pools of so many workers."""
    return PoolsRequest(PrefillPoolRequest(workers=prefill, **changes), DecodePoolRequest(decode))


def planned(**changes: Any) -> PoolsRequest:
    return PoolsRequest(PrefillPoolRequest(**changes))


def in_flight(concurrency: float) -> OperatingPointRequest:
    return OperatingPointRequest("concurrency", concurrency)


def arrivals(rate: float) -> OperatingPointRequest:
    return OperatingPointRequest("arrival_rate", requests_per_second=rate)


def make_pooled(**changes: Any) -> tuple[EstimateAnswer, Pools]:
    """Make an estimate with pools, planned unless told otherwise."""
    answer = make_estimate(**{"pools": PLANNED, **changes})
    assert answer.pools is not None
    return answer, answer.pools


def make_prefill_worker(
    prompt: float = 3000.0,
    table: ReplicaTable | None = None,
    policy: EnginePolicy = POLICY,
    held_seconds: float = 0.0,
) -> PrefillWorker:
    used = table or make_table()
    limit = float("inf") if policy.token_budget_covers_prompt else float(policy.token_budget)
    moments = reduce_mix(make_mix([[prompt, 0.0, 1.0]], [0], [1.0]), used.spans, limit)
    load = make_load(used, moments)
    return PrefillWorker(Replica(used, load, policy), plan_memory(used, load, policy), held_seconds)


def make_plant(
    prompt: float = 3000.0, output: float = 400.0, transfer_seconds: float = 0.01, **changes: Any
) -> Plant:
    """Make pools of equal workers and equal prices for requests of one shape."""
    table = make_table()
    moments = reduce_mix(make_mix([[prompt, prompt - 1.0, output]], [0], [1.0]), table.spans, np.inf)
    load = handed_over(make_load(table, moments))
    plant = Plant(
        decode=Replica(table, load, POLICY, transfer_seconds),
        prefill=make_prefill_worker(prompt, table, held_seconds=transfer_seconds),
        decoding_share=1.0,
        transfer_seconds=transfer_seconds,
        prefill_cost=1.0,
    )
    return replace(plant, **changes)
