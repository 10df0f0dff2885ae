"""Whether a change of code changes an answer: records the answers to many varied requests, or compares.

Requests vary in every field that steers the computation: model, accelerator, layout, formats, engine,
mix, operating point, price, split, terms. Floats are kept whole, not as rounded for JSON, and may differ
by at most ``--tolerance``, relative; a refusal must stay the same refusal.

Run it from the repository, before a change and after::

    python -m benchmarks.same_answers record answers.pickle
    python -m benchmarks.same_answers compare answers.pickle
"""

import argparse
import pickle
import random
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.catalog import seeded_catalog
from service.api.problems import CALLER_ERRORS, problem_of
from service.api.translate import read_estimate
from service.application.estimate import Estimator
from service.application.ports import CatalogSnapshot
from service.bootstrap import read_snapshot

REQUESTS = 1_500
MIXES = ("a", "a", "ab", "abcd")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
OF_THE_MOMENT = frozenset({"loaded_at", "catalog_age_seconds"})
"""Differ from one run to the next."""
BESIDE_ONE = frozenset(
    {"relative_difference", "margin", "margin_by_kind", "prefill_step_share", "ttft_waiting_seconds"}
    | {"batch_elasticity", "kv_cache_shadow_per_gigabyte_second"}
)
"""Differences of larger figures: what rounding leaves of them is measured against 1."""
BY_DIFFERENCES = 1e-3
"""Tolerance of the split ``marginal``: derivatives by differences magnify rounding a 10^5 times, and
once more where a kind is a small part of the cost."""


def bodies(snapshot: CatalogSnapshot) -> Iterator[dict[str, Any]]:
    """Yield request bodies, the same ones on every run on the same catalog."""
    chance = random.Random(20261120)  # noqa: S311 - varied, not secret
    models = [model.id for model in snapshot.models()]
    accelerators = [accelerator.id for accelerator in snapshot.accelerators()]
    for number in range(REQUESTS):
        body: dict[str, Any] = {
            "model": models[number % len(models)],
            "accelerator": chance.choice(["h100-sxm", "h200-sxm", "b200-sxm", chance.choice(accelerators)]),
            "layout": _layout(chance),
            "workload": {"classes": [_class(chance, name) for name in chance.choice(MIXES)]},
            "operating_point": _point(chance),
            "price": {"amount": f"{chance.uniform(0.5, 9):.4f}", "currency": "USD"},
        }
        body |= _options(chance, body["operating_point"]["kind"])
        yield body


def _layout(chance: random.Random) -> dict[str, int]:
    layout = {"tp": chance.choice([1, 2, 4, 8, 8, 16])}
    if chance.random() < 0.2:
        layout["pp"] = chance.choice([2, 4])
    if chance.random() < 0.2:
        layout |= {"attention_dp": 4, "moe_ep": layout["tp"] * 4}
    return layout


def _class(chance: random.Random, name: str) -> dict[str, Any]:
    if chance.random() < 0.15:
        sample = [
            {
                "input_tokens": 100 + chance.randrange(4_000),
                "output_tokens": 1 + chance.randrange(600),
                "cached_tokens": chance.randrange(100),
            }
            for _ in range(chance.choice([2, 20]))
        ]
        return {"name": name, "weight": 1, "sample": sample}
    return {
        "name": name,
        "weight": chance.choice([0.01, 1, 2.5]) if name != "a" else 1,
        "input_tokens": chance.choice([1, 17, 700, 4_096, 7_900, chance.randrange(1, 60_000)]),
        "output_tokens": chance.choice([1, 2, 128, 900, chance.randrange(1, 4_000)]),
        "cached_share": chance.choice([0, 0, 0.3, 0.9, 1]),
    }


def _point(chance: random.Random) -> dict[str, Any]:
    kind = chance.choice(["concurrency", "concurrency", "arrival_rate", "cheapest"])
    if kind == "concurrency":
        return {"kind": kind, "concurrency": chance.choice([1, 1.5, 4, 32, 200, 5_000])}
    if kind == "arrival_rate":
        rate = 10 ** chance.uniform(-4, 1.5)
        return {"kind": kind, "requests_per_second": rate, "replicas": chance.choice([1, 3])}
    return {
        "kind": kind,
        "max_ttft_seconds": chance.choice([0.5, 5, 60]),
        "max_tpot_seconds": chance.choice([0.01, 0.05, 0.5]),
        "statistic": chance.choice(["mean", "p50", "p99"]),
    }


