"""A calibration set as the YAML file that the catalog reads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from service.application.errors import InvalidRequestError

HEADER: Final = "# Fitted by `pertoken calibrate`; do not edit by hand. See docs/accuracy.md.\n"


def check_writable(path: Path) -> None:
    """Check before a long computation that its result has a place.

    Raises
    ------
    InvalidRequestError
        Where ``path`` lies in no folder, or is one.
    """
    if not path.parent.is_dir() or path.is_dir():
        why = "it is a folder" if path.is_dir() else f"{path.parent} is no folder"
        raise InvalidRequestError(f"{path} cannot be written: {why}.", field="out", code="unwritable-file")


def write_set(path: Path, document: Mapping[str, Any]) -> None:
    """Write a set: one line for each group of figures, keys in the document's order.

    Raises
    ------
    InvalidRequestError
        Where the file cannot be written.
    """
    text = yaml.safe_dump(
        dict(document), sort_keys=False, width=100_000, default_flow_style=None, allow_unicode=True
    )
    try:
        path.write_text(HEADER + text, encoding="utf-8")
    except OSError as error:
        raise InvalidRequestError(
            f"{path} cannot be written: {error.strerror}.", field="out", code="unwritable-file"
        ) from error
