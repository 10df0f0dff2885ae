"""Published figures of whole systems beside what the engine says of them; nothing is tuned to them.

Cases stand in ``benchmarks/published/*.yaml`` with their sources: what was served, on what, how it was
asked, what was reported. Efficiencies are those of the default calibration set, whatever level applies.

Run it from the repository: ``python -m benchmarks.published_systems``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.catalog import seeded_catalog
from service.application.formats import choose_formats
from service.application.ports import AcceleratorRecord, CatalogSnapshot
from service.application.predict import bare_prefill_rate
from service.application.requests import FormatsRequest
from service.bootstrap import read_snapshot
from service.engine.architecture import derive_work
from service.engine.load import Load, make_load
from service.engine.memory import plan_memory
from service.engine.operating_point import Replica
from service.engine.parts import ModelSpec
from service.engine.replica import compile_replica
from service.engine.spans import Array
from service.engine.step import StepLoad, step_times
from service.engine.tables import COLLECTIVES, ReplicaTable
from service.engine.types import Calibration, EnginePolicy, Formats, Layout, ModelWork
from service.engine.units import SECONDS_PER_DAY
from service.engine.workload import make_mix, reduce_mix
from service.model_configs.codec import decode

FOLDER = Path(__file__).parent / "published"
HOURS_PER_DAY = 24.0
BATCHES = 2_000


@dataclass(frozen=True)
class Compared:
    """One published figure beside the modelled one."""

    system: str
    case: str
    quantity: str
    published: float
    modelled: float
    without_communication: float
    """Modelled, were all communication hidden behind compute."""
    level: str
    """Of the calibration."""

    @property
    def ratio(self) -> float:
        """Modelled over published."""
        return self.modelled / self.published

    @property
    def ratio_without_communication(self) -> float:
        """The same, were all communication hidden."""
        return self.without_communication / self.published


@dataclass(frozen=True)
class System:
    """What is served on what."""

    work: ModelWork
    accelerator: AcceleratorRecord
    policy: EnginePolicy
    calibration: Calibration
    native: Mapping[str, str]
    snapshot: CatalogSnapshot

    def formats(self, weights: str | None) -> Formats:
        """Return the formats with weights stored so; the checkpoint's own where None."""
        asked = FormatsRequest(weights, None, None, None, None)
        return choose_formats(self.snapshot, asked, self.native, self.accelerator.spec, self.policy).formats

    def table(self, layout: Layout, weights: str | None, *, overlaps: bool = False) -> ReplicaTable:
        """Compile a replica."""
        table = compile_replica(
            self.work, self.accelerator.spec, layout, self.formats(weights), self.calibration
        )
        return replace(table, overlaps=overlaps)


def compare_all(snapshot: CatalogSnapshot) -> list[Compared]:
    """Return all published figures beside the modelled ones."""
    found: list[Compared] = []
    for path in sorted(FOLDER.glob("*.yaml")):
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        system = system_of(document, snapshot)
        rows = service_rows(system, document) if "service" in document else _cases(system, document)
        found += [Compared(document["name"], *row, system.calibration.level) for row in rows]
    return found


def system_of(document: Mapping[str, Any], snapshot: CatalogSnapshot) -> System:
    """Return what a case file describes."""
    accelerator = snapshot.accelerator(document["accelerator"])
    policy = snapshot.engine_policy(document["engine"])
    spec, model = accelerator.spec, document["model"]
    if "catalog" in model:
        record = snapshot.model(model["catalog"])
        work, native = record.work, record.native_formats
    else:
        work, native = derive_work(decode(ModelSpec, model["spec"])), {}
    return System(
        work=_as_laid_out(work, model),
        accelerator=accelerator,
        policy=policy,
        calibration=snapshot.calibration(None, spec.family, spec.vendor, policy.name),
        native=native,
        snapshot=snapshot,
    )


def prefill_seconds(table: ReplicaTable, batch: float, lengths: tuple[float, float]) -> Array:
    """Return the time of one pass over the prompts of a batch, and what of it is communication, (2,).

    ``lengths`` are the tokens of a prompt and how many of them are cached.
    """
    load = _load(table, (*lengths, 1.0))
    tokens = batch * load.mean_uncached
    return _step(load, (0.0, tokens, tokens))


def decode_seconds(table: ReplicaTable, batch: float, lengths: tuple[float, float]) -> Array:
    """Return the same of one of the steps that add (prompt, steps) tokens to a batch, their mean."""
    prompt, steps = lengths
    load = _load(table, (prompt, prompt, steps + 1.0))
    return _step(load, (batch, 0.0, batch))


Row = tuple[str, str, float, float, float]
"""Case, quantity, published, modelled, modelled without communication."""


def _cases(system: System, document: Mapping[str, Any]) -> Iterator[Row]:
    for case in document["cases"]:
        layout = Layout(**(case.get("layout") or document["layout"]))
        whole, alone = _modelled(system.table(layout, case["weights"]), case)
        yield case["name"], case["quantity"], float(case["published"]), whole, alone


def _modelled(table: ReplicaTable, case: Mapping[str, Any]) -> tuple[float, float]:
    """Return what a case asks for, with communication and without."""
    seconds = _seconds(table, case)
    whole, alone = float(seconds[0]), float(seconds[0] - seconds[1])
    if case["kind"] != "static_throughput":
        return whole, alone
    tokens = float(case["batch"]) * float(case["output_tokens"])
    return tokens / whole, tokens / alone


