"""What each layer is: the kind of its mixer and of its feed-forward, from whichever fields say so."""

from collections.abc import Callable, Sequence
from typing import Final, Literal

from service.engine.errors import UnsupportedError
from service.model_configs.families import Family
from service.model_configs.reader import ConfigReader, invalid, unsupported

MixerKind = Literal["full", "sliding", "chunked", "linear", "mamba", "conv", "csa", "hca", "sparse", "none"]
ForwardKind = Literal["dense", "sparse", "none"]

_MIXER_WORDS: Final[dict[str, MixerKind]] = {
    "full_attention": "full",
    "attention": "full",
    "global_attention": "full",
    "global": "full",
    "full": "full",
    "indexed_attention": "full",
    "deepseek_sparse_attention": "full",
    "sliding_attention": "sliding",
    "sliding_window_attention": "sliding",
    "local_attention": "sliding",
    "sliding": "sliding",
    "local": "sliding",
    "swa": "sliding",
    "chunked_attention": "chunked",
    "linear_attention": "linear",
    "gated_delta_net": "linear",
    "kda": "linear",
    "mamba": "mamba",
    "mamba2": "mamba",
    "conv": "conv",
    "minimax_m3_sparse": "sparse",
    "compressed_sparse_attention": "csa",
    "heavily_compressed_attention": "hca",
}
_FORWARD_WORDS: Final[dict[str, ForwardKind]] = {
    "dense": "dense",
    "mlp": "dense",
    "sparse": "sparse",
    "moe": "sparse",
    "hash_moe": "sparse",
}
_PATTERN: Final = {"M": "mamba", "*": "attention", "E": "moe", "-": "mlp"}


def mixer_kinds(reader: ConfigReader, family: Family, layers: int) -> list[MixerKind]:
    """Return the mixer kind of every layer.

    Parameters
    ----------
    reader, family, layers
        The configuration, its conventions and its number of layers.

    Raises
    ------
    InvalidInputError, UnsupportedError
        Naming the list entry or field that is wrong or unknown.
    """
    types = reader.items("layer_types", layers)
    if types is not None:
        reader.ignore("full_attention_interval", "sliding_pattern", "no_rope_layer_interval")
        reader.ignore("global_attn_every_n_layers", "layer_group_size")
        reader.ignore("max_window_layers", "use_sliding_window", "no_rope_layers", "hybrid_layer_pattern")
        return [_word(reader, index, item) for index, item in enumerate(types)]
    for rule in (_by_number_lists, _by_sections, _by_ratios, _by_interval):
        kinds = rule(reader, layers)
        if kinds is not None:
            return kinds
    return _RULES[family.layer_rule](reader, layers)


def _word(reader: ConfigReader, index: int, item: object) -> MixerKind:
    kind = _MIXER_WORDS.get(item) if isinstance(item, str) else None
    if kind is None:
        raise _unknown(reader, "layer_types", index, item, sorted(_MIXER_WORDS))
    if kind == "linear" and not _linear_sizes(reader) and reader.has("mamba_heads"):
        return "mamba"
    return kind


def _linear_sizes(reader: ConfigReader) -> bool:
    names = ("linear_num_value_heads", "linear_num_heads", "linear_attn_config")
    return any(reader.has(name) for name in names)


def _unknown(
    reader: ConfigReader, name: str, index: int, item: object, accepted: Sequence[str]
) -> UnsupportedError:
    return unsupported(
        f"{reader.field(name)}[{index}]", f"{item!r:.60} is no known kind of layer", one_of=list(accepted)
    )


def _by_number_lists(reader: ConfigReader, layers: int) -> list[MixerKind] | None:
    """Read ``hybrid_layer_pattern`` (1 = sliding; MiMo) or ``attn_type_list`` (1 = softmax; MiniMax)."""
    pattern = reader.items("hybrid_layer_pattern", layers)
    if pattern is not None:
        return [
            "sliding" if _bit(reader, "hybrid_layer_pattern", i, v) else "full" for i, v in _each(pattern)
        ]
    softmax = reader.items("attn_type_list", layers)
    for index, item in _each(softmax or ()):
        if not _bit(reader, "attn_type_list", index, item):
            raise unsupported(f"attn_type_list[{index}]", "lightning attention is not supported", one_of=[1])
    return None


