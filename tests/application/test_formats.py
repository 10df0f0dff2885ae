"""Formats by recipe, by checkpoint and by hand, on accelerators that can and cannot multiply them."""

from dataclasses import replace

import pytest

from service.application.errors import InvalidRequestError
from service.application.formats import ChosenFormats, choose_formats
from service.application.requests import FormatsRequest
from service.engine.errors import UnsupportedError
from service.engine.types import Accelerator, EnginePolicy
from tests.builders.estimates import POLICIES, SNAPSHOT, make_estimate
from tests.builders.known_models import H100

AMPERE = replace(H100, name="a100", peak_flop_per_second={"bf16": 312e12, "int8": 624e12})
VOLTA = replace(H100, name="v100", peak_flop_per_second={"fp16": 125e12})
BLACKWELL = replace(H100, name="b200", peak_flop_per_second={"bf16": 2e15, "fp8": 4e15, "fp4": 9e15})
BF16, FP8 = {"weights": "bf16"}, {"weights": "fp8_block"}
GPT_OSS = {"weights": "bf16", "experts": "mxfp4"}


def _choose(
    asked: FormatsRequest | None = None,
    native: dict[str, str] = BF16,
    accelerator: Accelerator = H100,
    policy: EnginePolicy = POLICIES[1],
) -> ChosenFormats:
    return choose_formats(SNAPSHOT, asked or FormatsRequest(), native, accelerator, policy)


def _names(chosen: ChosenFormats) -> tuple[str, str, str, str]:
    formats = chosen.formats
    return (
        formats.weights.name,
        formats.experts.name,
        formats.activations.name,
        formats.expert_activations.name,
    )


@pytest.mark.parametrize(
    ("precision", "native", "accelerator", "expected"),
    [
        # weights, experts, and the operands that meet them
        (None, BF16, H100, ("bf16", "bf16", "bf16", "bf16")),
        (None, FP8, H100, ("fp8_block", "fp8_block", "fp8_block", "fp8_block")),
        (None, FP8, AMPERE, ("fp8_block", "fp8_block", "bf16", "bf16")),  # as published, multiplied wide
        (None, GPT_OSS, H100, ("bf16", "mxfp4", "bf16", "bf16")),  # weight-only on Hopper
        (None, GPT_OSS, BLACKWELL, ("bf16", "mxfp4", "bf16", "fp8")),  # MXFP8 activations
        ("fp4", GPT_OSS, H100, ("bf16", "mxfp4", "bf16", "bf16")),  # already of that precision
        ("fp8", FP8, H100, ("fp8_block", "fp8_block", "fp8_block", "fp8_block")),
        ("fp8", BF16, H100, ("fp8", "fp8", "fp8", "fp8")),
        ("bf16", FP8, H100, ("bf16", "bf16", "bf16", "bf16")),
        ("fp4", BF16, BLACKWELL, ("nvfp4", "nvfp4", "nvfp4", "nvfp4")),
        ("int4", BF16, H100, ("int4_wo", "int4_wo", "bf16", "bf16")),  # expanded before use
        ("int8", BF16, AMPERE, ("int8", "int8", "int8", "int8")),
        ("bf16", BF16, VOLTA, ("fp16", "fp16", "fp16", "fp16")),  # no bfloat16 there
    ],
)
def test_a_recipe_and_a_checkpoint_decide_what_is_stored_and_multiplied(
    precision: str | None, native: dict[str, str], accelerator: Accelerator, expected: tuple[str, ...]
) -> None:
    assert _names(_choose(FormatsRequest(precision), native, accelerator)) == expected


def test_a_format_the_accelerator_cannot_multiply_is_refused_unless_it_is_published_so() -> None:
    with pytest.raises(UnsupportedError) as refused:
        _choose(FormatsRequest("fp8"), BF16, AMPERE)
    assert refused.value.field == "formats.weights"
    assert refused.value.accepted == {"compute_formats": ["bf16", "int8"]}


def test_storing_small_and_multiplying_wide_can_be_asked_for() -> None:
    chosen = _choose(FormatsRequest(weights="fp8", experts="fp8", activations="bf16"), BF16, AMPERE)
    assert _names(chosen) == ("fp8", "fp8", "bf16", "bf16")
    assert len(chosen.warnings) == 2
    assert "saves memory, not arithmetic" in chosen.warnings[0]


def test_a_model_without_experts_is_not_warned_of_theirs() -> None:
    asked = FormatsRequest(weights="fp8", experts="fp8", activations="bf16")
    for model, parts in (("llama-3.1-8b", ["weights"]), ("qwen3.5-35b-a3b", ["weights", "experts"])):
        said = make_estimate(model=model, formats=asked).warnings
        assert [text.split()[0] for text in said if "saves memory" in text] == parts


def test_the_cache_follows_the_engine_and_can_be_overridden() -> None:
    assert _choose(FormatsRequest("fp8"), policy=POLICIES[0]).formats.kv_cache.name == "fp8"
    assert _choose(FormatsRequest("fp8"), policy=POLICIES[1]).formats.kv_cache.name == "bf16"
    asked = FormatsRequest("fp8", kv_cache="bf16")
    assert _choose(asked, policy=POLICIES[0]).formats.kv_cache.name == "bf16"


def test_the_head_and_what_collectives_carry_stay_wide() -> None:
    formats = _choose(FormatsRequest("fp8")).formats
    assert (formats.head.name, formats.exchange.name, formats.state.name) == ("bf16", "bf16", "fp32")


def test_every_part_left_out_is_named_as_a_default() -> None:
    assert _choose().defaulted == tuple(
        f"formats.{name}" for name in ("precision", "weights", "experts", "activations", "kv_cache")
    )
    assert _choose(FormatsRequest("fp8", "fp8", "fp8", "fp8", "fp8")).defaulted == ()


@pytest.mark.parametrize("native", [BF16, FP8, GPT_OSS])
@pytest.mark.parametrize("accelerator", [H100, AMPERE, BLACKWELL])
def test_what_was_chosen_chooses_itself(native: dict[str, str], accelerator: Accelerator) -> None:
    first = _choose(None, native, accelerator)
    again = _choose(first.request, native, accelerator)
    assert again.formats == first.formats
    assert again.request == first.request
    assert again.warnings == first.warnings


def test_an_unknown_recipe_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        _choose(FormatsRequest("fp12"))
    assert refused.value.code == "unknown-precision"
    assert "fp8" in refused.value.accepted["precision"]  # type: ignore[operator]
