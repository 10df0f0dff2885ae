"""POST gpu-prices and list-prices: changes, corrections, withdrawals."""

import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import FastAPI, Path
from starlette.requests import Request
from starlette.responses import Response

from service.api.callers import in_database, management_of
from service.api.deps import services_of, snapshot_of
from service.api.documentation import problems
from service.api.json_body import Example, body_document, read_model, take_json
from service.api.preconditions import (
    CATALOG_REVISION,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    read_if_match,
    write_request,
)
from service.api.schemas.catalog import view_gpu_price, view_list_price
from service.api.schemas.from_dataclass import model_of
from service.api.schemas.writes import (
    CorrectionBody,
    GpuPriceBody,
    GpuPricesWritten,
    ListPriceBody,
    ListPricesWritten,
    WithdrawalBody,
)
from service.application.errors import UnknownIdError
from service.application.ports import GpuPriceRecord, ListPriceRecord, Price, Selector
from service.application.render import to_json_values
from service.application.write_ports.prices import (
    Correction,
    GpuPriceStatement,
    ListPriceStatement,
    PriceKind,
    PriceStatement,
    PricesWritten,
    StoredAnswer,
)
from service.application.writes import Answer, Written

RowId = Annotated[
    str, Path(description="Number of the row, as lists and provenance show it.", examples=["1"])
]
_ROW_ID = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_PATHS: dict[PriceKind, str] = {"gpu_price": "/v1/gpu-prices", "list_price": "/v1/list-prices"}


async def change_gpu_price(request: Request) -> Response:
    """Let an accelerator-hour have another price from a time on; what held before stays in the history."""
    body = await take_json(request)
    wanted = read_model(body, GpuPriceBody)
    snapshot = await snapshot_of(request, services_of(request))
    statement = GpuPriceStatement(
        accelerator=snapshot.accelerator(wanted.accelerator).id,
        region=wanted.region,
        commitment=wanted.commitment,
        gpus_per_instance=wanted.gpus_per_instance,
        **_shared(request, wanted),
    )
    return await _change(request, body, statement, wanted.reason)


async def change_list_price(request: Request) -> Response:
    """Let a provider's meter have another price from a time on; what held before stays in the history."""
    body = await take_json(request)
    wanted = read_model(body, ListPriceBody)
    statement = ListPriceStatement(
        provider_model_id=wanted.provider_model_id,
        meter=wanted.meter,
        selector=Selector(**wanted.selector.model_dump()),
        **_shared(request, wanted),
    )
    return await _change(request, body, statement, wanted.reason)


async def correct_gpu_price(request: Request, id: RowId) -> Response:
    """Replace what a row states because it was wrong; answers given before can still be had `known_at`."""
    return await _correct(request, "gpu_price", id)


async def correct_list_price(request: Request, id: RowId) -> Response:
    """Replace what a row states because it was wrong; answers given before can still be had `known_at`."""
    return await _correct(request, "list_price", id)


async def withdraw_gpu_price(request: Request, id: RowId) -> Response:
    """End a row at a time: from then on the price is not known."""
    return await _withdraw(request, "gpu_price", id)


async def withdraw_list_price(request: Request, id: RowId) -> Response:
    """End a row at a time: from then on the price is not known."""
    return await _withdraw(request, "list_price", id)


async def _change(request: Request, body: bytes, statement: PriceStatement, reason: str) -> Response:
    kind: PriceKind = "gpu_price" if isinstance(statement, GpuPriceStatement) else "list_price"
    write = write_request(request, body, read_if_match(request), reason)
    writes = management_of(request).writes
    return stored_response(
        await in_database(
            request, lambda: writes.change(statement, write, _answer(kind, 201, statement.valid_from))
        )
    )


async def _correct(request: Request, kind: PriceKind, row_id: str) -> Response:
    body = await take_json(request)
    wanted = read_model(body, CorrectionBody)
    row = (kind, _row_number(kind, row_id))
    write = write_request(request, body, read_if_match(request), wanted.reason)
    writes = management_of(request).writes
    correction = Correction(
        amount=wanted.amount,
        currency=wanted.currency,
        per=wanted.per,
        valid_from=wanted.valid_from,
        valid_to=wanted.valid_to,
        opens_end="valid_to" in wanted.model_fields_set and wanted.valid_to is None,
        note=wanted.note,
    )
    return stored_response(
        await in_database(request, lambda: writes.correct(row, correction, write, _answer(kind, 201)))
    )


async def _withdraw(request: Request, kind: PriceKind, row_id: str) -> Response:
    body = await take_json(request)
    wanted = read_model(body, WithdrawalBody)
    row = (kind, _row_number(kind, row_id))
    moment = wanted.at or services_of(request).clock()
    write = write_request(request, body, read_if_match(request), wanted.reason)
    writes = management_of(request).writes
    return stored_response(
        await in_database(request, lambda: writes.withdraw(row, moment, write, _answer(kind, 200)))
    )


