"""What follows from a ``config.json`` alone: no catalog, no price."""

from collections.abc import Mapping
from dataclasses import asdict

from service.application.inspect_model import inspect_model
from service.model_configs import parse_config


def inspect_config(config: Mapping[str, object], name: str) -> dict[str, object]:
    """Describe the model of a configuration; see :func:`inspect_model`.

    Parameters
    ----------
    config
        A Hugging Face ``config.json`` as an object; nothing that comes with it is executed.
    name
        Name that the answer gives the model.

    Raises
    ------
    EngineError
        The configuration cannot be read; the field names the part.
    """
    parsed = parse_config(config, name)
    return inspect_model(parsed.spec, asdict(parsed.native_formats), parsed.assumptions)
