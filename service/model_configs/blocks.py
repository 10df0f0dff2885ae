"""Layers listed block by block (``block_configs``: Llama-Nemotron, arXiv 2505.00949)."""

from collections.abc import Mapping

from service.engine.parts import Attention, Dense, LayerGroup
from service.engine.types import Span
from service.model_configs.reader import ConfigReader, invalid, unsupported

_WIDTH_MULTIPLE = 256
"""Feed-forward widths are rounded up to this multiple."""


def block_layers(reader: ConfigReader) -> list[LayerGroup]:
    """Build the layers of a model whose blocks were chosen one by one.

    A block's attention has ``n_heads_in_group`` query heads per KV head, or is absent (``no_op``); its
    feed-forward is ``ffn_mult`` wide: int(2 x ffn_mult x hidden / 3), rounded up to a multiple of 256.
    An absent part takes its norm with it.

    Raises
    ------
    UnsupportedError
        For a block part replaced by a plain linear map or made sparse.
    """
    count = reader.integer("layers")
    blocks = reader.items("block_configs", count) or ()
    reader.ignore("intermediate", "kv_heads")
    heads, hidden = reader.integer("heads"), reader.integer("hidden")
    head_dim = reader.optional_integer("head_dim") or hidden // heads
    bias, forward_bias = reader.flag("attention_bias"), reader.flag("mlp_bias")
    layers = []
    for index, block in enumerate(blocks):
        path = f"{reader.field('block_configs')}[{index}]"
        if not isinstance(block, Mapping):
            raise invalid(path, "a mapping is expected", type="object")
        inner = ConfigReader(block, path)
        mixers = _attention(inner, heads, head_dim, bias=bias)
        forwards = _feed_forward(inner, hidden, bias=forward_bias)
        if mixers or forwards:
            norms = len(mixers) + len(forwards)
            layers.append(
                LayerGroup(name="", count=1, mixers=mixers, feed_forwards=forwards, norm_vectors=norms)
            )
    return layers


def _part(block: ConfigReader, name: str) -> ConfigReader | None:
    section = block.section(name)
    if section is None:
        raise invalid(block.field(name), "required field is missing", required=True)
    for field in ("replace_with_linear", "sparsify", "unshifted_sink", "num_sink_tokens"):
        if section.has(field):
            raise unsupported(section.field(field), "this replacement is not supported", one_of=[False, None])
    return None if section.flag("no_op") else section


def _attention(block: ConfigReader, heads: int, head_dim: int, *, bias: bool) -> tuple[Attention, ...]:
    section = _part(block, "attention")
    if section is None:
        return ()
    per_group = section.integer("n_heads_in_group")
    if heads % per_group:
        raise invalid(section.field("n_heads_in_group"), f"{per_group} does not divide {heads} heads")
    window = section.optional_integer("window_length")
    return (
        Attention(
            query_heads=heads,
            kv_heads=heads // per_group,
            head_dim=head_dim,
            value_head_dim=head_dim,
            span=Span() if window is None else Span(kind="sliding", limit_tokens=window),
            qkv_bias=bias,
            output_bias=bias,
        ),
    )


def _feed_forward(block: ConfigReader, hidden: int, *, bias: bool) -> tuple[Dense, ...]:
    section = _part(block, "ffn")
    if section is None:
        return ()
    multiple = section.number("ffn_mult")
    if multiple is None or not 0 < multiple <= hidden:
        raise invalid(section.field("ffn_mult"), f"{multiple!r} is no width", minimum=0)
    width = int(2 * multiple * hidden / 3)
    width += -width % _WIDTH_MULTIPLE
    return (Dense(intermediate_size=width, input_bias=bias, output_bias=bias),)
