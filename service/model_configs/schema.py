"""A model document: the catalog's YAML form of one model (``hardware_catalog/models/<id>.yaml``)."""

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from service.engine.errors import InvalidInputError
from service.engine.parts import ModelSpec
from service.engine.spec_checks import check_spec
from service.model_configs.codec import decode, encode
from service.model_configs.formats import NativeFormats

_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]*")
_MAX_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """Where the specification comes from."""

    repository: str
    """Hugging Face repository whose configuration was read."""
    file: str
    """The file read, and who bundled it under which licence."""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    """The document as written, before dates and slugs are checked."""

    id: str
    display_name: str
    organisation: str
    source: ModelSource
    native_formats: NativeFormats
    spec: ModelSpec
    aliases: tuple[str, ...] = ()
    released_on: str | None = None
    released_on_source: str | None = None
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDocument:
    """A checked model document."""

    id: str
    aliases: tuple[str, ...]
    display_name: str
    organisation: str
    released_on: datetime.date | None
    released_on_source: str | None
    source: ModelSource
    native_formats: Mapping[str, str]
    """Format name by role: weights, experts, activations, kv_cache, head, state."""
    spec: ModelSpec
    assumptions: tuple[str, ...] = field(default=())
    """What the configuration leaves open and the specification took from elsewhere."""


def parse_model_document(document: Mapping[str, object]) -> ModelDocument:
    """Check a model document.

    Parameters
    ----------
    document
        The document as a YAML or JSON parser gives it; a date may be a date object or ISO text.

    Returns
    -------
    ModelDocument
        The document, its specification within all bounds.

    Raises
    ------
    InvalidInputError
        Naming the field that is unknown, missing or wrong.
    """
    values = dict(document)
    if isinstance(values.get("released_on"), datetime.date):
        values["released_on"] = str(values["released_on"])
    read = decode(_Document, values)
    _check_names(read)
    check_spec(read.spec)
    formats = encode(read.native_formats)
    return ModelDocument(
        id=read.id,
        aliases=read.aliases,
        display_name=read.display_name,
        organisation=read.organisation,
        released_on=_date(read.released_on),
        released_on_source=read.released_on_source,
        source=read.source,
        native_formats=formats if isinstance(formats, dict) else {},
        spec=read.spec,
        assumptions=read.assumptions,
    )


def model_document_values(
    document: ModelDocument,
) -> dict[str, object]:
    """Return the document as JSON values, the inverse of :func:`parse_model_document`."""
    values = encode(document)
    if not isinstance(values, dict):  # pragma: no cover - encode of a dataclass is a dict
        raise TypeError("a document encodes to a mapping")
    released = document.released_on
    return {**values, "released_on": None if released is None else released.isoformat()}


def _check_names(read: _Document) -> None:
    if not _SLUG.fullmatch(read.id):
        raise InvalidInputError(
            f"id: {read.id!r:.80} is no slug.",
            field="id",
            code="invalid-model-spec",
            accepted={"pattern": _SLUG.pattern},
        )
    for index, alias in enumerate(read.aliases):
        if not alias or len(alias) > _MAX_NAME or alias != alias.strip():
            raise InvalidInputError(
                f"aliases[{index}]: {alias!r:.80} is no name.",
                field=f"aliases[{index}]",
                code="invalid-model-spec",
            )
    if len({alias.casefold() for alias in read.aliases}) != len(read.aliases):
        raise InvalidInputError("aliases: a name appears twice.", field="aliases", code="invalid-model-spec")


def _date(text: str | None) -> datetime.date | None:
    if text is None:
        return None
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise InvalidInputError(
            f"released_on: {text!r:.80} is no date.",
            field="released_on",
            code="invalid-model-spec",
            accepted={"format": "YYYY-MM-DD"},
        ) from None
