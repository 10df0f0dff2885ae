"""The seeds in ``hardware_catalog/`` say what published documents say."""

import csv
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from service.catalog.seed_schema import (
    AcceleratorSeed,
    EngineSeed,
    FigureSeed,
    FormatsFile,
    GpuPriceSeed,
    GpuPricesFile,
    SourcesFile,
    UnitsFile,
)
from service.catalog.yaml_reader import read_yaml

CATALOG = Path(__file__).parents[2] / "hardware_catalog"
PEAK_FORMATS = {"bf16", "fp16", "fp8", "int8", "fp4"}
OBSERVED = Path(__file__).parent / "data" / "gpu_prices_observed.csv"

ACCELERATORS = {
    path.stem: AcceleratorSeed.model_validate(read_yaml(path))
    for path in sorted((CATALOG / "accelerators").glob("*.yaml"))
}
ENGINES = {
    path.stem: EngineSeed.model_validate(read_yaml(path))
    for path in sorted((CATALOG / "engines").glob("*.yaml"))
}
PRICES = [
    price
    for path in sorted((CATALOG / "gpu_prices").glob("*.yaml"))
    for price in GpuPricesFile.model_validate(read_yaml(path)).prices
]
FORMATS = {
    seed.name: seed for seed in FormatsFile.model_validate(read_yaml(CATALOG / "formats.yaml")).formats
}
SOURCES = SourcesFile.model_validate(read_yaml(CATALOG / "sources.yaml")).sources
FACTORS = {unit.id: unit.factor for unit in UnitsFile.model_validate(read_yaml(CATALOG / "units.yaml")).units}

FAMILIES = {
    "volta": {"v100-sxm", "v100-sxm-32gb"},
    "ampere": {"a100-pcie-40gb", "a100-pcie-80gb", "a100-sxm-40gb", "a100-sxm-80gb", "a10g", "rtx-a6000"},
    "ada": {"l4", "l40", "l40s", "rtx-4090"},
    "hopper": {"gh200", "h100-pcie", "h100-sxm", "h20-sxm", "h200-sxm", "h800-sxm"},
    "blackwell": {"b200-sxm", "b300-sxm", "gb200-nvl72", "gb300-nvl72"},
    "blackwell_rtx": {"rtx-5090", "rtx-pro-6000"},
    "cdna3": {"mi300x", "mi325x"},
    "cdna4": {"mi355x"},
    "tpu": {"tpu-v4", "tpu-v5e", "tpu-v6e"},
    "trainium": {"trainium2"},
    "gaudi": {"gaudi3"},
}


def base_value(figure: FigureSeed) -> Decimal:
    """Return a figure in bytes, bytes per second, FLOP per second or watts."""
    return figure.value * FACTORS[figure.unit]


def all_figures() -> Iterator[tuple[AcceleratorSeed, str, FigureSeed]]:
    for accelerator in ACCELERATORS.values():
        for path, figure in accelerator.figures().items():
            yield accelerator, path, figure


def price_key(price: GpuPriceSeed) -> tuple[object, ...]:
    return (
        price.source,
        price.provider,
        price.accelerator,
        price.region,
        price.commitment,
        price.gpus_per_instance,
        price.currency,
    )


def test_every_accelerator_file_is_named_after_its_id() -> None:
    assert {path: seed.id for path, seed in ACCELERATORS.items()} == {path: path for path in ACCELERATORS}


def test_every_engine_file_is_named_after_its_engine() -> None:
    assert {path: seed.name for path, seed in ENGINES.items()} == {path: path for path in ENGINES}


def test_every_family_holds_its_accelerators_and_no_other() -> None:
    found = defaultdict(set)
    for accelerator in ACCELERATORS.values():
        found[accelerator.family].add(accelerator.id)
    assert dict(found) == FAMILIES


