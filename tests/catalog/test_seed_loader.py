"""The compiler of the seed files: what it takes, and that it names file and field."""

import shutil
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from service import resources
from service.catalog.drafts import GpuPriceDraft, ListPriceDraft
from service.catalog.seed_loader import SeedError, read_seeds, seed_digest

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GPU_PRICE = """
prices:
  - source: price-page
    provider: acme
    accelerator: h100-sxm
    region: any
    commitment: on_demand
    gpus_per_instance: 8
    amount: 2.50
    currency: USD
    per: gpu_hour
    valid_from: 2025-03-01
    valid_from_basis: observed
"""
LIST_PRICE = """
prices:
  - source: price-page
    provider: acme
    provider_model_id: m-1
    meter: input
    selector: {service_tier: batch}
    amount: '0.1'
    currency: USD
    per: million_tokens
    valid_from: 2025-03-01T12:00:00+02:00
    valid_from_basis: stated
"""


def write(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    """A seed folder with the real units and accelerator and little else."""
    real = resources.hardware_catalog_directory()
    shutil.copytree(real / "accelerators", tmp_path / "accelerators")
    for name in ("units.yaml", "formats.yaml", "sources.yaml"):
        shutil.copy(real / name, tmp_path / name)
    sources = (tmp_path / "sources.yaml").read_text()
    own = "  - {id: price-page, title: Price page, kind: price_page}\n"
    at = next(index for index in (sources.find(f"  - id: {letter}") for letter in "rstuvwxyz") if index > 0)
    (tmp_path / "sources.yaml").write_text(sources[:at] + own + sources[at:])
    write(tmp_path, "gpu_prices/acme.yaml", GPU_PRICE)
    write(tmp_path, "list_prices/acme.yaml", LIST_PRICE)
    return tmp_path


def problems(root: Path) -> str:
    with pytest.raises(SeedError) as caught:
        read_seeds(root, NOW)
    return "\n".join(caught.value.problems)


def test_rows_become_drafts_with_exact_amounts_and_utc_times(seeds: Path) -> None:
    drafts = read_seeds(seeds, NOW).drafts
    (gpu,) = [draft for draft in drafts if isinstance(draft, GpuPriceDraft)]
    (listed,) = [draft for draft in drafts if isinstance(draft, ListPriceDraft)]
    assert (gpu.price.amount, gpu.valid_from) == (Decimal("2.5"), datetime(2025, 3, 1, tzinfo=UTC))
    assert gpu.origin == "gpu_prices/acme.yaml row 0"
    assert listed.valid_from == datetime(2025, 3, 1, 10, tzinfo=UTC)
    assert listed.selector.service_tier == "batch"


def test_only_imported_sources_are_incomplete(seeds: Path) -> None:
    batch = read_seeds(seeds, NOW)
    assert "price-page" in batch.complete_sources
    assert "genai-prices" not in batch.complete_sources


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("amount: 2.50", "amount: 2.5e0", "prices.0.amount"),
        ("amount: 2.50", "amount: -1", "prices.0.amount"),
        ("amount: 2.50", "amount: NaN", "prices.0.amount"),
        ("amount: 2.50", "amount: 1e308", "prices.0.amount"),
        ("amount: 2.50", "amount: true", "prices.0.amount"),
        ("amount: 2.50", "amount: 1234567890123", "prices.0.amount"),
        ("currency: USD", "currency: usd", "prices.0.currency"),
        ("    currency: USD\n", "", "prices.0.currency: Field required"),
        ("currency: USD", "currency: USD\n    colour: red", "prices.0.colour: Extra inputs"),
        ("region: any", "region: ''", "prices.0.region"),
        ("gpus_per_instance: 8", "gpus_per_instance: 0", "prices.0.gpus_per_instance"),
        ("valid_from: 2025-03-01", "valid_from: 2025-03-01T00:00:00", "needs its offset"),
        ("valid_from: 2025-03-01", "valid_from: 2025-02-30", "prices.0.valid_from"),
        ("basis: observed", "basis: guessed", "prices.0.valid_from_basis"),
        ("source: price-page", "source: nowhere", "source 'nowhere' is not in sources.yaml"),
        ("prices:", "prices: &x", "gpu_prices/acme.yaml"),
    ],
)
def test_a_problem_names_file_and_field(seeds: Path, old: str, new: str, problem: str) -> None:
    changed = GPU_PRICE.replace(old, new, 1)
    if "&x" in new:
        changed += "again: *x\n"
    write(seeds, "gpu_prices/acme.yaml", changed)
    found = problems(seeds)
    assert found.startswith("gpu_prices/acme.yaml: ")
    assert problem in found


@pytest.mark.parametrize(
    ("name", "old", "new", "problem"),
    [
        ("accelerators/h100-sxm.yaml", "id: h100-sxm", "id: h100-sxx", "is not the file's name"),
        ("accelerators/h100-sxm.yaml", "unit: GB/s", "unit: GB", "does not measure byte-per-second"),
        ("accelerators/h100-sxm.yaml", "unit: GB/s", "unit: furlong", "'furlong' is not in units.yaml"),
        ("accelerators/h100-sxm.yaml", "value: 3350", "value: 0", "memory_bandwidth.value"),
        ("accelerators/h100-sxm.yaml", "source: skypilot-catalog", "source: gone", "source 'gone'"),
        ("units.yaml", "id: GB,", "id: zz,", "sorted and unique"),
        ("sources.yaml", "id: price-page", "id: a", "sorted and unique"),
        ("formats.yaml", "name: fp16", "name: bf16", "sorted and unique"),
        ("list_prices/acme.yaml", "service_tier: batch", "time_zone: Mars/Olympus", "selector"),
    ],
)
def test_the_rules_of_each_file_hold(seeds: Path, name: str, old: str, new: str, problem: str) -> None:
    text = (seeds / name).read_text()
    assert old in text
    write(seeds, name, text.replace(old, new, 1))
    found = problems(seeds)
    assert name in found
    assert problem in found


def test_every_problem_is_told_at_once(seeds: Path) -> None:
    write(seeds, "gpu_prices/acme.yaml", GPU_PRICE.replace("USD", "usd"))
    write(seeds, "list_prices/acme.yaml", LIST_PRICE.replace("USD", "usd"))
    assert len(problems(seeds).splitlines()) == 2


def test_the_digest_follows_names_and_bytes(seeds: Path) -> None:
    before = seed_digest(seeds)
    assert seed_digest(seeds) == before
    (seeds / "gpu_prices" / "acme.yaml").rename(seeds / "gpu_prices" / "other.yaml")
    assert seed_digest(seeds) != before
