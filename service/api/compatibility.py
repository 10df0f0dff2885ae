"""Whether a new OpenAPI document keeps every promise of an old one: ``/v1`` only ever grows.

Requests may be asked in more ways, never in fewer; answers may tell more, never less.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Schema = Mapping[str, Any]
Side = Literal["request", "response"]

_LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_METHODS = ("get", "post", "put", "patch", "delete", "head", "options")


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """Return what callers of the old document would miss in the new one, one sentence each.

    Parameters
    ----------
    old, new
        Whole OpenAPI 3.1 documents.
    """
    comparison = _Comparison(old, new)
    found: list[str] = []
    for path, operations in old.get("paths", {}).items():
        for method in _METHODS:
            if method not in operations:
                continue
            there = new.get("paths", {}).get(path, {}).get(method)
            name = f"{method.upper()} {path}"
            if there is None:
                found.append(f"{name} was removed")
            else:
                found += comparison.operation(name, operations[method], there)
    return list(dict.fromkeys(found))


@dataclass
class _Comparison:
    """Walks two documents side by side; recursive schemas are visited once."""

    old: Schema
    new: Schema
    seen: set[tuple[str, str, Side]] = field(default_factory=set)

    def operation(self, name: str, old: Schema, new: Schema) -> Iterator[str]:
        """Compare parameters, body and answers of one operation."""
        yield from self._parameters(name, old, new)
        if new.get("requestBody", {}).get("required") and not old.get("requestBody", {}).get("required"):
            yield f"{name} requires a body"
        yield from self._contents(f"{name} body", "request", old.get("requestBody"), new.get("requestBody"))
        for status, answer in old.get("responses", {}).items():
            there = new.get("responses", {}).get(status)
            if there is None:
                if status.startswith("2"):
                    yield f"{name} no longer answers {status}"
                continue
            yield from self._contents(f"{name} {status}", "response", answer, there)

    def _parameters(self, name: str, old: Schema, new: Schema) -> Iterator[str]:
        before = {(item["in"], item["name"]): item for item in old.get("parameters", ())}
        after = {(item["in"], item["name"]): item for item in new.get("parameters", ())}
        for key, item in before.items():
            label = f"{name} parameter {key[1]}"
            if key not in after:
                yield f"{label} was removed"
                continue
            yield from self.schema(label, "request", item.get("schema", {}), after[key].get("schema", {}))
        for key, item in after.items():
            if item.get("required") and not before.get(key, {}).get("required"):
                yield f"{name} parameter {key[1]} is newly required"

    def _contents(self, label: str, side: Side, old: Schema | None, new: Schema | None) -> Iterator[str]:
        for media_type, content in (old or {}).get("content", {}).items():
            there = (new or {}).get("content", {}).get(media_type)
            if there is None:
                yield f"{label}: {media_type} was removed"
                continue
            yield from self.schema(label, side, content.get("schema", {}), there.get("schema", {}))

    def schema(self, label: str, side: Side, old: Schema, new: Schema) -> Iterator[str]:
        """Compare two schemas in a request (the new one must take all) or an answer (tell all)."""
        if "$ref" in old and "$ref" in new:
            key = (old["$ref"], new["$ref"], side)
            if key in self.seen:
                return
            self.seen.add(key)
        old, new = _resolved(self.old, old), _resolved(self.new, new)
        yield from self._alternatives(label, side, old, new)
        yield from _types(label, side, old, new)
        if side == "request":
            yield from _bounds(label, old, new)
        yield from _choices(label, side, old, new)
        yield from self._properties(label, side, old, new)
        for part in ("items", "additionalProperties"):
            if isinstance(old.get(part), Mapping) and isinstance(new.get(part), Mapping):
                yield from self.schema(f"{label}[]", side, old[part], new[part])

    def _alternatives(self, label: str, side: Side, old: Schema, new: Schema) -> Iterator[str]:
        """Compare the members of unions, paired by the least difference."""
        before, after = _members(old), _members(new)
        if not before or not after:
            return
        # In a request each old member needs a new home; in an answer each new one an old home.
        wanted, homes = (before, after) if side == "request" else (after, before)
        for member in wanted:
            trials = []
            for home in homes:
                # A trial must not mark anything as seen that another trial still has to look at.
                trial = _Comparison(self.old, self.new, set(self.seen))
                pair = (member, home) if side == "request" else (home, member)
                trials.append(list(trial.schema(label, side, *pair)))
            yield from min(trials, key=len)

    def _properties(self, label: str, side: Side, old: Schema, new: Schema) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name, item in before.items():
            if name not in after:
                yield f"{label}.{name} was removed"
                continue
            yield from self.schema(f"{label}.{name}", side, item, after[name])
        was, now = set(old.get("required", ())), set(new.get("required", ()))
        if side == "request":
            for name in sorted(now - was):
                yield f"{label}.{name} is newly required"
        else:
            for name in sorted((was - now) & after.keys()):
                yield f"{label}.{name} is no longer always present"


def _resolved(document: Schema, schema: Schema) -> Schema:
    while "$ref" in schema:
        target: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        schema = target
    return schema


def _members(schema: Schema) -> list[Schema]:
    members: list[Schema] = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    return members


def _type_set(schema: Schema) -> set[str]:
    named = schema.get("type")
    if named is None:
        return set()
    types = {named} if isinstance(named, str) else set(named)
    return types | {"integer"} if "number" in types else types


def _types(label: str, side: Side, old: Schema, new: Schema) -> Iterator[str]:
    before, after = _type_set(old), _type_set(new)
    if _members(old) or _members(new):
        if bool(_members(old)) != bool(_members(new)):
            yield f"{label}: one form became several, or several one"
        return
    lost = before - after if side == "request" else after - before
    if after and before and lost:
        yield f"{label}: type went from {_named(before)} to {_named(after)}"
    elif side == "request" and after and not before:
        yield f"{label}: any type became {_named(after)}"
    elif side == "response" and before and not after:
        yield f"{label}: {_named(before)} became any type"


def _named(types: set[str]) -> str:
    return " or ".join(sorted(types))


def _bounds(label: str, old: Schema, new: Schema) -> Iterator[str]:
    for name in _LOWER_BOUNDS:
        if name in new and new[name] > old.get(name, float("-inf")):
            yield f"{label}: {name} rose to {new[name]}"
    for name in _UPPER_BOUNDS:
        if name in new and new[name] < old.get(name, float("inf")):
            yield f"{label}: {name} fell to {new[name]}"
    if "pattern" in new and new["pattern"] != old.get("pattern"):
        yield f"{label}: pattern changed"
    if new.get("additionalProperties") is False and old.get("additionalProperties") is not False:
        yield f"{label}: further fields are now refused"


def _choices(label: str, side: Side, old: Schema, new: Schema) -> Iterator[str]:
    before, after = _enum(old), _enum(new)
    if side == "request" and after is not None and (before is None or not before <= after):
        missing = "any value" if before is None else ", ".join(sorted(map(str, before - after)))
        yield f"{label}: no longer takes {missing}"


def _enum(schema: Schema) -> set[Any] | None:
    if "const" in schema:
        return {schema["const"]}
    return set(schema["enum"]) if "enum" in schema else None
