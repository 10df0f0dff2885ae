"""What each adapter makes of a real excerpt of its source."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from service.catalog.drafts import GpuPriceDraft, ImportBatch, ListPriceDraft
from service.catalog.importers import gpuhunt, litellm, openrouter, own_files, skypilot
from service.catalog.importers.adapters import ADAPTERS
from service.catalog.importers.reading import ReadContext, SourceError

DATA = Path(__file__).parent / "data"
CONTEXT = ReadContext(
    source="a-source",
    observed_at=datetime(2026, 11, 23, tzinfo=UTC),
    content_digest="d",
    accelerators={name: name for name in ("h100-sxm", "h100-pcie", "l40s", "b200-sxm", "a100-sxm-80gb")}
    | {"b200": "b200-sxm", "h100": "h100-sxm"},
)


def sample(name: str) -> bytes:
    return (DATA / name).read_bytes()


def listed(batch: ImportBatch) -> dict[tuple[str, ...], str]:
    """Return the amount by model, meter and bound axes."""
    return {
        (draft.provider, draft.provider_model_id, draft.meter, *_axes(draft)): str(draft.price.amount)
        for draft in batch.drafts
        if isinstance(draft, ListPriceDraft)
    }


def _axes(draft: ListPriceDraft) -> list[str]:
    selector = draft.selector
    bound = (selector.service_tier, selector.context_from, selector.weekdays, selector.start_time)
    return [str(value) for value in bound if value is not None]


def hired(batch: ImportBatch) -> dict[tuple[Any, ...], Decimal]:
    return {
        (draft.accelerator, draft.gpus_per_instance, draft.commitment, draft.region): draft.price.amount
        for draft in batch.drafts
        if isinstance(draft, GpuPriceDraft)
    }


def test_litellm_prices_per_token_become_prices_per_million_by_tier_and_band() -> None:
    batch = litellm.read(sample("litellm.json"), CONTEXT)
    gemini = ("google", "gemini-3-pro-preview")
    found = listed(batch)
    assert found[("aws", "amazon.nova-2-lite-v1:0", "cache_read")] == "0.075"
    # 2.1875e-06 a token, exactly.
    assert found[("aws", "amazon.nova-2-pro-preview-20251202-v1:0", "input_audio")] == "2.1875"
    assert found[(*gemini, "input")] == "2"
    assert found[(*gemini, "input", "200001")] == "4"
    assert found[(*gemini, "output", "batch")] == "6"
    assert found[(*gemini, "cache_write", "200001")] == "0.25"
    assert batch.complete_sources == {"a-source"}


def test_litellm_prices_without_a_meter_are_rejected_with_the_reason() -> None:
    batch = litellm.read(sample("litellm.json"), CONTEXT)
    assert {(row.origin, row.reason) for row in batch.rejected} == {
        (
            f"1024-x-1024/dall-e-2 {name}_cost_per_pixel",
            "no meter of the registry measures what this price is per",
        )
        for name in ("input", "output")
    }


def test_undated_prices_hold_from_the_day_of_the_reading() -> None:
    batch = litellm.read(sample("litellm.json"), CONTEXT)
    dated = {
        (draft.valid_from, draft.valid_from_basis)
        for draft in batch.drafts
        if isinstance(draft, ListPriceDraft)
    }
    assert dated == {(CONTEXT.observed_at, "observed")}


def test_openrouter_overrides_become_bands_and_windows() -> None:
    found = listed(openrouter.read(sample("openrouter.json"), CONTEXT))
    sonnet = ("openrouter", "anthropic/claude-sonnet-4.5")
    deepseek = ("openrouter", "deepseek/deepseek-v4-pro-0813")
    assert found[("openrouter", "z-ai/glm-5", "cache_read")] == "0.16"
    assert (found[(*sonnet, "input")], found[(*sonnet, "input", "200000")]) == ("3", "6")
    assert found[(*deepseek, "output", "12345", "01:00")] == "3.96"
    assert found[("openrouter", "some/free-model:free", "input")] == "0"


def test_openrouter_zero_for_no_charge_makes_no_free_row() -> None:
    found = listed(openrouter.read(sample("openrouter.json"), CONTEXT))
    assert not [key for key in found if key[2] in ("output_reasoning", "requests")]


def test_openrouter_prices_decided_later_are_rejected() -> None:
    rejected = openrouter.read(sample("openrouter.json"), CONTEXT).rejected
    assert {row.origin for row in rejected if "each request" in row.reason} == {
        "openrouter/auto prompt",
        "openrouter/auto completion",
    }


@pytest.mark.parametrize(
    "override",
    [
        '{"prompt": "1"}',
        '{"utc_start": 100, "prompt": "1"}',
        '{"utc_days": ["someday"], "prompt": "1"}',
        '{"min_prompt_tokens": "many", "prompt": "1"}',
        '"night"',
    ],
)
def test_an_override_that_is_not_understood_rejects_the_whole_model(override: str) -> None:
    text = f'{{"data": [{{"id": "m", "pricing": {{"prompt": "0.000001", "overrides": [{override}]}}}}]}}'
    batch = openrouter.read(text.encode(), CONTEXT)
    assert batch.drafts == ()
    assert "override" in batch.rejected[0].reason


def test_skypilot_instance_prices_are_divided_by_their_accelerators() -> None:
    batch = skypilot.read(sample("skypilot_nebius.csv"), replace(CONTEXT, provider="nebius"))
    assert hired(batch) == {
        ("h100-sxm", 1, "on_demand", "eu-north1"): Decimal("2.95"),
        ("h100-sxm", 1, "spot", "eu-north1"): Decimal("1.25"),
        ("h100-sxm", 8, "on_demand", "eu-north1"): Decimal("2.95"),
        ("h100-sxm", 8, "spot", "eu-north1"): Decimal("1.25"),
        # The cheaper of two instance types around the same accelerator.
        ("l40s", 1, "on_demand", "eu-north1"): Decimal("1.5484"),
        ("b200-sxm", 8, "on_demand", "us-central1"): Decimal("5.5"),
    }
    assert batch.name == "a-source/nebius"


def test_an_accelerator_that_may_be_several_is_not_guessed() -> None:
    row = b"g,H100,1,,,2,eu,,\n"
    header = sample("skypilot_nebius.csv").splitlines(keepends=True)[0]
    batch = skypilot.read(header + row, replace(CONTEXT, provider="acme"))
    assert batch.rejected[0].reason == "H100 may be H100 SXM or PCIe; the row does not say"
    aws = skypilot.read(header + b"p5.48xlarge,H100,8,,,98.32,us,,\n", replace(CONTEXT, provider="aws"))
    assert hired(aws) == {("h100-sxm", 8, "on_demand", "us"): Decimal("12.29")}


def test_a_price_that_does_not_divide_keeps_fifteen_digits_and_the_source_s_own() -> None:
    header = sample("skypilot_nebius.csv").splitlines(keepends=True)[0]
    batch = skypilot.read(header + b"l,L40S,3,,,1.0,eu,,\n", replace(CONTEXT, provider="acme"))
    (draft,) = batch.drafts
    assert isinstance(draft, GpuPriceDraft)
    assert (str(draft.price.amount), draft.price.source_value) == ("0.333333333333333", "1")


def test_gpuhunt_rows_of_accelerators_outside_the_catalog_are_rejected() -> None:
    batch = gpuhunt.read(sample("gpuhunt.csv"), replace(CONTEXT, provider="lambda"))
    assert [row.reason for row in batch.rejected] == ["accelerator 'A10' is not in the catalog"] * 2
    known = replace(CONTEXT, provider="lambda", accelerators={"a10": "a10"})
    assert hired(gpuhunt.read(sample("gpuhunt.csv"), known)) == {
        ("a10", 1, "on_demand", "us"): Decimal("0.5"),
        ("a10", 8, "on_demand", "us"): Decimal("0.5"),
    }


OWN_YAML = b"""prices:
  - {provider: acme, provider_model_id: m, meter: input, amount: '1.25', currency: EUR, per: million_tokens,
     valid_from: '2026-01-01', valid_from_basis: stated, selector: {service_tier: batch}}
  - {provider: acme, accelerator: h100, region: any, commitment: on_demand, gpus_per_instance: 8, amount: 2,
     currency: USD, per: gpu_hour, valid_from: '2026-01-01', valid_from_basis: stated}
