"""Parses a source in a process of its own, within limits of time and memory (CONTRACT 5).

What comes back is JSON text, read into drafts here: the child's word is data, never code.
"""

import multiprocessing
import resource
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Final

from service.catalog.batch_text import batch_from_text, batch_to_text
from service.catalog.drafts import ImportBatch
from service.catalog.importers.adapters import ADAPTERS
from service.catalog.importers.reading import ReadContext, SourceError

_MEBIBYTE: Final = 2**20
_MAX_ANSWER_BYTES: Final = 512 * _MEBIBYTE
_READ, _REFUSED = b"+", b"-"
"""First byte of the child's answer: a batch follows, or why there is none."""


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
        answer = receiver.recv_bytes(_MAX_ANSWER_BYTES)
    except (EOFError, OSError) as error:
        raise SourceError(
            "Reading the source ended without an answer; it needs more time or memory than is admitted "
            f"({limits.seconds} s, {limits.memory_bytes // _MEBIBYTE} MiB)."
        ) from error
    finally:
        receiver.close()
        child.kill()
        child.join()
    if answer[:1] != _READ:
        raise SourceError(answer[1:].decode())
    batch = batch_from_text(answer[1:])
    if ADAPTERS[adapter].packaged:
        return batch
    return replace(batch, observed_at=context.observed_at, content_digest=context.content_digest)


def _work(
    sender: Connection, adapter: str, content: bytes, context: ReadContext, limits: ParseLimits
) -> None:
    """Run in the child."""
    resource.setrlimit(resource.RLIMIT_CPU, (limits.seconds, limits.seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    try:
        answer = _READ + batch_to_text(ADAPTERS[adapter].read(content, context)).encode()
    except SourceError as error:
        answer = _REFUSED + str(error).encode(errors="replace")
    except MemoryError:
        needs = f"Reading the source needs more than {limits.memory_bytes // _MEBIBYTE} MiB."
        answer = _REFUSED + needs.encode()
    sender.send_bytes(answer)
