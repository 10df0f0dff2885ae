"""Every cause of a refusal: its name in ``type``, its status, and how to get out of it."""

from collections.abc import Mapping

from service.api.problem_types import billing, method, naming, reading, request, serving, writing
from service.api.problem_types.kind import ProblemType

PROBLEM_TYPES: Mapping[str, ProblemType] = {
    item.name: item
    for room in (reading, naming, request, method, billing, writing, serving)
    for item in room.TYPES
}
