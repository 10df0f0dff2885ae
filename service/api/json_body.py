"""From the body of a request to its validated model; what writes read."""

from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from service.api.body import read_body, require_content_type
from service.api.deps import services_of
from service.api.strict_json import parse_strict_json
from service.api.validation import problem_from_pydantic

Body = TypeVar("Body", bound=BaseModel)


async def take_json(request: Request, limit: int | None = None) -> bytes:
    """Return the whole body, declared as JSON.

    Raises
    ------
    ProblemError
        415 or 413.
    """
    limits = services_of(request).limits
    require_content_type(request)
    return await read_body(request, limit or limits.body_bytes, limits.body_idle_seconds)


def read_model(text: bytes, model: type[Body]) -> Body:
    """Return a body as its model.

    Raises
    ------
    UnreadableJsonError
        If it is not JSON.
    ProblemError
        422 with every field at fault.
    """
    try:
        return model.model_validate(parse_strict_json(text))
    except ValidationError as error:
        raise problem_from_pydantic(error, model) from None


@dataclass(frozen=True, slots=True)
class Example:
    """A body to copy, for the documentation."""

    name: str
    summary: str
    value: dict[str, object]


def body_document(model: type[BaseModel], *examples: Example) -> dict[str, object]:
    """Return the ``requestBody`` of an operation whose body is read by hand."""
    return {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": f"#/components/schemas/{model.__name__}"},
                "examples": {
                    example.name: {"summary": example.summary, "value": example.value} for example in examples
                },
            }
        },
    }
