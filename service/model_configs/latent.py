"""Latent attention, its sparse form and DeepSeek-V4's compressed form, from a configuration."""

from service.engine.parts import CompressedAttention, Extra, Indexer, LatentAttention, Selection
from service.model_configs.attention import LayerPosition
from service.model_configs.reader import ConfigReader, invalid, unsupported

_INDEXER_SCALE_BYTES = 4
"""Serving engines cache an indexer's key as FP8 elements and one FP32 scale (132 B for 128 elements;
DeepSeek-V3.2, arXiv 2512.02556, section 2.1, and the engines' indexer caches)."""


def latent_attention(reader: ConfigReader, position: LayerPosition) -> LatentAttention:
    """Build the latent attention of one layer."""
    heads = reader.integer("heads")
    reader.ignore("kv_heads", "head_dim", "qk_head_dim")
    nope, rope = reader.integer("qk_nope_head_dim"), reader.integer("qk_rope_head_dim", minimum=0)
    stated = reader.optional_integer("qk_head_dim")
    if stated is not None and stated != nope + rope:
        raise invalid(reader.field("qk_head_dim"), f"{stated} is not {nope} + {rope}")
    return LatentAttention(
        query_heads=heads,
        query_rank=reader.optional_integer("q_lora_rank"),
        kv_rank=reader.integer("kv_lora_rank"),
        nope_head_dim=nope,
        rope_head_dim=rope,
        value_head_dim=reader.integer("v_head_dim"),
        bias=reader.flag("attention_bias"),
        output_gate="per_element" if reader.flag("mla_use_output_gate") else "none",
        selection=_selection(reader, position),
    )


def _selection(reader: ConfigReader, position: LayerPosition) -> Selection | None:
    top = reader.optional_integer("index_topk")
    if top is None:
        return None
    dim = reader.integer("index_head_dim")
    indexer = Indexer(
        heads=reader.integer("index_n_heads"),
        head_dim=dim,
        query_rank=reader.optional_integer("q_lora_rank"),
        cache_bytes_per_key=dim + _INDEXER_SCALE_BYTES,
    )
    return Selection(limit_tokens=top, indexer=indexer if _has_own_indexer(reader, position) else None)


def _has_own_indexer(reader: ConfigReader, position: LayerPosition) -> bool:
    """GLM-5.2: some layers reuse the selection of the last layer that made one."""
    stated = reader.items("indexer_types", position.layers)
    pattern = reader.raw("index_topk_pattern")
    frequency = reader.integer("index_topk_freq", default=1)
    offset = reader.integer("index_skip_topk_offset", default=2, minimum=0)
    if stated is None and isinstance(pattern, str | list):
        stated = list(pattern)[: 2 * position.layers]
        if len(stated) < position.layers:
            raise invalid(
                reader.field("index_topk_pattern"), f"one entry for each of {position.layers} layers"
            )
    if stated is not None:
        kind = stated[position.index]
        if kind not in ("full", "shared", "F", "S"):
            raise unsupported(
                f"{reader.field('indexer_types')}[{position.index}]",
                f"{kind!r:.60} is no known kind of indexer",
                one_of=["full", "shared"],
            )
        return kind in ("full", "F")
    return max(position.index - offset + 1, 0) % frequency == 0


def compressed_attention(reader: ConfigReader, position: LayerPosition) -> CompressedAttention:
    """Build DeepSeek-V4's attention of one layer: window alone, with top-k compressed keys, or with all."""
    reader.ignore("kv_heads", "qk_rope_head_dim", "attention_bias")
    rates = reader.section("compress_rates")
    sparse = rates.integer("compressed_sparse_attention", default=4) if rates else 4
    heavy = rates.integer("heavily_compressed_attention", default=128) if rates else 128
    sparse = reader.integer("compress_rate_csa", default=sparse)
    heavy = reader.integer("compress_rate_hca", default=heavy)
    index_heads, index_dim = reader.integer("index_n_heads"), reader.integer("index_head_dim")
    top = reader.integer("index_topk")
    overlapping = position.kind == "csa"
    return CompressedAttention(
        query_heads=reader.integer("heads"),
        head_dim=reader.integer("head_dim"),
        query_rank=reader.integer("q_lora_rank"),
        output_rank=reader.integer("o_lora_rank"),
        output_groups=reader.integer("o_groups"),
        window_tokens=reader.integer("sliding_window"),
        ratio={"csa": sparse, "hca": heavy}.get(position.kind),
        indexer_heads=index_heads if overlapping else None,
        indexer_head_dim=index_dim if overlapping else None,
        limit_keys=top if overlapping else None,
    )


def hyper_connections(reader: ConfigReader) -> tuple[tuple[Extra, ...], tuple[Extra, ...]]:
    """Return what manifold-constrained hyper-connections add to a layer and to the model.

    ``hc_mult`` streams n of the hidden size h: each of two connections per layer mixes them with an
    (n + 2)n x nh matrix, a bias and three scales; the head joins them with n x nh, a bias and a scale
    (DeepSeek-V4 report, section 2.2).
    """
    streams = reader.optional_integer("hc_mult")
    if streams is None:
        return (), ()
    hidden = reader.integer("hidden")
    rows = (streams + 2) * streams
    layer = Extra(
        name="hyper-connections",
        gemm_parameters=2 * rows * streams * hidden,
        other_parameters=2 * (rows + 3),
    )
    head = Extra(
        name="hyper-connection head",
        gemm_parameters=streams * streams * hidden,
        other_parameters=streams + 1,
    )
    return (layer,), (head,)