def _each(items: Sequence[object]) -> list[tuple[int, object]]:
    return list(enumerate(items))


def _bit(reader: ConfigReader, name: str, index: int, item: object) -> bool:
    if item not in (0, 1):
        raise invalid(f"{reader.field(name)}[{index}]", f"{item!r:.60} is neither 0 nor 1", one_of=[0, 1])
    return bool(item)


def _by_sections(reader: ConfigReader, layers: int) -> list[MixerKind] | None:
    """Read nested sections: MiniMax-M3's bits, Kimi's 1-based lists that name every layer once."""
    sparse = reader.section("sparse_attention_config")
    if sparse is not None:
        stated = sparse.items("sparse_attention_freq", layers)
        bits = [_bit(sparse, "sparse_attention_freq", index, item) for index, item in _each(stated or ())]
        return ["sparse" if bit else "full" for bit in bits] or None
    section = reader.section("linear_attn_config")
    if section is None or not section.states("kda_layers"):
        return None
    linear = section.indices("kda_layers", layers, first=1)
    full = section.indices("full_attn_layers", layers, first=1)
    if linear & full or len(linear) + len(full) != layers:
        raise invalid(
            section.field("kda_layers"), f"with full_attn_layers it must name each of {layers} layers once"
        )
    return ["linear" if index in linear else "full" for index in range(layers)]


def _by_ratios(reader: ConfigReader, layers: int) -> list[MixerKind] | None:
    """Read DeepSeek-V4's ``compress_ratios``: 0 window only, small with indexer, large without."""
    ratios = reader.items("compress_ratios", layers)
    if ratios is None:
        return None
    by_ratio: dict[object, MixerKind] = {0: "sliding", 4: "csa", 128: "hca"}
    for index, ratio in enumerate(ratios):
        if isinstance(ratio, bool) or not isinstance(ratio, int) or ratio not in by_ratio:
            raise _unknown(reader, "compress_ratios", index, ratio, ["0", "4", "128"])
    return [by_ratio[ratio] for ratio in ratios]


def _by_interval(reader: ConfigReader, layers: int) -> list[MixerKind] | None:
    interval = reader.optional_integer("full_attention_interval")
    if interval is None and _linear_sizes(reader) and reader.has("linear_num_value_heads"):
        interval = 4
    if interval is None or not reader.has("linear_num_value_heads"):
        return None
    return ["linear" if (index + 1) % interval else "full" for index in range(layers)]


def _all_full(reader: ConfigReader, layers: int) -> list[MixerKind]:
    if reader.has("compress_rates") or reader.has("o_lora_rank"):
        return [("csa" if index % 2 else "hca") if index >= 2 else "hca" for index in range(layers)]
    return ["full"] * layers


def _window_everywhere(reader: ConfigReader, layers: int) -> list[MixerKind]:
    """Every layer has the window, where there is one (Mistral 7B; arXiv 2310.06825)."""
    if reader.has("o_lora_rank"):
        return _all_full(reader, layers)
    return ["sliding" if reader.has("sliding_window") else "full"] * layers


def _window_flag(reader: ConfigReader, layers: int) -> list[MixerKind]:
    """Qwen's rule: with ``use_sliding_window``, layers from ``max_window_layers`` on have the window."""
    reader.ignore("max_window_layers", "sliding_window", "no_rope_layers", "no_rope_layer_interval")
    if not reader.flag("use_sliding_window") or not reader.has("sliding_window"):
        return ["full"] * layers
    first = reader.integer("max_window_layers", default=0, minimum=0)
    return ["full" if index < first else "sliding" for index in range(layers)]


