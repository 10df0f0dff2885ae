"""Equal layers merged into named groups."""

from collections.abc import Iterable
from dataclasses import replace

from service.engine.parts import Attention, Experts, LayerGroup, Mixer

_NAMES = {
    "latent_attention": "latent attention",
    "compressed_attention": "compressed attention",
    "gated_delta_net": "gated delta net",
    "kimi_delta": "kimi delta attention",
    "mamba2": "mamba-2",
    "short_convolution": "short convolution",
}


def merge_layers(layers: Iterable[LayerGroup]) -> tuple[LayerGroup, ...]:
    """Merge layers that are equal but for their name, in order of first appearance, and name them."""
    counts: dict[LayerGroup, int] = {}
    for layer in layers:
        bare = replace(layer, name="", count=1)
        counts[bare] = counts.get(bare, 0) + layer.count
    names: dict[str, int] = {}
    groups = []
    for bare, count in counts.items():
        name = _describe(bare)
        names[name] = names.get(name, 0) + 1
        numbered = name if names[name] == 1 else f"{name} ({names[name]})"
        groups.append(replace(bare, name=numbered, count=count))
    return tuple(groups)


def _describe(layer: LayerGroup) -> str:
    words = [_mixer_name(mixer) for mixer in layer.mixers]
    words += ["experts" if isinstance(part, Experts) else "dense" for part in layer.feed_forwards]
    return " + ".join(words)


def _mixer_name(mixer: Mixer) -> str:
    if not isinstance(mixer, Attention):
        return _NAMES[mixer.kind]
    if mixer.selection is not None:
        return "sparse attention"
    return f"{mixer.span.kind} attention"
