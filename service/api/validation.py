"""Pydantic's complaints as field errors of a problem: path, value, rule, near matches."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from service.api.problems import FieldError, ProblemError
from service.api.schemas.fields import STATED_LIMITS

MAX_ERRORS_SHOWN = 20
_BOUNDS = ("gt", "ge", "lt", "le", "min_length", "max_length")

_NAME_BY_TYPE: Mapping[str, str] = {
    "extra_forbidden": "unknown-field",
    "unexpected_keyword_argument": "unknown-field",
    "missing": "missing-field",
    "union_tag_not_found": "missing-field",
    "union_tag_invalid": "invalid-choice",
    "literal_error": "invalid-choice",
    "enum": "invalid-choice",
    "greater_than": "out-of-range",
    "greater_than_equal": "out-of-range",
    "less_than": "out-of-range",
    "less_than_equal": "out-of-range",
    "too_long": "out-of-range",
    "too_short": "out-of-range",
    "string_too_long": "out-of-range",
    "string_too_short": "out-of-range",
    "finite_number": "out-of-range",
    "conflicting_fields": "conflicting-fields",
    "invalid_amount": "invalid-amount",
    "invalid_currency": "invalid-currency",
    "invalid_time": "invalid-time",
}


def validation_problem(
    errors: Sequence[Mapping[str, Any]], model: type[BaseModel] | None = None, root: str = ""
) -> ProblemError:
    """Return the 422 that pydantic's errors become.

    Parameters
    ----------
    errors
        ``ValidationError.errors()``.
    model
        The model that refused, for the names of its fields.
    root
        What the whole value is called where an error concerns no single field.
    """
    found = [_field_error(error, model) for error in errors[:MAX_ERRORS_SHOWN]]
    first = found[0]
    where = first.field or root or "the body"
    more = f" {len(errors) - 1} more in `errors`." if len(errors) > 1 else ""
    return ProblemError(first.code, f"{where}: {first.message}.{more}", errors=found, accepted=first.accepted)


def problem_from_pydantic(error: ValidationError, model: type[BaseModel]) -> ProblemError:
    """Return the 422 that a failed ``model_validate`` becomes."""
    return validation_problem(error.errors(include_url=False), model)


def _field_error(error: Mapping[str, Any], model: type[BaseModel] | None) -> FieldError:
    kind = str(error["type"])
    context = dict(error.get("ctx", {}))
    path, owner = _walk(tuple(error["loc"]), model)
    code = _NAME_BY_TYPE.get(kind, "wrong-type")
    limit = context.get("le", context.get("max_length"))
    if limit in STATED_LIMITS and code == "out-of-range":
        code = "limit-exceeded"
    if kind == "float_type" and isinstance(error.get("input"), int) and not isinstance(error["input"], bool):
        # The only integer that is no float is one beyond a double.
        code = "limit-exceeded"
    message, accepted = _rule(kind, path, context, owner)
    if not message:
        message = _lowered(str(error["msg"])).removesuffix(".")
    value = None if kind in ("missing", "union_tag_not_found") else error.get("input")
    if kind.startswith("union_tag"):
        path = f"{path}.kind"
        value = context.get("tag")
    return FieldError(path, message, code, value, accepted)


def _rule(
    kind: str, path: str, context: Mapping[str, Any], owner: type[BaseModel] | None
) -> tuple[str, dict[str, object]]:
    """Return our own words and what is accepted; empty words where pydantic's are good."""
    if kind == "extra_forbidden":
        known = sorted(owner.model_fields) if owner else []
        name = path.rsplit(".", 1)[-1]
        near = get_close_matches(name, known, n=3, cutoff=0.6)
        hint = f"; near matches: {', '.join(near)}" if near else ""
        return f"is not a known field{hint}", {"near_matches": near, "fields": known}
    if kind == "missing":
        return "is required", {}
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return "should be a JSON object", {}
    if kind == "union_tag_not_found":
        return "needs a kind: concurrency, arrival_rate or cheapest", {
            "kind": ["concurrency", "arrival_rate", "cheapest"]
        }
    if kind in ("union_tag_invalid", "literal_error"):
        words = str(context.get("expected_tags", context.get("expected", "")))
        return f"must be one of {words}", {"expected": words}
    bounds = {
        name: context[name]
        for name in ("gt", "ge", "lt", "le", "min_length", "max_length")
        if name in context
    }
    if kind in ("too_short", "too_long") and "actual_length" in context:
        least = kind == "too_short"
        limit = context["min_length" if least else "max_length"]
        word = "item" if limit == 1 else "items"
        found = context["actual_length"] if context["actual_length"] is not None else "more"
        return f"should have at {'least' if least else 'most'} {limit} {word}, not {found}", bounds
    return "", bounds


def _walk(
    location: tuple[int | str, ...], model: type[BaseModel] | None
) -> tuple[str, type[BaseModel] | None]:
    """Return the dotted path in the caller's words and the model that holds its last step.

    Pydantic puts the tag of a discriminated union into the location; the caller wrote no such step.
    """
    steps: list[str] = []
    owner = model
    candidates: list[type[BaseModel]] = [model] if model else []
    for step in location:
        if isinstance(step, str) and len(candidates) > 1:
            candidates = [
                item for item in candidates if step in get_args(item.model_fields["kind"].annotation)
            ]
            continue
        owner = candidates[0] if candidates else owner
        steps.append(str(step))
        if isinstance(step, int):
            continue
        field = owner.model_fields.get(step) if owner else None
        candidates = _models_in(field.annotation) if field else []
    return ".".join(steps), owner


def _tags(member: type[BaseModel]) -> tuple[Any, ...]:
    return get_args(member.model_fields["kind"].annotation)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _lowered(message: str) -> str:
    message = message.removeprefix("Input ")
    return message[:1].lower() + message[1:] if not message[:2].isupper() else message
