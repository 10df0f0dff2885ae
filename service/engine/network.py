"""Collectives of one step: fixed latency and seconds per token.

An all-reduce of M bytes over N ranks moves 2 (N - 1) / N x M through each rank's link, in each
direction once (Thakur, Rabenseifner and Gropp 2005, section 4.3); an all-to-all moves
(N - 1) / N x M. Latency grows with log2 N (tree). Equations N1 to N4 of docs/equations.md.
"""

from dataclasses import dataclass
from math import log2

from service.engine.types import Accelerator, Calibration, Formats, LayerWork, Layout, ModelWork


@dataclass(frozen=True, slots=True)
class CollectiveCost:
    """Network time of one pipeline stage's pass."""

    latency_seconds: float
    """Fixed part of all collectives of the pass."""
    seconds_per_rank_token: float
    """Per token on the attention rank: tensor-parallel all-reduces and the pipeline hand-over."""
    seconds_per_group_token: float
    """Per token of the expert-parallel group: dispatch and combine."""
    exchange_latency_seconds: float = 0.0
    """Of ``latency_seconds``, what dispatch and combine take."""


def collective_cost(
    work: ModelWork, accelerator: Accelerator, layout: Layout, formats: Formats, calibration: Calibration
) -> CollectiveCost:
    """Return the collective cost of one stage."""
    mixers = sum(layer.count for layer in work.layers if layer.mixer_gemm_parameters) / layout.pp
    dense = sum(layer.count for layer in work.layers if layer.dense_gemm_parameters) / layout.pp
    moe = [layer for layer in work.layers if layer.experts]
    moe_layers = sum(layer.count for layer in moe) / layout.pp
    message = work.hidden_size * formats.exchange.bytes_per_element
    exchanged = layout.attention_dp > 1
    reduces = mixers + dense + (0.0 if exchanged else moe_layers)
    latency = exchange_latency = per_rank = per_group = 0.0
    if layout.tp > 1:
        # A norm over all heads exchanges sums of squares: latency without bytes to speak of.
        norms = sum(layer.count for layer in work.layers if layer.norm_spans_heads) / layout.pp
        latency += (reduces + norms) * _latency(accelerator, layout.tp, calibration)
        per_rank += reduces * message * _all_reduce_seconds_per_byte(accelerator, layout.tp, calibration)
    if exchanged and moe_layers:
        ranks = layout.stage_accelerators
        exchange_latency = 2.0 * moe_layers * _latency(accelerator, ranks, calibration)
        latency += exchange_latency
        per_group += _dispatch_bytes(moe, layout, formats, work) * _all_to_all_seconds_per_byte(
            accelerator, ranks, calibration
        )
    if layout.pp > 1:
        across = layout.accelerators > accelerator.scale_up_domain
        latency += calibration.collective_latency_seconds
        per_rank += message / layout.tp * _link_seconds_per_byte(accelerator, across, calibration)
    return CollectiveCost(latency, per_rank, per_group, exchange_latency)


def _dispatch_bytes(moe: list[LayerWork], layout: Layout, formats: Formats, work: ModelWork) -> float:
    """Bytes one rank sends and receives per token of the group: once to each distinct rank it needs."""
    total = 0.0
    ep = layout.moe_ep
    for layer in moe:
        reached = ep * (1.0 - (1.0 - 1.0 / ep) ** layer.experts_per_token) if ep > 1 else 1.0
        copies = min(reached, float(ep)) * layout.moe_tp
        there = work.hidden_size * formats.expert_activations.bytes_per_element
        back = work.hidden_size * formats.exchange.bytes_per_element
        total += layer.count / layout.pp * copies * (there + back) / layout.stage_accelerators
    return total


def _latency(accelerator: Accelerator, ranks: int, calibration: Calibration) -> float:
    inside = min(ranks, accelerator.scale_up_domain)
    hops = log2(max(inside, 2))
    across = ranks > accelerator.scale_up_domain
    if across:
        hops += calibration.extra.get("scale_out_latency_factor", 3.0) * log2(ranks / inside)
    return calibration.collective_latency_seconds * hops


def _all_reduce_seconds_per_byte(accelerator: Accelerator, ranks: int, calibration: Calibration) -> float:
    inside = min(ranks, accelerator.scale_up_domain)
    seconds = 2.0 * (inside - 1) / inside * _link_seconds_per_byte(accelerator, False, calibration)
    if ranks > inside:
        domains = ranks / inside
        # Hierarchical: each rank carries 1 / inside of the message across domains.
        seconds += (
            2.0 * (domains - 1) / domains / inside * _link_seconds_per_byte(accelerator, True, calibration)
        )
    return seconds


def _all_to_all_seconds_per_byte(accelerator: Accelerator, ranks: int, calibration: Calibration) -> float:
    inside = min(ranks, accelerator.scale_up_domain)
    local = (inside - 1) / ranks * _link_seconds_per_byte(accelerator, False, calibration)
    remote = (ranks - inside) / ranks * _link_seconds_per_byte(accelerator, True, calibration)
    # The two networks work at the same time; the slower one is waited for.
    return max(local, remote)


def _link_seconds_per_byte(accelerator: Accelerator, across: bool, calibration: Calibration) -> float:
    if across:
        return 1.0 / (accelerator.scale_out_bandwidth_bytes_per_second * calibration.scale_out_efficiency)
    return 1.0 / (accelerator.scale_up_bandwidth_bytes_per_second * calibration.scale_up_efficiency)
