"""Bounds that every specification keeps, whoever wrote it; all work on a spec is small afterwards."""

import dataclasses

from service.engine.errors import InvalidInputError
from service.engine.parts import Attention, CompressedAttention, Experts, LayerGroup, Mixer, ModelSpec
from service.engine.types import Span

MAX_LAYERS = 2048
MAX_DIMENSION = 2**31 - 1
"""Largest single dimension; products of a few of them are exact in Python integers."""
MAX_CONTEXT_TOKENS = 2**40

_MAY_BE_ZERO = frozenset(
    {"gemm_parameters", "table_parameters", "other_parameters", "router_other_parameters", "norm_vectors"}
    | {"final_norm_vectors", "rope_head_dim", "nope_head_dim"}
)


def check_spec(spec: ModelSpec, path: str = "spec") -> ModelSpec:
    """Return the specification if it keeps all bounds.

    Parameters
    ----------
    spec
        Any specification of the right types.
    path
        Dotted path of the specification in its document, for messages.

    Raises
    ------
    InvalidInputError
        Naming the field that breaks a bound.
    """
    if not spec.layer_groups:
        raise _fail(f"{path}.layer_groups", "a model has at least one layer group")
    layers = sum(group.count for group in spec.layer_groups)
    if layers > MAX_LAYERS:
        raise _fail(f"{path}.layer_groups", f"{layers} layers; at most {MAX_LAYERS} are supported")
    _check_numbers(spec, path)
    for name, groups in (("layer_groups", spec.layer_groups), ("mtp_groups", spec.mtp_groups)):
        for index, group in enumerate(groups):
            _check_group(group, f"{path}.{name}[{index}]")
    chunks = {
        mixer.span.limit_tokens
        for group in spec.layer_groups
        for mixer in group.mixers
        if isinstance(mixer, Attention) and mixer.span.kind == "chunked"
    }
    if len(chunks) > 1:
        raise _fail(f"{path}.layer_groups", "chunked layers of one model share one chunk length")
    return spec


def _fail(field: str, message: str, **accepted: object) -> InvalidInputError:
    return InvalidInputError(
        f"{field}: {message}.", field=field, code="invalid-model-spec", accepted=accepted
    )


def _check_numbers(value: object, path: str) -> None:
    """Walk a tree of dataclasses and tuples; every number is at least 1 unless it may be zero."""
    if isinstance(value, tuple):
        for index, item in enumerate(value):
            _check_numbers(item, f"{path}[{index}]")
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            item = getattr(value, field.name)
            where = f"{path}.{field.name}"
            if isinstance(item, int) and not isinstance(item, bool):
                _check_bounds(field.name, item, where)
            else:
                _check_numbers(item, where)


def _check_bounds(name: str, value: int, path: str) -> None:
    least = 0 if name in _MAY_BE_ZERO else 1
    most = MAX_DIMENSION
    if name.endswith("parameters"):
        most = 2**53 - 1
    elif name in ("max_context_tokens", "limit_tokens"):
        most = MAX_CONTEXT_TOKENS
    if not least <= value <= most:
        raise _fail(path, f"{value} is outside {least} to {most}", minimum=least, maximum=most)


def _check_group(group: LayerGroup, path: str) -> None:
    if not group.mixers and not group.feed_forwards:
        raise _fail(path, "a layer has a mixer, a feed-forward or both")
    if sum(isinstance(part, Experts) for part in group.feed_forwards) > 1:
        raise _fail(f"{path}.feed_forwards", "a layer has at most one set of routed experts")
    for index, mixer in enumerate(group.mixers):
        _check_mixer(mixer, f"{path}.mixers[{index}]")
    for index, part in enumerate(group.feed_forwards):
        if isinstance(part, Experts) and part.experts_per_token > part.experts:
            raise _fail(
                f"{path}.feed_forwards[{index}].experts_per_token",
                f"{part.experts_per_token} of {part.experts} experts",
                maximum=part.experts,
            )


def _check_mixer(mixer: Mixer, path: str) -> None:
    if isinstance(mixer, Attention):
        if mixer.query_heads % mixer.kv_heads:
            raise _fail(
                f"{path}.kv_heads", f"{mixer.query_heads} query heads do not divide by {mixer.kv_heads}"
            )
        _check_span(mixer.span, f"{path}.span")
    if isinstance(mixer, CompressedAttention):
        if mixer.query_heads * mixer.head_dim % mixer.output_groups:
            raise _fail(f"{path}.output_groups", "must divide query_heads x head_dim")
        if (mixer.indexer_heads is None) != (mixer.indexer_head_dim is None):
            raise _fail(f"{path}.indexer_head_dim", "indexer_heads and indexer_head_dim come together")


def _check_span(span: Span, path: str) -> None:
    if (span.kind == "full") != (span.limit_tokens is None):
        raise _fail(f"{path}.limit_tokens", "a limit is given exactly where the span is not full")
