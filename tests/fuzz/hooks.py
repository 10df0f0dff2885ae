"""What Schemathesis does not know of itself: how a batch is written, and at which revision the catalog is."""

import json
import os
import urllib.request
from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def write_lines(_context: Any, value: Any) -> Any:
    """Return a batch as its bytes; the generated text is sent as it is."""
    return value if isinstance(value, bytes) else str(value).encode(errors="surrogatepass")


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: dict[str, Any]) -> None:
    """Let a well-formed write name the newest revision, or hardly any would get past its precondition."""
    meta = case.meta
    if "If-Match" in (case.headers or {}) and meta is not None and meta.generation.mode.is_positive:
        with urllib.request.urlopen(f"{os.environ['PERTOKEN_FUZZED']}/readyz", timeout=30) as answer:
            case.headers["If-Match"] = f'"r{json.load(answer)["catalog_revision"]}"'
