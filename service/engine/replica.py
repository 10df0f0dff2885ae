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
from service.engine.tables import (
    CHUNK_PRESENT,
    COLLECTIVES,
    COUNTERS,
    DECODE,
    FEED_FORWARD,
    GROUP_TOKENS,
    HEAD,
    HOST,
    OPERATORS,
    PROJECTIONS,
    RANK_TOKENS,
    RECURRENT,
    SAMPLED,
    STEP,
    Exchange,
    ExpertTable,
    Rates,
    ReplicaTable,
    StreamTable,
)
from service.engine.types import (
    PLAIN_DECODING,
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
    Speculation,
)


@dataclass(frozen=True)
class Plan:
    """What is compiled."""

    work: ModelWork
    accelerator: Accelerator
    layout: Layout
    formats: Formats
    calibration: Calibration

    def rates(
        self, operator: str, operand: NumberFormat, field: str, stored: NumberFormat | None = None
    ) -> Rates:
        """Return the achievable rates of an operator class on operands of a format."""
        eta = efficiency(self.calibration, operator, stored or operand)
        return Rates(
            peak(self.accelerator, operand, field) * eta.compute,
            self.accelerator.memory_bandwidth_bytes_per_second * eta.memory,
        )


def compile_replica(
    work: ModelWork,
    accelerator: Accelerator,
    layout: Layout,
    formats: Formats,
    calibration: Calibration,
    speculation: Speculation = PLAIN_DECODING,
) -> ReplicaTable:
    """Compile a replica; one that speculates also holds the model's multi-token-prediction layers.

    Raises
    ------
    InvalidInputError
        A layout that does not divide heads, experts, layers or ranks (field ``layout.*``).
    UnsupportedError
        A format the accelerator has no arithmetic for (field ``formats.*``).
    """
    check_layout(work, layout)
    plan = Plan(work, accelerator, layout, formats, calibration)
    shape = (2, len(OPERATORS), len(COUNTERS))
    matrices = (np.zeros(shape), np.zeros(shape))
    _fill_gemms(plan, matrices)
    _fill_recurrent(plan, matrices)
    network = collective_cost(work, accelerator, layout, formats, calibration)
    _fill_added(plan, network, matrices[1])
    return ReplicaTable(
        layout=layout,
        spans=distinct_spans(work),
        work=matrices[0],
        seconds=matrices[1],
        experts=_expert_table(plan),
        streams=_stream_table(work, layout, formats),
        state_bytes_per_sequence=_state_bytes(plan),
        # Attention cores multiply in the residual's format, whatever the cache is stored in.
        attention_prefill=plan.rates("attention_prefill", formats.exchange, "formats.activations"),
        attention_decode=plan.rates("attention_decode", formats.exchange, "formats.activations"),
        peak_flop_per_second=peak(accelerator, formats.activations, "formats.activations"),
        peak_bytes_per_second=accelerator.memory_bandwidth_bytes_per_second,
        weights_bytes=weights_bytes(work, layout, formats) + _draft_bytes(work, layout, formats, speculation),
        workspace_bytes_per_token=_workspace(work, layout, formats),
        memory_capacity_bytes=accelerator.memory_bytes,
        layers=sum(layer.count for layer in work.layers),
        speculation=speculation,
        exchange=_exchange(network),
    )


def _exchange(network: CollectiveCost) -> Exchange | None:
    """Return dispatch and combine; None where no rank sends tokens to another's experts."""
    if network.seconds_per_group_token == 0:
        return None
    return Exchange(network.exchange_latency_seconds, network.seconds_per_group_token)


def _draft_bytes(work: ModelWork, layout: Layout, formats: Formats, speculation: Speculation) -> float:
    """Bytes on one accelerator of the layers that draft."""
    if speculation.draft_tokens == 0:
        return 0.0
    return work.mtp_parameters * formats.experts.bytes_per_element / layout.accelerators


def distinct_spans(work: ModelWork) -> tuple[Span, ...]:
    """Return the spans that occur in a model, each once, in order of appearance."""
    return tuple(dict.fromkeys(stream.span for layer in work.layers for stream in layer.streams))


_MIXER_KERNELS = {"attention": 6.0, "mla": 11.0, "linear": 8.0, "state_space": 6.0, "none": 0.0}
_DENSE_KERNELS = 4.0
_EXPERT_KERNELS = 8.0
_SHARED_EXPERT_KERNELS = 3.0
_QUANTISED_INPUTS = 2.0
_PLAIN_LAYER_KERNELS = _MIXER_KERNELS["attention"] + _DENSE_KERNELS


