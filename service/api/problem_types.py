"""Every cause of a refusal: its name in ``type``, its status, and how to get out of it."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One cause, as ``GET /problems/{name}`` explains it."""

    name: str
    status: int
    title: str
    cause: str
    way_out: str


_TYPES = (
    # 400: the body or the request line cannot be read
    ProblemType(
        "unreadable-json",
        400,
        "The body is not JSON",
        "The body is not JSON as RFC 8259 defines it: a syntax error, NaN or Infinity, a number beyond a "
        "double such as 1e400, invalid UTF-8, a byte order mark or a lone surrogate.",
        "Check the body with a strict JSON parser; the detail names line and column.",
    ),
    ProblemType(
        "empty-body",
        400,
        "The body is empty",
        "The request carries no body where a JSON object is needed.",
        'Send at least {"model": "...", "accelerator": "..."}; the documentation has an example to copy.',
    ),
    ProblemType(
        "duplicate-key",
        400,
        "A key appears twice",
        "One object of the body names the same key twice. Parsers disagree on which value counts, so the "
        "service does not choose.",
        "Send each key once.",
    ),
    ProblemType(
        "nested-too-deep",
        400,
        "The body is nested too deep",
        "Objects and lists may be nested 64 levels deep.",
        "No request needs that many levels; check how the body is built.",
    ),
    ProblemType(
        "incomplete-body",
        400,
        "The body ended early",
        "The client stopped sending before the body was complete, or paused longer than the service waits.",
        "Send as many bytes as Content-Length announces, without long pauses.",
    ),
    # 404, 405: the address
    ProblemType(
        "no-such-route",
        404,
        "There is nothing at this address",
        "The path is none of the service's routes.",
        "GET /docs lists every route.",
    ),
    ProblemType(
        "unknown-problem",
        404,
        "No such problem type",
        "The name is none of the service's problem types.",
        "GET /problems lists them all.",
    ),
    ProblemType(
        "method-not-allowed",
        405,
        "The route has another method",
        "The path exists, but not with this HTTP method.",
        "The Allow header and the detail name the methods of the path.",
    ),
    # ids; 404 where the id is in the path, 422 in a body or query
    ProblemType(
        "unknown-model",
        422,
        "Unknown model",
        "The name is neither an id nor an alias of a model in the catalog.",
        "Take one of the near matches or GET /v1/models; a model that is not there can be sent as `config`.",
    ),
    ProblemType(
        "unknown-accelerator",
        422,
        "Unknown accelerator",
        "The name is neither an id nor an alias of an accelerator in the catalog.",
        "Take one of the near matches or GET /v1/accelerators.",
    ),
    ProblemType(
        "unknown-id",
        422,
        "Unknown id",
        "A name in the request is not in the catalog.",
        "Take one of the near matches, or list the resource to see its ids.",
    ),
    ProblemType(
        "unknown-revision",
        422,
        "Unknown catalog revision",
        "`known_at` or a header names a revision that this catalog has not reached.",
        "Leave `known_at` out for the newest revision; answers and lists carry `catalog_revision`.",
    ),
    # 409, 413, 415
    ProblemType(
        "conflict",
        409,
        "The state moved",
        "What the request builds on has changed since the caller read it.",
        "Read again and repeat the request on the new state.",
    ),
    ProblemType(
        "cursor-expired",
        409,
        "The list moved on",
        "The cursor belongs to a catalog revision whose reference rows are no longer held.",
        "Start again without a cursor.",
    ),
    ProblemType(
        "body-too-large",
        413,
        "The body is too large",
        "A body may have 1 MiB; a batch 512 MiB, and each of its lines 1 MiB.",
        "Split the request; POST /v1/estimates/batch takes many estimates, one a line.",
    ),
    ProblemType(
        "unsupported-media-type",
        415,
        "The body is not declared as JSON",
        "The Content-Type header is missing or is not JSON. curl sends application/x-www-form-urlencoded "
        "with -d unless it is told otherwise.",
        "Send the header: curl -H 'Content-Type: application/json' -d '...'. Batches take "
        "application/x-ndjson.",
    ),
    # 422: readable and wrong
    ProblemType(
        "invalid-request",
        422,
        "The request breaks a rule",
        "A field's value is readable but not admissible.",
        "The detail and `errors` name the field, its value and what is accepted.",
    ),
    ProblemType(
        "unknown-field",
        422,
        "Unknown field",
        "The body or query has a field that the service does not know. Unknown fields are refused, so that "
        "a misspelt one is never silently ignored.",
        "Take one of the near matches, or remove the field.",
    ),
    ProblemType(
        "missing-field",
        422,
        "A field is missing",
        "A required field is absent.",
        "Send the field that `errors` names.",
    ),
    ProblemType(
        "wrong-type",
        422,
        "A value has the wrong type",
        "A field has a value of another JSON type. Numbers in quotes, and true or false for a number, are "
        "not converted.",
        "Send the type that the message names.",
    ),
    ProblemType(
        "out-of-range",
        422,
        "A number is out of range",
        "A number or length is outside the range that has a meaning.",
        "The message names the range.",
    ),
    ProblemType(
        "invalid-choice",
        422,
        "Not one of the choices",
        "A field that takes one of a few words has another.",
        "Take one of the accepted words.",
    ),
    ProblemType(
        "conflicting-fields",
        422,
        "Fields contradict each other",
        "Two fields exclude each other, or one needs another that is absent.",
        "Send the combination that the message describes.",
    ),
    ProblemType(
        "invalid-time",
        422,
        "Not a time",
        "A time is not a date (2026-01-31) or an RFC 3339 time with its offset (2026-01-31T12:00:00Z).",
        "Add the offset; a time without one is ambiguous and is refused.",
    ),
    ProblemType(
        "invalid-amount",
        422,
        "Not an exact amount",
        "An amount is a decimal string, an integer or a JSON number of at most 15 significant digits, "
        "without exponent, of at most 12 integer and 18 fraction digits.",
        'Send it as a string, for example "2.49".',
    ),
    ProblemType(
        "invalid-cursor",
        422,
        "Not a cursor of this list",
        "The cursor was not issued by this list with these filters.",
        "Pass `next_cursor` unchanged together with the filters of the first page, or start without one.",
    ),
    ProblemType(
        "limit-exceeded",
        422,
        "A limit is exceeded",
        "The request is larger than a stated limit: 256 classes, 2 048 layers, 65 536 accelerators, 4 096 "
        "samples a class, integers below 2^53.",
        "The detail names the limit; split the request or aggregate its input.",
    ),
    ProblemType(
        "price-not-known-at",
        422,
        "No price is known for that time",
        "No price row of the catalog applies to this accelerator, provider or time.",
        "Send `price.amount` and `price.currency`, or choose what the detail offers.",
    ),
    ProblemType(
        "invalid-input",
        422,
        "The input breaks a rule of the method",
        "A value is well-formed but the model, the accelerator or the layout does not admit it.",
        "The detail names the rule and what would be accepted.",
    ),
    ProblemType(
        "unsupported",
        422,
        "Not supported",
        "The input is understood, but there is no equation or figure for it, for example a number format "
        "that the accelerator does not compute in.",
        "Choose one of the accepted values.",
    ),
    ProblemType(
        "infeasible",
        422,
        "Nothing satisfies the request",
        "The request is valid, but no operating point meets it.",
        "Relax the limit that the detail names.",
    ),
    # 5xx
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

PROBLEM_TYPES: Mapping[str, ProblemType] = {item.name: item for item in _TYPES}
