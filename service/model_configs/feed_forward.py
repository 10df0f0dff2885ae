"""Feed-forwards from a configuration: dense, routed experts, shared experts, both side by side."""

from typing import Final

from service.engine.parts import Dense, Experts, FeedForward
from service.model_configs.attention import bias_flag
from service.model_configs.families import Family
from service.model_configs.layers import ForwardKind
from service.model_configs.reader import ConfigReader, invalid, unsupported

_GATED: Final = frozenset(
    {"silu", "swish", "swiglu", "swigluoai", "swiglu_oai", "situ", "geglu", "gelu_pytorch_tanh"}
)
_PLAIN: Final = frozenset({"relu2", "relu", "squared_relu", "xielu"})


def has_experts(reader: ConfigReader) -> bool:
    """Tell whether the configuration has routed experts."""
    if reader.states("enable_moe_block"):
        return False
    experts = reader.optional_integer("experts", minimum=0)
    return bool(experts)


def is_gated(reader: ConfigReader, family: Family) -> bool:
    """Tell whether feed-forwards have a gate: the class's convention, else by the activation.

    Raises
    ------
    UnsupportedError
        In an architecture never seen, for an activation that occurs in both forms.
    """
    activation = reader.text("activation")
    if family.gated is not None:
        return family.gated
    if activation in _PLAIN:
        return False
    if family.generic and activation is not None and activation not in _GATED:
        raise unsupported(
            reader.field("activation"),
            f"{activation!r:.40} is used by gated and by plain feed-forwards",
            one_of=sorted(_GATED | _PLAIN),
        )
    return True


def feed_forwards(
    reader: ConfigReader, family: Family, kind: ForwardKind, *, reuses_cache: bool = False
) -> tuple[FeedForward, ...]:
    """Build the feed-forwards of one layer.

    Parameters
    ----------
    reader, family
        The configuration and its conventions.
    kind
        What the layer has.
    reuses_cache
        Gemma 4 doubles the feed-forward of layers that reuse another layer's cache, where it says so.
    """
    if kind == "none":
        return ()
    if kind == "sparse":
        return (_experts(reader, family),)
    dense = _dense(reader, family, wide=reuses_cache and reader.flag("use_double_wide_mlp"))
    reader.ignore("use_double_wide_mlp")
    if reader.flag("enable_moe_block"):
        # Gemma 4: experts beside the dense feed-forward; the router has a scale per channel and per expert.
        other = reader.integer("hidden") + reader.integer("experts")
        return dense, _experts(reader, family, router_other=other)
    return (dense,)


def _dense(reader: ConfigReader, family: Family, *, wide: bool = False) -> Dense:
    size = reader.optional_integer("intermediate_size_mlp") if reader.has("experts") else None
    size = size or reader.optional_integer("dense_intermediate_size")
    if size is None and not reader.has("experts") and reader.has("shared_intermediate"):
        # Granite 4 without experts keeps the shared feed-forward alone.
        reader.ignore("intermediate", "experts_per_token")
        size = reader.integer("shared_intermediate")
    size = size or reader.integer("intermediate")
    bias = bias_flag(reader, family.mlp_bias)
    return Dense(
        intermediate_size=size * (2 if wide else 1),
        gated=is_gated(reader, family),
        input_bias=bias,
        output_bias=bias,
    )


def _experts(reader: ConfigReader, family: Family, *, router_other: int = 0) -> Experts:
    experts = reader.integer("experts")
    chosen = reader.integer("experts_per_token")
    if chosen > experts:
        raise invalid(reader.field("experts_per_token"), f"{chosen} of {experts} experts", maximum=experts)
    size = reader.optional_integer("expert_intermediate") or reader.integer("intermediate")
    reader.ignore("intermediate", "shared_experts", "intermediate_size_mlp", "dense_intermediate_size")
    shared = _shared_size(reader, family, size)
    reader.ignore("latent_moe_use_norm")
    gated = is_gated(reader, family)
    bias = bias_flag(reader, family.mlp_bias)
    return Experts(
        experts=experts,
        experts_per_token=chosen,
        intermediate_size=size,
        gated=gated,
        bias=family.expert_bias,
        latent_size=reader.optional_integer("expert_latent"),
        latent_norm=reader.has("expert_latent") and reader.flag("latent_moe_use_norm"),
        shared=Dense(intermediate_size=shared, gated=gated, input_bias=bias, output_bias=bias)
        if shared
        else None,
        shared_gate=family.shared_gate and bool(shared),
        router_bias=family.router_bias,
        router_other_parameters=router_other + (experts if family.router_vector else 0),
    )


def _shared_size(reader: ConfigReader, family: Family, expert_size: int) -> int:
    """Return the width of all shared experts together; 0 where there are none."""
    count = reader.optional_integer("shared_experts", minimum=0)
    size = reader.optional_integer("shared_intermediate", minimum=0)
    if family.shares_expert_size:
        return expert_size
    if size and count and count > 1 and family.generic:
        raise unsupported(
            reader.field("shared_intermediate"),
            f"with {count} shared experts it is unclear whether {size} is the width of one or of all",
        )
    if size is not None and (size or not count):
        return size
    return (count or 0) * expert_size
