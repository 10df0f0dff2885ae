"""Softmax attention from a configuration: heads, biases, norms, gates, windows, selections."""

from dataclasses import dataclass

from service.engine.parts import Attention, Indexer, OutputGate, QueryKeyNorm, Selection
from service.engine.types import Span
from service.model_configs.families import Bias, Family
from service.model_configs.layers import MixerKind
from service.model_configs.reader import ConfigReader, invalid


@dataclass(frozen=True, slots=True)
class LayerPosition:
    """Where a layer stands: its index, of how many, and the kind of its mixer."""

    index: int
    layers: int
    kind: MixerKind


def bias_flag(reader: ConfigReader, bias: Bias) -> bool:
    """Return whether a projection has a bias: by convention, or by the flag that the family reads."""
    return bias if isinstance(bias, bool) else reader.flag(bias)


def softmax_attention(reader: ConfigReader, family: Family, position: LayerPosition) -> Attention:
    """Build the softmax attention of one layer.

    Raises
    ------
    InvalidInputError
        Where heads do not divide, or a window has no size.
    """
    local = position.kind in ("sliding", "chunked")
    heads, kv_heads, head_dim, value_dim = _sizes(reader, family, local=local)
    reusing = reader.integer("num_kv_shared_layers", default=0, minimum=0)
    return Attention(
        query_heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        value_head_dim=value_dim,
        span=_span(reader, position.kind),
        query_key_norm=_norm(reader, family),
        norm_bias=family.query_key_norm_bias,
        qkv_bias=bias_flag(reader, family.qkv_bias),
        output_bias=bias_flag(reader, family.output_bias),
        output_gate=_gate(reader, family),
        sinks=_sinks(reader, family, local=local),
        value_from_key=not local and reader.flag("attention_k_eq_v"),
        reuses_cache=position.index >= position.layers - reusing,
        selection=_block_selection(reader) if position.kind == "sparse" else None,
    )


def _sizes(reader: ConfigReader, family: Family, *, local: bool) -> tuple[int, int, int, int]:
    heads = reader.integer("heads")
    kv_heads = reader.integer("kv_heads", default=heads)
    head_dim = reader.optional_integer("head_dim") or _derived_head_dim(reader, heads)
    value_dim = reader.optional_integer("v_head_dim")
    # Layers of one kind may have sizes of their own: MiMo and Step the local ones, Gemma 4 the global ones.
    own = {
        name: reader.optional_integer(name)
        for name in (
            "swa_num_attention_heads",
            "swa_num_key_value_heads",
            "swa_head_dim",
            "swa_v_head_dim",
            "num_sliding_attention_heads",
            "global_head_dim",
            "num_global_key_value_heads",
        )
    }
    other = reader.section("attention_other_setting")
    if local:
        heads = own["swa_num_attention_heads"] or own["num_sliding_attention_heads"] or heads
        kv_heads = own["swa_num_key_value_heads"] or kv_heads * family.local_kv_multiple
        head_dim = own["swa_head_dim"] or head_dim
        value_dim = own["swa_v_head_dim"] or value_dim
        if other is not None:
            heads = other.integer("heads", default=heads)
    else:
        head_dim = own["global_head_dim"] or head_dim
        if reader.flag("attention_k_eq_v"):
            kv_heads = own["num_global_key_value_heads"] or kv_heads
    if heads % kv_heads:
        raise invalid(reader.field("kv_heads"), f"{kv_heads} does not divide {heads} attention heads")
    return heads, kv_heads, head_dim, value_dim or head_dim


def _derived_head_dim(reader: ConfigReader, heads: int) -> int:
    hidden = reader.integer("hidden")
    if hidden % heads:
        raise invalid(reader.field("heads"), f"{heads} does not divide hidden_size {hidden}")
    return hidden // heads


def _span(reader: ConfigReader, kind: MixerKind) -> Span:
    earlier = reader.optional_integer("sliding_window_size")
    if kind == "sliding" and earlier is not None:
        # MiMo counts the earlier tokens only; the query's own key comes on top.
        reader.ignore("sliding_window")
        return Span(kind="sliding", limit_tokens=earlier + 1)
    if kind == "sliding":
        return Span(kind="sliding", limit_tokens=reader.integer("sliding_window"))
    if kind == "chunked":
        return Span(kind="chunked", limit_tokens=reader.integer("attention_chunk_size"))
    return Span()


def _norm(reader: ConfigReader, family: Family) -> QueryKeyNorm:
    stated = reader.flag("qk_norm")
    reader.ignore("qk_norm_type")
    if family.query_key_norm != "none":
        return family.query_key_norm
    if not stated:
        return "none"
    if family.generic and reader.text("qk_norm_type") == "per_layer":
        return "all_heads"
    return family.query_key_norm_if


def _gate(reader: ConfigReader, family: Family) -> OutputGate:
    """Return the output gate: the class's own, or, in an architecture never seen, what the flag says."""
    stated = reader.flag("output_gate")
    return "per_element" if family.generic and stated else family.output_gate


def _sinks(reader: ConfigReader, family: Family, *, local: bool) -> bool:
    full = reader.flag("add_full_attention_sink_bias")
    windowed = reader.flag("add_swa_attention_sink_bias", default=family.layer_rule == "mimo")
    return family.sinks or (windowed if local else full)


def _block_selection(reader: ConfigReader) -> Selection:
    """MiniMax-M3: blocks scored by an indexer without head weights; the local block is among the picked."""
    section = reader.section("sparse_attention_config")
    source = section or reader
    names = {
        "heads": ("sparse_num_index_heads", "index_n_heads"),
        "dim": ("sparse_index_dim", "index_head_dim"),
        "block": ("sparse_block_size", "index_block_size"),
        "top": ("sparse_topk_blocks", "index_topk_blocks"),
    }
    found = {key: source.integer(pair[0 if section else 1]) for key, pair in names.items()}
    return Selection(
        limit_tokens=found["block"] * found["top"],
        indexer=Indexer(heads=found["heads"], head_dim=found["dim"], head_weights=False),
    )
