"""A Hugging Face ``config.json`` read into a normalised specification, part by part.

No code that comes with a configuration is run or looked at; only its fields are read. A known
architecture adds the conventions of its class (``families``); one never seen is read by its fields, and
whatever names structure that no part covers is refused with the field's name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from service.engine.parts import Extra, LayerGroup, Mixer, ModelSpec
from service.engine.spec_checks import MAX_LAYERS, check_spec
from service.model_configs.attention import LayerPosition, softmax_attention
from service.model_configs.blocks import block_layers
from service.model_configs.defaults import class_defaults
from service.model_configs.extras import image_projector, per_layer_inputs
from service.model_configs.families import FAMILIES, GENERIC, WITH_EXPERTS, Family
from service.model_configs.feed_forward import feed_forwards, has_experts
from service.model_configs.formats import NativeFormats
from service.model_configs.grouping import merge_layers
from service.model_configs.latent import compressed_attention, hyper_connections, latent_attention
from service.model_configs.layers import (
    ForwardKind,
    MixerKind,
    forward_kinds,
    lists_single_parts,
    mixer_kinds,
    single_part_layers,
)
from service.model_configs.mtp import mtp_groups
from service.model_configs.quantization import native_formats
from service.model_configs.reader import ConfigReader, invalid, unsupported
from service.model_configs.recognise import family_name_of, language_part
from service.model_configs.recurrent import linear_attention, mamba2, state_format

_VOCABULARY_MULTIPLE = 128
_GENERIC_ASSUMPTION = (
    "The architecture is not known: two RMS norms a layer, no biases and gated feed-forwards are assumed "
    "where the configuration says nothing else."
)


@dataclass(frozen=True, slots=True)
class ParsedConfig:
    """What a configuration says."""

    spec: ModelSpec
    native_formats: NativeFormats
    family: str
    """Known architecture whose conventions were used; ``generic`` where none was."""
    assumptions: tuple[str, ...] = ()
    """What the configuration leaves open and was taken from elsewhere."""


def parse_config(config: Mapping[str, object], name: str) -> ParsedConfig:
    """Read a ``config.json``.

    Parameters
    ----------
    config
        The file's content as a JSON parser gives it; a multimodal model's language part may be nested
        (``text_config``), its other towers are left out.
    name
        Name that the specification gets.

    Returns
    -------
    ParsedConfig
        Specification, native formats and what was assumed.

    Raises
    ------
    InvalidInputError
        A field is missing, contradicts another or is out of bounds.
    UnsupportedError
        A field names structure that no part covers.
    """
    if not isinstance(config, Mapping):
        raise invalid("config", "a JSON object is expected", type="object")
    values, path = language_part(config)
    family_name = family_name_of(config, values)
    family = FAMILIES.get(family_name, GENERIC)
    reader = ConfigReader(values, path, class_defaults(family_name))
    reader.check_integers()
    if not family.generic and family_name not in WITH_EXPERTS and reader.has("experts"):
        raise unsupported(
            reader.field("experts"), f"the class of {family_name!r} has no experts", one_of=[None]
        )
    reader.ignore(*family.ignored)
    layers = block_layers(reader) if reader.has("block_configs") else _layers(reader, family)
    model_extras = hyper_connections(reader)[1] + per_layer_inputs(reader, len(layers))[1]
    layer_extras = hyper_connections(reader)[0] + per_layer_inputs(reader, len(layers))[0]
    if layer_extras:
        layers = [replace(layer, extras=(*layer.extras, *layer_extras)) for layer in layers]
    model_extras += image_projector(config, reader.integer("hidden"))
    vocabulary, vocabulary_note = _vocabulary(reader, family, path)
    if family.head_bias or reader.flag("lm_head_bias"):
        model_extras = (*model_extras, Extra(name="head bias", other_parameters=vocabulary))
    mtp = mtp_groups(reader, layers, dense=family.mtp_dense)
    spec = ModelSpec(
        name=name,
        hidden_size=reader.integer("hidden"),
        vocab_size=vocabulary,
        max_context_tokens=reader.integer("context"),
        tied_embeddings=reader.flag("tie_word_embeddings", default=family.tied),
        layer_groups=merge_layers(layers),
        final_norm_vectors=family.final_norm_vectors,
        state_format=state_format(reader),
        extras=model_extras,
        mtp_groups=mtp,
    )
    reader.refuse_unread()
    assumptions = (_generic_assumptions(reader) if family.generic else ()) + vocabulary_note
    if reader.taken_defaults:
        assumptions += (f"Left to the architecture's class by the file: {reader.taken_defaults}.",)
    return ParsedConfig(
        spec=check_spec(spec),
        native_formats=native_formats(config, state=spec.state_format),
        family="generic" if family.generic else family_name,
        assumptions=assumptions + family.assumptions,
    )


def _generic_assumptions(reader: ConfigReader) -> tuple[str, ...]:
    if reader.raw("tie_word_embeddings") is not None:
        return (_GENERIC_ASSUMPTION,)
    return _GENERIC_ASSUMPTION, "tie_word_embeddings is not stated: an output head of its own is counted."


def _vocabulary(reader: ConfigReader, family: Family, path: str) -> tuple[int, tuple[str, ...]]:
    """Return the rows of the embedding, and a note where they are not those that the file states.

    Step 3.7's class reads its language model from ``text_config`` alone. A file of one level leaves it
    with the class's vocabulary; such a file states the same rows padded to a multiple of 128.
    """
    stated = reader.integer("vocab_size")
    rows = family.class_vocabulary
    if path or rows is None or stated != rows + -rows % _VOCABULARY_MULTIPLE:
        return stated, ()
    return rows, (f"vocab_size {stated} is the class's {rows} rows padded; {rows} are counted.",)


def _layers(reader: ConfigReader, family: Family) -> list[LayerGroup]:
    """Build every layer; layers of equal description are built once."""
    plan = _plan(reader, family)
    count = len(plan)
    built: dict[tuple[object, ...], LayerGroup] = {}
    layers = []
    for index, (mixer, forward) in enumerate(plan):
        position = LayerPosition(index, count, mixer)
        mixers = _mixers(reader, family, position)
        key = (mixers, forward)
        if key not in built:
            built[key] = _layer(reader, family, mixers, forward)
        layers.append(built[key])
    return layers


def _plan(reader: ConfigReader, family: Family) -> list[tuple[MixerKind, ForwardKind]]:
    if family.one_part_per_layer or reader.has("hybrid_override_pattern") or lists_single_parts(reader):
        plan = single_part_layers(reader)
        stated = reader.optional_integer("layers")
        reader.ignore("layer_types", "hybrid_override_pattern")
        if len(plan) > MAX_LAYERS:
            raise invalid(reader.field("layers"), f"{len(plan)} layers; at most {MAX_LAYERS}")
        if stated is not None and stated != len(plan):
            raise invalid(reader.field("layers"), f"{stated} layers, but the pattern names {len(plan)}")
        return plan
    count = reader.integer("layers")
    if count > MAX_LAYERS:
        raise invalid(reader.field("layers"), f"{count} layers; at most {MAX_LAYERS}", maximum=MAX_LAYERS)
    experts = has_experts(reader)
    mixers = mixer_kinds(reader, family, count)
    return list(zip(mixers, forward_kinds(reader, count, experts=experts), strict=True))


def _mixers(reader: ConfigReader, family: Family, position: LayerPosition) -> tuple[Mixer, ...]:
    kind = position.kind
    if kind == "none":
        return ()
    if kind == "mamba":
        return (mamba2(reader, family),)
    if kind == "linear":
        return (linear_attention(reader),)
    if family.attention == "compressed" or kind in ("csa", "hca"):
        return (compressed_attention(reader, position),)
    if family.attention == "latent" or (family.generic and reader.has("kv_lora_rank")):
        return (latent_attention(reader, position),)
    attention = softmax_attention(reader, family, position)
    if family.parallel_mamba:
        return attention, mamba2(reader, family)
    return (attention,)


def _layer(
    reader: ConfigReader, family: Family, mixers: tuple[Mixer, ...], forward: ForwardKind
) -> LayerGroup:
    reuses = any(getattr(mixer, "reuses_cache", False) for mixer in mixers)
    forwards = feed_forwards(reader, family, forward, reuses_cache=reuses)
    alone = family.generic and not (mixers and forwards)
    norms = 1 if alone else family.norm_vectors + (3 if len(forwards) > 1 else 0)
    if reader.optional_integer("hidden_size_per_layer_input", minimum=0):
        norms += 1
    return LayerGroup(name="", count=1, mixers=mixers, feed_forwards=forwards, norm_vectors=norms)
