"""Parses a source in a process of its own, within limits of time and memory (CONTRACT 5).

What comes back is JSON text, read into drafts here: the child's word is data, never code.
"""

import json
import multiprocessing
import resource
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from multiprocessing.connection import Connection
from typing import Any, Final

from service.application.ports import Price
from service.billing.selectors import selector_from_mapping
from service.catalog.drafts import (
    Draft,
    GpuPriceDraft,
    ImportBatch,
    ListPriceDraft,
    PriceDraft,
    RejectedDraft,
)
from service.catalog.importers.adapters import ADAPTERS
from service.catalog.importers.reading import ReadContext, SourceError

_MEBIBYTE: Final = 2**20
_MAX_ANSWER_BYTES: Final = 512 * _MEBIBYTE


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """What a parser may use."""

    seconds: int = 60
    """Of processor time, and of waiting for it."""
    memory_bytes: int = 2048 * _MEBIBYTE
    """Of address space."""


DEFAULT_LIMITS: Final = ParseLimits()


def parse_apart(
    adapter: str, content: bytes, context: ReadContext, limits: ParseLimits = DEFAULT_LIMITS
) -> ImportBatch:
    """Read a source with an adapter in a child process.

    Raises
    ------
    SourceError
        Where the adapter refuses the source, or the child ran out of time or memory.
    """
    spawn = multiprocessing.get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    child = spawn.Process(target=_work, args=(sender, adapter, content, context, limits), daemon=True)
    child.start()
    sender.close()
    try:
        if not receiver.poll(limits.seconds):
            raise SourceError(f"Reading the source took longer than {limits.seconds} seconds.")
        answer = json.loads(receiver.recv_bytes(_MAX_ANSWER_BYTES), parse_float=Decimal)
    except (EOFError, OSError) as error:
        raise SourceError(
            "Reading the source ended without an answer; it needs more time or memory than is admitted "
            f"({limits.seconds} s, {limits.memory_bytes // _MEBIBYTE} MiB)."
        ) from error
    finally:
        receiver.close()
        child.kill()
        child.join()
    if "error" in answer:
        raise SourceError(str(answer["error"]))
    return _batch_from(answer, context)


def _work(
    sender: Connection, adapter: str, content: bytes, context: ReadContext, limits: ParseLimits
) -> None:
    """Run in the child."""
    resource.setrlimit(resource.RLIMIT_CPU, (limits.seconds, limits.seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    try:
        answer = _batch_values(ADAPTERS[adapter].read(content, context))
    except SourceError as error:
        answer = {"error": str(error)}
    except MemoryError:
        answer = {"error": f"Reading the source needs more than {limits.memory_bytes // _MEBIBYTE} MiB."}
    sender.send_bytes(json.dumps(answer, default=_plain).encode())


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _batch_values(batch: ImportBatch) -> dict[str, Any]:
    return {
        "name": batch.name,
        "drafts": [_draft_values(draft) for draft in batch.drafts],
        "rejected": [[rejected.origin, rejected.reason] for rejected in batch.rejected],
        "complete": sorted(batch.complete_sources),
    }


def _draft_values(draft: Draft) -> dict[str, Any]:
    values = asdict(draft)
    if isinstance(draft, ListPriceDraft):
        values["selector"] = {name: item for name, item in values["selector"].items() if item is not None}
    return values


def _batch_from(answer: dict[str, Any], context: ReadContext) -> ImportBatch:
    return ImportBatch(
        name=answer["name"],
        observed_at=context.observed_at,
        content_digest=context.content_digest,
        drafts=tuple(_draft_from(values) for values in answer["drafts"]),
        rejected=tuple(RejectedDraft(origin, reason) for origin, reason in answer["rejected"]),
        complete_sources=frozenset(answer["complete"]),
    )


def _draft_from(values: dict[str, Any]) -> PriceDraft:
    price = values.pop("price")
    known = {
        **values,
        "price": Price(**{**price, "amount": Decimal(price["amount"])}),
        "valid_from": datetime.fromisoformat(values["valid_from"]),
        "valid_to": None if values["valid_to"] is None else datetime.fromisoformat(values["valid_to"]),
    }
    if "selector" in known:
        return ListPriceDraft(**{**known, "selector": selector_from_mapping(known["selector"])})
    return GpuPriceDraft(**known)
