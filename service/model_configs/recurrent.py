"""Mixers with constant state from a configuration: Gated DeltaNet, Kimi Delta Attention, Mamba-2."""

from typing import Literal

from service.engine.parts import GatedDeltaNet, KimiDelta, Mamba2
from service.model_configs.families import Family
from service.model_configs.reader import ConfigReader, invalid


def linear_attention(reader: ConfigReader) -> GatedDeltaNet | KimiDelta:
    """Build a linear-attention layer from the fields that name its kind.

    ``linear_num_value_heads`` and its relatives name a Gated DeltaNet (Qwen3-Next); ``linear_attn_config``
    or ``linear_num_heads`` name Kimi Delta Attention (Kimi Linear).
    """
    section = reader.section("linear_attn_config")
    if section is not None:
        section.ignore("gate_lower_bound", "kda_layers", "full_attn_layers")
        dim = section.integer("head_dim")
        part = KimiDelta(
            heads=section.integer("num_heads"),
            head_dim=dim,
            conv_kernel=section.integer("short_conv_kernel_size"),
            gate_rank=dim,
            output_gate_full=section.flag("use_full_rank_gate"),
        )
        section.refuse_unread()
        return part
    if reader.has("linear_num_heads"):
        dim = reader.integer("linear_head_dim")
        kernel = reader.integer("linear_conv_kernel_dim")
        heads = reader.integer("linear_num_heads")
        return KimiDelta(heads=heads, head_dim=dim, conv_kernel=kernel, gate_rank=dim)
    key_heads, value_heads = reader.integer("linear_num_key_heads"), reader.integer("linear_num_value_heads")
    if value_heads % key_heads:
        raise invalid(
            reader.field("linear_num_key_heads"), f"{key_heads} does not divide {value_heads} value heads"
        )
    return GatedDeltaNet(
        key_heads=key_heads,
        value_heads=value_heads,
        key_head_dim=reader.integer("linear_key_head_dim"),
        value_head_dim=reader.integer("linear_value_head_dim"),
        conv_kernel=reader.integer("linear_conv_kernel_dim"),
    )


def mamba2(reader: ConfigReader, family: Family) -> Mamba2:
    """Build a Mamba-2 mixer.

    Raises
    ------
    InvalidInputError
        Where a stated inner size contradicts heads x head size.
    """
    heads, groups = reader.integer("mamba_heads"), reader.integer("mamba_groups", default=1)
    hidden = reader.integer("hidden")
    reader.ignore("expand", "mamba_expand", "time_step_rank")
    inner = reader.optional_integer("mamba_d_ssm")
    expand = reader.optional_integer("mamba_expand")
    head_dim = reader.optional_integer("mamba_head_dim")
    if head_dim is None:
        inner = inner or (expand or 2) * hidden
        if inner % heads:
            raise invalid(reader.field("mamba_heads"), f"{heads} does not divide the inner size {inner}")
        head_dim = inner // heads
    if inner is not None and inner != heads * head_dim:
        raise invalid(reader.field("mamba_d_ssm"), f"{inner} is not {heads} heads x {head_dim}")
    if heads % groups:
        raise invalid(reader.field("mamba_groups"), f"{groups} does not divide {heads} heads")
    bias = reader.flag("use_bias") or reader.flag("mamba_proj_bias")
    reader.ignore("projectors_bias")
    return Mamba2(
        heads=heads,
        head_dim=head_dim,
        state_size=reader.integer("mamba_state"),
        groups=groups,
        conv_kernel=reader.integer("mamba_kernel"),
        conv_bias=reader.flag("mamba_conv_bias", default=True),
        projection_bias=bias,
        gated_norm=reader.flag("mamba_rms_norm") if family.parallel_mamba else True,
    )


def state_format(reader: ConfigReader) -> Literal["fp32", "bf16"]:
    """Return the format of recurrent states; the kernels keep FP32 where the configuration is silent."""
    stated = reader.text("state_format")
    if stated is None or stated in ("float32", "fp32", "auto"):
        return "fp32"
    if stated in ("bfloat16", "bf16", "float16", "fp16"):
        return "bf16"
    raise invalid(
        reader.field("state_format"),
        f"{stated!r:.40} is no known state format",
        one_of=["float32", "bfloat16"],
    )
