"""Parts of the OpenAPI document that routes share: examples, bodies, problem answers."""

from typing import Any

import orjson

SMALLEST: dict[str, Any] = {"model": "llama-3.1-70b", "accelerator": "h100-sxm"}

FULL: dict[str, Any] = {
    "model": "llama-3.1-70b",
    "accelerator": "h100-sxm",
    "layout": {"tp": 8},
    "serving": {"engine": "vllm"},
    "formats": {"precision": "fp8"},
    "workload": {
        "classes": [
            {
                "name": "chat",
                "weight": 3,
                "input_tokens": 2000,
                "output_tokens": 500,
                "cached_share": 0.5,
            },
            {
                "name": "summary",
                "weight": 1,
                "input_tokens": 8000,
                "output_tokens": 300,
                "cached_share": 0,
            },
        ]
    },
    "operating_point": {"kind": "cheapest", "max_ttft_seconds": 2, "max_tpot_seconds": 0.05},
    "utilisation": 0.6,
    "price": {"basis": "rental", "amount": "2.49", "currency": "USD"},
    "split": "shapley",
}

CONCURRENCY: dict[str, Any] = {
    **SMALLEST,
    "layout": {"tp": 8},
    "formats": {"precision": "fp8"},
    "operating_point": {"kind": "concurrency", "concurrency": 64},
    "utilisation": 0.5,
    "price": {"amount": "2.00", "currency": "USD"},
}

POOLS: dict[str, Any] = {
    **SMALLEST,
    "accelerator": "h200-sxm",
    "layout": {"tp": 4},
    "formats": {"precision": "fp8"},
    "workload": {"classes": [{"name": "chat", "weight": 1, "input_tokens": 8000, "output_tokens": 1000}]},
    "operating_point": {"kind": "concurrency", "concurrency": 256},
    "price": {"amount": "3.00", "currency": "USD"},
    "pools": {
        "prefill": {
            "accelerator": "h100-sxm",
            "layout": {"tp": 8},
            "price": {"amount": "2.00", "currency": "USD"},
            "workers": 2,
        },
        "decode": {"workers": 2},
    },
}

ESTIMATE_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"$ref": "#/components/schemas/EstimateBody"},
            "examples": {
                "smallest": {"summary": "Model and accelerator; every default is chosen", "value": SMALLEST},
                "concurrency": {"summary": "64 requests always in flight", "value": CONCURRENCY},
                "pools": {"summary": "Prefill and decode by workers of their own", "value": POOLS},
                "mix": {"summary": "A mix of two classes, cheapest within limits", "value": FULL},
            },
        }
    },
}

BATCH_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/x-ndjson": {
            "schema": {
                "type": "string",
                "description": "One estimate a line, each as the body of POST /v1/estimates.",
            },
            "example": "".join(orjson.dumps(item).decode() + "\n" for item in (SMALLEST, CONCURRENCY)),
        }
    },
}

BATCH_RESPONSE: dict[str, Any] = {
    "description": "One result a line in order, then the summary.",
    "content": {
        "application/x-ndjson": {
            "schema": {
                "type": "string",
                "description": 'Lines {"line", "status", "answer"} or {"line", "status", "problem"}; '
                'last {"summary"}.',
            }
        }
    },
}

MIN_REVISION: dict[str, Any] = {
    "name": "Catalog-Min-Revision",
    "in": "header",
    "required": False,
    "description": "Answer from at least this catalog revision: read your own write.",
    "schema": {"type": "string", "pattern": "^r?[0-9]{1,16}$"},
}

IF_NONE_MATCH: dict[str, Any] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "ETag of an earlier answer; 304 where nothing changed.",
    "schema": {"type": "string"},
}


_TITLES = {
    400: "The request cannot be read",
    401: "A key is needed, or the one sent is not in force",
    403: "The key lacks the scope",
    404: "There is nothing at this address",
    405: "The path takes another method",
    409: "The state moved",
    412: "The catalog moved on",
    413: "The body is too large",
    415: "The body is not declared as JSON",
    422: "Readable, but wrong or infeasible",
    428: "If-Match is missing",
    500: "The service made a mistake",
    503: "The catalog or a free place is missing; see Retry-After",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a route that may refuse with these statuses."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {
            "description": _TITLES[status],
            "content": {"application/problem+json": {"schema": schema}},
        }
        for status in statuses
    }


PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457 problem details; `type` is a page of this service that explains the cause.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "examples": ["/problems/unknown-model"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "accepted": {"type": "object", "description": "What would be accepted."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message", "code"],
                "properties": {
                    "field": {"type": "string", "description": "Dotted path in the body."},
                    "message": {"type": "string"},
                    "code": {"type": "string"},
                    "value": {"description": "What was sent, shortened."},
                    "accepted": {"type": "object"},
                },
            },
        },
    },
}