"""
OWN_CSV = b"""provider,provider_model_id,meter,amount,currency,per,valid_from,valid_from_basis,\
selector.context_from,selector.context_measure,selector.context_mode
acme,m,input,0.10,USD,million_tokens,2026-01-01T00:00:00Z,stated,200000,input,excess
acme,m,input,0.20,usd,million_tokens,2026-01-01,stated,,,
acme,m,input,1e5,USD,million_tokens,2026-01-01,stated,,,
acme,m,input,-1,USD,million_tokens,2026-01-01,stated,,,
acme,m,input,0.20,USD,million_tokens,yesterday,stated,,,
acme,m,input,0.20,USD,million_tokens,2026-01-01,stated,many,input,excess
"""


def test_own_yaml_has_list_and_gpu_prices() -> None:
    batch = own_files.read_own_yaml(OWN_YAML, CONTEXT)
    assert listed(batch) == {("acme", "m", "input", "batch"): "1.25"}
    assert hired(batch) == {("h100-sxm", 8, "on_demand", "any"): Decimal(2)}
    assert batch.rejected == ()


def test_own_csv_rows_are_judged_one_by_one() -> None:
    batch = own_files.read_own_csv(OWN_CSV, CONTEXT)
    assert listed(batch) == {("acme", "m", "input", "200000"): "0.10"}
    assert [row.origin for row in batch.rejected] == [f"line {number}" for number in (3, 4, 5, 6, 7)]


HTML = b"<!doctype html><html><body>Sign in</body></html>"


@pytest.mark.parametrize("name", sorted(name for name, it in ADAPTERS.items() if not it.packaged))
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (HTML, "web page"),
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"a\x00b", "NUL"),
    ],
)
def test_what_is_no_source_is_refused_whole(name: str, content: bytes, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        ADAPTERS[name].read(content, replace(CONTEXT, provider="acme"))


@pytest.mark.parametrize("name", ["litellm", "openrouter"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"data": [{"id": "a"', "half a file"),
        (b'{"m": NaN}', "NaN"),
        (b'{"m": Infinity}', "Infinity"),
        (b'{"m": 1, "m": 2}', "twice"),
        (b"[" * 100 + b"]" * 100, "nested"),
        (b"[]", "object|data"),
        (b'{"data": []}', "no rows|litellm_provider|.*"),
    ],
)
def test_json_that_is_hostile_or_cut_is_refused_whole(name: str, content: bytes, reason: str) -> None:
    if name == "litellm" and content == b'{"data": []}':
        assert ADAPTERS[name].read(content, CONTEXT).rejected[0].reason == "no litellm_provider"
        return
    with pytest.raises(SourceError, match=reason):
        ADAPTERS[name].read(content, CONTEXT)


def test_half_of_a_real_file_is_refused_or_rejected_at_its_end() -> None:
    for name in ("litellm.json", "openrouter.json"):
        half = sample(name)[: len(sample(name)) // 2]
        with pytest.raises(SourceError, match=r"half a file|not JSON"):
            ADAPTERS[name.removesuffix(".json")].read(half, CONTEXT)
    table = sample("skypilot_nebius.csv")[:-60]
    batch = skypilot.read(table, replace(CONTEXT, provider="nebius"))
    assert "half a file" in batch.rejected[-1].reason


@pytest.mark.parametrize("price", ["1e308", "1e-308", "-0.1", '"NaN"', '"1_000"', "true", "[1]", '"free"'])
def test_a_price_that_is_none_rejects_its_row_alone(price: str) -> None:
    text = (
        '{"good": {"litellm_provider": "openai", "input_cost_per_token": 1e-06},'
        f'"bad": {{"litellm_provider": "openai", "input_cost_per_token": {price}}}}}'
    )
    batch = litellm.read(text.encode(), CONTEXT)
    assert [key[1] for key in listed(batch)] == ["good"]
    assert [row.origin for row in batch.rejected] == ["bad input_cost_per_token"]


@pytest.mark.parametrize(
    "text",
    [
        "prices: [&a {provider: x}, *a]",
        "prices: {}",
        "prices: []\nprices: []",
        "other: []",
        "- 1",
        "prices: [1",
        "prices: !!python/object/apply:os.system ['true']",
        "a: &a [x]\nb: &b [*a, *a]\nprices: [*b, *b]",
    ],
)
def test_yaml_with_aliases_tags_or_another_shape_is_refused_whole(text: str) -> None:
    with pytest.raises(SourceError):
        own_files.read_own_yaml(text.encode(), CONTEXT)


def test_a_table_without_its_columns_is_refused_whole() -> None:
    with pytest.raises(SourceError, match="AcceleratorCount"):
        skypilot.read(b"InstanceType,AcceleratorName,Price,Region\n", replace(CONTEXT, provider="x"))
    with pytest.raises(SourceError, match="twice"):
        own_files.read_own_csv(
            b"provider,provider,amount,currency,per,valid_from,valid_from_basis\n", CONTEXT
        )
    with pytest.raises(SourceError, match="provider"):
        skypilot.read(sample("skypilot_nebius.csv"), CONTEXT)
