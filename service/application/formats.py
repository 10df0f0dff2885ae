"""Which storage formats a deployment uses: the caller's, a recipe's, or the checkpoint's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from service.application.errors import InvalidRequestError
from service.application.ports import CatalogSnapshot
from service.application.requests import FormatsRequest
from service.engine.errors import UnsupportedError
from service.engine.types import Accelerator, EnginePolicy, Formats, NumberFormat

WEIGHT_ONLY: Final = frozenset({"int4_wo"})
"""Formats that are expanded before they are multiplied, on every accelerator."""

RECIPES: Final[Mapping[str, tuple[str, str]]] = {
    "bf16": ("bf16", "bf16"),
    "fp8": ("fp8", "fp8"),
    "int8": ("int8", "int8"),
    "fp4": ("nvfp4", "nvfp4"),
    "nvfp4": ("nvfp4", "nvfp4"),
    "mxfp4": ("mxfp4", "mxfp4"),
    "int4": ("int4_wo", "int4_wo"),
}
"""Precision recipe -> (weights, experts)."""

SAME_PRECISION: Final[Mapping[str, frozenset[str]]] = {
    "bf16": frozenset({"bf16", "fp16"}),
    "fp8": frozenset({"fp8", "fp8_block"}),
    "int8": frozenset({"int8"}),
    "fp4": frozenset({"nvfp4", "mxfp4"}),
    "nvfp4": frozenset({"nvfp4"}),
    "mxfp4": frozenset({"mxfp4"}),
    "int4": frozenset({"int4_wo"}),
}
"""Formats that satisfy a recipe, so a checkpoint already in one of them stays as published."""


@dataclass(frozen=True, slots=True)
class ChosenFormats:
    """Formats in force, the request that names them all, and what was left to default."""

    formats: Formats
    request: FormatsRequest
    defaulted: tuple[str, ...]
    warnings: tuple[str, ...]


def choose_formats(
    snapshot: CatalogSnapshot,
    asked: FormatsRequest,
    native: Mapping[str, str],
    accelerator: Accelerator,
    policy: EnginePolicy,
    *,
    has_experts: bool = True,
) -> ChosenFormats:
    """Return the formats in force; a model without experts is not warned of theirs.

    Raises
    ------
    InvalidRequestError
        An unknown recipe (field ``formats.precision``).
    UnknownIdError
        An unknown format name.
    UnsupportedError
        A format the accelerator cannot multiply (code ``format-not-supported``).
    """
    wide = "bf16" if "bf16" in accelerator.peak_flop_per_second else "fp16"
    precision = asked.precision or _native_precision(native)
    weights_name, experts_name = _recipe(precision, native, asked.precision is not None, wide)
    weights = snapshot.number_format(asked.weights or weights_name)
    experts = snapshot.number_format(asked.experts or experts_name)
    narrow = snapshot.number_format(wide)
    warnings: list[str] = []
    operand = snapshot.number_format(asked.activations) if asked.activations else None
    published = set(native.values())
    activations = operand or _operand(snapshot, weights, (accelerator, published, "formats.weights"), narrow)
    expert_operand = (operand if operand and experts.name == weights.name else None) or _operand(
        snapshot, experts, (accelerator, published, "formats.experts"), narrow
    )
    for name, stored, operand_format in (
        ("weights", weights, activations),
        ("experts", experts, expert_operand),
    ):
        present = name == "weights" or has_experts
        if present and operand_format.bytes_per_element > stored.bytes_per_element:
            warnings.append(
                f"{name} are read as {stored.name} and multiplied as {operand_format.name} on "
                f"{accelerator.name}: the smaller format saves memory, not arithmetic."
            )
    cache = snapshot.number_format(
        asked.kv_cache or policy.kv_cache_format_by_precision.get(precision, narrow.name)
    )
    formats = Formats(
        weights=weights,
        experts=experts,
        activations=activations,
        expert_activations=expert_operand,
        kv_cache=cache,
        head=narrow,
        state=snapshot.number_format("fp32"),
        exchange=narrow,
    )
    request = FormatsRequest(precision, weights.name, experts.name, activations.name, cache.name)
    defaulted = tuple(
        f"formats.{field}"
        for field in ("precision", "weights", "experts", "activations", "kv_cache")
        if getattr(asked, field) is None
    )
    return ChosenFormats(formats, request, defaulted, tuple(dict.fromkeys(warnings)))


def _native_precision(native: Mapping[str, str]) -> str:
    names = [native.get("experts", ""), native.get("weights", "bf16")]
    for precision, members in SAME_PRECISION.items():
        if precision != "bf16" and any(name in members for name in names):
            return precision
    return "bf16"


def _recipe(precision: str, native: Mapping[str, str], explicit: bool, wide: str) -> tuple[str, str]:
    if precision not in RECIPES:
        raise InvalidRequestError(
            f"formats.precision is {precision!r}; accepted are {', '.join(sorted(RECIPES))}.",
            field="formats.precision",
            code="unknown-precision",
            accepted={"precision": sorted(RECIPES)},
        )
    weights, experts = RECIPES[precision]
    own_weights, own_experts = (
        native.get("weights", "bf16"),
        native.get("experts", native.get("weights", "bf16")),
    )
    members = SAME_PRECISION[precision]
    if not explicit or own_experts in members or own_weights in members:
        # The checkpoint is already of this precision: its own formats, part by part.
        weights, experts = own_weights, own_experts
    return (wide if weights == "bf16" else weights, wide if experts == "bf16" else experts)


def _operand(
    snapshot: CatalogSnapshot,
    stored: NumberFormat,
    context: tuple[Accelerator, set[str], str],
    wide: NumberFormat,
) -> NumberFormat:
    """Return the format that meets ``stored`` weights in a GEMM."""
    accelerator, published, field = context
    peaks = accelerator.peak_flop_per_second
    if stored.name in WEIGHT_ONLY:
        return wide
    if stored.name == "mxfp4" and "fp4" in peaks and "fp8" in peaks:
        # MXFP4 experts are served with MXFP8 activations where both exist (W4A8).
        return snapshot.number_format("fp8")
    if stored.compute_format in peaks:
        return stored
    if stored.name in published:
        return wide
    known = sorted(peaks)
    raise UnsupportedError(
        f"{accelerator.name} has no {stored.compute_format} arithmetic, which {stored.name} needs; it has "
        f"{', '.join(known)}. To store {stored.name} and multiply wider, name formats.activations.",
        field=field,
        code="format-not-supported",
        accepted={"compute_formats": known},
    )
