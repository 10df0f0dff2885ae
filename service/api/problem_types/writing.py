"""Refusals of keys and of writes: who may, on what state, and whether it happened already."""

from service.api.problem_types.kind import ProblemType

TYPES = (
    ProblemType(
        "key-missing",
        401,
        "A key is needed",
        "The request carries no API key, and this operation is not open to everybody.",
        "Send the header `Authorization: Bearer ptk_...`. The first admin key is made on the server with "
        "`pertoken keys create --scope admin`; it makes the others with POST /v1/keys.",
    ),
    ProblemType(
        "key-invalid",
        401,
        "The key is not in force",
        "The Authorization header holds no key of this service, or one that is unknown, revoked or expired. "
        "A key that is sent is checked even where none is needed.",
        "Send a key that is in force, or no Authorization header where the operation is open.",
    ),
    ProblemType(
        "scope-missing",
        403,
        "The key lacks the scope",
        "The key is in force, but its scopes do not cover this operation. `write` includes `read`; `admin` "
        "includes everything.",
        "Use a key with the scope that the detail names; an admin key can make one.",
    ),
    ProblemType(
        "unknown-key",
        404,
        "No such key",
        "No key has this id, or it was revoked.",
        "GET /v1/keys lists them, those revoked too.",
    ),
    ProblemType(
        "precondition-required",
        428,
        "Name the revision you read",
        "A write states on which catalog revision it builds, so that two people cannot undo each other's "
        "work unseen.",
        'Send If-Match with the catalog revision that you read, for example `If-Match: "r12"`; every list '
        "carries it as `catalog_revision`, every row in its ETag.",
    ),
    ProblemType(
        "invalid-precondition",
        422,
        "If-Match names no revision",
        "If-Match is neither a catalog revision nor an ETag that this service gave out.",
        'Send, for example, `If-Match: "r12"`.',
    ),
    ProblemType(
        "precondition-failed",
        412,
        "The catalog moved on",
        "The catalog is no longer at the revision that If-Match names.",
        "Read again, look at what changed, and repeat the write with the new revision.",
    ),
    ProblemType(
        "revision-moved",
        409,
        "The plan is out of date",
        "The catalog moved since the import was planned, so what its preview shows is not what would happen.",
        "Post the same content again and look at the new preview.",
    ),
    ProblemType(
        "unknown-import",
        404,
        "No such import",
        "No import has this number.",
        "GET /v1/imports lists them.",
    ),
    ProblemType(
        "unknown-import-source",
        422,
        "No such source",
        "The body names a source of prices that the service has no adapter for.",
        "`accepted` lists the sources; prices of your own are `own-yaml` or `own-csv`.",
    ),
    ProblemType(
        "import-source-unusable",
        422,
        "The source cannot be read as asked",
        "The source needs another field, or takes none that was given, or its address is not one that the "
        "service asks.",
        "The detail names the field; docs/importers.md says what each source needs.",
    ),
    ProblemType(
        "import-not-ready",
        409,
        "The source is still being read",
        "The import is `validating`, so there is nothing yet to apply.",
        "GET the import until its state is another, look at it, then apply it.",
    ),
    ProblemType(
        "import-finished",
        409,
        "The import is finished",
        "The import was applied or rejected already.",
        "GET the import to see what came of it; post the source again for another.",
    ),
    ProblemType(
        "import-held",
        409,
        "The import is held",
        "It withdraws much of a source, or changes a price more than threefold, so a person must look first.",
        "GET the import and look at `held`; if it is right, apply it with `despite_hold: true`.",
    ),
    ProblemType(
        "row-superseded",
        409,
        "The row is no longer believed",
        "Another write has replaced or withdrawn this row.",
        "Find the row that took its place and write to that.",
    ),
    ProblemType(
        "price-overlap",
        409,
        "Another row holds at that time",
        "The corrected interval overlaps another row of the same key.",
        "Correct or withdraw the other row first.",
    ),
    ProblemType(
        "already-ended",
        409,
        "The price has ended by then",
        "The row is not valid at or after the given time, so there is nothing to withdraw.",
        "Choose a time inside the row's validity.",
    ),
    ProblemType(
        "unusable-row",
        422,
        "The row does not fit the catalog",
        "A source, meter or unit is not in the catalog, the unit does not measure the meter, or the interval "
        "is empty.",
        "The detail says which; GET /v1/list-prices shows rows that are in the catalog.",
    ),
    ProblemType(
        "invalid-selector",
        422,
        "The selector is not usable",
        "A selector names half an axis, an unknown time zone or an empty band.",
        "The detail names the axis and what it needs.",
    ),
    ProblemType(
        "invalid-idempotency-key",
        422,
        "Not an idempotency key",
        "Idempotency-Key is empty, longer than 255 characters, or not printable ASCII.",
        "Send a random identifier, for example a UUID, one for each intended write.",
    ),
    ProblemType(
        "idempotency-key-reused",
        422,
        "The idempotency key belongs to another request",
        "The same key was used within 24 hours on this path with another body.",
        "Take a new key for a new request; repeat a request only byte by byte.",
    ),
    ProblemType(
        "request-in-flight",
        409,
        "The first request is still running",
        "A request with this idempotency key is being carried out at this moment.",
        "Repeat a little later; the answer of the first will come back.",
    ),
    ProblemType(
        "database-unavailable",
        503,
        "The database does not answer",
        "Writes, keys and imports need the database. Nothing was written.",
        "Repeat after the time in Retry-After, with the same Idempotency-Key.",
    ),
)
