"""Refusals by the method: valid words that no model, accelerator or operating point satisfies."""

from service.api.problem_types.kind import ProblemType

TYPES = (
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
    ProblemType(
        "model-missing",
        422,
        "No model is named",
        "Exactly one of `model` and `config` says which model is meant.",
        "Send `model` with an id of GET /v1/models, or a config.json as `config`.",
    ),
    ProblemType(
        "not-with-pools",
        422,
        "Not with separate pools",
        "With `pools` prefill and decode have workers of their own; this field, or this kind of answer, is "
        "of replicas that do both.",
        "Leave out the field that the error names, or leave out `pools`.",
    ),
    ProblemType(
        "empty-mix",
        422,
        "The mix is empty",
        "A workload has no class, or a class an empty sample; there is nothing to serve.",
        "Give at least one class with lengths, or leave `workload` out for a default.",
    ),
    ProblemType(
        "duplicate-class",
        422,
        "Two classes have one name",
        "Rates by class are told apart by the name of the class.",
        "Give each class its own name.",
    ),
    ProblemType(
        "context-too-long",
        422,
        "A request is longer than the model takes",
        "Prompt and answer of a request together exceed the model's context.",
        "Shorten the lengths, or choose a model with a longer context; `accepted` names the limit.",
    ),
    ProblemType(
        "invalid-layout",
        422,
        "The layout is not possible",
        "Tensor parallelism must divide the attention heads, pipeline stages the layers, and expert "
        "parallelism the ranks of a stage.",
        "Take one of the values in `accepted`, or leave the axis out.",
    ),
    ProblemType(
        "format-not-supported",
        422,
        "The accelerator does not compute in this format",
        "The accelerator's datasheet states no rate for the format that the matrix products would use.",
        "Choose one of the accepted formats, or another accelerator.",
    ),
    ProblemType(
        "model-does-not-fit",
        422,
        "The model does not fit",
        "Weights, activations and the cache of a single request need more memory than the "
        "accelerators of one replica have.",
        "Use more accelerators (`layout`), a smaller format (`formats`), or an accelerator with more memory.",
    ),
    ProblemType(
        "limits-unmet",
        422,
        "No operating point meets the limits",
        "Even a single request at a time is slower than the limit on TTFT or TPOT allows.",
        "Relax the limit to what the detail names, use more accelerators, or a faster one.",
    ),
    ProblemType(
        "arrival-rate-too-high",
        422,
        "More arrives than the replicas can serve",
        "At this rate the queue grows without end.",
        "Add replicas or lower the rate; `accepted` names the capacity.",
    ),
    ProblemType(
        "utilisation-is-an-output",
        422,
        "Utilisation follows from the arrival rate",
        "With an arrival rate, utilisation is rate over capacity and cannot be given as well.",
        "Leave `utilisation` out, or give a concurrency or limits instead of a rate.",
    ),
    ProblemType(
        "invalid-load-profile",
        422,
        "The load profile is not a day of load",
        "A profile has 24 hourly rates, none negative and at least one positive.",
        "Send 24 numbers, requests per second over all replicas in each hour.",
    ),
    ProblemType(
        "currency-mismatch",
        422,
        "Two currencies in one request",
        "Amounts that are added or compared are in different currencies, and nothing is converted unasked.",
        "Give all of them in the currency that `accepted` names.",
    ),
    ProblemType(
        "unknown-architecture",
        422,
        "The architecture of a listed model is not known",
        "Providers list the model, but the catalog has no architecture for it: it is closed, or not yet "
        "entered. Its cost cannot be modelled without one, and none is guessed.",
        "Send an architecture that you assume as `config` and the listing as `priced_as`; the answer says "
        "that it rests on an assumption.",
    ),
    ProblemType(
        "unsupported-architecture",
        422,
        "The architecture is not known",
        "The config.json names an architecture or a part whose work cannot be derived; nothing is guessed.",
        "The detail names the field. GET /v1/models shows what is known.",
    ),
    ProblemType(
        "invalid-model-config",
        422,
        "The config.json is not consistent",
        "A field of `config` is missing, has another type, or contradicts another field.",
        "The detail names the field and what it should be.",
    ),
    ProblemType(
        "invalid-model-spec",
        422,
        "The model's specification is not consistent",
        "A field of a model specification is missing, has another type, or contradicts another field.",
        "The detail names the field and what it should be.",
    ),
)