def _every(period: int) -> Callable[[ConfigReader, int], list[MixerKind]]:
    def rule(reader: ConfigReader, layers: int) -> list[MixerKind]:
        chosen = _period(reader) or period
        if not reader.has("sliding_window"):
            return ["full"] * layers
        return ["sliding" if (index + 1) % chosen else "full" for index in range(layers)]

    return rule


def _period(reader: ConfigReader) -> int | None:
    """Return the period of a windowed pattern, a number or letters (``LLLG``: every fourth full)."""
    letters = reader.raw("sliding_pattern")
    if not isinstance(letters, str):
        return reader.optional_integer("sliding_pattern")
    if not letters or letters.rstrip("G") != "L" * (len(letters) - 1):
        raise unsupported(
            reader.field("sliding_pattern"),
            f"{letters!r:.60} is not one or more L before one G",
            one_of=["an integer", "LLLG"],
        )
    return len(letters)


def _pattern(reader: ConfigReader, layers: int) -> list[MixerKind]:
    """Read an architecture by its fields alone: a stated period of windowed layers, or plain layers.

    A window without any word on which layers have it is refused rather than guessed.
    """
    if reader.raw("sliding_pattern") is not None or reader.raw("global_attn_every_n_layers") is not None:
        period = _period(reader)
        period = period or reader.optional_integer("global_attn_every_n_layers") or 1
        return ["sliding" if (index + 1) % period else "full" for index in range(layers)]
    if reader.states("use_sliding_window"):
        return _window_flag(reader, layers)
    if reader.has("sliding_window"):
        context = reader.optional_integer("context")
        if context is not None and context <= reader.integer("sliding_window"):
            return ["full"] * layers
        raise unsupported(
            reader.field("layer_types"),
            "a sliding_window is stated but not which layers have it",
            required=True,
            one_of=sorted(_MIXER_WORDS),
        )
    return ["full"] * layers


def _chunked_nope(reader: ConfigReader, layers: int) -> list[MixerKind]:
    """Llama 4: layers with rotary positions see their chunk, the others everything."""
    stated = reader.items("no_rope_layers", layers)
    interval = reader.integer("no_rope_layer_interval", default=4)
    if not reader.has("attention_chunk_size"):
        return ["full"] * layers
    if stated:
        return ["chunked" if _bit(reader, "no_rope_layers", i, v) else "full" for i, v in _each(stated)]
    return ["chunked" if (index + 1) % interval else "full" for index in range(layers)]


def _mimo(reader: ConfigReader, layers: int) -> list[MixerKind]:
    return ["full" if index == 0 or (index + 1) % 6 == 0 else "sliding" for index in range(layers)]


_RULES: Final[dict[str, Callable[[ConfigReader, int], list[MixerKind]]]] = {
    "all_full": _all_full,
    "window_everywhere": _window_everywhere,
    "window_flag": _window_flag,
    "alternate": _every(2),
    "every_fourth_full": _every(4),
    "every_sixth_full": _every(6),
    "pattern": _pattern,
    "chunked_nope": _chunked_nope,
    "mimo": _mimo,
}


def lists_single_parts(reader: ConfigReader) -> bool:
    """Tell whether the list of layers names feed-forwards as layers of their own."""
    words = reader.raw("layer_types")
    return isinstance(words, list) and any(word in ("moe", "mlp") for word in words)


def single_part_layers(reader: ConfigReader) -> list[tuple[MixerKind, ForwardKind]]:
    """Return the layers of a model whose layers are one part each (Nemotron-H, arXiv 2504.03624).

    Read from ``hybrid_override_pattern`` (M Mamba-2, * attention, E experts, - dense) or the list.
    """
    name = "layer_types"
    words: Sequence[object] | None = reader.items(name)
    pattern = reader.text("hybrid_override_pattern")
    if words is None and pattern is not None:
        name = "hybrid_override_pattern"
        words = [_PATTERN.get(letter, letter) for letter in pattern[:4096]]
    if not words:
        raise invalid(reader.field("layer_types"), "required field is missing", required=True)
    return [_single(reader, name, index, word) for index, word in enumerate(words)]


