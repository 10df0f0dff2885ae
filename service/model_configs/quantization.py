"""Which formats a ``quantization_config`` names for each role."""

from collections.abc import Mapping

from service.model_configs.formats import FormatName, NativeFormats
from service.model_configs.reader import unsupported

_METHODS = ("bf16", "fp8", "fbgemm_fp8", "mxfp4", "modelopt", "compressed-tensors", "gptq", "awq", "int8")


def native_formats(config: Mapping[str, object], *, state: FormatName = "fp32") -> NativeFormats:
    """Return the checkpoint's formats; without a ``quantization_config`` everything is bf16.

    Parameters
    ----------
    config
        The configuration as written; a nested language model may carry its own section.
    state
        Format of recurrent states, which the section never names.

    Raises
    ------
    UnsupportedError
        For a method that is not known, naming the field.
    """
    section, path = _section(config)
    if section is None:
        return _formats("bf16", "bf16", state=state)
    method = str(section.get("quant_method") or section.get("quant_algo") or "").lower()
    cache = _cache_format(section)
    if method in ("fp8", "fbgemm_fp8"):
        blocks = "fp8_block" if section.get("weight_block_size") else "fp8"
        expert = "mxfp4" if config.get("expert_dtype") == "fp4" else blocks
        return _formats(blocks, expert, activations="fp8", cache=cache, state=state)
    if method == "mxfp4":
        return _formats("bf16", "mxfp4", cache=cache, state=state)
    if method in ("modelopt", "nvfp4", "mixed_precision"):
        return _modelopt(section, path, cache, state)
    if method == "compressed-tensors":
        return _compressed_tensors(section, cache, state)
    if method in ("gptq", "awq"):
        stored = _weight_only(section, path)
        return _formats(stored, stored, cache=cache, state=state)
    if method == "int8":
        return _formats("int8", "int8", activations="int8", cache=cache, state=state)
    raise unsupported(f"{path}.quant_method", f"{method!r:.40} is not known", one_of=list(_METHODS))


def _section(config: Mapping[str, object]) -> tuple[Mapping[str, object] | None, str]:
    for name in ("quantization_config", "compression_config"):
        for prefix, holder in (("", config), ("text_config.", config.get("text_config"))):
            if isinstance(holder, Mapping) and isinstance(holder.get(name), Mapping):
                return holder[name], f"{prefix}{name}"
    return None, "quantization_config"


def _formats(
    weights: str,
    experts: str,
    *,
    activations: str = "bf16",
    cache: str = "bf16",
    state: FormatName = "fp32",
) -> NativeFormats:
    names: dict[str, FormatName] = {
        "bf16": "bf16",
        "fp8": "fp8",
        "fp8_block": "fp8_block",
        "int8": "int8",
        "int4_wo": "int4_wo",
        "nvfp4": "nvfp4",
        "mxfp4": "mxfp4",
    }
    return NativeFormats(
        weights=names[weights],
        experts=names[experts],
        activations=names[activations],
        kv_cache=names[cache],
        head="bf16",
        state=state,
    )


def _cache_format(section: Mapping[str, object]) -> str:
    stated = section.get("kv_cache_scheme") or section.get("kv_cache_quant_algo")
    if isinstance(stated, Mapping):
        return "fp8" if stated.get("num_bits") == 8 else "bf16"
    return "fp8" if isinstance(stated, str) and stated.lower() == "fp8" else "bf16"


def _weight_only(section: Mapping[str, object], path: str) -> str:
    """Return the format of GPTQ and AWQ weights, which are multiplied as bf16."""
    bits = section.get("bits", section.get("w_bit", 4))
    if bits not in (4, 8):
        raise unsupported(f"{path}.bits", f"{bits!r:.40} is not covered", one_of=[4, 8])
    return "int4_wo" if bits == 4 else "int8"


def _modelopt(section: Mapping[str, object], path: str, cache: str, state: FormatName) -> NativeFormats:
    """Read NVIDIA ModelOpt's section; mixed precision keeps NVFP4 experts beside FP8 GEMMs."""
    algorithm = str(section.get("quant_algo") or "").upper()
    if algorithm == "NVFP4":
        return _formats("nvfp4", "nvfp4", activations="nvfp4", cache=cache, state=state)
    if algorithm == "FP8":
        return _formats("fp8", "fp8", activations="fp8", cache=cache, state=state)
    if algorithm == "MIXED_PRECISION":
        return _formats("fp8", "nvfp4", activations="fp8", cache=cache, state=state)
    if algorithm in ("W4A16_AWQ", "INT4_AWQ"):
        return _formats("int4_wo", "int4_wo", cache=cache, state=state)
    raise unsupported(
        f"{path}.quant_algo",
        f"{algorithm!r:.40} is not known",
        one_of=["NVFP4", "FP8", "MIXED_PRECISION", "W4A16_AWQ"],
    )


def _compressed_tensors(section: Mapping[str, object], cache: str, state: FormatName) -> NativeFormats:
    """Read compressed-tensors groups; without groups it is the 4-bit weight-only form of Kimi K2.5.

    Where ``ignore`` leaves attention out, as Kimi K2.5 does, experts alone are narrow.
    """
    groups = section.get("config_groups")
    weights: object = None
    activations: object = None
    if isinstance(groups, Mapping):
        first = next((group for group in groups.values() if isinstance(group, Mapping)), {})
        weights, activations = first.get("weights"), first.get("input_activations")
    bits = weights.get("num_bits") if isinstance(weights, Mapping) else 4
    kind = weights.get("type") if isinstance(weights, Mapping) else "int"
    if bits == 4 and kind == "float":
        narrow = "bf16" if activations is None else "nvfp4"
        return _formats("nvfp4", "nvfp4", activations=narrow, cache=cache, state=state)
    if bits == 4:
        left_out = section.get("ignore")
        named = left_out if isinstance(left_out, list) else []
        experts_alone = weights is None or any("self_attn" in str(item) for item in named)
        return _formats("bf16" if experts_alone else "int4_wo", "int4_wo", cache=cache, state=state)
    name = "fp8" if kind == "float" else "int8"
    return _formats(name, name, activations=name if activations else "bf16", cache=cache, state=state)
