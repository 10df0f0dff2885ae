"""A model specification reduced to work: exact parameters, FLOP, cache and state (equations A1 to A12)."""

from dataclasses import dataclass

from service.engine.mixer_work import MixerWork, mixer_work
from service.engine.parts import Attention, Dense, Experts, LayerGroup, ModelSpec
from service.engine.types import AttentionStream, LayerWork, MixerKind, ModelWork, NumberFormat


@dataclass(frozen=True, slots=True)
class _FeedForwardWork:
    """Parameters of a layer's feed-forwards, by how tokens pass them."""

    dense: int = 0
    router: int = 0
    shared: int = 0
    experts: int = 0
    experts_per_token: int = 0
    expert: int = 0
    other: int = 0
    expert_other: int = 0


def derive_work(spec: ModelSpec) -> ModelWork:
    """Reduce a specification to the work that an engine step sees.

    Parameters
    ----------
    spec
        A checked specification (``service.engine.spec_checks.check_spec``).

    Returns
    -------
    ModelWork
        Exact integer counts; equation A9 of ``docs/equations.md``.
    """
    extras_gemm = sum(extra.gemm_parameters for extra in spec.extras)
    extras_other = sum(extra.other_parameters for extra in spec.extras)
    mtp = (layer_work(group, spec.hidden_size) for group in spec.mtp_groups)
    table = spec.vocab_size * spec.hidden_size
    return ModelWork(
        name=spec.name,
        hidden_size=spec.hidden_size,
        vocab_size=spec.vocab_size,
        max_context_tokens=spec.max_context_tokens,
        layers=tuple(layer_work(group, spec.hidden_size) for group in spec.layer_groups),
        embedding_parameters=table + sum(extra.table_parameters for extra in spec.extras),
        head_parameters=table,
        tied_embeddings=spec.tied_embeddings,
        other_parameters=spec.final_norm_vectors * spec.hidden_size + extras_gemm + extras_other,
        other_gemm_parameters=extras_gemm,
        mtp_parameters=sum(layer.count * layer_parameters(layer) for layer in mtp),
    )


def layer_work(group: LayerGroup, hidden_size: int) -> LayerWork:
    """Reduce one layer group; figures are of one layer.

    Norms and extras of a layer are counted with its mixer, or with its feed-forward where it has no
    mixer. Projections to and from the experts' latent are counted with the shared experts: every token
    passes them.
    """
    mixers = [mixer_work(mixer, hidden_size) for mixer in group.mixers]
    forward = _feed_forward_work(group, hidden_size)
    extra_gemm = sum(extra.gemm_parameters for extra in group.extras)
    extra_other = sum(extra.other_parameters + extra.table_parameters for extra in group.extras)
    extra_other += group.norm_vectors * hidden_size
    with_mixer = 1 if mixers else 0
    main = _main_mixer(mixers)
    norms = [mixer.query_key_norm for mixer in group.mixers if isinstance(mixer, Attention)]
    return LayerWork(
        name=group.name,
        count=group.count,
        mixer_kind=_mixer_kind(main),
        query_heads=main.query_heads if main else 0,
        kv_heads=main.kv_heads if main else 0,
        streams=tuple(stream for mixer in mixers for stream in mixer.streams),
        mixer_gemm_parameters=sum(mixer.gemm_parameters for mixer in mixers) + with_mixer * extra_gemm,
        mixer_other_parameters=sum(mixer.other_parameters for mixer in mixers) + with_mixer * extra_other,
        recurrent_flop_per_token=sum(mixer.recurrent_flop_per_token for mixer in mixers),
        state_elements_per_sequence=sum(mixer.state_elements for mixer in mixers),
        conv_state_elements_per_sequence=sum(mixer.conv_state_elements for mixer in mixers),
        dense_gemm_parameters=forward.dense + (1 - with_mixer) * extra_gemm,
        router_gemm_parameters=forward.router,
        shared_expert_gemm_parameters=forward.shared,
        experts=forward.experts,
        experts_per_token=forward.experts_per_token,
        expert_gemm_parameters=forward.expert,
        feed_forward_other_parameters=forward.other + (1 - with_mixer) * extra_other,
        expert_other_parameters=forward.expert_other,
        head_norm=any(norm != "none" for norm in norms),
        norm_spans_heads="all_heads" in norms,
    )


def _main_mixer(mixers: list[MixerWork]) -> MixerWork | None:
    """Pick the mixer that a group is named after: the one with a growing cache, where there is one."""
    return max(mixers, key=lambda mixer: len(mixer.streams), default=None)


def _mixer_kind(mixer: MixerWork | None) -> MixerKind:
    return "none" if mixer is None else mixer.kind


def _dense_gemm(part: Dense, width: int) -> int:
    return (3 if part.gated else 2) * width * part.intermediate_size


def _dense_other(part: Dense, width: int) -> int:
    inputs = (2 if part.gated else 1) * part.intermediate_size if part.input_bias else 0
    return inputs + (width if part.output_bias else 0)


