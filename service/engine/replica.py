"""One replica of a model compiled to coefficients: what a token, a sequence and a step cost each rank.

A model, an accelerator, a layout, formats and a calibration become a ``ReplicaTable`` of plain numbers
and small arrays, all PER RANK of one pipeline stage. A steady state over any batch axis then needs only
arithmetic. Equations R1 to R9 of docs/equations.md.
"""

from dataclasses import dataclass

import numpy as np

from service.engine.errors import UnsupportedError
from service.engine.layout import check_layout
from service.engine.network import CollectiveCost, collective_cost
from service.engine.spans import Array
from service.engine.types import (
    Accelerator,
    AttentionStream,
    Calibration,
    Efficiency,
    Formats,
    LayerWork,
    Layout,
    ModelWork,
    NumberFormat,
    Span,
)

GEMM_CLASSES = ("projections", "feed_forward", "head")
"""Order of the first axis of the GEMM arrays."""


@dataclass(frozen=True)
class GemmTable:
    """Dense GEMM classes (projections, feed-forward, head); arrays of shape (3, 1)."""

    flop_per_token: Array
    weight_bytes: Array
    activation_bytes_per_token: Array
    flop_per_second: Array
    """Peak times efficiency at many tokens."""
    half_rate_tokens: Array
    bytes_per_second: Array


@dataclass(frozen=True)
class ExpertTable:
    """Routed experts; arrays of shape (G, 1) over distinct (experts, top-k) configurations."""

    miss_probability: Array
    """1 - k / E: chance that one token leaves a given expert alone."""
    weight_bytes: Array
    """Of all experts this rank holds."""
    flop_per_token: Array
    """Of one token of the expert-parallel group, on the mean rank."""
    activation_bytes_per_token: Array
    tokens_per_expert: Array
    """k / E: tokens of the group that meet one expert, per token."""
    flop_per_second: float
    half_rate_tokens: float
    bytes_per_second: float
    imbalance: float


@dataclass(frozen=True)
class StreamTable:
    """Attention streams; arrays of shape (A,) in the order of ``ReplicaTable.stream_spans``."""

    flop_per_pair_prefill: Array
    flop_per_pair_decode: Array
    cache_bytes_per_key: Array
    """Read by one query pass on this rank."""
    expand_flop_per_key: Array
    span_index: tuple[int, ...]


@dataclass(frozen=True)
class RecurrentTable:
    """Linear-attention and state-space mixers."""

    flop_per_token: float
    state_bytes_per_sequence: float
    """Held; read and written once a step."""


@dataclass(frozen=True)
class ReplicaTable:
    """Everything a steady state needs of a replica."""

    layout: Layout
    spans: tuple[Span, ...]
    gemm: GemmTable
    experts: ExpertTable | None
    streams: StreamTable
    recurrent: RecurrentTable
    attention_prefill: tuple[float, float]
    """Achievable (FLOP/s, bytes/s) of prefill attention."""
    attention_decode: tuple[float, float]
    recurrent_rates: tuple[float, float]
    collectives: CollectiveCost
    launch_seconds: float
    host_seconds: float
    host_seconds_per_sequence: float
    peak_flop_per_second: float
    """Of the format most GEMM FLOP use; MFU is measured against it."""
    peak_bytes_per_second: float
    weights_bytes: float
    """On the fullest accelerator."""
    activation_bytes_per_batched_token: float
    """Workspace per token of the budget."""
    model_flop_per_token: float
    """Linear FLOP of one token over the whole model, without the head."""
    memory_capacity_bytes: float


