"""The reader of sources: fetched, refused, failed by its own mistake, kept while the database is away."""

import hashlib
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from service.application.errors import UnavailableError
from service.application.write_ports.imports import ImportRecord, ImportSubmission
from service.catalog.import_reader import _OWN_MISTAKE, SourceReader
from service.catalog.import_store import LOST, DatabaseImports
from service.catalog.importers.fetching import Fetcher
from service.catalog.importing import run_import
from tests.builders.drafts import batch as make_batch
from tests.builders.drafts import foundation, list_price

CSV = (
    "source,provider,provider_model_id,meter,amount,currency,per,valid_from,valid_from_basis\n"
    "price-page,acme,m-1,input,2,USD,million_tokens,2026-01-01,stated\n"
)
HERE = ImportSubmission("own-csv", content=CSV)
THERE = ImportSubmission("own-csv", url="https://raw.githubusercontent.com/acme/prices.csv")


@pytest.fixture
def store(catalog_engine: Engine) -> DatabaseImports:
    run_import(catalog_engine, foundation(), actor="test")
    return DatabaseImports(catalog_engine)


def fetcher(answer: Callable[[httpx.Request], httpx.Response]) -> Fetcher:
    # A public address, so that the name's own is not asked.
    return Fetcher(transport=httpx.MockTransport(answer), resolver=lambda host: ["8.8.8.8"])


def read(reader: SourceReader, store: DatabaseImports, submission: ImportSubmission) -> ImportRecord:
    """Let a source be read as the use case does; return the import once it is no longer validated."""
    reader.check(submission)
    with reader.place(submission) as place:
        with store.transaction(None) as transaction:
            number = transaction.begin(submission).summary.id
        place.take(number, submission)
    return settled(store, number)


def settled(store: DatabaseImports, number: int) -> ImportRecord:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        record = store.find(number)
        assert record is not None
        if record.summary.state != "validating":
            return record
        time.sleep(0.05)
    raise TimeoutError(str(number))


def test_a_source_is_fetched_from_its_address(catalog_engine: Engine, store: DatabaseImports) -> None:
    reader = SourceReader(
        catalog_engine, store, fetcher(lambda request: httpx.Response(200, content=CSV.encode()))
    )
    record = read(reader, store, THERE)
    assert (record.summary.state, record.url, record.summary.counts["added"]) == ("preview", THERE.url, 1)
    assert record.summary.content_sha256 == hashlib.sha256(CSV.encode()).hexdigest()


def test_what_an_address_refuses_is_told(catalog_engine: Engine, store: DatabaseImports) -> None:
    redirect = {"location": "https://169.254.169.254/latest"}
    for answer, told in (
        (httpx.Response(404), "answers 404"),
        (httpx.Response(302, headers=redirect), "none of the hosts"),
        (httpx.Response(200, content=b"<html>"), "web page"),
    ):
        reader = SourceReader(catalog_engine, store, fetcher(lambda request, given=answer: given))  # type: ignore[misc]
        record = read(reader, store, THERE)
        assert (record.summary.state, told in record.detail) == ("rejected", True), record.detail


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_mistake_of_the_service_rejects_the_import_and_frees_its_place(
    catalog_engine: Engine, store: DatabaseImports, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise KeyError("a secret of the inside")

    reader = SourceReader(catalog_engine, store)
    with monkeypatch.context() as patch:
        patch.setattr("service.catalog.import_reader.parse_source", fail)
        record = read(reader, store, HERE)
    assert (record.summary.state, record.detail) == ("rejected", _OWN_MISTAKE)
    assert read(reader, store, HERE).summary.state == "preview"


def test_an_outcome_is_kept_once_the_database_is_back(
    catalog_engine: Engine, store: DatabaseImports, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish, tries = store.finish, []

    def away_at_first(number: int, batch: Any) -> None:
        tries.append(number)
        if len(tries) < 3:
            raise OperationalError("COMMIT", {}, Exception("the server closed the connection"))
        finish(number, batch)

    monkeypatch.setattr("service.catalog.import_reader._RETRY_SECONDS", (0.01, 0.01, 0.01))
    monkeypatch.setattr(store, "finish", away_at_first)
    assert read(SourceReader(catalog_engine, store), store, HERE).summary.state == "preview"
    assert len(tries) == 3


def test_what_is_not_read_when_the_service_stops_is_rejected(
    catalog_engine: Engine, store: DatabaseImports, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = SourceReader(catalog_engine, store)
    reader.start()
    monkeypatch.setattr("service.catalog.import_reader.parse_source", lambda *_, **__: time.sleep(1))
    monkeypatch.setattr("service.catalog.import_reader.PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(store, "finish", lambda *_: None)
    with reader.place(HERE) as place:
        with store.transaction(None) as transaction:
            number = transaction.begin(HERE).summary.id
        place.take(number, HERE)
    (thread,) = [item for item in threading.enumerate() if item.name == f"import-{number}"]
    reader.stop()
    assert settled(store, number).detail == LOST
    thread.join(timeout=30)
    with pytest.raises(UnavailableError), reader.place(HERE):
        pass


def test_an_outcome_that_comes_too_late_changes_nothing(store: DatabaseImports) -> None:
    with store.transaction(None) as transaction:
        number = transaction.begin(HERE).summary.id
    store.reject(number, LOST)
    store.finish(number, make_batch(list_price("2")))
    record = store.find(number)
    assert record is not None
    assert (record.summary.state, record.detail, record.summary.counts["added"]) == ("rejected", LOST, 0)