def kernel_share(layer: LayerWork, formats: Formats) -> float:
    """Return how many kernels a layer launches, in units of a plain bf16 transformer layer's (equation R9).

    Counted off the layers of vLLM, SGLang and TensorRT-LLM after their usual fusions. Attention: norm,
    QKV, rotary and cache write, attention, its reduction, output. MLA: two down-projections, the
    latents' norms, the absorbing products. Experts: norm, router, top-k, sort, two grouped GEMMs,
    activation, combination. Operands narrower than the residual are quantised before each GEMM.
    """
    narrow = formats.activations.bytes_per_element < formats.exchange.bytes_per_element
    narrow_experts = formats.expert_activations.bytes_per_element < formats.exchange.bytes_per_element
    kernels = 0.0
    if layer.mixer_gemm_parameters:
        kernels += _MIXER_KERNELS[layer.mixer_kind] + _QUANTISED_INPUTS * narrow + 1.0 * layer.head_norm
    if layer.dense_gemm_parameters:
        kernels += _DENSE_KERNELS + _QUANTISED_INPUTS * narrow
    if layer.experts:
        kernels += _EXPERT_KERNELS + _QUANTISED_INPUTS * narrow_experts
    if layer.shared_expert_gemm_parameters:
        kernels += _SHARED_EXPERT_KERNELS + _QUANTISED_INPUTS * narrow
    return kernels / _PLAIN_LAYER_KERNELS


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


def efficiency(calibration: Calibration, operator: str, stored: NumberFormat) -> Efficiency:
    """Return the efficiency of an operator class on weights stored in a format.

    The entry ``operator@format`` where the set has one, else the operator's, else that of ``gemm``.
    """
    known = calibration.operators
    return known.get(f"{operator}@{stored.name}") or known.get(operator) or known["gemm"]


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


def _fill_gemms(plan: Plan, matrices: tuple[Array, Array]) -> None:
    """Equation R1: shards by TP, layers by PP; the head runs whole on the last stage."""
    work, layout, formats = plan.work, plan.layout, plan.formats
    ranks = layout.tp * layout.pp
    projections = sum(layer.count * layer.mixer_gemm_parameters for layer in work.layers)
    forward = sum(
        layer.count
        * (layer.dense_gemm_parameters + layer.shared_expert_gemm_parameters + layer.router_gemm_parameters)
        for layer in work.layers
    )
    exchange = formats.exchange.bytes_per_element
    passes = plan.calibration.extra.get("activation_passes_per_sublayer", 6.0)
    moved = passes * work.hidden_size * exchange / layout.pp
    mixers = sum(layer.count for layer in work.layers if layer.mixer_gemm_parameters)
    forwards = sum(layer.count for layer in work.layers if layer.dense_gemm_parameters or layer.experts)
    body = plan.rates("gemm", formats.activations, "formats.activations", formats.weights)
    head = plan.rates("head", formats.head, "formats.weights")
    weight = formats.weights.bytes_per_element
    vocabulary = (work.head_parameters / layout.tp, work.vocab_size * exchange / layout.tp)
    rows = (
        (PROJECTIONS, RANK_TOKENS, projections / ranks, moved * mixers, weight, body),
        (FEED_FORWARD, RANK_TOKENS, forward / ranks, moved * forwards, weight, body),
        (HEAD, SAMPLED, vocabulary[0], vocabulary[1], formats.head.bytes_per_element, head),
    )
    for operator, counter, parameters, activations, size, rates in rows:
        eta = (
            efficiency(plan.calibration, "head", formats.head)
            if operator == HEAD
            else efficiency(plan.calibration, "gemm", formats.weights)
        )
        flop, weights = 2.0 * parameters, parameters * size
        counted, seconds = matrices
        counted[0, operator, counter] = flop
        counted[1, operator, counter] = activations
        counted[1, operator, STEP] = weights
        seconds[0, operator, counter] = flop / rates.flop_per_second
        # A GEMM on n tokens runs at n / (n + n_half) of its full rate: a constant ramp.
        seconds[0, operator, STEP] = flop * eta.half_rate_tokens / rates.flop_per_second
        seconds[1, operator, counter] = activations / rates.bytes_per_second
        seconds[1, operator, STEP] = weights / rates.bytes_per_second


