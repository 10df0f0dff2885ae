"""``python -m service.api.openapi`` writes the OpenAPI document to ``openapi.json``."""

from pathlib import Path

from service.api.app import create_app
from service.api.openapi_document import document_text


def main() -> None:
    """Write the document into the working directory."""
    Path("openapi.json").write_bytes(document_text(create_app()))


if __name__ == "__main__":
    main()
