"""What stands beside layers: per-layer inputs of Gemma 4, the image projector of Kimi K2.5."""

from collections.abc import Mapping

from service.engine.parts import Extra
from service.model_configs.reader import ConfigReader, invalid

_MOST_MERGED = 64


def per_layer_inputs(reader: ConfigReader, layers: int) -> tuple[tuple[Extra, ...], tuple[Extra, ...]]:
    """Return what per-layer inputs add to each layer and to the model; nothing where there are none.

    Parameters
    ----------
    reader, layers
        The configuration and its number of layers.
    """
    size = reader.optional_integer("hidden_size_per_layer_input", minimum=0)
    vocabulary = reader.optional_integer("vocab_size_per_layer_input")
    if not size:
        return (), ()
    hidden = reader.integer("hidden")
    layer = Extra(name="per-layer input", gemm_parameters=2 * hidden * size)
    model = Extra(
        name="per-layer embedding",
        table_parameters=(vocabulary or reader.integer("vocab_size")) * layers * size,
        gemm_parameters=hidden * layers * size,
        other_parameters=size,
    )
    return (layer,), (model,)


def image_projector(config: Mapping[str, object], hidden_size: int) -> tuple[Extra, ...]:
    """Return the projector that stands between a vision tower and the language model, where it is known.

    Kimi K2.5's ``patchmerger``: a LayerNorm on each of the patches that merge, then two linear maps with
    bias, from the merged patches to themselves and to the hidden size. ``transformers`` keeps it outside
    the vision tower, so it counts with the language model; text tokens do not pass it.

    Parameters
    ----------
    config
        The whole configuration.
    hidden_size
        Elements of the language model's residual stream.
    """
    vision = config.get("vision_config")
    if not isinstance(vision, Mapping) or vision.get("mm_projector_type") != "patchmerger":
        return ()
    reader = ConfigReader(vision, "vision_config")
    width = reader.integer("mm_hidden_size")
    merged = width
    for side in reader.items("merge_kernel_size") or ():
        if isinstance(side, bool) or not isinstance(side, int) or not 1 <= side <= _MOST_MERGED:
            raise invalid("vision_config.merge_kernel_size", f"{side!r:.40} is no patch count")
        merged *= side
    parameters = 2 * width + merged * merged + merged + merged * hidden_size + hidden_size
    return (Extra(name="image projector", other_parameters=parameters),)
