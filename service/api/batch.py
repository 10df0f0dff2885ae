"""NDJSON in, NDJSON out: the body is taken whole before the first byte of the answer leaves.

Reading the request while the response is open loses lines with status 200 behind some servers and
clients. Lines are computed on the event loop in slices of a few milliseconds, so that other requests
are served between them; a line that is large by itself goes to a thread.
"""

import hashlib
import logging
import tempfile
from asyncio import sleep
from collections.abc import AsyncIterator
from datetime import datetime
from functools import partial
from time import perf_counter
from typing import IO, Any, Protocol

import anyio.to_thread
import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from service.api.answers import compute_estimate, encode_answer
from service.api.body import body_parts
from service.api.deps import Services
from service.api.limits import ApiLimits
from service.api.problems import CALLER_ERRORS, ProblemError, encode_problem, problem_of
from service.application.ports import CatalogSnapshot
from service.application.render import render_float

_LOG = logging.getLogger("service.api.batch")

MEDIA_TYPE = "application/x-ndjson"
_WRITE_BYTES = 2**20


class TakenBody:
    """A whole body, in memory up to a size and on disk beyond it.

    Parameters
    ----------
    file
        Positioned at the start.
    sha256
        Hex digest of the bytes.
    size
        Bytes.
    """

    def __init__(self, file: IO[bytes], sha256: str, size: int) -> None:
        self.file = file
        self.sha256 = sha256
        self.size = size


async def take_body(request: Request, limits: ApiLimits) -> TakenBody:
    """Return the body of a batch, all of it.

    Raises
    ------
    ProblemError
        413 beyond the limit; 400 where it is empty or the client stopped early.
    """
    # Not a with statement: the file outlives this function, the response closes it.
    file = tempfile.SpooledTemporaryFile(max_size=limits.spool_bytes)  # noqa: SIM115
    digest = hashlib.sha256()
    buffer = bytearray()
    size = 0

    def flush(data: bytes) -> None:
        digest.update(data)
        file.write(data)

    try:
        async for part in body_parts(request, limits.batch_bytes, limits.body_idle_seconds):
            buffer += part
            size += len(part)
            if len(buffer) >= _WRITE_BYTES:
                # In a thread, because a disk may make the writer wait.
                await anyio.to_thread.run_sync(flush, bytes(buffer))
                buffer.clear()
        flush(bytes(buffer))
        if not size:
            raise ProblemError("empty-body", "The batch is empty; one request a line is expected.")
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return TakenBody(file, digest.hexdigest(), size)


class LineWork(Protocol):
    """What a batch does with one line, and what it adds up."""

    def answer(self, line: bytes) -> bytes:
        """Return the JSON text of one line's answer; raises one of ``CALLER_ERRORS`` where it is refused."""
        ...

    def totals(self) -> dict[str, Any]:
        """Return the sums over the lines answered so far, for the summary."""
        ...


class EstimateLines:
    """Estimates one a line, and sums what one request of each costs, by currency."""

    def __init__(self, snapshot: CatalogSnapshot, services: Services, now: datetime) -> None:
        self._snapshot = snapshot
        self._services = services
        self._now = now
        self._cost_per_request: dict[str, float] = {}

    def answer(self, line: bytes) -> bytes:
        """Return the JSON text of one line's estimate."""
        answer = compute_estimate(line, self._snapshot, self._services, self._now)
        text = encode_answer(answer)
        total = self._cost_per_request.get(answer.currency, 0.0)
        self._cost_per_request[answer.currency] = total + answer.cost_per_request
        return text

    def totals(self) -> dict[str, Any]:
        """Return the cost by currency."""
        rounded = {currency: render_float(cost) for currency, cost in self._cost_per_request.items()}
        return {"cost_per_request": rounded}


class BatchResponse(Response):
    """Streams the results of a taken body while it holds a place among the running batches."""

    def __init__(
        self,
        body: TakenBody,
        snapshot: CatalogSnapshot,
        services: Services,
        work: LineWork,
        limits: ApiLimits | None = None,
    ) -> None:
        super().__init__(media_type=MEDIA_TYPE)
        self._taken = body
        self._run = BatchRun(snapshot, limits or services.limits, work)
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 503 before the first byte where too many batches wait; else stream."""
        with self._taken.file:
            async with self._services.batches.place():
                stream = StreamingResponse(self._run.results(self._taken), media_type=MEDIA_TYPE)
                await stream(scope, receive, send)


class BatchRun:
    """One batch on one snapshot; counts as it goes."""

    def __init__(self, snapshot: CatalogSnapshot, limits: ApiLimits, work: LineWork) -> None:
        self._snapshot = snapshot
        self._limits = limits
        self._work = work
        self.lines = 0
        self.errors = 0

    async def results(self, body: TakenBody) -> AsyncIterator[bytes]:
        """Yield the result of every line in order, then the summary."""
        done: list[bytes] = []
        started = perf_counter()
        while line := body.file.readline(self._limits.body_bytes + 1):
            done.append(await self._result(body.file, line))
            if perf_counter() - started >= self._limits.slice_seconds:
                yield b"".join(done)
                done.clear()
                # Sending returns at once while the socket's buffer has room; others need a turn.
                await sleep(0)
                started = perf_counter()
        yield b"".join([*done, self._summary(body)])

    async def _result(self, file: IO[bytes], line: bytes) -> bytes:
        self.lines += 1
        if len(line) > self._limits.body_bytes and not line.endswith(b"\n"):
            _skip_line(file, self._limits.body_bytes)
            return self._refusal(
                ProblemError("body-too-large", f"The line is larger than {self._limits.body_bytes} bytes.")
            )
        work = partial(self._compute, line)
        if len(line) > self._limits.inline_body_bytes:
            return await anyio.to_thread.run_sync(work)
        return work()

    def _compute(self, line: bytes) -> bytes:
        try:
            text = self._work.answer(line)
        except CALLER_ERRORS as error:
            return self._refusal(problem_of(error))
        except Exception:  # noqa: BLE001 - logged, and told in the line's place
            # One bad line must not cut off the others; the cause is in the log.
            _LOG.exception("line %d of a batch failed", self.lines)
            return self._refusal(ProblemError("internal-error", "An unexpected error; it was logged."))
        return b'{"line":%d,"status":200,"answer":%b}\n' % (self.lines, text)

    def _refusal(self, problem: ProblemError) -> bytes:
        self.errors += 1
        text = encode_problem(problem)
        return b'{"line":%d,"status":%d,"problem":%b}\n' % (self.lines, problem.status, text)

    def _summary(self, body: TakenBody) -> bytes:
        summary = {
            "lines": self.lines,
            "errors": self.errors,
            "totals": self._work.totals(),
            "catalog_revision": self._snapshot.info.revision,
            "input_sha256": body.sha256,
        }
        return orjson.dumps({"summary": summary}) + b"\n"


def _skip_line(file: IO[bytes], step: int) -> None:
    while (rest := file.readline(step)) and not rest.endswith(b"\n"):
        pass
