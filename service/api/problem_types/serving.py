"""Failures on the side of the service."""

from service.api.problem_types.kind import ProblemType

TYPES = (
    ProblemType(
        "internal-error",
        500,
        "The service made a mistake",
        "An unexpected error; it was logged.",
        "Repeat the request; if it happens again, report it with the time of the request.",
    ),
    ProblemType(
        "catalog-unavailable",
        503,
        "The catalog cannot answer",
        "No catalog snapshot young enough is loaded: the database is unreachable or not yet seeded.",
        "Repeat after the time in Retry-After; /readyz tells the state.",
    ),
    ProblemType(
        "overloaded",
        503,
        "The queue is full",
        "More large requests are waiting than the service admits.",
        "Repeat after the time in Retry-After.",
    ),
)