def compile_replica(
    work: ModelWork, accelerator: Accelerator, layout: Layout, formats: Formats, calibration: Calibration
) -> ReplicaTable:
    """Compile a replica.

    Raises
    ------
    InvalidInputError
        A layout that does not divide heads, experts, layers or ranks (field ``layout.*``).
    UnsupportedError
        A format the accelerator has no arithmetic for (field ``formats.*``).
    """
    check_layout(work, layout)
    gemm = _gemm_table(work, accelerator, layout, formats, calibration)
    return ReplicaTable(
        layout=layout,
        spans=distinct_spans(work),
        gemm=gemm,
        experts=_expert_table(work, accelerator, layout, formats, calibration),
        streams=_stream_table(work, layout, formats),
        recurrent=_recurrent_table(work, layout, formats),
        attention_prefill=_rates(accelerator, calibration, "attention_prefill", _attention_format(formats)),
        attention_decode=_rates(accelerator, calibration, "attention_decode", _attention_format(formats)),
        recurrent_rates=_rates(accelerator, calibration, "recurrent", formats.state),
        collectives=collective_cost(work, accelerator, layout, formats, calibration),
        launch_seconds=calibration.launch_seconds_per_layer
        * sum(layer.count * sublayers(layer) for layer in work.layers)
        / 2.0
        / layout.pp,
        host_seconds=calibration.host_seconds_per_step,
        host_seconds_per_sequence=calibration.host_seconds_per_sequence,
        peak_flop_per_second=peak(accelerator, formats.activations, "formats.activations"),
        peak_bytes_per_second=accelerator.memory_bandwidth_bytes_per_second,
        weights_bytes=weights_bytes(work, layout, formats),
        activation_bytes_per_batched_token=_workspace(work, layout, formats),
        model_flop_per_token=linear_flop_per_token(work),
        memory_capacity_bytes=accelerator.memory_bytes,
    )


def distinct_spans(work: ModelWork) -> tuple[Span, ...]:
    """Return the spans that occur in a model, each once, in order of appearance."""
    return tuple(dict.fromkeys(stream.span for layer in work.layers for stream in layer.streams))


def sublayers(layer: LayerWork) -> int:
    """Return how many of mixer and feed-forward a layer has (0 to 2)."""
    mixer = layer.mixer_gemm_parameters > 0
    return int(mixer) + int(layer.dense_gemm_parameters > 0 or layer.experts > 0)


def linear_flop_per_token(work: ModelWork) -> float:
    """Return 2 x GEMM parameters met by one token plus recurrent FLOP, head apart (METHOD 1)."""
    return float(
        sum(
            layer.count
            * (
                2
                * (
                    layer.mixer_gemm_parameters
                    + layer.dense_gemm_parameters
                    + layer.router_gemm_parameters
                    + layer.shared_expert_gemm_parameters
                    + layer.experts_per_token * layer.expert_gemm_parameters
                )
                + layer.recurrent_flop_per_token
            )
            for layer in work.layers
        )
    )


def peak(accelerator: Accelerator, operand: NumberFormat, field: str) -> float:
    """Return the dense peak FLOP/s for an operand format.

    Raises
    ------
    UnsupportedError
        The accelerator has no arithmetic in that format.
    """
    rate = accelerator.peak_flop_per_second.get(operand.compute_format)
    if rate is None:
        known = sorted(accelerator.peak_flop_per_second)
        raise UnsupportedError(
            f"{accelerator.name} has no {operand.compute_format} arithmetic, which {operand.name} operands "
            f"need; it has {', '.join(known)}.",
            field=field,
            code="format-not-supported",
            accepted={"compute_formats": known},
        )
    return rate


def efficiency(calibration: Calibration, operator: str) -> Efficiency:
    """Return the efficiency of an operator class; ``gemm`` where the set has no entry of its own."""
    return calibration.operators.get(operator, calibration.operators["gemm"])


