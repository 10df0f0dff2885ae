"""Multi-token-prediction modules: layers beside the model that guess further tokens."""

from collections.abc import Sequence
from dataclasses import replace

from service.engine.parts import Experts, Extra, LayerGroup
from service.model_configs.grouping import merge_layers
from service.model_configs.reader import ConfigReader, unsupported

_MODULE_NORMS = 3
"""One on the hidden state, one on the embedding, one before the head (arXiv 2412.19437, section 2.2)."""


def mtp_groups(
    reader: ConfigReader, layers: Sequence[LayerGroup], *, dense: bool = False
) -> tuple[LayerGroup, ...]:
    """Build the modules that a configuration announces.

    A module joins hidden state and embedding by a 2h x h projection and runs one layer like the model's
    last one, or those that ``mtp_layers_block_type`` lists; embedding and head are the model's own
    (DeepSeek-V3, arXiv 2412.19437, section 2.2). ``transformers`` does not instantiate them, so they are
    kept apart from the model's parameters.

    Parameters
    ----------
    reader
        The configuration.
    layers
        The model's own layers, in order.
    dense
        Take the model's last dense layer instead of its last one.
    """
    modules = reader.optional_integer("mtp_layers", minimum=0) or 0
    per_module = reader.integer("mtp_transformer_layers", default=1)
    reader.ignore("mtp_use_dedicated_embeddings", "use_mtp", "mtp_types", "mtp_mlp_layer_types")
    if not modules or not layers:
        return ()
    if modules * per_module > len(layers):
        raise unsupported(
            reader.field("mtp_layers"), f"{modules} modules for {len(layers)} layers", maximum=len(layers)
        )
    hidden = reader.integer("hidden")
    joint = Extra(
        name="multi-token prediction joint",
        gemm_parameters=2 * hidden * hidden,
        other_parameters=_MODULE_NORMS * hidden,
    )
    plain = [layer for layer in layers if not any(isinstance(part, Experts) for part in layer.feed_forwards)]
    parts = [*_module_layers(reader, plain if dense and plain else layers)] * per_module
    first = replace(parts[0], extras=(*parts[0].extras, joint))
    return merge_layers([first, *parts[1:]] * modules)


def _module_layers(reader: ConfigReader, layers: Sequence[LayerGroup]) -> list[LayerGroup]:
    listed = reader.items("mtp_types")
    if listed is None or not all(len(layer.mixers) + len(layer.feed_forwards) == 1 for layer in layers):
        return [layers[-1]]
    chosen = []
    for index, word in enumerate(listed):
        kind = {
            "attention": "attention",
            "full_attention": "attention",
            "moe": "experts",
            "mlp": "dense",
        }.get(str(word))
        found = next((layer for layer in layers if _kind(layer) == kind), None)
        if found is None:
            raise unsupported(
                f"{reader.field('mtp_types')}[{index}]", f"{word!r:.40} is no layer of the model"
            )
        chosen.append(found)
    return chosen or [layers[-1]]


def _kind(layer: LayerGroup) -> str:
    part = (layer.mixers + layer.feed_forwards)[0]
    return "experts" if isinstance(part, Experts) else part.kind
