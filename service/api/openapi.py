"""``python -m service.api.openapi`` writes the OpenAPI document to ``openapi.json``.

It refuses to write one that breaks a promise of the file that is there; ``--breaking`` insists.
"""

import json
import sys
from pathlib import Path

from service.api.app import create_app
from service.api.compatibility import breaking_changes
from service.api.openapi_document import document_text

TARGET = Path("openapi.json")


def main(arguments: list[str]) -> int:
    """Write the document into the working directory; return the exit code."""
    text = document_text(create_app())
    if TARGET.exists() and "--breaking" not in arguments:
        broken = breaking_changes(json.loads(TARGET.read_bytes()), json.loads(text))
        if broken:
            sys.stderr.write("Not written, because callers would break:\n")
            sys.stderr.writelines(f"- {line}\n" for line in broken)
            return 1
    TARGET.write_bytes(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
