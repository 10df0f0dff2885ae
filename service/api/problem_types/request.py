"""Refusals of a readable body or query by the rules of its schema."""

from service.api.problem_types.kind import ProblemType

TYPES = (
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
        "invalid-currency",
        422,
        "Not a currency code",
        "A currency is its ISO 4217 code: three capital letters.",
        "Send, for example, USD or EUR.",
    ),
    ProblemType(
        "currency-missing",
        422,
        "An amount needs its currency",
        "Nothing is USD by default.",
        "Send `price.currency` beside `price.amount`.",
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
        "samples a class, 20 000 points of a curve, 1 000 000 requests of a trace, "
        "integers below 2^53.",
        "The detail names the limit; split the request or aggregate its input.",
    ),
    ProblemType(
        "invalid-trace",
        422,
        "The trace cannot be read",
        "The text has no header of a known trace format, or no request in it.",
        "Send the columns of the Azure LLM trace as CSV, or the Mooncake trace as JSON lines.",
    ),
    ProblemType(
        "too-many-bad-lines",
        422,
        "Too many bad lines in the trace",
        "More than 1 % of the trace's lines could not be read; the detail names the first of them.",
        "Mend or drop those lines; up to 1 % are skipped and reported.",
    ),
    ProblemType(
        "invalid-counterfactual",
        422,
        "A what-if that the model does not allow",
        "The change asked for does not fit the model's attention or cache.",
        "The detail names the values that would be accepted.",
    ),
)