def _seconds(table: ReplicaTable, case: Mapping[str, Any]) -> Array:
    kind, batch = case["kind"], float(case["batch"])
    if kind == "decode_step":
        return decode_seconds(table, batch, (case["context_tokens"] - 1.0, 1.0))
    prompt, cached = float(case["input_tokens"]), float(case.get("cached_tokens", 0.0))
    output = float(case.get("output_tokens", 1.0))
    if kind == "decode":
        return output * decode_seconds(table, batch, (prompt, output))
    first = prefill_seconds(table, batch, (prompt, cached))
    if kind == "prefill":
        return first
    return first + (output - 1.0) * decode_seconds(table, batch, (prompt, output - 1.0))


def service_rows(system: System, document: Mapping[str, Any], *, overlaps: bool = True) -> Iterator[Row]:
    """Return a disaggregated service by its day: each pool alone, nodes as the day's tokens need them."""
    service = document["service"]
    day, published, per_node = service["day"], service["published"], float(service["gpus_per_node"])
    ratio = day["input_tokens"] / day["output_tokens"]
    output = service["context_tokens"] / (ratio + 0.5)
    prompt, cached_share = output * ratio, day["cached_tokens"] / day["input_tokens"]
    into, out = Layout(**service["prefill"]), Layout(**service["decode"])
    # Both pools run two micro-batches; what one batch without communication would do bounds that.
    prefill, alone = _replicas((system, overlaps), into, (prompt, prompt * cached_share, 1.0))
    hidden = bare_prefill_rate(alone) / _computing(alone)
    fresh = np.array([bare_prefill_rate(prefill), hidden]) / into.accelerators
    limit = 1.0 / service["tokens_per_second_per_user"]
    decoding, bare = _replicas((system, overlaps), out, (prompt, prompt, output))
    batches = np.array([_batch_within(decoding, limit), _batch_within(bare, limit, collectives=False)])
    rates = np.stack((fresh / (1.0 - cached_share), batches / limit / out.tp)) * per_node
    tokens = np.array([day["input_tokens"], day["output_tokens"]]) / SECONDS_PER_DAY
    nodes = (tokens[:, None] / rates).sum(axis=0)
    costs = nodes * per_node * HOURS_PER_DAY * service["price_per_gpu_hour"]
    for name, quantity, key, modelled in (
        (
            "prefill, cache hits included",
            "tokens/s a node",
            "prefill_input_tokens_per_second_per_node",
            rates[0],
        ),
        ("decode", "tokens/s a node", "decode_output_tokens_per_second_per_node", rates[1]),
        ("nodes over the day", "nodes", "nodes", nodes),
        ("cost of the day at USD 2 per GPU-hour", "USD", "cost_per_day", costs),
    ):
        yield name, quantity, float(published[key]), float(modelled[0]), float(modelled[1])


def _computing(prefill: Replica) -> float:
    """Return the share of a full prefill step that is not communication."""
    load, budget = prefill.load, float(prefill.policy.token_budget)
    whole, communication = _step(load, (0.0, budget, budget * prefill.table.layout.attention_dp))
    return float(1.0 - communication / whole)


def _batch_within(decoding: Replica, limit: float, *, collectives: bool = True) -> float:
    """Return sequences on each attention-DP rank of a decode worker whose step takes ``limit`` seconds.

    Prompts arrive with their keys and their first token, so no step carries a chunk.
    """
    ranks = decoding.table.layout.attention_dp
    memory = plan_memory(decoding.table, decoding.load, decoding.policy)
    batches = np.linspace(1.0, memory.max_batch / ranks, BATCHES)
    steps = StepLoad(batches, np.zeros_like(batches), batches * ranks)
    times = step_times(decoding.load.coefficients, steps)
    seconds = times.total if collectives else times.total - times.seconds[COLLECTIVES]
    return float(np.interp(limit, seconds, batches))


def _replicas(
    served: tuple[System, bool], layout: Layout, lengths: tuple[float, float, float]
) -> tuple[Replica, Replica]:
    """Return a worker whose steps run as two micro-batches where it overlaps, and one whose run whole."""
    system, overlaps = served
    tables = [system.table(layout, None, overlaps=two) for two in (overlaps, False)]
    two, one = (Replica(table, _load(table, lengths), system.policy) for table in tables)
    return two, one


def _as_laid_out(work: ModelWork, model: Mapping[str, Any]) -> ModelWork:
    """Return the work with redundant experts, or with caches spread over ranks by sequence."""
    layers = work.layers
    if "experts" in model:
        layers = tuple(
            replace(layer, experts=model["experts"]) if layer.experts else layer for layer in layers
        )
    if "cache_shards" in model:
        shards = model["cache_shards"]
        layers = tuple(
            replace(layer, streams=tuple(replace(stream, cache_shards=shards) for stream in layer.streams))
            for layer in layers
        )
    return replace(work, layers=layers)


def _load(table: ReplicaTable, lengths: tuple[float, float, float]) -> Load:
    moments = reduce_mix(make_mix([lengths], [0], [1.0]), table.spans, float("inf"))
    return make_load(table, moments)


def _step(load: Load, counts: tuple[float, float, float]) -> Array:
    """Return the time of a step of (decoding sequences, prompt tokens, tokens of the expert group), (2,)."""
    step = StepLoad(*(np.array([count]) for count in counts))
    times = step_times(load.coefficients, step)
    return np.array([times.total[0], times.seconds[COLLECTIVES, 0]])


def main() -> None:
    """Print the table."""
    with seeded_catalog() as settings:
        found = compare_all(read_snapshot(settings))
    for row in found:
        print(
            f"{row.system[:36]:38}{row.case[:52]:54}{row.published:12.4g}{row.modelled:12.4g}"
            f"{row.ratio:8.2f}{row.ratio_without_communication:8.2f}  {row.level}"
        )


if __name__ == "__main__":
    main()