def _options(chance: random.Random, kind: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if chance.random() < 0.5:
        options["formats"] = {"precision": chance.choice(["bf16", "fp8", "fp8", "int8", "mxfp4"])}
    if chance.random() < 0.3:
        options["serving"] = {"engine": chance.choice(["vllm", "sglang", "trtllm"])}
    if kind != "arrival_rate" and chance.random() < 0.5:
        options["utilisation"] = chance.choice([0.1, 0.6, 1])
    options["split"] = chance.choice(["shapley", "shapley", "phase", "marginal"])
    options["kv_view"] = chance.choice(["by_pass", "by_cause"])
    if chance.random() < 0.2:
        options["include"] = ["splits", "resource_prices"]
    if chance.random() < 0.2:
        options["costs"] = {
            "currency": "USD",
            "electricity_per_kilowatt_hour": "0.11",
            "capital_per_accelerator": "31000",
        }
        options["utilisation_range"] = [0.2, 0.9]
    if chance.random() < 0.3:
        options["price"] = {}
    return options


def answers() -> list[Any]:
    """Return the answer to every request as plain values, or the refusal."""
    with seeded_catalog() as settings:
        snapshot = read_snapshot(settings)
    estimator = Estimator()
    results: list[Any] = []
    for body in bodies(snapshot):
        try:
            answer = estimator.estimate(read_estimate(body, snapshot), snapshot, NOW)
        except CALLER_ERRORS as error:
            problem = problem_of(error)
            results.append({"refused": problem.kind.name, "detail": problem.detail})
        else:
            values = asdict(answer)
            # As in JSON, what a provider offers stands in the row itself.
            values["list_prices"] = [{**one.pop("offer", {}), **one} for one in values["list_prices"]]
            results.append(values)
    return results


def differences(was: Any, now: Any, tolerance: float, path: str = "") -> Iterator[str]:
    """Yield where two values differ, by path."""
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        if "marginal" in (was.get("split"), was.get("rule")):
            tolerance = BY_DIFFERENCES
        for key in was.keys() | now.keys():
            if key not in OF_THE_MOMENT:
                missing = "missing"
                inner = was.get(key, missing), now.get(key, missing)
                yield from differences(*inner, tolerance, f"{path}.{key}")
    elif isinstance(was, list | tuple) and isinstance(now, list | tuple) and len(was) == len(now):
        for index, pair in enumerate(zip(was, now, strict=True)):
            yield from differences(*pair, tolerance, f"{path}.{index}")
    elif isinstance(was, float) and isinstance(now, float):
        least = 1.0 if BESIDE_ONE.intersection(path.split(".")) or tolerance == BY_DIFFERENCES else 0.0
        if abs(was - now) > tolerance * max(abs(was), abs(now), least):
            yield f"{path}: {was!r} was, {now!r} is"
    elif was != now:
        yield f"{path}: {was!r:.200} was, {now!r:.200} is"


def main() -> None:
    """Record or compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=["record", "compare"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--tolerance", type=float, default=1e-9)
    chosen = parser.parse_args()
    found = answers()
    refused = sum("refused" in result for result in found)
    print(f"{len(found)} requests, {len(found) - refused} answered, {refused} refused")
    if chosen.what == "record":
        chosen.file.write_bytes(pickle.dumps(found))
        return
    recorded = pickle.loads(chosen.file.read_bytes())  # noqa: S301 - a file of one's own
    unlike = [
        f"{number}{difference}"
        for number, pair in enumerate(zip(recorded, found, strict=True))
        for difference in differences(*pair, chosen.tolerance)
    ]
    print("\n".join(unlike[:40]))
    print(f"{len(unlike)} figures differ by more than {chosen.tolerance:g}")
    if unlike:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