def _fill_recurrent(plan: Plan, matrices: tuple[Array, Array]) -> None:
    """Equation R4: state divides by heads, hence by TP; a decode or a chunk reads and writes it once."""
    ranks = plan.layout.tp * plan.layout.pp
    flop = sum(layer.count * layer.recurrent_flop_per_token for layer in plan.work.layers) / ranks
    moved = 2.0 * _state_bytes(plan)
    rates = plan.rates("recurrent", plan.formats.exchange, "formats.activations")
    counted, seconds = matrices
    counted[0, RECURRENT, RANK_TOKENS] = flop
    counted[1, RECURRENT, [DECODE, CHUNK_PRESENT]] = moved
    seconds[0, RECURRENT, RANK_TOKENS] = flop / rates.flop_per_second
    seconds[1, RECURRENT, [DECODE, CHUNK_PRESENT]] = moved / rates.bytes_per_second


def _fill_added(plan: Plan, network: CollectiveCost, seconds: Array) -> None:
    """Fill collectives and host work, which only add time."""
    seconds[0, COLLECTIVES, STEP] = network.latency_seconds
    seconds[0, COLLECTIVES, RANK_TOKENS] = network.seconds_per_rank_token
    seconds[0, COLLECTIVES, GROUP_TOKENS] = network.seconds_per_group_token
    kernels = sum(layer.count * kernel_share(layer, plan.formats) for layer in plan.work.layers)
    launches = plan.calibration.launch_seconds_per_layer * kernels / plan.layout.pp
    seconds[0, HOST, STEP] = launches + plan.calibration.host_seconds_per_step
    seconds[0, HOST, DECODE] = plan.calibration.host_seconds_per_sequence
    # A step with a chunk has no fixed shape, so it runs outside the CUDA graphs that decoding uses.
    eager = plan.calibration.extra.get("chunk_launch_seconds_per_layer", 0.0)
    seconds[0, HOST, CHUNK_PRESENT] = eager * kernels / plan.layout.pp


def _state_bytes(plan: Plan) -> float:
    """Recurrent state of one sequence on one rank, bytes."""
    state = sum(
        layer.count
        * (
            layer.state_elements_per_sequence * plan.formats.state.bytes_per_element
            + layer.conv_state_elements_per_sequence * plan.formats.exchange.bytes_per_element
        )
        for layer in plan.work.layers
    )
    return state / (plan.layout.tp * plan.layout.pp)


def _expert_table(plan: Plan) -> ExpertTable | None:
    """Equation R2: each rank holds E / ep experts cut in moe_tp parts."""
    work, layout, formats = plan.work, plan.layout, plan.formats
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
    rates = plan.rates("experts", formats.expert_activations, "formats.experts", formats.experts)
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
        flop_per_second=rates.flop_per_second,
        half_rate_tokens=efficiency(plan.calibration, "experts", formats.experts).half_rate_tokens,
        bytes_per_second=rates.bytes_per_second,
        imbalance=plan.calibration.expert_imbalance if layout.moe_ep > 1 else 1.0,
    )


def _stream_table(work: ModelWork, layout: Layout, formats: Formats) -> StreamTable:
    """Equation R3: FLOP divide by TP, cache by min(tp, its shards); a replicated latent is read by all."""
    spans = distinct_spans(work)
    table = np.zeros((4, len(spans)))
    for layer in work.layers:
        for stream in layer.streams:
            table[:, spans.index(stream.span)] += (
                layer.count * stream.flop_per_pair_prefill / (layout.tp * layout.pp),
                layer.count * stream.flop_per_pair_decode / (layout.tp * layout.pp),
                layer.count * cache_bytes_per_key(stream, layout, formats) / layout.pp,
                layer.count * stream.expand_flop_per_key / (layout.tp * layout.pp),
            )
    return StreamTable(*table)


def cache_bytes_per_key(stream: AttentionStream, layout: Layout, formats: Formats) -> float:
    """Return bytes of one cached key of one layer on one rank."""
    if stream.cache_bytes_per_key_override is not None:
        whole = float(stream.cache_bytes_per_key_override)
    else:
        whole = stream.cache_elements_per_key * formats.kv_cache.bytes_per_element
    return whole / min(layout.tp, max(stream.cache_shards, 1))


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
