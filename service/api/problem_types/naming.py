"""Refusals because the catalog has no such row."""

from service.api.problem_types.kind import ProblemType

TYPES = (
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
        "unknown-engine",
        422,
        "Unknown serving engine",
        "`serving.engine` names no serving engine whose defaults are known.",
        "Take one of the near matches, or leave it out for the default engine.",
    ),
    ProblemType(
        "unknown-engine-release",
        422,
        "Unknown release of a serving engine",
        "`serving.release` names no release whose defaults are known.",
        "Take one of the near matches, or leave it out for the newest.",
    ),
    ProblemType(
        "unknown-format",
        422,
        "Unknown number format",
        "A role of `formats` names no number format of the catalog.",
        "Name a format such as bf16, fp8, int4, mxfp4 or nvfp4, or set `formats.precision`.",
    ),
    ProblemType(
        "unknown-calibration",
        422,
        "Unknown calibration set",
        "`calibration` names no set of the catalog.",
        "Leave it out for the default set; answers name the one they used.",
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
    ProblemType(
        "unknown-precision",
        422,
        "Unknown precision",
        "`formats.precision` names no recipe.",
        "Take one of the accepted recipes, or set the formats by role.",
    ),
    ProblemType(
        "price-not-known-at",
        422,
        "No price is known for that time",
        "No price row of the catalog is in force at that time, or the price was first seen only later; what "
        "it was before is not known.",
        'Send `price.amount` and `price.currency` with an estimate, `"backdate": "earliest"` with a usage '
        "record, or choose what the detail offers.",
    ),
    ProblemType(
        "price-not-found",
        422,
        "No price row matches",
        "The catalog has no price of this accelerator with the provider, region, commitment or "
        "currency that was asked for.",
        "Take one of the values in `accepted`, or send `price.amount` and `price.currency`.",
    ),
    ProblemType(
        "price-given-twice",
        422,
        "The price is given twice",
        "`price.amount` is the caller's own price; a provider, region or commitment beside it would "
        "select nothing.",
        "Send either the amount and its currency, or what selects a row.",
    ),
)
