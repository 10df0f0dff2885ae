"""Prints how many usage records a second are priced: by billing alone, in process, and streamed.

``python -m benchmarks.usage_pricing [--records 20000]``. Uses a catalog of its own in a temporary folder.
Targets (DESIGN 4): 100 000 records/s in process, 20 000 records/s streamed through one worker. Figures are
those of the machine it runs on; where others use it at the same time, they are lower.
"""

import argparse
import gc
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson

from benchmarks.catalog import seeded_catalog
from benchmarks.table import HEADER, Row
from service import bootstrap
from service.api.strict_json import parse_strict_json
from service.api.translate_usage import read_usage
from service.application.usage import UsagePricer, price_rows
from service.application.usage_json import UsageEncoder
from service.billing.charges import ChargeFacts
from service.billing.price_book import PriceBook
from service.catalog.usage_reading import GenaiUsageReader
from service.settings import Settings
from tests.builders.server import serving

ROUNDS = 5
IN_PROCESS = ("billing: charge with its lines", "use case: records by meter")
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def records(count: int) -> list[bytes]:
    """Return distinct records, two in three by meter and one as a provider's usage object."""
    return [orjson.dumps(record(index)) for index in range(count)]


def record(index: int) -> dict[str, Any]:
    """Return a record unlike all others: two in three by meter, one a provider's usage object."""
    shared = {"at": f"2026-11-20T12:{index % 60:02d}:00Z", "reference": f"r-{index}"}
    if index % 3 == 2:
        details = {"cached_tokens": 1_024}
        usage = {
            "prompt_tokens": 2_000 + index,
            "completion_tokens": 80,
            "prompt_tokens_details": details,
        }
        return {"provider": "openai", "model": "gpt-4o", "response": usage, **shared}
    meters = {"input": 27_147 + index, "cache_read": 27_136, "output": 351}
    names = ("deepseek", "deepseek-v4-pro") if index % 3 else ("openai", "gpt-4o")
    return {"provider": names[0], "model": names[1], "usage": meters, **shared}


def best(work: Callable[[Any], object], items: list[Any]) -> float:
    """Return items a second of processor time, the best of several rounds; results are not kept."""
    fastest = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        for item in items:
            work(item)
        fastest = min(fastest, time.process_time() - started)
    return len(items) / fastest


def in_process(settings: Settings, lines: list[bytes]) -> Iterator[tuple[str, float]]:
    """Yield the rate of each layer, the inner ones first."""
    snapshot = bootstrap.read_snapshot(settings)
    # What a server keeps for good is out of the collector's way.
    gc.collect()
    gc.freeze()
    rows = snapshot.list_prices("openai", "gpt-4o", None, None)
    book, facts = PriceBook.of(price_rows(rows, snapshot)), ChargeFacts(AT)
    usages = [{"input": 27_147 + index, "cache_read": 27_136, "output": 351} for index in range(len(lines))]
    yield "billing: charge with its lines", best(lambda usage: book.charge(usage, facts), usages)
    pricer, encoder, now = UsagePricer(GenaiUsageReader(), _no_estimate), UsageEncoder(), datetime.now(UTC)
    requests = [read_usage(parse_strict_json(line), snapshot) for line in lines]
    by_meter = [request for request in requests if request.usage is not None]
    yield "use case: records by meter", best(lambda item: pricer.price(item, snapshot, now), by_meter)
    yield "use case: all records", best(lambda item: pricer.price(item, snapshot, now), requests)

    def whole(line: bytes) -> bytes:
        return encoder.encode(pricer.price(read_usage(parse_strict_json(line), snapshot), snapshot, now))

    yield "JSON to JSON: a line of a batch", best(whole, lines)


def _no_estimate(*_: object) -> Any:
    raise AssertionError("no record names a deployment")


def streamed(settings: Settings, lines: list[bytes]) -> float:
    """Return records a second of wall-clock time through one worker, best of several batches."""
    body = b"\n".join(lines)
    fastest = float("inf")
    environment = {**os.environ, "PERTOKEN_DATABASE_URL": settings.database_url}
    with (
        serving("service.bootstrap:create_service", environment) as port,
        httpx.Client(timeout=600) as client,
    ):
        url = f"http://127.0.0.1:{port}/v1/usage/price/batch"
        for _ in range(ROUNDS):
            started = time.perf_counter()
            answer = client.post(url, content=body, headers={"content-type": "application/x-ndjson"})
            elapsed = time.perf_counter() - started
            summary = orjson.loads(answer.content.splitlines()[-1])["summary"]
            if summary["lines"] != len(lines) or summary["errors"]:
                raise RuntimeError(f"the batch went wrong: {summary}")
            fastest = min(fastest, elapsed)
    return len(lines) / fastest


def rows(count: int) -> Iterator[Row]:
    """Yield the rate of each layer in process, then of a stream."""
    lines = records(count)
    by_meter = [line for line in lines if b'"usage":{"input"' in line]
    with seeded_catalog() as settings:
        for name, rate in in_process(settings, lines):
            target = 100_000 if name in IN_PROCESS else None
            yield Row(f"usage pricing, {name}, CPU", rate, "/s", target, at_most=False, digits=0)
        for name, some in (("records by meter", by_meter), ("all records", lines)):
            rate = streamed(settings, some)
            yield Row(f"usage pricing, streamed: {name}", rate, "/s", 20_000, at_most=False, digits=0)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--records", type=int, default=20_000)
    print(HEADER)
    for row in rows(parser.parse_args().records):
        print(row, flush=True)


if __name__ == "__main__":
    main()
