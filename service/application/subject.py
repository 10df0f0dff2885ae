"""What a request is about: a catalog model, or a ``config.json`` of the caller's."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from service.application.errors import InvalidRequestError
from service.application.ports import CatalogSnapshot, ModelRecord
from service.application.requests import EstimateRequest
from service.engine.architecture import derive_work
from service.engine.errors import EngineError
from service.engine.types import ModelWork
from service.model_configs import parse_config

INLINE_MODEL = "inline-config"
"""Name of a model given as a configuration."""


@dataclass(frozen=True)
class Subject:
    """What a request is about."""

    model_id: str
    work: ModelWork
    model: ModelRecord | None
    """None for a configuration of the caller's."""
    native_formats: Mapping[str, str]


def read_subject(request: EstimateRequest, snapshot: CatalogSnapshot) -> Subject:
    """Return the model of a request.

    Raises
    ------
    InvalidRequestError
        Both or none of ``model`` and ``config`` is given.
    UnknownIdError
        ``model`` names nothing.
    EngineError
        The configuration cannot be read; the field names the part.
    """
    if (request.model is None) == (request.config is None):
        given = "Both are" if request.model is not None else "Neither is"
        raise InvalidRequestError(
            "Exactly one of model (a catalog id or alias) and config (a config.json object) is needed. "
            f"{given} given.",
            field="model",
            code="model-missing" if request.model is None else "model-given-twice",
        )
    if request.model is not None:
        record = snapshot.model(request.model)
        return Subject(record.id, record.work, record, record.native_formats)
    try:
        parsed = parse_config(request.config or {}, INLINE_MODEL)
        work = derive_work(parsed.spec)
    except EngineError as error:
        # The reader of configurations knows its own fields only; the caller's begin with ``config``.
        error.field = f"config.{error.field}" if error.field else "config"
        raise
    return Subject(INLINE_MODEL, work, None, asdict(parsed.native_formats))
