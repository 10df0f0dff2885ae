"""An error is a message, a field and what is accepted; its kind decides the exit code."""

import pytest
from sqlalchemy.exc import OperationalError

from service.application.errors import InvalidRequestError, UnavailableError, UnknownIdError
from service.billing.errors import AmountError
from service.cli.failures import describe, exit_code_of
from service.engine.errors import InfeasibleError, InvalidInputError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidRequestError("no"), 2),
        (UnknownIdError("model", "llama", ["llama-3.1-70b"]), 2),
        (InvalidInputError("no"), 2),
        (InfeasibleError("no"), 2),
        (AmountError("no"), 2),
        (UnavailableError("no"), 1),
        (OperationalError("SELECT 1", {}, OSError("connection refused")), 1),
        (KeyError("x"), 70),
    ],
)
def test_the_kind_of_error_decides_the_exit_code(error: Exception, code: int) -> None:
    assert exit_code_of(error) == code


def test_a_person_is_told_what_where_and_what_else() -> None:
    error = InvalidInputError("tp 3 does not divide 64.", field="layout.tp", accepted={"values": [1, 2, 4]})
    assert describe(error).splitlines() == [
        "pertoken: tp 3 does not divide 64.",
        "  field: layout.tp",
        "  values: 1, 2, 4",
    ]


def test_a_lost_database_is_told_in_one_line_without_sql() -> None:
    text = describe(OperationalError("SELECT 1", {}, OSError("connection refused")))
    assert "connection refused" in text
    assert "SELECT" not in text


def test_a_mistake_of_ours_says_so_and_how_to_see_more() -> None:
    assert "PERTOKEN_TRACEBACK" in describe(KeyError("x"))