def weights_bytes(work: ModelWork, layout: Layout, formats: Formats) -> float:
    """Return bytes of weights on the fullest accelerator (equation R8).

    Dense weights are divided by TP, experts by every rank of the stage, both by PP; the embedding lies
    on the first stage and the head on the last.
    """
    dense = expert = 0.0
    for layer in work.layers:
        dense += layer.count * (
            layer.mixer_gemm_parameters + layer.dense_gemm_parameters + layer.shared_expert_gemm_parameters
        )
        expert += layer.count * layer.experts * layer.expert_gemm_parameters
    small = sum(
        layer.count
        * (
            layer.mixer_other_parameters
            + layer.feed_forward_other_parameters
            + layer.router_gemm_parameters
            + layer.experts * layer.expert_other_parameters
        )
        for layer in work.layers
    )
    stage = (
        dense * formats.weights.bytes_per_element / layout.tp
        + expert * formats.experts.bytes_per_element / layout.stage_accelerators
        + small * formats.exchange.bytes_per_element
    ) / layout.pp
    table = work.embedding_parameters * formats.head.bytes_per_element / layout.tp
    head = 0.0 if work.tied_embeddings else work.head_parameters * formats.head.bytes_per_element / layout.tp
    ends = table + head if layout.pp == 1 else max(table, head)
    return stage + ends + work.other_parameters * formats.exchange.bytes_per_element


def _gemm_table(
    work: ModelWork, accelerator: Accelerator, layout: Layout, formats: Formats, calibration: Calibration
) -> GemmTable:
    """Equation R1: shard by TP, layers by PP; the head runs whole on the last stage."""
    ranks = layout.tp * layout.pp
    projections = sum(layer.count * layer.mixer_gemm_parameters for layer in work.layers)
    feed_forward = sum(
        layer.count
        * (layer.dense_gemm_parameters + layer.shared_expert_gemm_parameters + layer.router_gemm_parameters)
        for layer in work.layers
    )
    passes = calibration.extra.get("activation_passes_per_sublayer", 6.0) * work.hidden_size / layout.pp
    exchange = formats.exchange.bytes_per_element
    mixers = sum(layer.count for layer in work.layers if layer.mixer_gemm_parameters)
    forwards = sum(layer.count for layer in work.layers if layer.dense_gemm_parameters or layer.experts)
    body, head = efficiency(calibration, "gemm"), efficiency(calibration, "head")
    rate = peak(accelerator, formats.activations, "formats.activations")
    head_rate = peak(accelerator, formats.head, "formats.head")
    bandwidth = accelerator.memory_bandwidth_bytes_per_second
    return GemmTable(
        flop_per_token=_column(
            2.0 * projections / ranks, 2.0 * feed_forward / ranks, 2.0 * work.head_parameters / layout.tp
        ),
        weight_bytes=_column(
            projections * formats.weights.bytes_per_element / ranks,
            feed_forward * formats.weights.bytes_per_element / ranks,
            work.head_parameters * formats.head.bytes_per_element / layout.tp,
        ),
        activation_bytes_per_token=_column(
            passes * exchange * mixers, passes * exchange * forwards, work.vocab_size * exchange / layout.tp
        ),
        flop_per_second=_column(rate * body.compute, rate * body.compute, head_rate * head.compute),
        half_rate_tokens=_column(body.half_rate_tokens, body.half_rate_tokens, head.half_rate_tokens),
        bytes_per_second=_column(bandwidth * body.memory, bandwidth * body.memory, bandwidth * head.memory),
    )


def _expert_table(
    work: ModelWork, accelerator: Accelerator, layout: Layout, formats: Formats, calibration: Calibration
) -> ExpertTable | None:
    """Equation R2: each rank holds E / ep experts cut in moe_tp parts."""
    groups: dict[tuple[int, int], tuple[float, float]] = {}
    for layer in work.layers:
        if layer.experts:
            parameters, layers = groups.get((layer.experts, layer.experts_per_token), (0.0, 0.0))
            groups[layer.experts, layer.experts_per_token] = (
                parameters + layer.count * float(layer.expert_gemm_parameters),
                layers + layer.count,
            )
    if not groups:
        return None
    experts = _column(*(e for e, _ in groups))
    top_k = _column(*(k for _, k in groups))
    weights = _column(*(p for p, _ in groups.values()))
    moe_layers = _column(*(count for _, count in groups.values()))
    share = 1.0 / (layout.stage_accelerators * layout.pp)
    eta = efficiency(calibration, "experts")
    rate = peak(accelerator, formats.expert_activations, "formats.experts")
    exchange = formats.exchange.bytes_per_element
    return ExpertTable(
        miss_probability=1.0 - top_k / experts,
        weight_bytes=experts * weights * formats.experts.bytes_per_element * share,
        flop_per_token=2.0 * top_k * weights * share,
        # Gather in and scatter out of each routed copy, at the rank's share of copies.
        activation_bytes_per_token=2.0
        * top_k
        * moe_layers
        * work.hidden_size
        * exchange
        / (layout.moe_ep * layout.pp),
        tokens_per_expert=top_k / experts,
        flop_per_second=rate * eta.compute,
        half_rate_tokens=eta.half_rate_tokens,
        bytes_per_second=accelerator.memory_bandwidth_bytes_per_second * eta.memory,
        imbalance=calibration.expert_imbalance if layout.moe_ep > 1 else 1.0,
    )


