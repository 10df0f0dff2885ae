"""Write the catalog document of a model from its ``config.json``.

``python -m service.model_configs.normalise CONFIG.json --id ID --organisation ORG --repository REPO``
prints YAML for ``hardware_catalog/models/<id>.yaml``; identity comes from the command line, everything
else from the file. ``--quantisation JSON`` stands in for a ``quantization_config`` that a repository
keeps in another file.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from service.engine.errors import EngineError
from service.model_configs.codec import encode
from service.model_configs.parse import parse_config
from service.model_configs.schema import model_document_values, parse_model_document

_MAX_FILE_BYTES = 4 * 2**20


def model_document(config: dict[str, object], identity: dict[str, object]) -> dict[str, object]:
    """Return a checked model document as JSON values.

    Parameters
    ----------
    config
        Content of the ``config.json``.
    identity
        The document's fields that no configuration knows: id, display_name, organisation, aliases,
        released_on, released_on_source, source.

    Raises
    ------
    InvalidInputError, UnsupportedError
        Naming the field at fault.
    """
    parsed = parse_config(config, str(identity["id"]))
    values = {
        **identity,
        "native_formats": encode(parsed.native_formats),
        "assumptions": list(parsed.assumptions),
        "spec": encode(parsed.spec),
    }
    return model_document_values(parse_model_document(values))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m service.model_configs.normalise", description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--id", required=True)
    parser.add_argument("--display-name")
    parser.add_argument("--organisation", required=True)
    parser.add_argument("--repository", required=True, help="Hugging Face repository of the configuration")
    parser.add_argument("--file", default="config.json", help="the file read, who bundled it, its licence")
    parser.add_argument("--note", default="")
    parser.add_argument("--alias", action="append", default=[])
    parser.add_argument("--released-on")
    parser.add_argument("--released-on-source")
    parser.add_argument("--quantisation", type=json.loads)
    options = parser.parse_args(arguments)
    content = options.config.read_bytes()
    if len(content) > _MAX_FILE_BYTES:
        parser.error(f"{options.config} is larger than {_MAX_FILE_BYTES} bytes")
    config = json.loads(content)
    if options.quantisation is not None:
        config["quantization_config"] = options.quantisation
    identity: dict[str, object] = {
        "id": options.id,
        "aliases": options.alias,
        "display_name": options.display_name or options.id,
        "organisation": options.organisation,
        "released_on": options.released_on,
        "released_on_source": options.released_on_source,
        "source": {"repository": options.repository, "file": options.file, "note": options.note},
    }
    try:
        document = model_document(config, identity)
    except EngineError as error:
        parser.exit(2, f"{error.message}\n")
    yaml.safe_dump(document, sys.stdout, sort_keys=False, width=108, allow_unicode=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
