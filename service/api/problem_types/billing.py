"""Refusals of a usage record by its prices, or by its own figures."""

from service.api.problem_types.kind import ProblemType

TYPES = (
    ProblemType(
        "unknown-provider",
        422,
        "Unknown provider",
        "`provider` names none whose list prices the catalog has.",
        "Take one of the near matches, or a provider of GET /v1/list-prices.",
    ),
    ProblemType(
        "unknown-provider-model",
        422,
        "Unknown model of a provider",
        "The provider's list prices name no such model. Ids are compared letter by letter: a similar id is "
        "often another model at another price.",
        "Take one of the near matches, or an id of GET /v1/list-prices?provider=...",
    ),
    ProblemType(
        "no-matching-price",
        422,
        "No price applies",
        "The listing has no price of a reported meter under the request's tier, region and length, and no "
        "broader meter has one either.",
        "Check the meter's name and the circumstances; `accepted` lists the meters with prices.",
    ),
    ProblemType(
        "ambiguous-price",
        422,
        "Several prices apply",
        "Several rows match the request and none binds the axes of all others, so which one counts is not "
        "guessed.",
        "Say more about the request (`region`, `variant`), or correct the rows.",
    ),
    ProblemType(
        "unknown-service-tier",
        422,
        "Unknown service tier",
        "The listing has no prices for the tier that the record or the provider's response names.",
        "Send one of the accepted tiers as `service_tier`.",
    ),
    ProblemType(
        "inconsistent-usage",
        422,
        "The usage contradicts itself",
        "A part exceeds its whole, for example more cached tokens than input tokens, or two parts may count "
        "the same tokens. A whole includes its parts.",
        "Count cached tokens in `input` and reasoning tokens in `output` as well, or send the provider's "
        "own usage object as `response`.",
    ),
    ProblemType(
        "unreadable-usage",
        422,
        "No usage in the response",
        "None of the provider's known shapes of a usage object fits `response`.",
        "Send the response as it came; name its shape by `response_format` and `api_flavor`, or send "
        "quantities by meter as `usage`.",
    ),
    ProblemType(
        "no-exchange-rate",
        422,
        "No exchange rate",
        "No rate of the two currencies, direct or through EUR, is known for the day of the request or the "
        "seven before it.",
        "State the rate with POST /v1/fx-rates, or leave `convert_to` out.",
    ),
    ProblemType(
        "invalid-adjustment",
        422,
        "Not an adjustment",
        "A discount is at most 100 per cent and a margin below it.",
        "Send a percentage that leaves a price.",
    ),
)
