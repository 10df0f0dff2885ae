"""Refusals before a body is understood: address, method, size, syntax; and states that moved."""

from service.api.problem_types.kind import ProblemType

TYPES = (
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
        "A body may have 1 MiB, 32 MiB with a trace; a batch 512 MiB, and each of its lines what a body may.",
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
)