def _feed_forward_work(group: LayerGroup, hidden_size: int) -> _FeedForwardWork:
    """Count feed-forwards: 2*h*i or, gated, 3*h*i parameters (Shazeer, arXiv 2002.05202; A9)."""
    dense = [part for part in group.feed_forwards if isinstance(part, Dense)]
    dense_gemm = sum(_dense_gemm(part, hidden_size) for part in dense)
    dense_other = sum(_dense_other(part, hidden_size) for part in dense)
    routed = next((part for part in group.feed_forwards if isinstance(part, Experts)), None)
    if routed is None:
        return _FeedForwardWork(dense=dense_gemm, other=dense_other)
    width = hidden_size if routed.latent_size is None else routed.latent_size
    expert = Dense(
        intermediate_size=routed.intermediate_size,
        gated=routed.gated,
        input_bias=routed.bias,
        output_bias=routed.bias,
    )
    shared = _dense_gemm(routed.shared, hidden_size) if routed.shared else 0
    if routed.latent_size is not None:
        shared += 2 * hidden_size * routed.latent_size
    other = dense_other + routed.router_other_parameters
    other += _dense_other(routed.shared, hidden_size) if routed.shared else 0
    other += routed.experts if routed.router_bias else 0
    other += width if routed.latent_norm else 0
    return _FeedForwardWork(
        dense=dense_gemm,
        router=hidden_size * routed.experts + (hidden_size if routed.shared_gate else 0),
        shared=shared,
        experts=routed.experts,
        experts_per_token=routed.experts_per_token,
        expert=_dense_gemm(expert, width),
        other=other,
        expert_other=_dense_other(expert, width),
    )


def layer_parameters(layer: LayerWork) -> int:
    """Return the parameters of one layer of a group."""
    return (
        layer.mixer_gemm_parameters
        + layer.mixer_other_parameters
        + layer.dense_gemm_parameters
        + layer.router_gemm_parameters
        + layer.shared_expert_gemm_parameters
        + layer.feed_forward_other_parameters
        + layer.experts * (layer.expert_gemm_parameters + layer.expert_other_parameters)
    )


def total_parameters(work: ModelWork) -> int:
    """Return all parameters of the language model; multi-token-prediction modules apart (A9)."""
    head = 0 if work.tied_embeddings else work.head_parameters
    layers = sum(layer.count * layer_parameters(layer) for layer in work.layers)
    return work.embedding_parameters + head + work.other_parameters + layers


def active_parameters(work: ModelWork) -> int:
    """Return total less routed-expert parameters x (1 - k/E); the embedding table is counted (A9)."""
    idle = sum(
        layer.count
        * (layer.experts - layer.experts_per_token)
        * (layer.expert_gemm_parameters + layer.expert_other_parameters)
        for layer in work.layers
    )
    return total_parameters(work) - idle


def linear_flop_per_token(work: ModelWork) -> int:
    """Return FLOP of one token that do not depend on its position, the output head apart (A10).

    2 x GEMM parameters passed + recurrent terms (convolution, state update).
    """
    flop = 2 * work.other_gemm_parameters
    for layer in work.layers:
        gemm = layer.mixer_gemm_parameters + layer.dense_gemm_parameters
        gemm += layer.router_gemm_parameters + layer.shared_expert_gemm_parameters
        gemm += layer.experts_per_token * layer.expert_gemm_parameters
        flop += layer.count * (2 * gemm + layer.recurrent_flop_per_token)
    return flop


def head_flop_per_token(work: ModelWork) -> int:
    """Return FLOP of the output head for one sampled position."""
    return 2 * work.head_parameters


def stream_bytes_per_token(stream: AttentionStream, cache: NumberFormat) -> float:
    """Return cache bytes that one token adds to one layer's stream before any cap (A11)."""
    per_key = stream.cache_bytes_per_key_override
    if per_key is None:
        return stream.cache_elements_per_key * cache.bytes_per_element / stream.span.stride
    return per_key / stream.span.stride


def kv_cache_bytes_per_token(work: ModelWork, cache: NumberFormat) -> float:
    """Return cache bytes that one token writes over all layers; windows cap what stays, not this (A11)."""
    return sum(layer.count * layer_bytes_per_token(layer, cache) for layer in work.layers)


def layer_bytes_per_token(layer: LayerWork, cache: NumberFormat) -> float:
    """Return cache bytes that one token writes in one layer of a group (A11)."""
    return sum(stream_bytes_per_token(stream, cache) for stream in layer.streams)


def state_bytes_per_sequence(work: ModelWork, state: NumberFormat, convolution: NumberFormat) -> float:
    """Return constant state bytes of one sequence: recurrent states and convolution tails (A11)."""
    return sum(
        layer.count
        * (
            layer.state_elements_per_sequence * state.bytes_per_element
            + layer.conv_state_elements_per_sequence * convolution.bytes_per_element
        )
        for layer in work.layers
    )
