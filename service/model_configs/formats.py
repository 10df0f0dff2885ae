"""Native storage formats of a checkpoint, from its ``quantization_config``."""

from dataclasses import dataclass
from typing import Literal

FormatName = Literal["fp32", "bf16", "fp8", "fp8_block", "int8", "int4_wo", "nvfp4", "mxfp4"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeFormats:
    """Format of each role as the checkpoint is published; all roles are written out."""

    weights: FormatName
    experts: FormatName
    activations: FormatName
    kv_cache: FormatName
    head: FormatName
    state: FormatName