def _shared(request: Request, wanted: GpuPriceBody | ListPriceBody) -> dict[str, Any]:
    return {
        "source": wanted.source,
        "provider": wanted.provider,
        "price": Price(wanted.amount, wanted.currency, wanted.per),
        "valid_from": wanted.valid_from or services_of(request).clock(),
        "valid_to": wanted.valid_to,
        "note": wanted.note,
    }


def _row_number(kind: PriceKind, text: str) -> int:
    """Return the number in a path; what cannot be a row's number is an unknown row."""
    if not _ROW_ID.fullmatch(text):
        raise UnknownIdError(kind.replace("_", " "), text[:40], ())
    return int(text)


def _answer(kind: PriceKind, status: int, moment: datetime | None = None) -> Answer:
    """Return what says what was written; ``Location`` is the row that begins at the moment, if any."""
    return partial(_written_answer, (kind, status, moment))


def _written_answer(
    asked: tuple[PriceKind, int, datetime | None], written: Written, revision: int
) -> StoredAnswer:
    kind, status, moment = asked
    if not isinstance(written, PricesWritten):
        raise TypeError("prices were written, not rates")
    view: GpuPricesWritten | ListPricesWritten
    rows = written.inserted
    if kind == "gpu_price":
        gpu = tuple(view_gpu_price(row) for row in rows if isinstance(row, GpuPriceRecord))
        view = GpuPricesWritten(revision, written.retired, gpu)
    else:
        listed = tuple(view_list_price(row) for row in rows if isinstance(row, ListPriceRecord))
        view = ListPricesWritten(revision, written.retired, listed)
    headers = {"Catalog-Revision": str(revision)}
    new = [row.stamp.row_id for row in rows if moment in (None, row.stamp.valid_from)]
    if new and status == 201:
        headers["Location"] = f"{_PATHS[kind]}/{new[0]}"
    nothing_new = written.revision is None
    return StoredAnswer(200 if nothing_new else status, orjson.dumps(to_json_values(view)).decode(), headers)


def stored_response(answer: StoredAnswer) -> Response:
    """Return an answer, fresh or remembered, as it goes out."""
    headers = {"Cache-Control": "no-store", **answer.headers}
    return Response(answer.body.encode(), answer.status, headers=headers, media_type="application/json")


WRITE_HEADERS = [IF_MATCH, IDEMPOTENCY_KEY]
_CORRECTION = body_document(
    CorrectionBody,
    Example("amount", "A typing mistake", {"amount": "2.94", "currency": "USD", "reason": "digits swapped"}),
)
_WITHDRAWAL = body_document(
    WithdrawalBody,
    Example("at", "Ends at the end of the year", {"at": "2027-01-01", "reason": "discontinued"}),
)
_GPU_PRICE = body_document(
    GpuPriceBody,
    Example(
        "change",
        "A new price from a day on",
        {
            "provider": "acme",
            "accelerator": "h100-sxm",
            "gpus_per_instance": 8,
            "amount": "2.49",
            "currency": "USD",
            "valid_from": "2026-12-01",
        },
    ),
)
_LIST_PRICE = body_document(
    ListPriceBody,
    Example(
        "change",
        "A new price from a day on",
        {
            "provider": "acme",
            "provider_model_id": "acme/llama-3.1-70b",
            "meter": "input",
            "amount": "0.55",
            "currency": "USD",
            "valid_from": "2026-12-01",
        },
    ),
)


def add_routes(app: FastAPI) -> None:
    """Add the routes that write prices."""
    routes: tuple[tuple[str, Callable[..., Awaitable[Response]], str, dict[str, object], int], ...] = (
        ("/v1/gpu-prices", change_gpu_price, "Change a GPU price", _GPU_PRICE, 201),
        ("/v1/gpu-prices/{id}/corrections", correct_gpu_price, "Correct a GPU price row", _CORRECTION, 201),
        ("/v1/gpu-prices/{id}/withdrawal", withdraw_gpu_price, "Withdraw a GPU price row", _WITHDRAWAL, 200),
        ("/v1/list-prices", change_list_price, "Change a list price", _LIST_PRICE, 201),
        (
            "/v1/list-prices/{id}/corrections",
            correct_list_price,
            "Correct a list price row",
            _CORRECTION,
            201,
        ),
        (
            "/v1/list-prices/{id}/withdrawal",
            withdraw_list_price,
            "Withdraw a list price row",
            _WITHDRAWAL,
            200,
        ),
    )
    for path, endpoint, summary, body, status in routes:
        model = model_of(GpuPricesWritten if "gpu" in path else ListPricesWritten)
        described: dict[str, Any] = {"description": "Written", "headers": CATALOG_REVISION}
        already: dict[int | str, dict[str, Any]] = {
            200: {**described, "description": "Everything was so already", "model": model}
        }
        app.post(
            path,
            tags=["prices"],
            summary=summary,
            operation_id=getattr(endpoint, "__name__", path),
            status_code=status,
            response_model=model,
            responses={
                **(already if status == 201 else {}),
                status: described,
                **problems(400, 409, 412, 413, 415, 422, 428, 500, 503, *((404,) if "{" in path else ())),
            },
            openapi_extra={"requestBody": body, "parameters": WRITE_HEADERS},
        )(endpoint)
