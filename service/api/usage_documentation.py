"""Examples and bodies of usage pricing in the OpenAPI document."""

from typing import Any

import orjson

BY_METER: dict[str, Any] = {
    "provider": "deepseek",
    "model": "deepseek-v4-pro",
    "at": "2026-11-20T12:00:00Z",
    "usage": {"input": 27147, "cache_read": 27136, "output": 351},
}

RESPONSE: dict[str, Any] = {
    "provider": "openai",
    "model": "gpt-4o",
    "at": "2026-11-20T12:00:00Z",
    "response": {
        "prompt_tokens": 1200,
        "completion_tokens": 80,
        "total_tokens": 1280,
        "prompt_tokens_details": {"cached_tokens": 1024},
        "completion_tokens_details": {"reasoning_tokens": 0},
    },
}

ADJUSTED: dict[str, Any] = {
    **BY_METER,
    "reference": "invoice-2026-11/17",
    "adjustments": [
        {
            "name": "enterprise agreement",
            "kind": "discount",
            "percent": "12.5",
            "meters": ["input", "output"],
        },
        {"name": "reseller", "kind": "markup", "percent": "4"},
    ],
    "round_digits": 6,
}

USAGE_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"$ref": "#/components/schemas/UsageBody"},
            "examples": {
                "by-meter": {
                    "summary": "Tokens by meter; cached ones are a part of the input",
                    "value": BY_METER,
                },
                "response": {"summary": "The provider's usage object as it is", "value": RESPONSE},
                "adjusted": {"summary": "A discount, then a markup, lines rounded", "value": ADJUSTED},
            },
        }
    },
}

USAGE_BATCH_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/x-ndjson": {
            "schema": {
                "type": "string",
                "description": "One usage record a line, each as the body of POST /v1/usage/price.",
            },
            "example": "".join(orjson.dumps(item).decode() + "\n" for item in (BY_METER, RESPONSE)),
        }
    },
}