def _single(reader: ConfigReader, name: str, index: int, word: object) -> tuple[MixerKind, ForwardKind]:
    if isinstance(word, str) and word in _FORWARD_WORDS:
        return "none", _FORWARD_WORDS[word]
    if word in ("mamba", "linear_attention"):
        return "mamba", "none"
    if word in ("attention", "full_attention"):
        return "full", "none"
    raise _unknown(reader, name, index, word, ["mamba", "attention", "moe", "mlp"])


def forward_kinds(reader: ConfigReader, layers: int, *, experts: bool) -> list[ForwardKind]:
    """Return the feed-forward kind of every layer.

    Parameters
    ----------
    reader, layers
        The configuration and its number of layers.
    experts
        Whether the configuration has routed experts at all.
    """
    if not experts:
        return ["dense"] * layers
    for name in ("mlp_layer_types", "moe_layer_freq"):
        stated = reader.raw(name)
        if isinstance(stated, list):
            reader.ignore("first_dense", "num_hash_layers")
            return _stated_kinds(reader, name, layers)
    if reader.raw("moe_layers") is not None:
        sparse = reader.indices("moe_layers", layers)
        reader.ignore("interleave_moe_layer_step")
        return ["sparse" if index in sparse else "dense" for index in range(layers)]
    enumerated = reader.raw("moe_layers_enum")
    if enumerated is not None:
        return _enumerated_kinds(reader, enumerated, layers)
    return _spaced_kinds(reader, layers)


def _stated_kinds(reader: ConfigReader, name: str, layers: int) -> list[ForwardKind]:
    kinds: list[ForwardKind] = []
    for index, item in enumerate(reader.items(name, layers) or ()):
        if isinstance(item, int) and item in (0, 1):
            kinds.append("sparse" if item else "dense")
        elif isinstance(item, str) and item in _FORWARD_WORDS:
            kinds.append(_FORWARD_WORDS[item])
        else:
            raise _unknown(reader, name, index, item, sorted(_FORWARD_WORDS))
    return kinds


def _enumerated_kinds(reader: ConfigReader, stated: object, layers: int) -> list[ForwardKind]:
    """Read Step's ``moe_layers_enum``: layer indices in a list or joined by commas."""
    words = stated.split(",") if isinstance(stated, str) else reader.items("moe_layers_enum") or ()
    if not all(str(word).strip().isdecimal() for word in words):
        raise invalid(reader.field("moe_layers_enum"), "layer indices are expected")
    sparse = {int(str(word)) for word in words}
    return ["sparse" if index in sparse else "dense" for index in range(layers)]


def _spaced_kinds(reader: ConfigReader, layers: int) -> list[ForwardKind]:
    """Combine the rules by number: leading dense layers, a spacing, single dense layers."""
    reader.ignore("num_hash_layers")
    first = reader.integer("first_dense", default=0, minimum=0)
    first = max(first, reader.integer("moe_layer_start_index", default=0, minimum=0))
    last = reader.integer("moe_layer_end_index", default=layers - 1, minimum=-1)
    last = layers - 1 if last == -1 else last
    dense = reader.indices("mlp_only_layers", layers)
    step, offset = 1, 0
    for name in ("moe_layer_freq", "moe_layer_interval", "decoder_sparse_step", "interleave_moe_layer_step"):
        stated = reader.optional_integer(name)
        if stated is not None and stated > 1:
            # DeepSeek counts layers from 0, the others from 1.
            step, offset = stated, 0 if name == "moe_layer_freq" else 1
    return [
        "sparse"
        if first <= index <= last and index not in dense and (index + offset) % step == 0
        else "dense"
        for index in range(layers)
    ]