def test_no_two_accelerators_share_a_name() -> None:
    names = [name for seed in ACCELERATORS.values() for name in (seed.id, *seed.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("name", "accelerator"),
    [
        ("h100_sxm", "h100-sxm"),
        ("h200_sxm", "h200-sxm"),
        ("b200_sxm", "b200-sxm"),
        ("b300_sxm", "b300-sxm"),
        ("gb200", "gb200-nvl72"),
        ("gb300", "gb300-nvl72"),
        ("a100_sxm", "a100-sxm-80gb"),
        ("h20_sxm", "h20-sxm"),
        ("h800_sxm", "h800-sxm"),
    ],
)
def test_names_of_measured_data_are_aliases(name: str, accelerator: str) -> None:
    assert name in ACCELERATORS[accelerator].aliases


def test_sources_are_sorted_and_every_citation_is_one_of_them() -> None:
    ids = [source.id for source in SOURCES]
    assert ids == sorted(set(ids))
    cited = {figure.source or accelerator.source for accelerator, _, figure in all_figures()}
    cited |= {figure.second_source for _, _, figure in all_figures() if figure.second_source}
    cited |= {seed.source for seed in FORMATS.values()}
    cited |= {release.source for engine in ENGINES.values() for release in engine.releases}
    cited |= {engine.vendors_source for engine in ENGINES.values() if engine.vendors_source is not None}
    cited |= {price.source for price in PRICES}
    assert cited <= set(ids)


def test_a_figure_that_was_not_looked_up_says_so() -> None:
    remembered = {source.id for source in SOURCES if source.kind == "recalled"}
    wrong = [
        (accelerator.id, path)
        for accelerator, path, figure in all_figures()
        if ((figure.source or accelerator.source) in remembered)
        != ((figure.source_kind or accelerator.source_kind) == "recalled")
    ]
    assert wrong == []


def test_an_assumed_figure_explains_itself() -> None:
    silent = [
        (accelerator.id, path)
        for accelerator, path, figure in all_figures()
        if figure.source == "assumed" and not figure.note
    ]
    assert silent == []


def test_sources_that_differ_by_more_than_3_percent_are_discussed() -> None:
    silent = [
        (accelerator.id, path)
        for accelerator, path, figure in all_figures()
        if figure.second_value is not None
        and abs(figure.second_value / figure.value - 1) > Decimal("0.03")
        and not figure.note
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("accelerator", "path", "published"),
    [
        # NVIDIA V100 datasheet: 125 TFLOPS tensor, 900 GB/s, NVLink 300 GB/s both directions, 300 W.
        ("v100-sxm", "peak_flop_per_second.fp16", 125e12),
        ("v100-sxm", "memory_bandwidth", 900e9),
        ("v100-sxm", "scale_up.bandwidth", 150e9),
        ("v100-sxm", "max_power", 300),
        # NVIDIA A100 datasheet: 312 | 624* TFLOPS, 624 | 1248* TOPS, 2,039 and 1,935 GB/s, 400 and 300 W.
        ("a100-sxm-80gb", "peak_flop_per_second.bf16", 312e12),
        ("a100-sxm-80gb", "peak_flop_per_second.int8", 624e12),
        ("a100-sxm-80gb", "memory_bandwidth", 2039e9),
        ("a100-sxm-80gb", "scale_up.bandwidth", 300e9),
        ("a100-sxm-40gb", "memory_bandwidth", 1555e9),
        ("a100-pcie-80gb", "memory_bandwidth", 1935e9),
        ("a100-pcie-80gb", "max_power", 300),
        # NVIDIA L4 datasheet: 242* TFLOPS BF16, 485* FP8, 300 GB/s, 72 W (* with sparsity).
        ("l4", "peak_flop_per_second.bf16", 242e12 / 2),
        ("l4", "peak_flop_per_second.fp8", 485e12 / 2),
        ("l4", "max_power", 72),
        # NVIDIA L40S datasheet: 362.05 | 733* BF16, 733 | 1,466* FP8, 864 GB/s, 350 W.
        ("l40s", "peak_flop_per_second.bf16", 362.05e12),
        ("l40s", "peak_flop_per_second.fp8", 733e12),
        ("l40s", "memory_bandwidth", 864e9),
        # NVIDIA H100 datasheet, SXM: 1,979* BF16, 3,958* FP8, 3.35 TB/s, NVLink 900 GB/s, 700 W.
        ("h100-sxm", "peak_flop_per_second.bf16", 1979e12 / 2),
        ("h100-sxm", "peak_flop_per_second.fp8", 3958e12 / 2),
        ("h100-sxm", "memory_bandwidth", 3.35e12),
        ("h100-sxm", "memory_bytes", 80 * 2**30),
        ("h100-sxm", "scale_up.bandwidth", 450e9),
        ("h100-sxm", "max_power", 700),
        # NVIDIA H100 datasheet, PCIe: 1,513* BF16, 3,026* FP8, 2 TB/s, 350 W.
        ("h100-pcie", "peak_flop_per_second.bf16", 1513e12 / 2),
        ("h100-pcie", "peak_flop_per_second.fp8", 3026e12 / 2),
        ("h100-pcie", "max_power", 350),
        # NVIDIA H200 datasheet: 141 GB, 4.8 TB/s.
        ("h200-sxm", "memory_bandwidth", 4.8e12),
        ("h200-sxm", "memory_bytes", 141 * 2**30),
        # NVIDIA HGX B200: 144 PFLOPS FP4* and 72 FP8* for eight, 180 GB each, NVLink 1.8 TB/s both ways.
        ("b200-sxm", "peak_flop_per_second.fp4", 144e15 / 8 / 2),
        ("b200-sxm", "peak_flop_per_second.fp8", 72e15 / 8 / 2),
        ("b200-sxm", "memory_bytes", 180 * 2**30),
        ("b200-sxm", "scale_up.bandwidth", 900e9),
        ("b200-sxm", "max_power", 1000),
        # NVIDIA HGX B300: 108 PFLOPS dense FP4 for eight; 288 GB counted decimally.
        ("b300-sxm", "peak_flop_per_second.fp4", 108e15 / 8),
        ("b300-sxm", "memory_bytes", 288e9),
        # NVIDIA GB200 NVL72: 1,440 PFLOPS FP4*, 720 FP8*, 360 BF16*, 576 TB/s for 72.
        ("gb200-nvl72", "peak_flop_per_second.fp4", 1440e15 / 72 / 2),
        ("gb200-nvl72", "peak_flop_per_second.fp8", 720e15 / 72 / 2),
        ("gb200-nvl72", "peak_flop_per_second.bf16", 360e15 / 72 / 2),
        ("gb200-nvl72", "memory_bandwidth", 576e12 / 72),
        # NVIDIA GB300 NVL72: 1,080 PFLOPS dense FP4, 360 dense FP8.
        ("gb300-nvl72", "peak_flop_per_second.fp4", 1080e15 / 72),
        ("gb300-nvl72", "peak_flop_per_second.fp8", 360e15 / 72),
        # AMD MI300X data sheet: 1,307.4 | 2,614.9* BF16, 2,614.9 FP8, 192 GB, 5.3 TB/s, 750 W.
        ("mi300x", "peak_flop_per_second.bf16", 1307.4e12),
        ("mi300x", "peak_flop_per_second.fp8", 2614.9e12),
        ("mi300x", "memory_bandwidth", 5.3e12),
        ("mi300x", "memory_bytes", 192 * 2**30),
        ("mi300x", "max_power", 750),
        # AMD MI325X: 256 GB, 6 TB/s; MI355X: 10.1 PFLOPS MXFP4, 5.03 FP8, 2.5 BF16, 8 TB/s, 1,400 W.
        ("mi325x", "memory_bandwidth", 6e12),
        ("mi355x", "peak_flop_per_second.fp4", 10.066e15),
        ("mi355x", "memory_bandwidth", 8e12),
        ("mi355x", "max_power", 1400),
        # Google Cloud documentation: v4 275 TFLOPS, 1,200 GB/s, 90/170/192 W; v5e 197; v6e 918.
        ("tpu-v4", "peak_flop_per_second.bf16", 275e12),
        ("tpu-v4", "memory_bandwidth", 1200e9),
        ("tpu-v4", "max_power", 192),
        ("tpu-v5e", "peak_flop_per_second.bf16", 197e12),
        ("tpu-v5e", "memory_bandwidth", 819e9),
        ("tpu-v6e", "peak_flop_per_second.int8", 1836e12),
        # AWS Neuron documentation: 667 BF16, 1,299 FP8, 96 GiB, 2.9 TB/s.
        ("trainium2", "peak_flop_per_second.fp8", 1299e12),
        ("trainium2", "memory_bytes", 96 * 2**30),
        # Intel at Hot Chips 2024: 1,835 BF16 and FP8, 3.67 TB/s, 900 W air cooled.
        ("gaudi3", "peak_flop_per_second.fp8", 1835e12),
        ("gaudi3", "memory_bandwidth", 3.67e12),
    ],
)
def test_figures_hit_published_anchors(accelerator: str, path: str, published: float) -> None:
    figure = ACCELERATORS[accelerator].figures()[path]
    assert float(base_value(figure)) == pytest.approx(published, rel=0.006)


@pytest.mark.parametrize(
    ("accelerator", "narrow", "wide", "ratio"),
    [
        *((name, "fp8", "bf16", 2) for name in ("l4", "l40", "l40s", "rtx-4090", "rtx-5090", "rtx-pro-6000")),
        *((name, "fp8", "bf16", 2) for name in sorted(FAMILIES["hopper"] | FAMILIES["blackwell"])),
        *((name, "fp8", "bf16", 2) for name in ("mi300x", "mi325x", "mi355x")),
        *((name, "int8", "bf16", 2) for name in sorted(FAMILIES["ampere"])),
        *((name, "fp4", "fp8", 2) for name in ("b200-sxm", "gb200-nvl72", "mi355x", "rtx-pro-6000")),
        ("b300-sxm", "fp4", "fp8", 3),  # Blackwell Ultra triples FP4 over FP8
        ("gb300-nvl72", "fp4", "fp8", 3),
        ("rtx-5090", "fp4", "fp8", 4),  # FP8 is counted with FP32 accumulation, FP4 is not halved by it
        ("trainium2", "fp8", "bf16", 1.95),
        ("tpu-v4", "int8", "bf16", 1),  # same rate, as documented
        ("gaudi3", "fp8", "bf16", 1),
    ],
)
def test_dense_peaks_step_with_the_format(accelerator: str, narrow: str, wide: str, ratio: float) -> None:
    peaks = ACCELERATORS[accelerator].peak_flop_per_second
    assert float(base_value(peaks[narrow]) / base_value(peaks[wide])) == pytest.approx(ratio, rel=0.013)


@pytest.mark.parametrize("accelerator", sorted(ACCELERATORS))
def test_ridge_points_lie_where_real_accelerators_have_them(accelerator: str) -> None:
    seed = ACCELERATORS[accelerator]
    peak = seed.peak_flop_per_second.get("bf16") or seed.peak_flop_per_second["fp16"]
    ridge = base_value(peak) / base_value(seed.memory_bandwidth)
    assert 35 < ridge < 600


def test_h100_ridge_is_the_295_flop_per_byte_that_everyone_quotes() -> None:
    seed = ACCELERATORS["h100-sxm"]
    ridge = base_value(seed.peak_flop_per_second["bf16"]) / base_value(seed.memory_bandwidth)
    assert float(ridge) == pytest.approx(295, abs=1)


@pytest.mark.parametrize("accelerator", sorted(ACCELERATORS))
def test_links_and_power_are_ordered(accelerator: str) -> None:
    seed = ACCELERATORS[accelerator]
    assert base_value(seed.idle_power) < base_value(seed.max_power)
    assert base_value(seed.scale_out.bandwidth) <= base_value(seed.scale_up.bandwidth)
    assert base_value(seed.scale_up.bandwidth) < base_value(seed.memory_bandwidth)


def test_only_native_formats_have_a_peak() -> None:
    fp4 = {seed.id for seed in ACCELERATORS.values() if "fp4" in seed.peak_flop_per_second}
    assert fp4 == {
        "b200-sxm", "b300-sxm", "gb200-nvl72", "gb300-nvl72", "mi355x", "rtx-5090", "rtx-pro-6000",
    }  # fmt: skip
    fp8 = {seed.id for seed in ACCELERATORS.values() if "fp8" in seed.peak_flop_per_second}
    assert not fp8 & (FAMILIES["volta"] | FAMILIES["ampere"])
    assert not [seed.id for seed in ACCELERATORS.values() if set(seed.peak_flop_per_second) - PEAK_FORMATS]


def test_formats_count_their_scales() -> None:
    stored = {name: seed.bytes_per_element for name, seed in FORMATS.items()}
    assert stored == {
        "bf16": Decimal(2),
        "fp16": Decimal(2),
        "fp32": Decimal(4),
        "fp8": Decimal(1),
        "fp8_block": 1 + Decimal(4) / (128 * 128),
        "int4_wo": Decimal("0.5") + Decimal("2.5") / 128,
        "int8": Decimal(1),
        "mxfp4": Decimal("0.5") + Decimal(1) / 32,
        "nvfp4": Decimal("0.5") + Decimal(1) / 16,
    }
    assert list(FORMATS) == sorted(FORMATS)
    assert FORMATS["int4_wo"].compute_format == "bf16"
    assert FORMATS["mxfp4"].compute_format == FORMATS["nvfp4"].compute_format == "fp4"


def test_engines_run_on_vendors_that_the_catalog_has() -> None:
    known = {accelerator.vendor for accelerator in ACCELERATORS.values()}
    assert all(set(engine.vendors) <= known for engine in ENGINES.values())
    assert ENGINES["trtllm"].vendors == ("nvidia",)  # its page of supported hardware lists no other


def test_engines_reserve_as_measured_runs_show() -> None:
    assert {name: engine.releases[-1].reserve for name, engine in ENGINES.items()} == {
        "sglang": "grow",
        "trtllm": "full",
        "vllm": "grow",
    }
    latest = {name: engine.releases[-1].token_budget for name, engine in ENGINES.items()}
    assert latest == {"sglang": 16384, "trtllm": 8192, "vllm": 8192}
    assert ENGINES["trtllm"].releases[-1].token_budget_covers_prompt


def test_every_priced_accelerator_is_in_the_catalog() -> None:
    assert {price.accelerator for price in PRICES} <= set(ACCELERATORS)


def test_accelerators_without_a_public_price_are_these() -> None:
    unpriced = set(ACCELERATORS) - {price.accelerator for price in PRICES}
    assert unpriced == {"a100-pcie-40gb", "gaudi3", "h20-sxm", "trainium2", "v100-sxm-32gb"}


def test_prices_of_one_key_do_not_overlap() -> None:
    timelines = defaultdict(list)
    for price in PRICES:
        timelines[price_key(price)].append((price.valid_from, price.valid_to))
    for key, intervals in timelines.items():
        intervals.sort(key=lambda interval: interval[0])
        for (_, end), (start, _) in pairwise(intervals):
            assert end is not None, key
            assert end <= start, key


def test_prices_are_hourly_dollars_and_no_younger_than_their_reading() -> None:
    assert {(price.currency, price.per) for price in PRICES} == {("USD", "gpu_hour")}
    assert max(price.valid_from for price in PRICES) < datetime(2026, 11, 24, tzinfo=UTC)


def test_a_price_with_an_assumed_day_says_how_it_was_bounded() -> None:
    words = ("not found", "assumed")
    silent = [
        price
        for price in PRICES
        if price.valid_from_basis == "assumed" and not any(word in price.note for word in words)
    ]
    assert silent == []


def test_prices_of_instances_divide_exactly() -> None:
    divided = [price for price in PRICES if price.source_value and "an instance /" in price.note]
    assert len(divided) > 100
    for price in divided:
        assert price.amount * price.gpus_per_instance == Decimal(price.source_value or "0"), price


def observed_rows() -> list[dict[str, str]]:
    with OBSERVED.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("row", observed_rows(), ids=lambda row: f"{row['provider']}-{row['accelerator']}")
def test_every_observed_price_is_present(row: dict[str, str]) -> None:
    matches = [
        price
        for price in PRICES
        if (price.provider, price.accelerator, price.commitment)
        == (row["provider"], row["accelerator"], row["commitment"])
        and price.gpus_per_instance == int(row["gpus_per_instance"])
        and price.region == (row["region"] or "any")
        and price.amount == Decimal(row["usd_per_gpu_hour"])
    ]
    assert len(matches) == 1
