"""What is told of one cause of a refusal."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One cause, as ``GET /problems/{name}`` explains it."""

    name: str
    status: int
    title: str
    cause: str
    way_out: str
