"""Applies an import in a process that kills itself at a named point of the transaction."""

import os
import signal
from typing import Any

from sqlalchemy import Engine, event

from service.application.imports import Application, Imports
from service.application.write_ports.prices import IdempotencySlot, StoredAnswer
from service.application.writes import WriteRequest
from service.catalog.database import open_engine
from service.catalog.import_reader import SourceReader
from service.catalog.import_store import DatabaseImports
from service.catalog.importing import run_import
from tests.builders.drafts import batch, gpu_price


def perform(url: str, moment: str, statement: str, *, over_http: bool = True) -> None:
    """Apply import 3 of the catalog, or run the same import as the command line does.

    Parameters
    ----------
    url
        Of the database.
    moment
        ``begin``, ``before`` or ``after`` a statement, ``commit``, ``committed``; anything else never comes.
    statement
        How the statement begins.
    over_http
        Whether it is the use case behind ``POST /v1/imports/3/apply``.
    """
    engine = open_engine(url)
    _kill_at(engine, moment, statement)
    if over_http:
        store = DatabaseImports(engine)
        imports = Imports(store, SourceReader(engine, store), lambda: None)
        slot = IdempotencySlot("k", "POST", "/v1/imports/3/apply", "one", "0")
        request = WriteRequest("test", 2, slot)
        imports.apply(Application(3, 2), request, lambda record: StoredAnswer(200, record.summary.state))
    else:
        rows = (gpu_price("5", region=f"r{index}") for index in range(50))
        run_import(engine, batch(*rows, digest="5"), actor="test")


def _kill_at(engine: Engine, moment: str, statement: str) -> None:
    begun = []

    def kill() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def of_statement(_connection: Any, _cursor: Any, text: str, *_rest: Any) -> None:
        if text.startswith(statement):
            kill()

    if moment in ("before", "after"):
        event.listen(engine, f"{moment}_cursor_execute", of_statement)
    elif moment == "begin":
        event.listen(engine, "begin", lambda _connection: kill())
    elif moment == "commit":
        event.listen(engine, "commit", lambda _connection: kill())
    elif moment == "committed":
        # The pool takes the connection back once the commit is through.
        event.listen(engine, "commit", lambda _connection: begun.append(True))
        event.listen(engine, "checkin", lambda *_: kill() if begun else None)
