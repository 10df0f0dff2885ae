"""Small models on one accelerator, solved: what tests of splits, curves and tariffs stand on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from service.engine.attribution import Subject
from service.engine.batching import Population, steady_state
from service.engine.load import make_load
from service.engine.replica import compile_replica
from service.engine.tables import ReplicaTable
from service.engine.types import (
    Accelerator,
    AttentionStream,
    Calibration,
    Efficiency,
    EnginePolicy,
    Formats,
    LayerWork,
    Layout,
    ModelWork,
    NumberFormat,
    Span,
)
from service.engine.workload import Mix, make_mix, reduce_mix

BF16 = NumberFormat("bf16", 2.0, "bf16")
FP32 = NumberFormat("fp32", 4.0, "fp32")


def make_stream(span: Span | None = None) -> AttentionStream:
    return AttentionStream(
        role="attention",
        span=span or Span(),
        flop_per_pair_prefill=4 * 32 * 128,
        flop_per_pair_decode=4 * 32 * 128,
        cache_elements_per_key=2 * 8 * 128,
        cache_shards=8,
    )


def make_layer(spans: Sequence[Span] = (Span(),), experts: int = 0, **changes: Any) -> LayerWork:
    """Make a layer of an 8-billion-parameter model, dense or with experts."""
    layer = LayerWork(
        name="layer",
        count=16 if len(spans) > 1 else 32,
        mixer_kind="attention",
        query_heads=32,
        kv_heads=8,
        streams=tuple(make_stream(span) for span in spans),
        mixer_gemm_parameters=4096 * (4096 * 2 + 1024 * 2),
        mixer_other_parameters=4096,
        recurrent_flop_per_token=0,
        state_elements_per_sequence=0,
        conv_state_elements_per_sequence=0,
        dense_gemm_parameters=0 if experts else 3 * 4096 * 14336,
        router_gemm_parameters=4096 * experts,
        shared_expert_gemm_parameters=0,
        experts=experts,
        experts_per_token=2 if experts else 0,
        expert_gemm_parameters=3 * 4096 * 2048 if experts else 0,
        feed_forward_other_parameters=4096,
    )
    return replace(layer, **changes)


def make_work(*layers: LayerWork) -> ModelWork:
    return ModelWork(
        name="small",
        hidden_size=4096,
        vocab_size=128_256,
        max_context_tokens=131_072,
        layers=layers or (make_layer(),),
        embedding_parameters=128_256 * 4096,
        head_parameters=128_256 * 4096,
        tied_embeddings=False,
        other_parameters=4096,
    )


ACCELERATOR = Accelerator(
    name="h100-sxm",
    family="hopper",
    vendor="nvidia",
    memory_bytes=80e9,
    memory_bandwidth_bytes_per_second=3.35e12,
    peak_flop_per_second={"bf16": 989e12},
    scale_up_bandwidth_bytes_per_second=450e9,
    scale_up_domain=8,
    scale_out_bandwidth_bytes_per_second=50e9,
    idle_power_watts=100.0,
    max_power_watts=700.0,
)
CALIBRATION = Calibration(
    name="test",
    level="general",
    operators={name: Efficiency(0.6, 0.8) for name in ("gemm", "attention_prefill", "attention_decode")},
    launch_seconds_per_layer=5e-6,
    host_seconds_per_step=5e-4,
    host_seconds_per_sequence=1e-6,
    collective_latency_seconds=8e-6,
    scale_up_efficiency=0.7,
    scale_out_efficiency=0.6,
    expert_imbalance=1.2,
)
FORMATS = Formats(BF16, BF16, BF16, BF16, BF16, BF16, FP32, BF16)
POLICY = EnginePolicy(
    name="vllm",
    token_budget=8192,
    token_budget_covers_prompt=False,
    reserve="grow",
    memory_utilisation=0.9,
    preemption_margin=0.05,
    max_batch=1024,
)


@dataclass(frozen=True)
class Made:
    """An operating point and what it was made of."""

    subject: Subject
    mix: Mix
    policy: EnginePolicy

    @property
    def chunk_limit(self) -> float:
        return float("inf") if self.policy.token_budget_covers_prompt else float(self.policy.token_budget)


def make_table(work: ModelWork | None = None, layout: Layout | None = None) -> ReplicaTable:
    return compile_replica(work or make_work(), ACCELERATOR, layout or Layout(), FORMATS, CALIBRATION)


def make_point(
    classes: Sequence[tuple[float, float, float, float]] = ((1.0, 3000.0, 0.0, 400.0),),
    seen_batch: float = 32.0,
    table: ReplicaTable | None = None,
    policy: EnginePolicy = POLICY,
    population: Population = "closed",
) -> Made:
    """Make an operating point of classes given as (weight, input, cached, output)."""
    rows = np.array(classes, dtype=np.float64)
    mix = make_mix(rows[:, 1:], np.arange(len(rows)), rows[:, 0])
    used = table or make_table()
    limit = float("inf") if policy.token_budget_covers_prompt else float(policy.token_budget)
    moments = reduce_mix(mix, used.spans, limit)
    load = make_load(used, moments)
    state = steady_state(used, load, policy, np.array([seen_batch]), population)
    return Made(Subject(used, load, moments, state), mix, policy)