def _stream_table(work: ModelWork, layout: Layout, formats: Formats) -> StreamTable:
    """Equation R3: FLOP divide by TP, cache by min(tp, its shards); a replicated latent is read by all."""
    spans = distinct_spans(work)
    rows = [
        (
            layer.count * stream.flop_per_pair_prefill / (layout.tp * layout.pp),
            layer.count * stream.flop_per_pair_decode / (layout.tp * layout.pp),
            layer.count * cache_bytes_per_key(stream, layout, formats) / layout.pp,
            layer.count * stream.expand_flop_per_key / (layout.tp * layout.pp),
            spans.index(stream.span),
        )
        for layer in work.layers
        for stream in layer.streams
    ]
    table = np.array([row[:4] for row in rows], dtype=np.float64).reshape(-1, 4)
    return StreamTable(
        flop_per_pair_prefill=table[:, 0],
        flop_per_pair_decode=table[:, 1],
        cache_bytes_per_key=table[:, 2],
        expand_flop_per_key=table[:, 3],
        span_index=tuple(row[4] for row in rows),
    )


def cache_bytes_per_key(stream: AttentionStream, layout: Layout, formats: Formats) -> float:
    """Return bytes of one cached key of one layer on one rank."""
    if stream.cache_bytes_per_key_override is not None:
        whole = float(stream.cache_bytes_per_key_override)
    else:
        whole = stream.cache_elements_per_key * formats.kv_cache.bytes_per_element
    return whole / min(layout.tp, max(stream.cache_shards, 1))


def _recurrent_table(work: ModelWork, layout: Layout, formats: Formats) -> RecurrentTable:
    """Equation R4: state divides by heads, hence by TP."""
    flop = sum(layer.count * layer.recurrent_flop_per_token for layer in work.layers)
    state = sum(
        layer.count
        * (
            layer.state_elements_per_sequence * formats.state.bytes_per_element
            + layer.conv_state_elements_per_sequence * formats.exchange.bytes_per_element
        )
        for layer in work.layers
    )
    ranks = layout.tp * layout.pp
    return RecurrentTable(flop_per_token=flop / ranks, state_bytes_per_sequence=state / ranks)


def _attention_format(formats: Formats) -> NumberFormat:
    """Attention cores multiply in the residual's format, whatever the cache is stored in."""
    return formats.exchange


def _rates(
    accelerator: Accelerator, calibration: Calibration, operator: str, operand: NumberFormat
) -> tuple[float, float]:
    eta = efficiency(calibration, operator)
    fallback = accelerator.peak_flop_per_second.get(operand.compute_format)
    rate = fallback if fallback is not None else max(accelerator.peak_flop_per_second.values())
    return rate * eta.compute, accelerator.memory_bandwidth_bytes_per_second * eta.memory


def _workspace(work: ModelWork, layout: Layout, formats: Formats) -> float:
    """Activations alive at once for one token of the budget: residual, GEMM input and widest output."""
    widest = max(
        (
            max(layer.dense_gemm_parameters, layer.expert_gemm_parameters * max(layer.experts_per_token, 1))
            / work.hidden_size
            for layer in work.layers
        ),
        default=0.0,
    )
    return (4.0 * work.hidden_size + widest / layout.tp) * formats.exchange.bytes_per_element


def _column(*values: float) -> Array:
    return np.array(values, dtype=np.float64).reshape(-1, 1)
